"""A hundred synthetic people with their rows and finished texts: what another renderer is tested on.

Their facts are made up from the declarations by arithmetic, so that every way of putting a value,
closing an indicator or missing a service occurs; nobody is real.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from expectations.source_model import COUNTED_UNITS, Fact
from reports.explain.text import format_explanation
from reports.statements.model import StatementRow, StatementTexts
from reports.statements.rows_sql import OBJECTIONS_TYPE, StatementCompiler
from reports.statements.write import (
    EXAMPLES,
    NO_CHILDREN,
    NO_RANKS,
    StatementInputs,
    create_code_type,
    make_relations,
)
from transforms.engine.session import Session
from transforms.engine.sql import sql_literal
from transforms.expressions.kinds import list_levels
from transforms.facts.corrections import CORRECTIONS_TYPE, FACT_PREFIX
from transforms.facts.measures import FACT_TYPES
from transforms.facts.sql import public_column
from transforms.services.eligibility_sql import select_services_of
from transforms.services.families import WHOLE
from transforms.services.models import ALL

PEOPLE = 100
_NAMES = ("王例", "欧阳例文", "例女士", "A. Example", "")


def write_examples(
    session: Session, compiler: StatementCompiler, texts: StatementTexts, folder: Path
) -> None:
    """Write `examples.jsonl`: a line per person with `row` and `text`, a list of lines."""
    with (folder / EXAMPLES).open("w", encoding="utf-8") as file:
        for row in build_example_rows(session, compiler, texts):
            text = format_explanation(row, texts)
            line = {"row": row.model_dump(mode="json"), "text": text}
            file.write(json.dumps(line, ensure_ascii=False) + "\n")


def build_example_rows(
    session: Session, compiler: StatementCompiler, texts: StatementTexts
) -> Iterator[StatementRow]:
    """Yield the rows of the synthetic people: computed as everybody's, from made-up facts."""
    district = _choose_district(compiler, texts)
    targets = _corrected_targets(compiler, texts)
    example = replace(compiler, corrected=frozenset(targets), compared=True)
    create_code_type(session, example, [district])
    as_of = dt.date.fromisoformat(texts.as_of)
    values = {"month": as_of.replace(day=1), "as_of": as_of, "revision": 1}
    session.execute(f"CREATE OR REPLACE TEMP TABLE example_changes AS {_changes_sql(example)}")
    session.execute(
        f"CREATE OR REPLACE TEMP TABLE example_facts AS {_facts_sql(example, district, texts, targets)}",
        {"as_of": as_of},
    )
    cases = (
        "(SELECT resident_id, [{'case_id': 'YY' || resident_id, 'target': "
        f"{sql_literal(targets[0])}, 'due_on': CAST({sql_literal(texts.as_of)} AS DATE)}}]"
        f" :: {OBJECTIONS_TYPE} AS cases FROM example_facts WHERE place % 10 = 0)"
    )
    inputs = StatementInputs(
        "example_facts",
        Path(),
        values,
        cases,
        _ranks_sql(example),
        _child_lines_sql(example, texts),
    )
    relations = make_relations(inputs, district) | {"changes": "example_changes"}
    for row in session.fetch(example.compile_district(district), values, relations):
        yield StatementRow.model_validate(dict(zip(example.columns, row, strict=True)))
    for table in ("example_changes", "example_facts"):
        session.drop(table)


def _choose_district(compiler: StatementCompiler, texts: StatementTexts) -> str:
    """Where the people live: in a district that a service is for, as services differ there."""
    named = [
        code
        for version in compiler.rules.services.values()
        if version.districts != ALL
        for code in version.districts
    ]
    return min(named, default=min(texts.districts))


def _corrected_targets(compiler: StatementCompiler, texts: StatementTexts) -> list[str]:
    """What cases of the examples correct: an indicator, and a fact of each form that can be."""
    facts = compiler.rules.facts
    forms = {texts.facts[name].form: f"{FACT_PREFIX}{name}" for name in reversed(list(facts))}
    corrected = [forms[form] for form in ("number", "yes_no") if form in forms]
    return [texts.indicators[0].code, *corrected]


def _facts_sql(
    compiler: StatementCompiler, district: str, texts: StatementTexts, targets: list[str]
) -> str:
    facts = compiler.rules.facts
    columns = ",\n".join(
        f"{_value_sql(fact, place, district, texts)} AS {name}"
        for place, (name, fact) in enumerate(facts.items(), 1)
    )
    coded = "".join(
        f",\n{name} AS {public_column(name)}"
        for name, fact in facts.items()
        if fact.unit == "points_by_key"
    )
    entry = "{{'target': {}, 'case_id': 'YY' || place, 'value': CAST(place // 6 % 2 AS DECIMAL(12, 2)), 'level': NULL}}"
    cases = ", ".join(entry.format(sql_literal(target)) for target in targets)
    return f"""
SELECT *{coded} FROM (
SELECT i AS place, 'k' || LPAD(CAST(i AS VARCHAR), 3, '0') AS resident_key,
    '例' || LPAD(CAST(i AS VARCHAR), 3, '0') AS resident_id,
    {_pick(_NAMES, "i")} AS name,
    {sql_literal(district)} AS district,
    {columns}
FROM range({PEOPLE}) AS people(i)
) JOIN (
    SELECT place, CASE WHEN place % 6 = 0 THEN CAST([{cases}] AS {CORRECTIONS_TYPE}) END AS corrections
    FROM range({PEOPLE}) AS corrected(place)
) USING (place)"""


def _pick(texts: tuple[str, ...] | list[str], place: str) -> str:
    listed = ", ".join(map(sql_literal, texts))
    return f"[{listed}][{place} % {len(texts)} + 1]"


