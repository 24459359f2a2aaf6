"""Answers of `jifen sql` as text: tables, names of columns, values as other tools read them."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from decimal import Decimal
from itertools import count
from typing import Any

from rich.cells import cell_len
from rich.console import Console
from rich.measure import Measurement
from rich.table import Column, Table

WIDEST = 100_000


def print_table(columns: Sequence[Column], rows: Sequence[Sequence[str]]) -> None:
    """Print columns next to each other, or below each other on a narrow terminal: all is shown."""
    console, table = Console(markup=False, emoji=False, highlight=False), Table(*columns)
    for row in rows:
        table.add_row(*row)
    if (
        Measurement.get(console, console.options.update(max_width=WIDEST), table).maximum
        <= console.width
    ):
        console.print(table)
        return
    names = [str(column.header) for column in columns]
    widest = max(map(cell_len, names))
    for number, row in enumerate(rows, 1):
        print(f"—— {number} ——")
        for name, text in zip(names, row, strict=True):
            print(f"{name}{' ' * (widest - cell_len(name))}  {text}".rstrip())


def deduplicate_names(names: Sequence[str]) -> list[str]:
    """Number the repeated names as DuckDB does in a table: a, a_1. Names that were given stay."""
    found: list[str] = []
    for name in names:
        candidates = (f"{name}_{number}" for number in count(1))
        found.append(
            name
            if name not in found
            else next(new for new in candidates if new not in {*names, *found})
        )
    return found


def format_value(value: Any) -> str:
    """Return a value as other tools read it: yes and no as DuckDB writes them, lists as JSON."""
    if value is None:
        return ""
    return format_json(value) if isinstance(value, bool | list | tuple | dict) else str(value)


def format_json(value: Any) -> str:
    """Return a value as JSON."""
    return json.dumps(_plain(value), ensure_ascii=False)


def _plain(value: Any) -> Any:
    """A value as JSON has it: keys of maps as text, null for what is no number."""
    match value:
        case dict():
            return {format_value(key): _plain(inner) for key, inner in value.items()}
        case list() | tuple():
            return [_plain(inner) for inner in value]
        case float():
            return value if math.isfinite(value) else None
        case Decimal():
            return float(value)
        case None | bool() | int() | str():
            return value
    return str(value)
