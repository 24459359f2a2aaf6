"""A person's statement from a published revision, or computed now from what it published."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from expectations.source_model import Source
from reports.published_rules import PublishedRules
from reports.statements.model import StatementRow, StatementTexts
from reports.statements.rows_sql import StatementCompiler
from reports.statements.texts import build_statement_rules, build_statement_texts
from reports.statements.write import (
    NO_CHILDREN,
    NO_RANKS,
    TEXTS,
    StatementInputs,
    child_lines_of_revision,
    create_code_type,
    make_relations,
    ranks_of_folder,
)
from transforms.engine.parquet import read_parquet_sql
from transforms.engine.session import Session
from transforms.facts.sql import public_column
from transforms.outputs import (
    FACTS,
    IDENTITIES,
    RESTRICTED_FACTS,
    SCORES,
    STATEMENTS,
    Output,
    read_with_row_number,
)


@dataclass(frozen=True)
class PublishedStatement:
    """A person's statement, its words, and the person's row of the published scores, if kept."""

    row: StatementRow
    texts: StatementTexts
    scores: Mapping[str, Any]


@dataclass(frozen=True)
class RevisionFiles:
    """The files of a revision that statements are read from, and what its manifest says.

    Attributes:
        path: The revision's folder.
        number: Its number.
        compared_with: The revision of the month before that it was compared with.
    """

    path: Path
    number: int
    compared_with: str | None

    @property
    def statements(self) -> Path:
        """Where its statements are; revisions of an older program have none."""
        return self.path / STATEMENTS.folder


def find_person_row(session: Session, revision: Path, resident_key: str) -> int | None:
    """Return the row number of a person in the tables of a revision; None if not scored.

    All tables hold the same residents in the same order. Reads the key column of those row groups
    that can hold the key: one or two of each district.
    """
    rows = read_with_row_number(revision, SCORES)
    found = session.fetch_rows(
        f"SELECT file_row_number FROM {rows} WHERE resident_key = ?", [resident_key]
    )
    return int(found[0][0]) if found else None


def find_own_statement(
    session: Session, files: RevisionFiles, resident_id: str
) -> PublishedStatement | None:
    """Return a person's statement by their ID, where a revision has no tables of scores any more.

    None if the person is not scored, or the revision has no statements either.
    """
    listed = sorted(files.statements.glob("*.parquet"))
    if not listed:
        return None
    rows = session.fetch_dicts(
        f"SELECT * FROM {read_parquet_sql(*listed)} WHERE resident_id = ?", [resident_id]
    )
    texts = StatementTexts.model_validate_json((files.statements / TEXTS).read_bytes())
    return PublishedStatement(StatementRow.model_validate(rows[0]), texts, {}) if rows else None


def find_person_district(session: Session, revision: Path, resident_key: str) -> str | None:
    """Return the district that a person is scored in; None if not scored."""
    rows = read_with_row_number(revision, SCORES)
    found = session.fetch_rows(
        f"SELECT district FROM {rows} WHERE resident_key = ?", [resident_key]
    )
    return str(found[0][0]) if found else None


def read_statement(session: Session, files: RevisionFiles, place: int) -> PublishedStatement | None:
    """Return the statement of the person in this row of the revision (`find_person_row`).

    None if the revision has no statements: an older program published it.
    """
    if not (files.statements / TEXTS).is_file():
        return None
    texts = StatementTexts.model_validate_json((files.statements / TEXTS).read_bytes())
    scores = _take_row(session, files.path, SCORES, place)
    identity = _take_row(session, files.path, IDENTITIES, place)
    rows = read_parquet_sql(files.statements / f"{scores['district']}.parquet")
    (row,) = session.fetch_dicts(
        f"SELECT * FROM {rows} WHERE resident_id = ?", [identity["resident_id"]]
    )
    return PublishedStatement(StatementRow.model_validate(row), texts, scores)


def compute_statement(
    session: Session,
    files: RevisionFiles,
    place: int,
    rules: PublishedRules,
    sources: Mapping[str, Source],
) -> PublishedStatement:
    """Return the statement of the person in this row, computed from what the revision published.

    The same statement as in a month's run, over the published facts of one person.
    """
    scores = _take_row(session, files.path, SCORES, place)
    facts = _take_row(session, files.path, FACTS, place)
    corrections = take_fact_table_row(session, files.path, place, rules)
    compiler = StatementCompiler(
        build_statement_rules(rules),
        frozenset(one["target"] for one in corrections),
        files.compared_with is not None,
    )
    district = facts["district"]
    create_code_type(session, compiler, [district])
    as_of = rules.as_of
    inputs = StatementInputs(
        "person_facts",
        files.path / "changes",
        {"month": as_of.replace(day=1), "as_of": as_of, "revision": files.number},
        ranks=ranks_of_folder(files.path / "eligibility") if compiler.is_ranked else NO_RANKS,
        children=child_lines_of_revision(files.path) if compiler.has_children else NO_CHILDREN,
    )
    (row,) = session.fetch(
        compiler.compile_district(district), inputs.values, make_relations(inputs, district)
    )
    texts = build_statement_texts(rules, sources, files.compared_with)
    values = dict(zip(compiler.columns, row, strict=True))
    return PublishedStatement(StatementRow.model_validate(values), texts, scores)


def take_fact_table_row(
    session: Session, revision: Path, place: int, rules: PublishedRules
) -> list[dict[str, Any]]:
    """Make `person_facts`, the person's row of the fact table, of the published tables.

    Returns:
        The corrections that hold for the person.
    """
    tables = (FACTS, RESTRICTED_FACTS, IDENTITIES)
    selects = [
        f"(SELECT * EXCLUDE (file_row_number) FROM {read_with_row_number(revision, table)}"
        f" WHERE file_row_number = {place})"
        for table in tables
    ]
    coded = "".join(
        f", {name} AS {public_column(name)}"
        for name, fact in rules.names.facts.items()
        if fact.unit == "points_by_key"
    )
    facts, restricted, identity = selects
    session.execute(f"""
        CREATE OR REPLACE TEMP TABLE person_facts AS
        SELECT a.*, b.* EXCLUDE (resident_key), c.resident_id, c.name, c.phone, c.community{coded}
        FROM {facts} AS a JOIN {restricted} AS b USING (resident_key)
        JOIN {identity} AS c USING (resident_key)""")
    return list(session.scalar("SELECT corrections FROM person_facts") or ())


def _take_row(session: Session, revision: Path, table: Output, place: int) -> dict[str, Any]:
    (row,) = session.fetch_dicts(
        f"SELECT * EXCLUDE (file_row_number) FROM {read_with_row_number(revision, table)}"
        f" WHERE file_row_number = {place}"
    )
    return row
