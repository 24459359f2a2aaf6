"""Waiting for others, but not for ever."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class _Item(Generic[T]):
    item: T


def iterate_with_timeout(items: Callable[[], Iterator[T]], seconds: float) -> Iterator[T]:
    """Yield what `items()` yields, waiting for each so many seconds at most; then TimeoutError.

    A library that hangs cannot be stopped from outside. It works in a thread of its own, which is
    left behind when it hangs; only the caller writes anything, so nothing that comes too late ends
    up in a file.
    """
    arrived: queue.Queue[_Item[T] | Exception | None] = queue.Queue(1)
    given_up = threading.Event()

    def hand_over(item: _Item[T] | Exception | None) -> None:
        while not given_up.is_set():
            with suppress(queue.Full):
                return arrived.put(item, timeout=0.2)

    def work() -> None:
        try:
            for item in items():
                hand_over(_Item(item))
                if given_up.is_set():
                    return
            hand_over(None)
        except Exception as error:
            hand_over(error)

    threading.Thread(target=work, daemon=True).start()
    try:
        while (item := _next(arrived, seconds)) is not None:
            if isinstance(item, Exception):
                raise item
            yield item.item
    finally:
        given_up.set()


def _next(
    arrived: queue.Queue[_Item[T] | Exception | None], seconds: float
) -> _Item[T] | Exception | None:
    try:
        return arrived.get(timeout=seconds)
    except queue.Empty:
        raise TimeoutError from None
