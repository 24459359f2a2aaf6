"""Where a run reports how far it is; the command line shows it, tests and schedules need not."""

from __future__ import annotations

from collections.abc import Callable

ProgressSink = Callable[[str], None]  # takes one line for the operator
Advance = Callable[[str, int, int], None]  # what is being done now, as which step of how many


def NULL_PROGRESS(what: str, number: int, total: int) -> None:
    """Show nothing."""
