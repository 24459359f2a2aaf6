"""Addresses that an operator sets: where a source comes from, where a recipient gets what is theirs."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError


def refuse_blank(given: Any) -> Any:
    """Return a value; refuse an empty text."""
    if isinstance(given, str) and not given.strip():
        raise PydanticCustomError("too_short", "empty")
    return given


Text = Annotated[str, BeforeValidator(refuse_blank)]


class Closed(BaseModel):
    """A part of the settings: unknown keys refused, no value bent into another type."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


class SourceSettings(Closed):
    """Where one source comes from, and how this city's departments write it.

    Aliases are column -> value -> aliases. `endpoint`: the address of the S3-compatible service.
    `table` or `query`: what to read of a PostgreSQL database.
    """

    origin: Text | None = None
    """地址，其中有 `{month}`；不写则取自收件目录。"""
    endpoint: Text | None = None
    """S3 兼容服务的地址。"""
    encoding: Literal["utf-8", "gb18030"] | None = None
    """文本文件只准许的编码；不写则自动识别（UTF-8、带标记的 UTF-16、GB18030），已收的交付不受影响。"""
    table: Text | None = None
    """PostgreSQL 的表。"""
    query: Text | None = None
    """PostgreSQL 的查询；与 `table` 写一个。"""
    aliases: dict[str, dict[str, list[str]]] = {}
    """列 → 取值 → 本市的其他写法。"""

    @field_validator("origin", "endpoint")
    @classmethod
    def _without_secret(cls, address: str | None) -> str | None:
        return _refuse_secret(address)

    @model_validator(mode="after")
    def _one_place_per_month(self) -> Self:
        asked = [text for text in (self.table, self.query) if text is not None]
        from_database = self.origin is not None and self.origin.startswith("postgresql://")
        if len(asked) != (1 if from_database else 0):
            raise ValueError("table、query 只用于 postgresql:// 来源，且恰好写其中一个")
        if self.endpoint is not None and not (self.origin or "").startswith("s3://"):
            raise ValueError("endpoint 只用于 s3:// 来源")
        places = [self.origin, *asked] if self.origin is not None else []
        if places and not any("{month}" in place for place in places if place):
            # The same place for every month would make an older month's re-run take newer data.
            raise ValueError("origin、table 或 query 中必须有 {month}")
        return self


class DestinationSettings(Closed):
    """Where one recipient gets what is theirs.

    `endpoint`: the address of the S3-compatible service. `table`: of a PostgreSQL database.
    """

    address: Text
    """地址，文件夹、SFTP、S3 等的其中有 `{month}`。"""
    endpoint: Text | None = None
    """S3 兼容服务的地址。"""
    table: Text | None = None
    """PostgreSQL 的表；只用于 `portal`。"""
    recipient: Annotated[list[Text], Field(min_length=1)] | None = None
    """接收方的 age 公钥，一个或几个；文件加密后送交。"""
    plain: bool = False
    """允许不加密地送到别的机器。"""

    @property
    def recipients(self) -> tuple[str, ...]:
        """The public keys; none: nothing is encrypted."""
        return tuple(self.recipient or ())

    @property
    def is_remote(self) -> bool:
        """Whether it is on another machine."""
        return "://" in self.address

    @property
    def is_database(self) -> bool:
        """Whether it is a table, not a place of files."""
        return self.address.startswith("postgresql://")

    def overlaps(self, other: DestinationSettings) -> bool:
        """Return whether both are one place, or one is inside the other."""
        mine, theirs = (f"{one.address.rstrip('/')}/" for one in (self, other))
        inside = mine.startswith(theirs) or theirs.startswith(mine)
        return inside and (self.endpoint, self.table) == (other.endpoint, other.table)

    @field_validator("address", "endpoint")
    @classmethod
    def _without_secret(cls, address: str | None) -> str | None:
        return _refuse_secret(address)

    @model_validator(mode="after")
    def _one_place_per_month(self) -> Self:
        if (self.table is not None) != self.is_database:
            raise ValueError("table 只用于 postgresql:// 地址，且必须写")
        if self.endpoint is not None and not self.address.startswith("s3://"):
            raise ValueError("endpoint 只用于 s3:// 地址")
        if self.is_database and self.recipient:
            raise ValueError("postgresql:// 地址不能用 recipient：表中的值不加密")
        if not self.is_database and "{month}" not in self.address:
            raise ValueError("address 中必须有 {month}")
        return self


def _refuse_secret(address: str | None) -> str | None:
    """Return an address without secrets; refuse one with a password or a token."""
    if address is not None and "://" in address:
        parts = urlsplit(address)
        if parts.password is not None or re.search(
            "(password|secret|token)=", parts.query, re.IGNORECASE
        ):
            raise ValueError("地址中不可写密码；密码放在环境变量或密钥文件中")
    return address
