"""The records of held months."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from expectations.errors import ExitCode, JifenError
from flows.storage.root import Root


@dataclass(frozen=True)
class HeldMonth:
    """A month that the drift check keeps back: the build, the options and inputs it was made with, and why.

    `inputs`: group -> thing -> its version or hash, in the operators' words. `report`: where its page is.
    """

    build: str
    allowed: dict[str, str]
    send: bool
    last: bool
    inputs: dict[str, dict[str, Any]]
    reasons: list[str]
    report: str
    at: str


def load_hold(root: Root, month: str) -> HeldMonth | None:
    """What is known of a month that was held and has not been published since."""
    try:
        return HeldMonth(**json.loads(_hold_file(root, month).read_bytes()))
    except FileNotFoundError:
        return None
    except (ValueError, TypeError):
        hint = "删去这个文件后重新运行该月"
        raise JifenError(
            ExitCode.DAMAGE, "待核记录已损坏", where=str(_hold_file(root, month)), hint=hint
        ) from None


def _hold_file(root: Root, month: str) -> Path:
    return root.runs / f"held-{month}.json"
