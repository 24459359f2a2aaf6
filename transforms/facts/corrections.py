"""Outcomes of objections: which apply on the scoring date, and which facts and indicators they
replace.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from expectations.refusals import may_name_record
from expectations.source_loader import collect_facts
from expectations.source_model import Fact, Source
from transforms.clean.returns import row_json_sql
from transforms.engine.session import Session
from transforms.engine.sql import matches_sql, sorted_list_sql, sql_literal
from transforms.engine.statements import Statement
from transforms.facts.measures import FACT_TYPES, equals_sql

FACT_PREFIX = "fact:"
LARGEST = 2**31 - 1  # an INTEGER
MAX_NAMED = 200  # so many ineffective corrections are named at most
CORRECTIONS_TYPE = "STRUCT(target VARCHAR, case_id VARCHAR, value DECIMAL(12,2), level VARCHAR)[]"
"""The corrections that hold for a person; `level` instead of a value for a fact of levels."""
INEFFECTIVE = "corrections.parquet"
_NUMBER = r"-?[0-9]{1,10}(\.[0-9]{1,2})?"


@dataclass(frozen=True)
class CorrectionResult:
    """What the corrections of a month replace: facts, and indicators (`education`,
    `330211:village_award`); `without_target` replace nothing. `ineffective`: the numbers and
    targets of these, those that look like a person's left out.
    """

    facts: frozenset[str]
    indicators: frozenset[str]
    without_target: int
    ineffective: tuple[str, ...] = ()


def current_corrections_statement(source: Source | None) -> Statement:
    """Return `current_corrections`: of those valid on the scoring date, per person and target the
    newest; `value` as text, `received` the month.
    """
    if source is None or source.corrects is None:
        columns = (
            "CAST(NULL AS BIGINT) AS person, '' AS target, '' AS case_id,"
            " CAST(NULL AS VARCHAR) AS value, '' AS received"
        )
        return Statement("current_corrections", f"SELECT {columns} WHERE false")
    declared, key = source.corrects, source.key[0]
    valid = declared.valid
    sql = f"""
SELECT {source.person} AS person, {declared.target} AS target, {key} AS case_id,
    trim(CAST({declared.value} AS VARCHAR)) AS value, received
FROM latest_{source.source}
WHERE {equals_sql(declared.holds)} AND {declared.decided} <= $as_of
    AND {valid.begins} <= $as_of AND ({valid.ends} IS NULL OR {valid.ends} >= $as_of)
QUALIFY row_number() OVER (
    PARTITION BY {source.person}, {declared.target} ORDER BY {declared.decided} DESC, {key} DESC
) = 1"""
    return Statement("current_corrections", sql, (f"latest_{source.source}",))


def applicable_corrections_statement(
    sources: Mapping[str, Source], indicators: Collection[str]
) -> Statement:
    """Return `applicable_corrections`: residents' current ones whose target can take the value.

    `value` is the number (yes is 1), `level` the level that a fact of levels gets.
    """
    facts = collect_facts(sources)
    counted = [n for n, f in facts.items() if FACT_TYPES[f.unit] in ("INTEGER", "DECIMAL(12,2)")]
    whole = [name for name in counted if FACT_TYPES[facts[name].unit] == "INTEGER"]
    yes_no = [name for name, fact in facts.items() if fact.unit == "yes_no"]
    words = [
        f"({sql_literal(FACT_PREFIX + name)}, {sql_literal(word)}, {sql_literal(level)})"
        for name, levels in list_level_words(sources).items()
        for word, level in levels.items()
    ]
    levels = ", ".join(words) or "(NULL, NULL, NULL)"
    sql = f"""