_LARGEST: Mapping[str, int] = {
    "year": 2025, "years": 75, "months": 300, "count": 5, "times": 20, "people": 4, "hours": 200,
    "ml": 2000, "points": 30, "yuan": 5000, "m2": 120, "percent": 100, "number": 50,
}  # fmt: skip


def _value_sql(fact: Fact, place: int, district: str, texts: StatementTexts) -> str:
    """A fact's value of person `i`; `place`: of the fact, so that facts differ."""
    kind, turn = FACT_TYPES[fact.unit], f"(i * {place * 7 + 11} + {place})"
    if kind.endswith("[]"):
        entries = _list_entries(fact.unit, turn, texts)
        return f"CAST(CASE WHEN i % 3 > 0 THEN [{entries}] ELSE [] END AS {kind})"
    if fact.unit in COUNTED_UNITS:
        value = f"{turn} % {_LARGEST[fact.unit]}" + (" + 0.5" if "DECIMAL" in kind else "")
        if fact.unit == "count":  # most people have none of what is counted
            value = f"CASE WHEN i % 3 = 0 THEN {value} ELSE 0 END"
    elif fact.unit == "level":
        value = _pick(list_levels(fact), turn)
    else:
        value = {
            "yes_no": f"(i * {place * 36 + 1} // 7) % 2 = 0",
            "area": _pick([*sorted(texts.districts)[-1:], district, district], turn),
            "date": f"DATE '2019-12-31' + CAST({turn} % 900 AS INTEGER)",
            "month": f"make_date(2019 + {turn} % 5, 1 + {turn} % 12, 1)",
        }.get(fact.unit, "'示例'")
    return f"CAST(CASE WHEN {turn} % 13 > 0 THEN {value} END AS {kind})"


def _list_entries(unit: str, turn: str, texts: StatementTexts) -> str:
    """What a fact that is a list holds."""
    if unit == "hours_by_year":
        year = f"YEAR(CAST($as_of AS DATE)) - {turn} % 4"
        return f"{{'year': {year}, 'hours': {turn} % 90 + 0.5}}"
    own = [one.fact or "" for one in texts.indicators] if unit == "points_by_key" else []
    keys = [fact.partition("/")[2] for fact in own if "/" in fact]
    return ", ".join(
        f"{{'key': {sql_literal(key)}, 'points': {turn} % {number + 9}}}"
        for number, key in enumerate(keys)
    )


def _ranks_sql(compiler: StatementCompiler) -> str:
    """Places of two of three people in every ranked service, in its classes in turn and in none."""
    selects = []
    for code, version in compiler.rules.services.items():
        if version.rank is None:
            continue
        titles = [sql_literal(one.title) for one in version.rank.classes]
        classes = f"[{', '.join([*titles, 'NULL'])}][i % {len(titles) + 1} + 1]"
        selects.append(
            f"SELECT 'k' || LPAD(CAST(i AS VARCHAR), 3, '0') AS resident_key,"
            f" {sql_literal(code)} AS service, CAST({classes} AS VARCHAR) AS rank_class,"
            f" CAST(i // 2 + 1 AS INTEGER) AS rank FROM range({PEOPLE}) AS people(i)"
            " WHERE i % 3 > 0"
        )
    return f"({' UNION ALL '.join(selects)})" if selects else NO_RANKS


def _child_lines_sql(compiler: StatementCompiler, texts: StatementTexts) -> str:
    """A child of one of two people in every service of children: reached or not, counted or not."""
    words = {one.code: one for one in texts.services}
    selects = []
    for code, version in select_services_of(compiler.rules.services, "child").items():
        parts = sorted(version.guardians.parts if version.guardians else ()) or [WHOLE]
        counted = f"[{', '.join(map(sql_literal, parts))}]"
        rank = "CAST(i AS INTEGER)" if words[code].ranked else "CAST(NULL AS INTEGER)"
        selects.append(
            f"SELECT 'k' || LPAD(CAST(i AS VARCHAR), 3, '0') AS resident_key,"
            f" {sql_literal(code)} AS code, DATE '2016-05-04' + CAST(i AS INTEGER) AS born_on,"
            f" 'primary' AS level, {sql_literal(min(texts.districts))} AS district,"
            " i % 4 = 0 AS reached, CAST(60.5 AS DECIMAL(9, 2)) AS score,"
            " CAST(CASE WHEN i % 4 = 0 THEN 0 ELSE 2.5 END AS DECIMAL(7, 2)) AS points_short,"
            " CAST(NULL AS DECIMAL(12, 2)) AS monthly_amount,"
            " CAST(i % 3 + 1 AS INTEGER) AS guardians,"
            f" CASE WHEN i % 6 < 3 THEN {counted} ELSE [] END AS counted,"
            f" CAST(NULL AS VARCHAR) AS rank_class, {rank} AS rank"
            f" FROM range({PEOPLE}) AS people(i) WHERE i % 2 = 0"
        )
    return f"({' UNION ALL '.join(selects)})" if selects else NO_CHILDREN


def _changes_sql(compiler: StatementCompiler) -> str:
    """What moved for two of three people: an indicator that stands in no table here, and sums."""
    items = [*list(compiler.rules.city.indicators)[:2], *compiler.rules.city.sections, "total"]
    entries = ", ".join(
        f"{{'item': {sql_literal(item)}, 'before': CAST(i % 40 AS DECIMAL(7, 2))}}"
        for item in items
    )
    return f"""
SELECT 'k' || LPAD(CAST(i AS VARCHAR), 3, '0') AS resident_key, one.item AS item,
    CASE WHEN i % 7 > 0 THEN one.before END AS before
FROM (SELECT i, UNNEST([{entries}]) AS one FROM range({PEOPLE}) AS people(i) WHERE i % 3 > 0)"""
