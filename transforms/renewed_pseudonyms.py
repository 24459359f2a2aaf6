"""Tables of a revision with the pseudonyms of a newer key: a column rewritten, the rows in its order.

Whoever has the older key knows the order of its pseudonyms, and so, in the old order, who is in
which row: each table is sorted anew, as a month's run would have sorted it. Each statement reads
the table of the older key by its name, and is published beside the month.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from transforms.engine.parquet import read_parquet_sql
from transforms.engine.session import Session
from transforms.engine.statements import Statement
from transforms.facts.pseudonyms import hmac_params, pseudonym_sql, renew_number_sql
from transforms.outputs import (
    FACTS,
    IDENTITIES,
    OUTPUTS,
    RESIDENT_ORDER,
    RESTRICTED_FACTS,
    SCORES,
    STATEMENTS,
    find_table_file,
)

PSEUDONYMS = ("resident_key", "child_key", "guardian_key")
"""The columns that hold a pseudonym, in whatever table."""
REMINDER_NUMBER = "reminder_id"


@dataclass(frozen=True)
class KeyChange:
    """The keys that tables were made with, and those that were added since; the oldest first."""

    before: tuple[bytes, ...]
    added: tuple[bytes, ...]


def list_keyed_files(session: Session, revision: Path) -> list[Path]:
    """Return the Parquet files of a revision with a pseudonym, or the number of a reminder."""
    files = sorted(revision.rglob("*.parquet"))
    return [file for file in files if _list_keyed_columns(session, file)]


@dataclass(frozen=True)
class RenewedTables:
    """What was written anew.

    Attributes:
        files: The files, as they lie in the old revision.
        statements: What made the tables with a pseudonym of those of the old revision.
    """

    files: Sequence[Path]
    statements: Sequence[Statement]


def write_renewed_tables(
    session: Session, revision: Path, number: int, change: KeyChange, target: Path
) -> RenewedTables:
    """Write the tables of a revision that depend on the key, with the newest key's pseudonyms.

    These are the tables with a pseudonym, and the statements, whose rows are in the same order.

    Args:
        session: The engine.
        revision: The folder of the revision.
        number: The number that the new revision will have, which its statements name.
        change: The keys.
        target: The folder of the new revision.
    """
    keyed = list_keyed_files(session, revision)
    made: dict[str, Statement] = {}
    for file in keyed:
        table = _find_table(session, revision, file)
        made[table.name] = _write_table(session, table, change, target / file.relative_to(revision))
    statements = sorted((revision / STATEMENTS.folder).glob("*.parquet"))
    for file in statements:
        keys = (*change.before, *change.added)
        sql = f"""SELECT * REPLACE (CAST({number} AS INTEGER) AS revision) FROM kept
ORDER BY {pseudonym_sql("resident_id", len(keys))}"""
        statement = Statement("renewed_statements", sql, ("kept",), "file")
        inputs = {"kept": read_parquet_sql(file)}
        session.write(statement, target / file.relative_to(revision), hmac_params(*keys), inputs)
    return RenewedTables([*keyed, *statements], list(made.values()))


def write_renewed_numbers(session: Session, file: Path, change: KeyChange, target: Path) -> None:
    """Write a file of reminders' numbers, kept of a removed list, with those of the newest key."""
    columns = tuple(session.describe(read_parquet_sql(file)))
    _write_table(session, _Table("sent", file, columns, columns), change, target)


@dataclass(frozen=True)
class _Table:
    """A table to write anew: its name, file, columns and order; where the place is, if elsewhere."""

    name: str
    file: Path
    columns: tuple[str, ...]
    order: tuple[str, ...]
    places: Path | None = None
    is_plain: bool = False

    def to_statement(self, stages: int) -> Statement:
        """Return the query of the table with the pseudonyms of so many further keys."""
        keyed = {
            one: f"{_renew_sql(self.name, one, stages)} AS {one}"
            for one in (*PSEUDONYMS, REMINDER_NUMBER)
        }
        made = [keyed.get(one, f"{self.name}.{one}") for one in self.columns]
        join = ""
        if self.places:
            made.append("scores.district")
            join = f" JOIN scores ON scores.resident_key = {self.name}.resident_key"
        order = (f"{one} NULLS FIRST" if one == "service" else one for one in self.order)
        sql = f"""SELECT {", ".join(self.columns)}
FROM (
    SELECT {", ".join(made)}
    FROM {self.name}{join}
) AS renewed
ORDER BY {", ".join(order)}"""
        inputs = (self.name, "scores") if self.places else (self.name,)
        return Statement(f"renewed_{self.name}", sql, inputs, "file")


def _find_table(session: Session, revision: Path, file: Path) -> _Table:
    place = file.relative_to(revision)
    output = next((one for one in OUTPUTS if place.is_relative_to(one.folder)), None)
    columns = tuple(session.describe(read_parquet_sql(file)))
    order = columns  # of a table that no program of today writes
    if output:
        order = RESIDENT_ORDER if output.aligned_with else output.order
    parts = place.parent.parts
    if not (output and output.by_district) and file.stem != parts[-1]:
        parts = (*parts, file.stem)
    return _Table(
        re.sub(r"\W", "_", "_".join(parts)),
        file,
        columns,
        order,
        # the one table without the column that it is sorted by
        places=find_table_file(revision, SCORES) if output is RESTRICTED_FACTS else None,
        is_plain=output in (FACTS, RESTRICTED_FACTS, IDENTITIES),
    )


def _write_table(session: Session, table: _Table, change: KeyChange, target: Path) -> Statement:
    statement = table.to_statement(len(change.added))
    inputs = {table.name: read_parquet_sql(table.file)}
    if table.places:
        inputs["scores"] = read_parquet_sql(table.places)
    session.write(
        statement, target, hmac_params(*change.added), inputs, plain_columns=table.is_plain
    )
    return statement


def _renew_sql(table: str, column: str, stages: int) -> str:
    """Return what further keys make of an older one's pseudonym, or number of a reminder."""
    if column == REMINDER_NUMBER:
        return renew_number_sql(f"{table}.{column}", 1, stages)
    return pseudonym_sql(f"{table}.{column}", stages)


def _list_keyed_columns(session: Session, file: Path) -> list[str]:
    columns = session.describe(read_parquet_sql(file))
    return [one for one in (*PSEUDONYMS, REMINDER_NUMBER) if one in columns]
