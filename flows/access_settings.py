"""Settings of who may look people up, and of how long what is about people is kept."""

from __future__ import annotations

from flows.address_settings import Closed, Text


class AccessSettings(Closed):
    """Who asks is a person: named in the access log, with a purpose, and two for an acceptance."""

    operators: dict[Text, Text] = {}
    """可查询个人、核准发布、清理数据的人员，写成 `帐号 = "姓名"`；设置后其他帐号不能做这些事。访问记录写姓名；不设置时写帐号
    （经 sudo 的是原帐号，再次是 Prefect 服务的用户，最后是登录名）。"""
    require_purpose: bool = False
    """查询个人（explain、statement、access）必须写明用途 `--purpose` 和办件编号 `--case`。"""
    four_eyes: bool = False
    """待核的月份须由两个人先后核准（`--accept`）才发布。"""
