"""Generated policies over generated residents: the compiled statement agrees with the plain reference to the cent."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping
from decimal import Decimal
from random import Random
from typing import Any, get_args

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from expectations.fact_model import COUNTED_UNITS, WHOLE_UNITS, YEAR_UNITS, Fact
from expectations.month import Month
from expectations.source_loader import collect_facts, load_sources
from reports.statements.model import ClosedBy
from tests.parity.reference.facts import find_enrolment_year
from tests.parity.reference.points import (
    compute_point_details,
    compute_points,
    compute_points_before_corrections,
)
from tests.parity.reference.policies import (
    AREAS,
    ELSEWHERE,
    EXTRA_FACTS,
    HOME,
    RULES,
    DrawnPolicy,
    draw_policies,
)
from tests.parity.reference.rows import Correction
from tests.parity.reference.strategies import MONTHS, PATIENCE, SEEDS, with_examples
from transforms.points.compile import points_sql
from transforms.points.rules import Rule

pytestmark = pytest.mark.timeout(PATIENCE)
FACTS = collect_facts(load_sources()) | EXTRA_FACTS
RESIDENTS = 60
AMOUNT = pa.decimal128(12, 2)
SHAPES: dict[str, pa.DataType] = {
    **dict.fromkeys(COUNTED_UNITS, AMOUNT),
    **dict.fromkeys(WHOLE_UNITS, pa.int32()),
    "yes_no": pa.bool_(),
    "date": pa.date32(),
    "month": pa.date32(),
    **{
        unit: pa.list_(pa.struct([("year", pa.int32()), (one, AMOUNT)]))
        for unit, one in YEAR_UNITS.items()
    },
    "points_by_key": pa.list_(pa.struct([("key", pa.string()), ("points", AMOUNT)])),
    "children": pa.list_(
        pa.struct([("child", pa.string()), ("level", pa.string()), ("enrolment_year", pa.int32())])
    ),
}
CORRECTIONS = pa.list_(
    pa.struct([("target", pa.string()), ("case_id", pa.string()), ("value", AMOUNT)])
)


class Resident:
    """Facts at the edges of one policy: its own numbers, a little less, a little more, and nothing."""

    def __init__(self, random: Random, policy: DrawnPolicy, as_of: dt.date) -> None:
        self.random, self.as_of = random, as_of
        said = policy.city.model_dump_json() + "".join(
            v.model_dump_json() for v in policy.districts.values()
        )
        self.edges = sorted(
            {Decimal(text) for text in re.findall(r"\d+(?:\.\d+)?", said) if len(text) < 5}
        )
        self.district = random.choice((HOME, HOME, ELSEWHERE, "330203"))
        self.facts = {name: self.value(fact) for name, fact in FACTS.items()}
        codes = [
            *policy.city.indicators,
            *(f"{d}:{c}" for d, v in policy.districts.items() for c in v.indicators),
        ]
        targets = random.sample([*codes, "fact:age", "fact:frozen"], random.choice((0, 0, 1, 3)))
        self.corrections = {
            target: Correction(f"C{n}", self.points()) for n, target in enumerate(sorted(targets))
        }

    def value(self, fact: Fact) -> Any:
        if fact.unit in COUNTED_UNITS:
            return (
                None if self.random.random() < 0.1 else self.number(whole=fact.unit in WHOLE_UNITS)
            )
        if fact.unit == "yes_no":
            return self.random.choice((True, False))
        if fact.unit in ("date", "month"):
            return self.random.choice(
                (None, dt.date(2021, 8, 31), dt.date(2021, 9, 1), self.soon())
            )
        if fact.unit in YEAR_UNITS:
            years = range(self.as_of.year - 6, self.as_of.year + 1)
            return {year: self.number(whole=False) for year in years if self.random.random() < 0.6}
        if fact.unit == "points_by_key":
            keys = [f"{district}:a{n}" for district in (HOME, ELSEWHERE) for n in range(2)]
            return {key: self.number(whole=False) for key in keys if self.random.random() < 0.6}
        if fact.unit == "children":
            return [("330211201601010011", "primary", find_enrolment_year(self.as_of))]
        if fact.unit == "area":
            return self.random.choice((None, *AREAS, "330299"))
        return self.random.choice([None, "x", *(rung[0] for rung in fact.ladder), fact.otherwise])

    def number(self, *, whole: bool) -> Decimal:
        step = self.random.choice(
            (Decimal(-1), Decimal("-0.01"), Decimal(0), Decimal(0), Decimal("0.01"), Decimal(1))
        )
        value = max(
            Decimal(0), self.random.choice(self.edges) * self.random.choice((1, 1, 1, 2, 5)) + step
        )
        return value.to_integral_value() if whole else value.quantize(Decimal("0.01"))

    def soon(self) -> dt.date:
        return self.as_of + dt.timedelta(days=self.random.choice((0, 1, 12, 13, 60, 61)))

    def points(self) -> Decimal:
        return Decimal(self.random.choice(("0", "0.50", "12.34", "999.99")))


def relation(residents: list[Resident]) -> pa.Table:
    """The residents as the fact table holds them."""
    columns = {
        "resident_key": pa.array([str(number) for number in range(len(residents))]),
        "district": pa.array([resident.district for resident in residents]),
    }
    for name, fact in FACTS.items():
        shape = SHAPES.get(fact.unit, pa.string())
        columns[name] = pa.array(
            [listed(resident.facts[name], shape) for resident in residents], shape
        )
    held = [
        [(t, c.case_id, c.value) for t, c in resident.corrections.items()] or None
        for resident in residents
    ]
    return pa.table({**columns, "corrections": pa.array(held, CORRECTIONS)})


def listed(value: Any, shape: pa.DataType) -> Any:
    """Maps as lists of pairs; whole numbers as integers."""
    if isinstance(value, dict):
        return list(value.items())
    return int(value) if shape == pa.int32() and value is not None else value


def scored(
    engine: duckdb.DuckDBPyConnection,
    policy: DrawnPolicy,
    residents: list[Resident],
    month: Month,
    *,
    details: bool = False,
) -> list[dict[str, Any]]:
    """One row of scores per resident, in their order."""
    targets = {
        target
        for resident in residents
        for target in resident.corrections
        if not target.startswith("fact:")
    }
    statement = points_sql(policy.city, policy.districts, FACTS, corrected=targets, details=details)
    engine.register("facts", relation(residents))
    found = engine.execute(statement, {"month": month.first_day, "as_of": month.last_day})
    names = [column[0] for column in found.description or []]
    rows = [dict(zip(names, row, strict=True)) for row in found.fetchall()]
    return sorted(rows, key=lambda row: int(row["resident_key"]))


def expected(policy: DrawnPolicy, resident: Resident, month: Month) -> Mapping[str, Any]:
    """The same row by the reference."""
    arguments = (policy.city, policy.districts, resident.facts, resident.district, month.last_day)
    without = compute_points_before_corrections(*arguments)
    took_effect = [
        {"target": target, "before": without.get(target)}
        for target in resident.corrections
        if target in without or target.startswith("fact:")
    ]
    return {**compute_points(*arguments, resident.corrections), "corrected": took_effect}


@with_examples(12)
@given(
    draw_policies(FACTS),
    st.sampled_from(MONTHS),
    st.lists(SEEDS, min_size=RESIDENTS, max_size=RESIDENTS),
)
def check_policy(
    engine: duckdb.DuckDBPyConnection, policy: DrawnPolicy, month: Month, seeds: list[int]
) -> None:
    residents = [Resident(Random(seed), policy, month.last_day) for seed in seeds]
    rows = scored(engine, policy, residents, month)
    assert len(rows) == len(residents)
    check_details(
        policy, residents, month, rows, scored(engine, policy, residents, month, details=True)
    )
    for resident, row in zip(residents, rows, strict=True):
        wrong = differing(expected(policy, resident, month), row)
        assert not wrong, f"column: (reference, engine)\n{explained(policy, resident, wrong)}"


def check_details(
    policy: DrawnPolicy,
    residents: list[Resident],
    month: Month,
    rows: list[dict[str, Any]],
    explaining: list[dict[str, Any]],
) -> None:
    """The statement that explains the points gives the same points, and the reference's reasons."""
    for resident, row, found in zip(residents, rows, explaining, strict=True):
        cases = [one.pop("case_id") for one in found["corrected"]]
        held = resident.corrections
        assert cases == [held[one["target"]].case_id for one in found["corrected"]]
        assert {name: found[name] for name in row} == row
        reasons = {name: value for name, value in found.items() if name not in row}
        wanted = dict.fromkeys(reasons)
        tables = {"city": policy.city}
        if resident.district in policy.districts:
            tables[resident.district] = policy.districts[resident.district]
        for authority in tables:
            wanted |= compute_point_details(
                authority, tables, resident.facts, resident.district, month.last_day,
                resident.corrections,
            )  # fmt: skip
        wrong = differing(wanted, reasons)
        assert not wrong, f"column: (reference, engine)\n{wrong}"
        closed = {
            found.get(f"{'' if authority == 'city' else f'd{authority}_'}{code}_closed_by")
            for authority, version in tables.items()
            for code in version.indicators
        }
        assert closed <= {None, *get_args(ClosedBy)}, "statements cannot say why"


