"""Outcomes of objections: which apply on the scoring date, and which facts and indicators they
replace.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from expectations.refusals import may_name_record
from expectations.source_model import Fact, Source
from transforms.engine.session import Session
from transforms.engine.sql import sorted_list_sql, sql_literal
from transforms.engine.statements import Statement
from transforms.facts.measures import FACT_TYPES, equals_sql

FACT_PREFIX = "fact:"
LARGEST = 2**31 - 1  # an INTEGER
MAX_NAMED = 200  # so many ineffective corrections are named at most
_LIST = "STRUCT(target VARCHAR, case_id VARCHAR, value DECIMAL(12,2))[]"


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
    newest.
    """
    if source is None or source.corrects is None:
        columns = (
            "CAST(NULL AS BIGINT) AS person, '' AS target, '' AS case_id,"
            " CAST(NULL AS DECIMAL(12,2)) AS value"
        )
        return Statement("current_corrections", f"SELECT {columns} WHERE false")
    declared, key = source.corrects, source.key[0]
    valid = declared.valid
    sql = f"""
SELECT {source.person} AS person, {declared.target} AS target, {key} AS case_id,
    {declared.value} AS value
FROM latest_{source.source}
WHERE {equals_sql(declared.holds)} AND {declared.decided} <= $as_of
    AND {valid.begins} <= $as_of AND ({valid.ends} IS NULL OR {valid.ends} >= $as_of)
QUALIFY row_number() OVER (
    PARTITION BY person, target ORDER BY {declared.decided} DESC, case_id DESC
) = 1"""
    return Statement("current_corrections", sql, (f"latest_{source.source}",))


def applicable_corrections_statement(
    facts: Mapping[str, Fact], indicators: Collection[str]
) -> Statement:
    """Return `applicable_corrections`: residents' current ones whose target can take the value."""
    counted = [n for n, f in facts.items() if FACT_TYPES[f.unit] in ("INTEGER", "DECIMAL(12,2)")]
    whole = [name for name in counted if FACT_TYPES[facts[name].unit] == "INTEGER"]
    yes_no = [name for name, fact in facts.items() if fact.unit == "yes_no"]
    sql = f"""
SELECT c.person, c.target, c.case_id, c.value
FROM current_corrections AS c JOIN residents AS r ON r.person = c.person
WHERE (c.target IN {_targets(set(counted) - set(whole))} AND c.value >= 0)
    OR (c.target IN {_targets(whole)} AND c.value BETWEEN 0 AND {LARGEST}
        AND c.value = floor(c.value))
    OR (c.target IN {_targets(yes_no)} AND c.value IN (0, 1))
    OR (c.target IN {_targets(indicators, "")} AND c.value BETWEEN 0 AND 999.99
        AND (strpos(c.target, ':') = 0 OR split_part(c.target, ':', 1) = r.district))"""
    return Statement("applicable_corrections", sql, ("current_corrections", "residents"))


def _targets(names: Collection[str], prefix: str = FACT_PREFIX) -> str:
    return f"({', '.join(sql_literal(prefix + name) for name in sorted(names)) or 'NULL'})"


def read_correction_result(session: Session) -> CorrectionResult:
    """Return what the applicable corrections replace, and how many of residents replace nothing."""
    rows = session.fetch_rows("SELECT DISTINCT target FROM applicable_corrections")
    targets = {target for (target,) in rows}
    facts = {target for target in targets if target.startswith(FACT_PREFIX)}
    current = "SELECT count(*) FROM current_corrections SEMI JOIN residents USING (person)"
    applied = session.scalar("SELECT count(*) FROM applicable_corrections")
    return CorrectionResult(
        frozenset(target.removeprefix(FACT_PREFIX) for target in facts),
        frozenset(targets - facts),
        session.scalar(current) - applied,
        tuple(_list_ineffective(session)),
    )


def _list_ineffective(session: Session) -> Iterator[str]:
    """Yield the corrections of residents that replace nothing, as `case (target)`."""
    rows = session.fetch_rows(f"""
SELECT case_id, target
FROM current_corrections SEMI JOIN residents USING (person)
    ANTI JOIN applicable_corrections USING (person, target, case_id)
ORDER BY case_id, target LIMIT {MAX_NAMED}""")
    for case_id, target in rows:
        if may_name_record(case_id) and may_name_record(target):
            yield f"{case_id}（{target}）"


def correction_statements(
    corrected: CorrectionResult, facts: Mapping[str, Fact]
) -> list[Statement]:
    """Return `correction_lists`, per person, and `corrected_facts`, a column per corrected fact."""
    entries = sorted_list_sql("{'target': target, 'case_id': case_id, 'value': value}")
    inputs = ("applicable_corrections",)
    lists = f"""
SELECT person, CAST({entries} AS {_LIST}) AS corrections
FROM applicable_corrections GROUP BY person"""
    statements = [Statement("correction_lists", lists, inputs)]
    if corrected.facts:
        columns = ",\n    ".join(_fact_value(name, facts[name]) for name in sorted(corrected.facts))
        sql = f"SELECT person,\n    {columns}\nFROM applicable_corrections GROUP BY person"
        statements.append(Statement("corrected_facts", sql, inputs))
    return statements


def _fact_value(name: str, fact: Fact) -> str:
    value = f"max(value) FILTER (WHERE target = {sql_literal(FACT_PREFIX + name)})"
    kind = FACT_TYPES[fact.unit]
    return f"{value} = 1 AS {name}" if kind == "BOOLEAN" else f"CAST({value} AS {kind}) AS {name}"
