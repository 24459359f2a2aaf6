"""Few rows of Python as a table of the session, for a workbook to be written from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from transforms.engine.session import Session


def create_text_table(
    session: Session, name: str, columns: Sequence[str], rows: Sequence[Mapping[str, Any]]
) -> None:
    """Create a table of texts from rows; an empty text is null, as a cell that is left empty."""
    arrays = {
        column: pa.array([_to_text(row.get(column)) for row in rows], pa.string())
        for column in columns
    }
    session.register("given_rows", pa.table(arrays))
    session.execute(f"CREATE OR REPLACE TEMP TABLE {name} AS FROM given_rows")
    session.unregister("given_rows")


def _to_text(value: Any) -> str | None:
    return None if value is None or value == "" else str(value)
