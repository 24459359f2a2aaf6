"""Deliveries that are an earlier month's again: the same rows in any order, format or encoding."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from expectations.errors import ExitCode, JifenError
from expectations.findings import Finding, FindingKind
from expectations.month import Month
from expectations.source_model import Source
from flows.pipeline.context import RunContext
from flows.storage.deliveries import Delivery, list_deliveries
from flows.storage.revisions import find_published, list_published_months
from transforms.clean.accounts import RowCounts, read_last_account
from transforms.clean.returns import fingerprint_rows, is_same_basis
from transforms.engine.parquet import read_folder_sql
from transforms.engine.session import Session

FEW_ROWS = {"increment": 2, "snapshot": 50}
"""A delivery of so few rows may equal an earlier one: it is reported, and does not block."""


@dataclass(frozen=True)
class Repeat:
    """A delivery that holds the rows of an earlier month's; `reason`: why it may."""

    month: Month
    earlier: Month
    reason: str | None


class DeliveryHistory:
    """A source's deliveries in force, with what they hold; read once per run."""

    def __init__(self, run: RunContext, session: Session, source: Source) -> None:
        self.run, self.session, self.source = run, session, source

    def find_repeat(self, delivery: Delivery, account: RowCounts) -> Repeat | None:
        """Return the earlier month whose delivery holds the same rows; None where there is none.

        `reason` is the operator's, of this run or of the one that published the delivery; that of
        a small delivery is its size.
        """
        if not account.clean:
            return None
        earlier = [one for one in self._deliveries if one.month < delivery.month]
        same = [
            one.month
            for one in earlier
            if one.content == delivery.content or self._holds_same_rows(one, earlier[-1], account)
        ]
        if not same:
            return None
        reason = self.run.options.allowed_same.get(self.source.source)
        reason = reason or self._remembered_reasons.get((str(delivery.month), delivery.number))
        if reason is None and account.received <= FEW_ROWS[self.source.delivery]:
            reason = f"只有 {account.received} 行，不拦截"
        return Repeat(delivery.month, same[-1], reason)

    @cached_property
    def _deliveries(self) -> list[Delivery]:
        return list_deliveries(self.run.root, self.source.source)

    @cached_property
    def _remembered_reasons(self) -> dict[tuple[str, int], str]:
        """The deliveries (month, number) that a published month allowed to be the same, and why."""
        name = self.source.source
        reasons: dict[tuple[str, int], str] = {}
        for month in list_published_months(self.run.root):
            revision = find_published(self.run.root, month)
            allowed = revision.manifest.same.get(name) if revision else None
            for used in revision.manifest.deliveries if revision and allowed else ():
                if allowed and used["source"] == name and used["month"] in allowed["months"]:
                    reasons[used["month"], used["number"]] = str(allowed["reason"])
        return reasons

    def _holds_same_rows(self, earlier: Delivery, newest: Delivery, account: RowCounts) -> bool:
        """Return whether an earlier delivery has the clean rows of the account.

        The newest one is read again where another program or declaration has cleaned it.
        """
        known = self._read_fingerprint(earlier)
        if known and earlier == newest and not is_same_basis(known, account.fingerprint):
            rows = read_folder_sql(self._clean_folder(earlier))
            if set(self.source.columns) <= set(self.session.describe(rows)):
                known = fingerprint_rows(self.session, self.source, rows)
        return known == account.fingerprint

    def _read_fingerprint(self, delivery: Delivery) -> str | None:
        if delivery.folder not in self._fingerprints:
            account = read_last_account(self._clean_folder(delivery))
            self._fingerprints[delivery.folder] = account.fingerprint if account else None
        return self._fingerprints[delivery.folder]

    @cached_property
    def _fingerprints(self) -> dict[Path, str | None]:
        return {}

    def _clean_folder(self, delivery: Delivery) -> Path:
        place = Path(delivery.source) / f"received={delivery.month}" / f"d{delivery.number}"
        return self.run.root.clean / place


def describe_repeat(source: Source, repeat: Repeat, where: str) -> JifenError:
    """Return the error (exit 12) of a delivery that is an earlier month's again."""
    subject = f"{source.title}（{source.source}）{repeat.month} 的交付"
    what = f"{subject}与 {repeat.earlier} 的内容相同：这是以前月份的文件"
    hint = f"请部门交付本月的数据；确实没有变化时用 --same {source.source}=原因"
    return JifenError(ExitCode.GATE, what, where=where, hint=hint)


def find_repeat_findings(
    repeats: Mapping[str, Iterable[Repeat]], accounts: Iterable[RowCounts]
) -> Iterator[Finding]:
    """Yield the deliveries among those of these accounts that may repeat an earlier one."""
    rows = {(one.source, one.month): one.received for one in accounts}
    for source, found in repeats.items():
        for one in found:
            where = (source, str(one.month))
            if where in rows:
                detail = f"与 {one.earlier} 的相同，原因：{one.reason}"
                yield Finding(FindingKind.ALLOWED_SAME, *where, count=rows[where], detail=detail)


def list_allowed_repeats(repeats: Mapping[str, Iterable[Repeat]]) -> dict[str, dict[str, object]]:
    """Return by source the months that repeat an earlier one, and why they may, for a manifest."""
    return {
        source: {
            "months": [str(one.month) for one in found],
            "reason": "；".join(dict.fromkeys(one.reason for one in found if one.reason)),
        }
        for source, listed in repeats.items()
        if (found := list(listed))
    }
