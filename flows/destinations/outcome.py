"""How deliveries ended, in the operators' words, and what has not arrived of a month."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from expectations.errors import ExitCode, JifenError, may_pass, to_user_error
from expectations.findings import Finding, FindingKind
from flows.destinations.contents import Destination
from flows.destinations.delivery import DeliveryOutcome
from flows.storage.destination_receipts import DestinationReceipt, find_receipt, list_receipts
from flows.storage.revisions import Revision
from flows.storage.root import Root


def describe_outcome(outcome: DeliveryOutcome, revision: Revision) -> str:
    """Return how it ended for a destination, in a line."""
    name = f"{revision.month} r{revision.number} {outcome.destination}"
    if outcome.error is not None:
        return f"{name}：未送达，{_describe_error(outcome.error)}"
    replaces = f"，取代 {outcome.replaces}" if outcome.replaces else ""
    if outcome.rows:
        return f"{name}：已送达，{outcome.rows:,} 行{replaces}（{outcome.where}）"
    if not outcome.sent:
        return f"{name}：已送达，{outcome.kept} 个文件都在，未再传（{outcome.where}）"
    kept = f"，另有 {outcome.kept} 个已在" if outcome.kept else ""
    megabytes = f"{outcome.bytes / 1e6:,.1f} MB"
    files = f"{outcome.sent} 个文件 {megabytes}{kept}"
    return f"{name}：已送达，{files}{replaces}（{outcome.where}）"


def find_outcome_findings(
    outcomes: Iterable[DeliveryOutcome], revision: Revision
) -> Iterator[Finding]:
    """Yield what has not arrived."""
    for outcome in outcomes:
        if outcome.error is not None:
            yield _make_finding(outcome.destination, revision, _describe_error(outcome.error))


def find_undelivered(
    root: Root, key: bytes, revision: Revision, destinations: Iterable[Destination]
) -> Iterator[Finding]:
    """Yield what of a revision has not arrived, by its receipts; nothing is asked."""
    for one in destinations:
        receipt = _find_receipt(root, key, revision, one)
        if receipt is None:
            before = list_receipts(root, key, revision.month, one.name)
            newest = [f"r{old.revision}" for old in before if old.state == "delivered"]
            there = f"，对方仍是 {newest[-1]}" if newest else ""
            yield _make_finding(one.name, revision, f"尚未送交{there}")
        elif receipt.state != "delivered":
            yield _make_finding(one.name, revision, receipt.reason or "送交中断，没有完成")


def is_delivered(root: Root, key: bytes, revision: Revision, destination: Destination) -> bool:
    """Return whether a destination has got a revision, by its receipt; nothing is asked."""
    receipt = _find_receipt(root, key, revision, destination)
    return receipt is not None and receipt.state == "delivered"


def _find_receipt(
    root: Root, key: bytes, revision: Revision, destination: Destination
) -> DestinationReceipt | None:
    """Return the receipt of a revision, or of the one with the same rows under an older key.

    Destinations get no pseudonym: nothing of theirs is changed by a change of the key.
    """
    names = [revision.name, *revision.manifest.renewed_from]
    numbers = [int(name.rpartition("/r")[2]) for name in names]
    found = (
        find_receipt(root, key, revision.month, destination.name, number) for number in numbers
    )
    return next((one for one in found if one), None)


def make_undelivered_error(outcomes: Iterable[DeliveryOutcome], revision: Revision) -> JifenError:
    """Return the error for what has not arrived; its cause is set when trying again may help."""
    failed = [outcome for outcome in outcomes if outcome.error is not None]
    reasons = "；".join(
        f"{one.destination}：{_describe_error(one.error)}" for one in failed if one.error
    )
    what = f"{revision.name} 已发布，但 {len(failed)} 个接收方未送达：{reasons}"
    hint = f"按所列原因处理后运行 jifen deliver --month {revision.month}；已送达的不再重传"
    error = JifenError(ExitCode.OTHER, what, hint=hint)
    if any(may_pass(one.error) for one in failed):
        error.__cause__ = ConnectionError()
    return error


def _describe_error(error: Exception) -> str:
    shown = to_user_error(error)
    where = f"（{shown.where}）" if shown.where else ""
    return "，".join(filter(None, [shown.message + where, shown.hint]))


def _make_finding(destination: str, revision: Revision, detail: str) -> Finding:
    return Finding(
        FindingKind.UNDELIVERED,
        month=str(revision.month),
        column=destination,
        detail=detail,
        hint=f"处理后运行 jifen deliver --month {revision.month} --to {destination}",
    )
