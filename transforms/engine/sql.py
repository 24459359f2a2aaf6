"""Small pieces of SQL text: literals and types."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path


def sql_literal(text: str | Path) -> str:
    """Return a string as an SQL literal: for paths and declared names; people's values are bound."""
    return "'" + str(text).replace("'", "''") + "'"


def enum_type(texts: Iterable[str]) -> str:
    """Return the ENUM type of texts, ordered as given: they are sorted and moved as small numbers.

    Such a column must be cast to VARCHAR again before it is written: the engine writes with every
    row group all values that it has met so far, so the bytes would depend on the order in which
    its threads took turns.
    """
    return f"ENUM({', '.join(map(sql_literal, texts)) or sql_literal('')})"  # never without a value
