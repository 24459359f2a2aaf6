"""The compiled statement as a whole: groups, sections, districts, corrections, columns; readable, and fit for Spark."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import pytest
import sqlglot
from sqlglot import exp

from expectations.source_loader import collect_facts, load_sources
from tests.support.policy_writing import (
    DISTRICT,
    FACTS,
    PROJECT_DISTRICTS,
    PROJECT_TABLES,
    line,
    score,
    version,
)
from transforms.points.columns import list_points_items, list_score_columns
from transforms.points.compile import points_sql
from transforms.points.load import load_tables

ONE = {"each": {"unit": "1", "points": "1"}}


def months(section: str = "base", **around: str) -> dict[str, object]:
    return line(ONE, fact="months", section=section, **around)


def events(section: str = "base", **around: str) -> dict[str, object]:
    return line(ONE, fact="events", section=section, **around)


@pytest.mark.promise("points-44", "Groups in groups in sections, sum or highest, inner cap first")
@pytest.mark.promise("outputs-68", "Groups and sections cap from the inside out")
def test_groups_cap_from_the_inside_out() -> None:
    city = version(
        {"a": months("inner"), "b": events("inner"), "c": line(ONE, fact="age", section="outer")},
        groups={
            "outer": {"title": "外", "in": "base", "combine": "sum", "cap": "10"},
            "inner": {"title": "内", "in": "outer", "combine": "sum", "cap": "6"},
        },
    )
    people = [
        {"months": 9, "events": 9, "age": 3},
        {"months": 9, "events": 9, "age": 30},
        {"months": 1, "events": 2},
    ]
    assert [row["base_points"] for row in score(people, city)] == [9, 10, 3]


@pytest.mark.proves("points-44")
def test_a_group_may_take_the_highest() -> None:
    city = version(
        {"a": months("best"), "b": events("best", cap="4"), "c": line(ONE, fact="age")},
        groups={"best": {"title": "择优", "in": "base", "combine": "highest"}},
    )
    people = [{"months": 3, "events": 9, "age": 1}, {"months": 5, "events": 9, "age": 1}]
    assert [row["base_points"] for row in score(people, city)] == [5, 6]


@pytest.mark.promises(
    {
        "points-46": "Section = least(cap, sum); without a cap the plain sum",
        "points-47": "Deductions are positive numbers in the section that is subtracted",
        "points-48": (
            "common = sections that add - deductions; total = common + district, may be negative"
        ),
        "outputs-42": "Sections are capped sums, the total their sum",
    }
)
def test_sections_are_capped_and_deductions_may_go_below_zero() -> None:
    sections = {"base": {"title": "基", "cap": "10"}, "minus": {"title": "扣", "subtract": "true"}}
    city = version(
        {
            "a": months(),
            "b": line({"each": {"unit": "1", "points": "15"}}, fact="events", section="minus"),
        },
        sections,
    )
    row = score([{"months": 12, "events": 1}], city)[0]
    assert {
        name: row[name]
        for name in ("a_points", "base_points", "minus_points", "common_points", "total_points")
    } == {
        "a_points": 12,
        "base_points": 10,
        "minus_points": 15,
        "common_points": -5,
        "total_points": -5,
    }


def test_the_signs_of_indicators_add_up_to_the_total() -> None:
    """Through groups in groups, in a section that subtracts, of the city and of a district."""
    sections = {"base": {"title": "基"}, "minus": {"title": "扣", "subtract": "true"}}
    groups = {
        "outer": {"title": "外", "in": "minus", "combine": "sum"},
        "inner": {"title": "内", "in": "outer", "combine": "sum"},
    }
    city = version(
        {"a": months(), "b": events("inner"), "c": months("minus")}, sections, groups=groups
    )
    own = version({"d": events("minus"), "e": months("base")}, sections)
    items = list_points_items(city, {DISTRICT: own})
    (row,) = score([{"months": 12, "events": 5}], city, {DISTRICT: own})
    assert items.keys() == {name for name in row if name.endswith("_points")}

    def effect(*kinds: str) -> Decimal:
        return sum(
            (item.sign * row[c] for c, item in items.items() if item.kind in kinds), Decimal(0)
        )

    total = row["total_points"]
    assert total == 12 - 5 - 12 - 5 + 12 == effect("indicator") == effect("total")
    assert total == effect("section", "district") == effect("common", "district")


def district(**indicators: object) -> object:
    return version(indicators, {"district": {"title": "个性分", "cap": "8"}})


@pytest.mark.promises(
    {
        "points-49": "district = least(cap, indicators of the residence district only)",
        "outputs-69": "District points count in that district only",
        "outputs-110": "District indicators are null for other districts' residents",
        "outputs-111": "policy_city and policy_district are the versions' dates",
    }
)
@pytest.mark.proves("points-108")
def test_district_points_and_awards_are_for_their_own_district() -> None:
    award = line(
        {"each": {"pro_rata": "true", "points": "1"}}, fact="award:x", section="district", cap="5"
    )
    tables = {DISTRICT: district(x=award, y=events("district")), "330203": district(x=award)}
    awards = [
        {"key": f"{DISTRICT}:x", "points": Decimal("3.5")},
        {"key": "330203:x", "points": Decimal("9")},
    ]
    people = [
        {"district": code, "events": 7, "awards": awards, "months": 1}
        for code in (DISTRICT, "330203", "330299")
    ]
    rows = score(people, version({"a": months()}), tables)  # type: ignore[arg-type]
    own = f"d{DISTRICT}_x_points"
    assert [
        (row[own], row["d330203_x_points"], row["district_points"], row["total_points"])
        for row in rows
    ] == [
        (Decimal("3.50"), None, 8, 9),
        (None, 5, 5, 6),
        (None, None, 0, 1),
    ]
    assert [row["policy_district"] for row in rows] == [
        dt.date(2021, 9, 8),
        dt.date(2021, 9, 8),
        None,
    ]


@pytest.mark.promise("outputs-70", "A correction changes an indicator")
@pytest.mark.promise("outputs-112", "corrected: target, before; null before for facts; no case")
@pytest.mark.proves("sources-95")
def test_a_corrected_indicator_is_still_capped_by_groups_and_sections() -> None:
    city = version({"a": months(cap="5"), "b": events()}, {"base": {"title": "基", "cap": "10"}})
    tables = {DISTRICT: district(x=events("district"))}

    def corrected(*corrections: tuple[str, str, str]) -> dict[str, object]:
        held = [{"target": t, "case_id": c, "value": Decimal(v)} for t, c, v in corrections]
        return {"months": 3, "events": 2, "corrections": held}

    people = [
        corrected(("a", "C1", "7.5")),
        corrected(("a", "C2", "99")),
        corrected(("fact:months", "C3", "3"), ("nothing", "C4", "1"), (f"{DISTRICT}:x", "C5", "0")),
        {**corrected((f"{DISTRICT}:x", "C6", "6")), "district": "330203"},
        {"months": 3, "events": 2},
    ]
    rows = score(people, city, tables, ("a", f"{DISTRICT}:x"))  # type: ignore[arg-type]
    assert [(row["a_points"], row["base_points"], row["district_points"]) for row in rows] == [
        (Decimal("7.50"), Decimal("9.50"), 2),
        (99, 10, 2),
        (3, 5, 0),
        (3, 5, 0),
        (3, 5, 2),
    ]
    assert [[(c["target"], c["before"]) for c in row["corrected"]] for row in rows] == [
        [("a", 3)],
        [("a", 3)],
        [("fact:months", None), (f"{DISTRICT}:x", 2)],
        [],
        [],
    ]


def test_a_correction_overrules_guard_and_cap() -> None:
    city = version({"a": months(cap="5", when="held")})
    person = {
        "months": 3,
        "held": False,
        "corrections": [{"target": "a", "case_id": "C", "value": Decimal(6)}],
    }
    assert score([person], city, corrected=("a",))[0]["a_points"] == 6


@pytest.mark.promise("outputs-109", "Columns of scores in their order, with exact types")
def test_columns_have_contract_order_and_exact_types() -> None:
    city = version(
        {"a": months(), "b": events("minus")},
        {"base": {"title": "基"}, "minus": {"title": "扣", "subtract": "true"}},
    )
    tables = {DISTRICT: district(x=events("district")), "330203": district(y=events("district"))}
    row = score([{}], city, tables)[0]  # type: ignore[arg-type]
    assert list(row) == list_score_columns(city, tables)  # type: ignore[arg-type]
    assert list(row) == [
        *(
            "month",
            "resident_key",
            "district",
            "policy_city",
            "policy_district",
            "a_points",
            "b_points",
        ),
        *("d330203_y_points", f"d{DISTRICT}_x_points", "base_points", "minus_points"),
        *("common_points", "district_points", "total_points", "corrected"),
    ]
    assert row["month"] == dt.date(2021, 10, 1) and row["corrected"] == []


def compile_project_statements() -> list[str]:
    facts = collect_facts(load_sources())
    tables = {
        table.authority: table for table in load_tables(PROJECT_TABLES, facts, PROJECT_DISTRICTS)
    }
    statements = []
    for as_of in (dt.date(2021, 10, 31), dt.date(2022, 4, 30)):
        versions = {name: table.in_force(as_of) for name, table in tables.items()}
        statements.append(
            points_sql(
                versions.pop("city"), versions, facts, corrected=("age", "330211:village_award")
            )
        )
    return statements


@pytest.mark.promise(
    "outputs-29", "Points: one compiled statement, one column per indicator, sums, total"
)
@pytest.mark.proves("outputs-44")
def test_compiled_statements_are_projections_that_spark_can_parse() -> None:
    for statement in compile_project_statements():
        tree = sqlglot.parse_one(statement, dialect="duckdb")
        assert not list(tree.find_all(exp.Join, exp.Group, exp.Order, exp.Distinct, exp.Window))
        assert not [cast for cast in tree.find_all(exp.Cast) if cast.to.is_type("double", "float")]
        assert not list(tree.find_all(exp.Div)), "the engine's own division would be floating point"
        spark = sqlglot.transpile(
            statement, read="duckdb", write="spark", unsupported_level=sqlglot.ErrorLevel.RAISE
        )[0]
        assert isinstance(sqlglot.parse_one(spark, dialect="spark"), exp.Select)
        assert "LIST_" not in spark, "functions that Spark does not have"


def test_the_order_of_corrections_does_not_change_the_statement() -> None:
    city = version({"a": months(), "b": events()})
    assert points_sql(city, {}, FACTS, corrected=("a", "b")) == points_sql(
        city, {}, FACTS, corrected=("b", "a")
    )
    assert points_sql(city, {}, FACTS, corrected=("unknown",)) == points_sql(city, {}, FACTS)
