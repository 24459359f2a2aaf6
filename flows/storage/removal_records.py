"""The signed record of a removal: by which rule, what, when and who."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from typing import Any, Literal

from flows.storage.files import to_canonical_json
from flows.storage.keys import compute_mac, derive_key
from flows.storage.records import Record

Rule = Literal["identified", "superseded", "raw", "rekey"]
RULES: Mapping[Rule, str] = {
    "identified": "可识别个人的文件",
    "superseded": "已被取代的修订版中可识别个人的文件",
    "raw": "原始交付、合格的行和隔离区",
    "rekey": "旧密钥的匿名数据",
}
"""The rules of `[retention]`, and the change of the key, and what each removes."""


class Removal(Record):
    """`removal.json`: what a rule of retention, or a change of the key, has removed.

    Attributes:
        number: The number of the removal.
        rule: The setting of `[retention]` that asked for it, or `rekey`.
        months: Its value; 0 of `rekey`.
        at: When.
        by: Who.
        account: Their account.
        targets: What was removed, files and folders, by path in the root.
        files: Path of every file of them -> bytes and SHA-256.
        kept: Name of a file beside the record -> its SHA-256: which reminders were sent, not to
            whom.
        mac: HMAC of everything else.
    """

    number: int
    rule: Rule
    months: int
    at: str
    by: str
    account: str
    targets: list[str]
    files: dict[str, dict[str, Any]]
    kept: dict[str, str] = {}
    mac: str = ""

    def compute_mac(self, key: bytes) -> str:
        """Return what `mac` must be."""
        values = {name: value for name, value in self.to_values().items() if name != "mac"}
        content = to_canonical_json(values)
        return compute_mac(derive_key(key, "removals"), content).decode()

    def is_authentic(self, key: bytes) -> bool:
        """Return whether nobody without the key has written or changed it."""
        return hmac.compare_digest(self.compute_mac(key), self.mac)

    def describe(self) -> str:
        """Return in a few words that it was removed, when, by which rule, by whom."""
        if self.rule == "rekey":
            return f"已于 {self.at[:10]} 更换密钥时清理（{self.by}）"
        return (
            f"已于 {self.at[:10]} 按规定清理（[retention] {self.rule} = {self.months}，{self.by}）"
        )
