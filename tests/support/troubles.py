"""What can happen to a process in the midst of its work, chosen beforehand and the same every time.

A process counts what it does to files (opening one to write, renaming, removing, syncing, ...) and
kills itself before the chosen one. The engine writes below Python's sight: for a death inside a
write the kernel is set, from the chosen event on, to kill the process at the first write that goes
beyond a byte of any file (RLIMIT_FSIZE, SIGXFSZ). Either way nothing of the process runs any more:
no handler, no `finally`, no buffer flushed.
"""

from __future__ import annotations

import itertools
import os
import resource
import signal
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

KILLED = (-signal.SIGKILL, -signal.SIGXFSZ)
_EVENTS = {
    "os.rename",
    "os.remove",
    "os.rmdir",
    "os.mkdir",
    "os.link",
    "os.symlink",
    "shutil.rmtree",
}
_TO_WRITE = os.O_WRONLY | os.O_RDWR | os.O_CREAT


@dataclass(frozen=True)
class Death:
    """Before the `at`-th event (from 1) of a step; with `byte`: inside the first write after it beyond this byte."""

    at: int
    byte: int | None = None
    step: str = ""


@dataclass(frozen=True)
class Full:
    """When a step begins, something else eats up the disk, but for so many KiB."""

    step: str
    free_kib: int


@dataclass(frozen=True)
class Clock:
    """A process in another time zone and locale."""

    environment: Mapping[str, str]


Trouble = Death | Full | Clock | None


def filler(root: Path) -> Path:
    """What eats up the disk of a root."""
    return root.parent / "filler"


class Counter:
    """Counts the events of each step of this process, below a folder, and meets its trouble. It cannot be taken off again."""

    def __init__(self, trouble: Trouble, below: Path) -> None:
        self._trouble, self._below, self._folder = trouble, below, f"{below}/"
        self.step, self._numbers, self.events = "", itertools.count(1), 0
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
        os.fsync = self._counted(os.fsync)
        sys.addaudithook(self._watch)

    def enter(self, step: str) -> None:
        """A step begins: its first event."""
        self.step, self._numbers = step, itertools.count(1)
        if isinstance(self._trouble, Full) and self._trouble.step == step:
            space = os.statvfs(self._below)
            filler(self._below).write_bytes(
                bytes(max(0, space.f_bavail * space.f_frsize - self._trouble.free_kib * 1024))
            )
        self._happened()

    def _happened(self) -> None:
        self.events = number = next(self._numbers)
        death = self._trouble
        if not isinstance(death, Death) or (death.step, death.at) != (self.step, number):
            return
        if death.byte is None:
            os.kill(os.getpid(), signal.SIGKILL)
        else:
            resource.setrlimit(resource.RLIMIT_FSIZE, (death.byte, resource.RLIM_INFINITY))

    def _watch(self, event: str, arguments: tuple[Any, ...]) -> None:
        opened = event == "open" and isinstance(arguments[2], int) and arguments[2] & _TO_WRITE
        if not (opened or event in _EVENTS) or not isinstance(arguments[0], (str, os.PathLike)):
            return
        # A relative path is the name of something inside a folder that is being removed.
        path = os.fspath(arguments[0])
        if path.startswith(self._folder) or not path.startswith("/"):
            self._happened()

    def _counted(self, function: Callable[[int], None]) -> Callable[[int], None]:
        def call(file: int) -> None:
            self._happened()
            function(file)

        return call