WITH read AS (
    SELECT c.person, c.target, c.case_id, r.district,
        CASE WHEN {matches_sql("c.value", _NUMBER)} THEN CAST(c.value AS DECIMAL(12,2))
            WHEN c.target NOT IN {_targets(yes_no)} THEN NULL
            WHEN lower(c.value) IN ('是', 'true', 'yes') THEN 1
            WHEN lower(c.value) IN ('否', 'false', 'no') THEN 0 END AS value,
        words.level
    FROM current_corrections AS c JOIN residents AS r ON r.person = c.person
        LEFT JOIN (VALUES {levels}) AS words(target, word, level)
        ON words.target = c.target AND words.word = lower(c.value)
)
SELECT person, target, case_id, CASE WHEN level IS NULL THEN value END AS value, level
FROM read
WHERE (target IN {_targets(set(counted) - set(whole))} AND value >= 0)
    OR (target IN {_targets(whole)} AND value BETWEEN 0 AND {LARGEST} AND value = floor(value))
    OR (target IN {_targets(yes_no)} AND value IN (0, 1))
    OR level IS NOT NULL
    OR (target IN {_targets(indicators, "")} AND value BETWEEN 0 AND 999.99
        AND (strpos(target, ':') = 0 OR split_part(target, ':', 1) = district))"""
    return Statement("applicable_corrections", sql, ("current_corrections", "residents"))


def list_level_words(sources: Mapping[str, Source]) -> dict[str, dict[str, str]]:
    """Return by fact of levels the words that name each of its levels: code, title, aliases."""
    found: dict[str, dict[str, str]] = {}
    for source in sources.values():
        for name, fact in source.facts.items():
            if fact.unit != "level":
                continue
            column = source.columns.get(fact.of or "")
            named = column.values if column else {}
            found[name] = {
                word.lower(): rung[0]
                for rung in [*fact.ladder, *([[fact.otherwise]] if fact.otherwise else [])]
                for level in rung
                for word in (*named.get(level, []), level)
            }
    return found


def _targets(names: Collection[str], prefix: str = FACT_PREFIX) -> str:
    return f"({', '.join(sql_literal(prefix + name) for name in sorted(names)) or 'NULL'})"


def read_correction_result(
    session: Session, source: Source | None, params: Mapping[str, Any], target: Path
) -> CorrectionResult:
    """Return what the applicable corrections replace, and which ones replace nothing.

    These are written to `target` as returns: of residents those that hold, of anybody else those
    that came this month.

    Args:
        session: Has `current_corrections`, `applicable_corrections`, `residents`.
        source: The source of corrections, if there is one.
        params: Parameters of the month.
        target: The file of returns.
    """
    rows = session.fetch_rows("SELECT DISTINCT target FROM applicable_corrections")
    targets = {target for (target,) in rows}
    facts = {target for target in targets if target.startswith(FACT_PREFIX)}
    count = 0
    named: tuple[str, ...] = ()
    if source:
        session.create_table(_ineffective_statement(source), params)
        count = session.write(Statement("returns", _RETURNED, ("ineffective",), "file"), target)
        named = tuple(_list_ineffective(session))
    indicators = frozenset(targets - facts)
    fact_names = frozenset(target.removeprefix(FACT_PREFIX) for target in facts)
    return CorrectionResult(fact_names, indicators, count, named)


def _ineffective_statement(source: Source) -> Statement:
    """Return `ineffective`: corrections that replace nothing, as returns, with case and target."""
    assert source.corrects
    key, titles = source.key[0], source.columns[source.corrects.target].title
    name = f"latest_{source.source}"
    sql = f"""
WITH missed AS (
    SELECT c.*, r.district IS NULL AS stranger
    FROM current_corrections AS c LEFT JOIN residents AS r ON r.person = c.person
    WHERE (r.person IS NOT NULL OR c.received = left(CAST($as_of AS VARCHAR), 7))
        AND NOT EXISTS (
            SELECT 1 FROM applicable_corrections AS a
            WHERE a.person = c.person AND a.target = c.target AND a.case_id = c.case_id
        )
)
SELECT {sql_literal(source.source)} AS source, '' AS file, rows.record, 'ineffective' AS kind,
    {sql_literal(titles)} AS "column",
    CASE WHEN missed.stranger THEN '本人不在登记人口之内，未生效'
        ELSE '更正对象不存在、不适用于本人的区县，或更正值不适用，未生效' END AS reason,
    '指标代码、区县代码:指标代码，或 fact:数据名；更正值为数值、是/否或等级' AS wanted,
    rows.delivered, missed.case_id, missed.target
FROM missed JOIN (
    SELECT {key} AS case_id, {source.person} AS person, record, {row_json_sql(source)} AS delivered
    FROM {name}
) AS rows ON rows.case_id = missed.case_id AND rows.person = missed.person
ORDER BY missed.case_id, missed.target"""
    inputs = ("current_corrections", "applicable_corrections", "residents", name)
    return Statement("ineffective", sql, inputs)


_RETURNED = "SELECT * EXCLUDE (case_id, target) FROM ineffective ORDER BY case_id, target"


def _list_ineffective(session: Session) -> Iterator[str]:
    """Yield the corrections that replace nothing, as `case (target)`."""
    rows = session.fetch_rows(
        f"SELECT case_id, target FROM ineffective ORDER BY case_id, target LIMIT {MAX_NAMED}"
    )
    for case_id, target in rows:
        if may_name_record(case_id) and may_name_record(target):
            yield f"{case_id}（{target}）"


def correction_statements(
    corrected: CorrectionResult, facts: Mapping[str, Fact]
) -> list[Statement]:
    """Return `correction_lists`, per person, and `corrected_facts`, a column per corrected fact."""
    entries = sorted_list_sql(
        "{'target': target, 'case_id': case_id, 'value': value, 'level': level}"
    )
    inputs = ("applicable_corrections",)
    lists = f"""
SELECT person, CAST({entries} AS {CORRECTIONS_TYPE}) AS corrections
FROM applicable_corrections GROUP BY person"""
    statements = [Statement("correction_lists", lists, inputs)]
    if corrected.facts:
        columns = ",\n    ".join(_fact_value(name, facts[name]) for name in sorted(corrected.facts))
        sql = f"SELECT person,\n    {columns}\nFROM applicable_corrections GROUP BY person"
        statements.append(Statement("corrected_facts", sql, inputs))
    return statements


def _fact_value(name: str, fact: Fact) -> str:
    column = "level" if fact.unit == "level" else "value"
    value = f"max({column}) FILTER (WHERE target = {sql_literal(FACT_PREFIX + name)})"
    kind = FACT_TYPES[fact.unit]
    return f"{value} = 1 AS {name}" if kind == "BOOLEAN" else f"CAST({value} AS {kind}) AS {name}"
