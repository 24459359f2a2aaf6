"""Cases of the plain reference worked out by hand: expressions, every rule form, what stands around a rule, sums."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest

from tests.parity.reference.expressions import evaluate_expression
from tests.parity.reference.points import (
    apply_rule,
    compute_points,
    compute_points_before_corrections,
    round_points,
)
from tests.parity.reference.rows import Correction
from transforms.points.models import PointsVersion
from transforms.points.rules import Rule

AS_OF = dt.date(2021, 10, 31)
D = Decimal


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a + 2 * 3 = 11 and not b", True),
        ("a > 4 or n > 1", True),
        ("a > 5 or n > 1", None),
        ("a > 5 and n > 1", False),
        ("not n > 1", None),
        ("n is null and a is not null", True),
        ("a in (1, 5)", True),
        ("n in (1, 5)", None),
        ("a not in (1, 2)", True),
        ("a between 5 and 6", True),
        ("level = 'master'", True),
        ("day <= as_of + 1", True),
        ("day <= as_of", False),
        ("day > '2021-10-31'", True),
        ("-a + 6", D(1)),
        ("2 / 3", D("0.6666")),
        ("a / 0", None),
        ("(1 - 2) - 3", D(-4)),
    ],
)
def test_expressions_have_three_values(text: str, value: Any) -> None:
    names = {
        "a": D(5),
        "n": None,
        "b": False,
        "level": "master",
        "day": dt.date(2021, 11, 1),
        "as_of": AS_OF,
    }
    assert evaluate_expression(text, names) == value
    assert (evaluate_expression(text, names) is None) == (value is None)


def test_what_cannot_be_read_is_refused() -> None:
    with pytest.raises(ValueError, match="left over"):
        evaluate_expression("1 2", {})
    with pytest.raises(KeyError):
        evaluate_expression("unheard_of", {})


BANDS = {
    "bands": [
        {"from": "18", "to": "35", "points": "10"},
        {"from": "36", "below": "40", "points": "8"},
    ]
}
SLOPE = {
    "slope": {
        "start": "55",
        "points": "5",
        "each": "1",
        "direction": "below",
        "from": "18",
        "to": "60",
    }
}
EACH = {"each": {"unit": "12", "points": "2"}}
BLOOD = {"each": {"unit": "100", "points": "0.5", "start": "200", "first": "1"}}
TIERS = {"unit": "12", "rates": [{"from": "1", "points": "4"}, {"from": "5", "points": "6"}]}
STEPS = {"36": "5", "120": "16", "60": "8"}


@pytest.mark.parametrize(
    ("rule", "cases"),
    [
        (BANDS, {17: 0, 18: 10, 35: 10, D("35.5"): 0, 36: 8, D("39.99"): 8, 40: 0, None: 0}),
        (SLOPE, {17: 0, 18: 42, 54: 6, 55: 5, 60: 5, 61: 0, None: 0}),
        (
            {
                "slope": {
                    "start": "0",
                    "points": "1",
                    "each": "-2",
                    "direction": "above",
                    "unit": "1.5",
                }
            },
            {3: -3, D("2.9"): -1},
        ),
        (EACH, {11: 0, 12: 2, 23: 2, 24: 4, -12: 0}),
        ({"each": {"pro_rata": "true", "points": "0.2"}}, {D("7.5"): D("1.5"), -1: 0}),
        (BLOOD, {199: 0, 200: 1, 299: 1, 300: D("1.5"), 500: D("2.5")}),
        ({"tiers": {"mode": "whole", **TIERS}}, {11: 0, 12: 4, 59: 16, 60: 30}),
        ({"tiers": {"mode": "marginal", **TIERS}}, {11: 0, 12: 4, 59: 16, 60: 22, 72: 28}),
        ({"steps": {"mode": "highest", "marks": STEPS}}, {35: 0, 36: 5, 60: 8, 119: 8, 120: 16}),
        ({"steps": {"mode": "sum", "marks": STEPS}}, {35: 0, 36: 5, 60: 13, 120: 29}),
        ({"by_count": {"1": "10", "2": "30", "3": "50"}}, {0: 0, 1: 10, 2: 30, 3: 50, 9: 50}),
        ({"levels": {"bachelor": "18"}}, {"bachelor": 18, "master": 0, None: 0}),
        ({"flat": "10"}, {True: 10, False: 0, None: 0}),
    ],
)
def test_a_rule_turns_a_value_into_points(rule: dict[str, Any], cases: dict[Any, Any]) -> None:
    assert {
        value: apply_rule(Rule.model_validate(rule), value, {}, AS_OF) for value in cases
    } == cases


def test_a_yearly_cap_holds_within_each_of_the_years() -> None:
    rule = Rule.model_validate(
        {"per_year": {"cap": "5", "years": "2", "rule": {"each": {"unit": "10", "points": "1"}}}}
    )
    assert (
        apply_rule(rule, {2019: D(90), 2020: D(80), 2021: D("19.99"), 2022: D(90)}, {}, AS_OF) == 6
    )


def test_families_and_two_way_tables_read_their_own_facts() -> None:
    family = Rule.model_validate({"counts": {"small": "10", "large": "30"}})
    assert apply_rule(family, None, {"small": 2, "large": None}, AS_OF) == 20
    axes = {
        "down": {"fact": "degree"},
        "across": {"fact": "age", "bands": {"young": {"below": "36"}}},
    }
    table = Rule.model_validate({"table": {**axes, "points": {"master": {"young": "7"}}}})
    found = [
        apply_rule(table, None, {"degree": d, "age": a}, AS_OF)
        for d, a in (("master", 35), ("master", 36), (None, 1))
    ]
    assert found == [7, 0, 0]


@pytest.mark.parametrize(
    ("exact", "cents"), [("0.005", "0.01"), ("0.0049", "0"), ("-0.005", "-0.01"), ("2.675", "2.68")]
)
def test_halves_are_rounded_away_from_zero(exact: str, cents: str) -> None:
    assert round_points(Fraction(exact)) == D(cents)


def indicator(section: str, fact: str, rule: dict[str, Any], **around: str) -> dict[str, Any]:
    texts = {
        "title": "指标",
        "basis": "条",
        "values": "illustrative",
        "evidence": "依据",
        "examples": {"0": "0"},
    }
    return {**texts, "section": section, "fact": fact, "rule": rule, **around}


def version(sections: dict[str, Any], groups: dict[str, Any], **indicators: Any) -> PointsVersion:
    said = {
        "from": "2021-09-08",
        "basis": "文",
        "sections": sections,
        "groups": groups,
        "indicators": indicators,
    }
    return PointsVersion.model_validate(said)


ONE_EACH = {"each": {"unit": "1", "points": "1"}}
SECTIONS = {
    "base": {"title": "基础分", "cap": "20"},
    "minus": {"title": "扣分", "subtract": "true"},
}
GROUPS = {
    "either": {"title": "取高", "in": "base", "combine": "highest", "cap": "9"},
    "both": {"title": "合计", "in": "either", "combine": "sum", "cap": "8"},
}
CITY = version(
    SECTIONS,
    GROUPS,
    a=indicator("base", "x", ONE_EACH, cap="7.5"),
    b=indicator("either", "y", ONE_EACH),
    c=indicator("both", "x", ONE_EACH, at_most="y"),
    d=indicator("both", "y", ONE_EACH, when="n > 0"),
    e=indicator("minus", "y", ONE_EACH, unless="n > 0"),
)
DISTRICT = version(
    {"district": {"title": "个性分", "cap": "3"}},
    {},
    gift=indicator("district", "award:gift", ONE_EACH),
)
DISTRICTS = {"330211": DISTRICT, "330212": DISTRICT}


def test_inner_caps_come_first_and_deductions_are_taken_off() -> None:
    facts = {"x": D(10), "y": D(6), "n": None, "awards": {"330211:gift": D(5), "330212:gift": D(1)}}
    found = compute_points(CITY, DISTRICTS, facts, "330211", AS_OF)
    # a 10 -> 7.5; b 6; c min(10, 6) = 6; d 0, its condition is unknown; either max(6, 6) = 6; base 13.5; e counts: 6.
    assert [found[f"{code}_points"] for code in "abcde"] == [D("7.5"), 6, 6, 0, 6]
    assert (found["base_points"], found["minus_points"], found["common_points"]) == (
        D("13.5"),
        6,
        D("7.5"),
    )
    assert (found["d330211_gift_points"], found["d330212_gift_points"]) == (5, None)
    assert (found["district_points"], found["total_points"]) == (3, D("10.5"))
    assert compute_points(CITY, DISTRICTS, {**facts, "n": D(1)}, "330211", AS_OF)[
        "base_points"
    ] == D("15.5")  # both 8


def test_a_corrected_indicator_has_its_points_before_the_caps() -> None:
    facts: dict[str, Any] = {"x": D(1), "y": None, "n": None, "awards": {}}
    cases = {
        "a": Correction("1", D("19")),
        "b": Correction("2", D("9.5")),
        "330212:gift": Correction("3", D(2)),
    }
    found = compute_points(CITY, DISTRICTS, facts, "330211", AS_OF, cases)
    assert (found["a_points"], found["c_points"], found["base_points"], found["total_points"]) == (
        19,
        0,
        20,
        20,
    )
    assert compute_points_before_corrections(CITY, DISTRICTS, facts, "330211", AS_OF)["a"] == 1
    assert compute_points(CITY, DISTRICTS, facts, "330212", AS_OF, cases)["district_points"] == 2
