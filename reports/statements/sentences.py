"""Every sentence of an explanation, with names in braces: for our renderers and for others'.

They are part of `texts.json`, so that another program says the same.
"""

from __future__ import annotations

SENTENCES = {
    "heading": "{name}  {month} 修订版 r{revision}  {district}  总分 {total}",
    "version": "适用 {title}（自 {begins} 起；{basis}）",
    "corrected_fact": "异议更正数据：{title}为 {value}（案件 {case_id}）",
    "objection": "异议办理中：{title}（案件 {case_id}，应于 {due_on} 前办结）",
    "highest": "  取其中最高",
    "cap": "  上限 {cap}",
    "over_cap": "，合计 {before_cap}，按上限计",
    "rule": "规则：{rule}依据：{basis}",
    "illustrative": "（示例分值）",
    "closed": "未计：{reason}",
    "capped": "按规则 {rule_points} 分，超过上限，计 {points} 分",
    "corrected": "异议更正：{before} → {after}（案件 {case_id}）",
    "common": "共性分 {common} ＝ {terms}",
    "total": "总分 {total} ＝ 共性分 {common} ＋ 个性分 {district_points}",
    "added": "＋ {title} {points}",
    "subtracted": "− {title} {points}",
    "not_compared": "上月未发布，没有可比的积分",
    "compared": "与上月（{revision}）相比：",
    "unchanged": "没有变化",
    "moved": "{before} → {after}",
    "services": "服务：",
    "reached": "已达到",
    "amount": "，每月 {amount} 元",
    "not_open": "居住区县未开展此项服务",
    "points_lacking": "积分需达到 {threshold} 分，还差 {short} 分",
    "forecast": "预计 {months} 个月后（{month}）达到：随时间推移，继续参保，其他情况不变",
    "no_forecast": "仅随时间推移，{months} 个月内不能达到",
    "yes_or_no": "{evidence}：{value}",
}
VALUES = {
    "unknown": "无记录",
    "yes": "是",
    "no": "否",
    "none": "无",
    "separator": "、",
    "date": "{year}年{month}月{day}日",
    "month": "{year}年{month}月",
    "by_year": "{year} 年 {hours} 小时",
    "by_key": "{key} {points} 分",
    "children": "{level}",
    "not_there": "—",
    "nobody": "居民",
}
