"""When a service will be reached, if time passes and nothing else changes.

A person's facts are moved forward month by month, as each fact declares (`moves`), and scored by
the statement that scores everyone: one row per month instead of one per resident.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from expectations.month import Month
from expectations.source_model import Fact, Source
from reports.published_rules import PublishedRules
from reports.statements.model import StatementRow
from reports.statements.read import RevisionFiles, take_fact_table_row
from reports.statements.rows_sql import StatementCompiler
from reports.statements.texts import build_statement_rules
from reports.statements.write import (
    NO_CHILDREN,
    NO_OBJECTIONS,
    NO_RANKS,
    create_code_type,
)
from transforms.engine.parquet import read_deliveries
from transforms.engine.session import Session
from transforms.expressions.kinds import build_fact_kinds
from transforms.expressions.language import parse_expression
from transforms.facts.corrections import FACT_PREFIX
from transforms.facts.measures import aggregate_sql, fact_sql
from transforms.facts.sql import counted_rows_statement, latest_row_statements
from transforms.services.eligibility_sql import select_services_of

MONTHS = 24


def forecast_services(
    session: Session,
    files: RevisionFiles,
    place: int,
    rules: PublishedRules,
    sources: Mapping[str, Source],
    clean: Mapping[str, Sequence[Path]],
) -> dict[str, int | None]:
    """Return after how many months each service is reached that only lacks points now.

    Services of children are left out: the points of others may count.

    Args:
        session: Has the reference tables that facts look into.
        files: The revision.
        place: The row of the person in its tables.
        rules: The rules of the revision, which are taken to stay.
        sources: How facts move.
        clean: Source -> folders of the clean deliveries that the revision used.

    Returns:
        Service -> months, None when it is not reached within MONTHS.
    """
    corrected = take_fact_table_row(session, files.path, place, rules)
    month = Month.of(rules.as_of)
    fixed = {one["target"].removeprefix(FACT_PREFIX) for one in corrected}
    moving = {
        name: (source, fact)
        for source in sources.values()
        for name, fact in source.facts.items()
        if fact.moves and name not in fixed
    }
    _measure_again(session, moving, clean, month)
    _create_moved_facts(session, moving, rules.names.facts, fixed, month)
    compiler = replace(
        StatementCompiler(
            build_statement_rules(rules), frozenset(one["target"] for one in corrected)
        ),
        carried=("scoring_date",),
    )
    district = str(session.scalar("SELECT district FROM person_facts"))
    create_code_type(session, compiler, [district])
    statement = compiler.compile_district(district)
    # every row has a scoring date of its own
    statement = replace(statement, sql=statement.sql.replace("$as_of", "scoring_date"))
    inputs = {
        "facts": "moved_facts",
        "changes": "(SELECT '' AS resident_key WHERE false)",
        "open_objections": NO_OBJECTIONS,
        "ranks": NO_RANKS,
        "child_lines": NO_CHILDREN,
    }
    values = {"month": month.first_day, "revision": files.number}
    rows = [
        StatementRow.model_validate(dict(zip(compiler.columns, row, strict=True)))
        for row in session.fetch(statement, values, inputs)
    ]
    of_children = select_services_of(rules.services_in_force, "child")
    return {code: months for code, months in _find_first_months(rows) if code not in of_children}


def _find_first_months(rows: Sequence[StatementRow]) -> Iterator[tuple[str, int | None]]:
    """Yield each service that only lacks points in the first row, and the first row that has it."""
    now, *later = rows
    for one in now.services:
        if one.reached or one.unmet:
            continue
        reached = (
            months
            for months, row in enumerate(later, 1)
            if any(service.code == one.code and service.reached for service in row.services)
        )
        yield one.code, next(reached, None)


def _measure_again(
    session: Session,
    moving: Mapping[str, tuple[Source, Fact]],
    clean: Mapping[str, Sequence[Path]],
    month: Month,
) -> None:
    """Make `measured`: a row per month ahead with the facts that are measured on its date."""
    by_source: dict[str, dict[str, Fact]] = {}
    for name, (source, fact) in moving.items():
        if fact.moves and fact.moves.by == "date" and clean.get(source.source):
            by_source.setdefault(source.source, {})[name] = fact
    owners = {source.source: source for source, _ in moving.values()}
    rows: list[list[Any]] = [[ahead] for ahead in range(MONTHS + 1)]
    columns = {"ahead": "INTEGER"}
    person = session.scalar("SELECT CAST(LEFT(resident_id, 17) AS BIGINT) FROM person_facts")
    for code, facts in by_source.items():
        source = owners[code]
        _create_person_rows(session, source, clean[code], int(person))
        raw = ", ".join(f"{aggregate_sql(source, one)} AS {name}" for name, one in facts.items())
        values = ", ".join(fact_sql(source, one, name) for name, one in facts.items())
        sql = f"SELECT {values} FROM (SELECT {raw} FROM counted_{code})"
        for ahead in range(MONTHS + 1):
            then = month + ahead
            given = {"as_of": then.last_day, "month": then.ordinal}
            used = {name: value for name, value in given.items() if f"${name}" in sql}
            found = session.fetch_rows(sql, used or None)
            rows[ahead] += found[0] if found else [None] * len(facts)
        columns |= session.describe(f"(SELECT {', '.join(facts)} FROM person_facts)")
    listed = ", ".join(f"{name} {kind}" for name, kind in columns.items())
    session.execute(f"CREATE OR REPLACE TEMP TABLE measured ({listed})")
    marks = ", ".join("?" for _ in columns)
    for row in rows:
        session.execute(f"INSERT INTO measured VALUES ({marks})", row)


def _create_person_rows(
    session: Session, source: Source, folders: Sequence[Path], person: int
) -> None:
    """Make `counted_<source>` of one person: the rows that facts are measured over."""
    session.execute(
        f"CREATE OR REPLACE TEMP TABLE clean_{source.source} AS"
        f" SELECT * FROM {read_deliveries(folders)} WHERE {source.person} = {person}"
    )
    for statement in (*latest_row_statements(source), counted_rows_statement(source)):
        session.create(statement)


def _create_moved_facts(
    session: Session,
    moving: Mapping[str, tuple[Source, Fact]],
    facts: Mapping[str, Fact],
    fixed: set[str],
    month: Month,
) -> None:
    """Make `moved_facts`: the person's row of the fact table, for now and each month ahead."""
    measured = set(session.describe("measured")) - {"ahead"}
    moved = []
    for name, (_, fact) in moving.items():
        assert fact.moves
        if name in measured:
            moved.append(f"measured.{name} AS {name}")
        elif fact.moves.by == "month":
            grown = f"person_facts.{name} + measured.ahead"
            if fact.moves.during:
                still = f"person_facts.{fact.moves.during}"
                grown = f"CASE WHEN {still} THEN {grown} ELSE person_facts.{name} END"
            moved.append(f"{grown} AS {name}")
    kinds = build_fact_kinds(facts)
    derived = []
    for name, fact in facts.items():
        if fact.derive and name not in fixed:
            value = parse_expression(fact.derive, kinds).sql(
                lambda one: "scoring_date" if one == "as_of" else one
            )
            value = f"COALESCE({value}, false)" if fact.unit == "yes_no" else value
            derived.append(f"{value} AS {name}")
    last_day = "LAST_DAY(CAST($first_day AS DATE) + TO_MONTHS(measured.ahead))"
    now = f"SELECT person_facts.* {_replace(moved)}, {last_day} AS scoring_date, measured.ahead"
    session.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE moved_facts AS
        SELECT * {_replace(derived)}, NULL AS corrected_facts
        FROM ({now} FROM person_facts CROSS JOIN measured)
        ORDER BY ahead""",
        {"first_day": month.first_day},
    )


def _replace(columns: Sequence[str]) -> str:
    return f"REPLACE ({', '.join(columns)})" if columns else ""
