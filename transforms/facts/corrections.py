"""Outcomes of objections: which hold on the scoring date, and which facts and indicators they replace."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from expectations.source_model import Fact, Source
from transforms.engine.session import Session
from transforms.engine.sql import sql_literal
from transforms.engine.statements import Statement
from transforms.facts.measures import FACT_TYPES, equals_sql

FACT_PREFIX = "fact:"
LARGEST = 2**31 - 1  # an INTEGER


@dataclass(frozen=True)
class CorrectionResult:
    """What the corrections of a month replace: facts, and indicators (`education`, `330211:village_award`)."""

    facts: frozenset[str]
    indicators: frozenset[str]
    without_target: int


def current_corrections_statement(source: Source | None) -> Statement:
    """`holding`: of the corrections that hold on the scoring date the newest per person and target."""
    if source is None or source.corrects is None:
        columns = "CAST(NULL AS BIGINT) AS person, '' AS target, '' AS case_id, CAST(NULL AS DECIMAL(12,2)) AS value"
        return Statement(
            "holding", f"CREATE OR REPLACE TEMP TABLE holding AS\nSELECT {columns} WHERE false"
        )
    found = source.corrects
    key = source.key[0]
    return Statement(
        "holding",
        f"""
CREATE OR REPLACE TEMP TABLE holding AS
SELECT {source.person} AS person, {found.target} AS target, {key} AS case_id, {found.value} AS value
FROM last_{source.source}
WHERE {equals_sql(found.holds)} AND {found.decided} <= $as_of AND {found.valid.begins} <= $as_of
    AND ({found.valid.ends} IS NULL OR {found.valid.ends} >= $as_of)
QUALIFY row_number() OVER (PARTITION BY person, target ORDER BY {found.decided} DESC, case_id DESC) = 1""",
    )


def match_targets(
    session: Session, facts: Mapping[str, Fact], indicators: Collection[str]
) -> CorrectionResult:
    """Mark in `holding` what each correction replaces; those without a target that can take the value replace nothing."""
    counted = [
        name
        for name, fact in facts.items()
        if FACT_TYPES[fact.unit] in ("INTEGER", "DECIMAL(12,2)")
    ]
    whole = [name for name in counted if FACT_TYPES[facts[name].unit] == "INTEGER"]
    yes_no = [name for name, fact in facts.items() if fact.unit == "yes_no"]

    def targets(names: Collection[str], prefix: str = FACT_PREFIX) -> str:
        return (
            "(" + (", ".join(sql_literal(prefix + name) for name in sorted(names)) or "NULL") + ")"
        )

    session.execute(f"""
        CREATE OR REPLACE TEMP TABLE effective AS
        SELECT h.* FROM holding AS h JOIN residents AS r ON r.person = h.person
        WHERE (h.target IN {targets(set(counted) - set(whole))} AND h.value >= 0)
            OR (h.target IN {targets(whole)} AND h.value BETWEEN 0 AND {LARGEST} AND h.value = floor(h.value))
            OR (h.target IN {targets(yes_no)} AND h.value IN (0, 1))
            OR (h.target IN {targets(indicators, "")} AND h.value BETWEEN 0 AND 999.99
                AND (strpos(h.target, ':') = 0 OR split_part(h.target, ':', 1) = r.district))""")
    found = {row[0] for row in session.execute("SELECT DISTINCT target FROM effective").fetchall()}
    fixed = frozenset(
        target.removeprefix(FACT_PREFIX) for target in found if target.startswith(FACT_PREFIX)
    )
    lost = session.scalar(
        "SELECT count(*) FROM holding SEMI JOIN residents USING (person)"
    ) - session.scalar("SELECT count(*) FROM effective")
    return CorrectionResult(
        fixed, frozenset(t for t in found if not t.startswith(FACT_PREFIX)), lost
    )


def correction_statements(
    corrected: CorrectionResult, facts: Mapping[str, Fact]
) -> list[Statement]:
    """`held_corrections`: the list per person; `corrected_facts`: one column per corrected fact."""
    kind = "STRUCT(target VARCHAR, case_id VARCHAR, value DECIMAL(12,2))[]"
    entry = "{'target': target, 'case_id': case_id, 'value': value}"
    steps = [
        Statement(
            "held_corrections",
            f"""
CREATE OR REPLACE TEMP TABLE held_corrections AS
SELECT person, CAST(list({entry} ORDER BY target) AS {kind}) AS corrections
FROM effective GROUP BY person""",
        )
    ]
    if corrected.facts:
        columns = ",\n    ".join(_fact_value(name, facts[name]) for name in sorted(corrected.facts))
        steps.append(
            Statement(
                "corrected_facts",
                f"CREATE OR REPLACE TEMP TABLE corrected_facts AS\nSELECT person,\n    {columns}\nFROM effective GROUP BY person",
            )
        )
    return steps


def _fact_value(name: str, fact: Fact) -> str:
    value = f"max(value) FILTER (WHERE target = {sql_literal(FACT_PREFIX + name)})"
    kind = FACT_TYPES[fact.unit]
    return f"{value} = 1 AS {name}" if kind == "BOOLEAN" else f"CAST({value} AS {kind}) AS {name}"
