"""Settings of who may look people up, and of how long what is about people is kept."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from flows.address_settings import Closed, Text


class AccessSettings(Closed):
    """Who asks is a person: named in the access log, with a purpose, and two for an acceptance."""

    operators: dict[Text, Text] = {}
    """可查询个人、核准发布、清理数据的人员，写成 `账号 = "姓名"`；设置后其他账号不能做这些事。访问记录写姓名；不设置时写账号
    （经 sudo 的是原账号，再次是 Prefect 服务的用户，最后是登录名）。"""
    require_purpose: bool = False
    """查询个人（explain、statement、access）必须写明用途 `--purpose` 和办件编号 `--case`。"""
    four_eyes: bool = False
    """待核的月份须由两个人先后核准（`--accept`）才发布。"""


class RetentionSettings(Closed):
    """For how many months what is about people is kept; absent: for ever."""

    identified: Annotated[int, Field(ge=13)] | None = None
    """计分月份过后满多少个月，清理该月各修订版的限制目录、提醒和区县导出包（`restricted/`、`reminders/`、`exports/`）。不少于 13：
    提醒的办理结果要看以前 12 个月的名单。不写则一直保留。"""
    raw: Annotated[int, Field(ge=1)] | None = None
    """交付月份过后满多少个月，清理原始交付、合格的行、隔离区和置空的值；仍是以后月份输入的交付（如增量）保留。更早的月份不能再重新计算。不写则一直保留。"""
    superseded: Annotated[int, Field(ge=1)] | None = None
    """修订版被取代以后满多少个月，清理其中可识别个人的文件。不写则一直保留。"""
