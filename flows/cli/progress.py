"""The live line at the bottom of a terminal: what is being done, how far, for how long."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from rich.console import Console, RenderableType
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.text import Text

from flows.pipeline.progress import NULL_PROGRESS, Advance


class _Terminal(Console):
    """A terminal whose cursor is never hidden: a run that is killed could not bring it back."""

    def show_cursor(self, show: bool = True) -> bool:
        return False


class _Line(Progress):
    """The line, and an empty one below for the cursor: what a killed run leaves is no prompt."""

    def get_renderables(self) -> Iterable[RenderableType]:
        yield from super().get_renderables()
        yield Text()


@contextmanager
def show_progress(what: str) -> Iterator[Advance]:
    """Show a line below all that is printed meanwhile; nothing where there is no terminal.

    The clock starts with step 1; before it there is no bar, only `what` and a clock of its own.

    Yields:
        What moves it on: now this is being done, as the so-manyth step of so many.
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

        def advance(what: str, number: int, total: int) -> None:
            if number == 1:
                line.reset(task)
            shown = f"{number}/{total} {what}"
            line.update(task, description=shown, completed=number - 1, total=total)

        yield advance
