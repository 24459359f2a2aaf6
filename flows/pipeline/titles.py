"""What operators read for every stage."""

from __future__ import annotations

STAGE_TITLES = {
    "pull": "接收数据",
    "clean": "检查和清洗",
    "compare": "核对有无变化",
    "facts": "指标数据",
    "points": "计算积分",
    "services": "判定服务资格",
    "open": "分档数据",
    "changes": "与上月比较",
    "statements": "个人积分单",
    "reminders": "生成提醒",
    "exports": "区县导出",
    "drift": "核对变化幅度",
    "report": "生成报告",
    "publish": "发布",
    "deliver": "送交",
}
