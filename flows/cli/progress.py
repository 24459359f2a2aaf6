"""The live line at the bottom of a terminal: what is being done, how far it is, for how long."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from rich.console import Console, RenderableType
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.text import Text

Advance = Callable[[str, int, int], None]


class _Terminal(Console):
    """A terminal whose cursor is never hidden: a run that is killed could not bring it back."""

    def show_cursor(self, show: bool = True) -> bool:
        return False


class _Line(Progress):
    """The line, and below it the empty one where the cursor waits: what a killed run leaves is no one's prompt."""

    def get_renderables(self) -> Iterable[RenderableType]:
        yield from super().get_renderables()
        yield Text()


def NULL_PROGRESS(what: str, number: int, total: int) -> None:
    """`doing` where there is no line."""


@contextmanager
def show_progress(what: str) -> Iterator[Advance]:
    """Show a line below all that is printed meanwhile; where standard output is no terminal, do nothing at all.

    Gives `doing(what, number, total)`: from now on this is done, the so-manyth step of so many. The clock starts with
    step 1; before it there is no bar, only `what` and a clock of its own.
    """
    terminal = _Terminal(soft_wrap=True)  # a long path stays one line, and can be copied
    if not sys.stdout.isatty() or terminal.is_dumb_terminal:
        yield NULL_PROGRESS
        return
    columns = (
        SpinnerColumn(),
        BarColumn(20),
        TextColumn("{task.description}", markup=False),
        TimeElapsedColumn(),
    )
    with _Line(
        *columns, console=terminal, transient=True, redirect_stderr=sys.stderr.isatty()
    ) as line:
        task = line.add_task(what, total=None)

        def doing(what: str, number: int, total: int) -> None:
            if number == 1:
                line.reset(task)
            line.update(
                task, description=f"{number}/{total} {what}", completed=number - 1, total=total
            )

        yield doing