def differing(wanted: Mapping[str, Any], row: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """What the reference and the engine say of a column, where it is not the same."""
    return {name: (value, row[name]) for name, value in wanted.items() if row[name] != value}


def explained(policy: DrawnPolicy, resident: Resident, wrong: Mapping[str, Any]) -> str:
    """The indicators behind the columns that differ, with the facts that they read."""
    versions = {"": policy.city} | {
        f"d{code}_": version for code, version in policy.districts.items()
    }
    lines = [f"district {resident.district}, corrections {resident.corrections}"]
    for prefix, version in versions.items():
        for code, indicator in version.indicators.items():
            if f"{prefix}{code}_points" in wrong:
                said = indicator.model_dump(
                    exclude_none=True, exclude={"title", "basis", "values", "evidence", "examples"}
                )
                lines.append(
                    f"{prefix}{code}: {said} over { {name: resident.facts.get(name) for name in FACTS} }"
                )
    return "\n".join(lines)


@pytest.mark.promise("sources-140", "generated policies and generated residents")
@pytest.mark.proves("points-35", "points-39")
def test_the_statement_agrees_with_the_reference_to_the_cent(
    engine: duckdb.DuckDBPyConnection,
) -> None:
    check_policy(engine)


@pytest.mark.promise("sources-142", "a rule form without a generator fails")
@pytest.mark.proves("points-40")
def test_every_rule_form_has_a_generator() -> None:
    assert set(RULES) == set(Rule.model_fields)
