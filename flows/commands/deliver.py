"""`jifen deliver`: hand over a published month again, or what of it has not arrived."""

from __future__ import annotations

import time
from collections.abc import Sequence

from expectations.errors import ExitCode, JifenError, did_you_mean, may_pass
from expectations.month import Month
from flows.destinations.contents import Destination, list_destinations
from flows.destinations.deliver import deliver_revision
from flows.destinations.delivery import DeliveryContext, DeliveryOutcome
from flows.destinations.outcome import describe_outcome, make_undelivered_error
from flows.pipeline.progress import ProgressSink
from flows.pipeline.stages import DELIVER_RETRY_SECONDS
from flows.pipeline.staleness import explain_stale_months
from flows.project import load_project
from flows.settings import Settings
from flows.storage.removals import require_identified
from flows.storage.revisions import find_revision
from flows.storage.root import open_root


def deliver_month(
    settings: Settings, month: Month | None, to: Sequence[str], report_progress: ProgressSink
) -> list[DeliveryOutcome]:
    """Deliver the revision in force of a month, and report how it ended for each destination.

    What is there already is not sent again; what may pass is tried again.

    Args:
        settings: The settings of the project.
        month: The month; None is the newest published one.
        to: The destinations; none: all of the settings.
        report_progress: Takes a line per destination.

    Raises:
        JifenError: Exit 1, something has not arrived; exit 2, there is no such month or
            destination; exit 10, a destination may not get anything as it is set.
    """
    root, project = open_root(settings), load_project(settings)
    chosen = _choose(list_destinations(project), to)
    with root.lock():
        revision = find_revision(root, month)
        require_identified(root, root.key(), revision)
        if revision.month in (stale := explain_stale_months(root, project)):
            report_progress(f"{revision.month} 已过期：{stale[revision.month]}")
        context = DeliveryContext(project, root, root.key(), revision)
        outcomes: dict[str, DeliveryOutcome] = {}
        for seconds in (0.0, *DELIVER_RETRY_SECONDS):
            left = [one for one in chosen if _is_to_try(outcomes.get(one.name))]
            if not left:
                break
            time.sleep(seconds)
            for outcome in deliver_revision(context, left):
                outcomes[outcome.destination] = outcome
    for outcome in outcomes.values():
        report_progress(describe_outcome(outcome, revision))
    if any(not outcome.has_arrived for outcome in outcomes.values()):
        raise make_undelivered_error(outcomes.values(), revision)
    return list(outcomes.values())


def _choose(known: Sequence[Destination], names: Sequence[str]) -> list[Destination]:
    """Return the destinations of these names, or all.

    Raises:
        JifenError: Exit 2, there is none, or none of such a name.
    """
    if not known:
        hint = "在 jifen.toml 写 [deliver.portal]、[deliver.区县代码] 或 [deliver.来源代码]"
        raise JifenError(ExitCode.USAGE, "没有设置任何接收方", hint=hint)
    by_name = {one.name: one for one in known}
    for name in names:
        if name not in by_name:
            hint = did_you_mean(name, by_name, "的接收方")
            raise JifenError(ExitCode.USAGE, f"--to：没有设置接收方 {name}", hint=hint)
    return [by_name[name] for name in dict.fromkeys(names)] or list(known)


def _is_to_try(outcome: DeliveryOutcome | None) -> bool:
    """Return whether a destination is to be tried: never yet, or what was wrong may pass."""
    return outcome is None or (not outcome.has_arrived and may_pass(outcome.error))
