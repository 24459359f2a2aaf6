"""The records of held months: `runs/held-<month>.json`."""

from __future__ import annotations

from pathlib import Path

from expectations.errors import ExitCode, JifenError
from expectations.month import Month
from flows.storage.files import write_atomically
from flows.storage.records import HeldMonth
from flows.storage.root import Root


def load_hold(root: Root, month: Month) -> HeldMonth | None:
    """Return the record of a month that was held and has not been published since.

    Raises:
        JifenError: Exit 15, the record is damaged.
    """
    file = _hold_file(root, month)
    try:
        return HeldMonth.from_json(file.read_bytes())
    except FileNotFoundError:
        return None
    except ValueError:
        hint = "删去这个文件后重新运行该月"
        raise JifenError(ExitCode.DAMAGE, "待核记录已损坏", where=str(file), hint=hint) from None


def save_hold(root: Root, month: Month, held: HeldMonth) -> None:
    """Write the record of a month that is held now."""
    write_atomically(_hold_file(root, month), held.to_json())


def remove_hold(root: Root, month: Month) -> None:
    """Remove the record of a month that is held no more."""
    _hold_file(root, month).unlink(missing_ok=True)


def _hold_file(root: Root, month: Month) -> Path:
    return root.runs / f"held-{month}.json"
