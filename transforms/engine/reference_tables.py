"""Reference tables as relations of a session."""

from __future__ import annotations

import pyarrow as pa

from expectations.reference_tables import TABLES, Reference
from transforms.engine.session import Session
from transforms.engine.statements import Statement


def load_reference_tables(session: Session, reference: Reference) -> None:
    """Make every reference table a table of its own name."""
    for name, (_, columns) in TABLES.items():
        rows = reference.rows[name]
        values = zip(*rows, strict=True) if rows else ([] for _ in columns)
        session.register("given", pa.table(dict(zip(columns, map(list, values), strict=True))))
        typed = ", ".join(
            f"CAST({column} AS {kind}) AS {column}" for column, (_, kind) in columns.items()
        )
        session.create_table(Statement(name, f"SELECT {typed} FROM given"))
        session.unregister("given")
