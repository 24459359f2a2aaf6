"""The synthetic city is plausible: valid values, realistic proportions, and every case occurs."""

from __future__ import annotations

import itertools
from collections import Counter

import pytest
from stdnum.cn import ric

from tests.support.generated_city import (
    FIRST,
    REFERENCE,
    RESIDENTS,
    SECOND,
    SOURCES,
    Cleaned,
    parts,
    table,
)

pytestmark = pytest.mark.slow  # its city takes seconds


def test_without_faults_every_value_is_valid(city: Cleaned) -> None:
    for account in city.accounts.values():
        assert (account.quarantined, account.superseded) == (0, 0), account
        assert not account.reasons and not account.defects and not account.undeclared, account
    assert all(city.accounts[name, FIRST].received > 50 for name in SOURCES)


def test_ids_are_valid_and_unique(city: Cleaned) -> None:
    people = table(city.inbox / "2021-11" / "registry.csv")
    assert len({row["公民身份号码"] for row in people}) == len(people)
    assert len({row["公民身份号码"][:2] for row in people}) > 25
    children = {row["子女身份号码"] for row in table(city.inbox / "2021-11" / "children.csv")}
    assert not children & {row["公民身份号码"] for row in people}
    checked = list(children)[:500] + [row["公民身份号码"] for row in people[:500]]
    assert all(ric.calc_check_digit(number) == number[-1] for number in checked)


def test_the_registry_is_a_living_city(city: Cleaned) -> None:
    before, now = (
        {row["公民身份号码"]: row for row in table(city.inbox / str(month) / "registry.csv")}
        for month in (FIRST, SECOND)
    )
    assert Counter(row["状态"] for row in now.values())["在住"] > 0.95 * RESIDENTS
    assert {row["状态"] for row in now.values()} == {"在住", "离开", "死亡"}
    assert min(Counter(row["居住区县"] for row in now.values()).values()) > 0.02 * RESIDENTS
    assert {row["居住区县"] for row in now.values()} == {
        row["code"] for row in table(REFERENCE / "districts.csv")
    }
    moved = sum(row["居住区县"] != now[number]["居住区县"] for number, row in before.items())
    assert 0.001 * RESIDENTS < moved < 0.01 * RESIDENTS
    assert len(now.keys() - before.keys()) > 0.002 * RESIDENTS
    ages = [2021 - int(number[6:10]) for number in now]
    assert min(ages) >= 0 and max(ages) <= 82
    assert sum(18 <= age <= 60 for age in ages) > 0.8 * len(ages)
    assert sum(row["居住证有效期至"].startswith("2021-12") for row in now.values()) > 5


@pytest.mark.promise("sources-82", "postings: about 4 million a month, 230 in history")
@pytest.mark.promise(
    "sources-107", "reference load in proportion, postings unsorted, a folder per month"
)
def test_postings_come_in_the_proportions_of_the_reference_load(city: Cleaned) -> None:
    """228 million in history and 4 million a month, for 5.1 million people."""
    history, month = (
        city.accounts["social_security", m].received / RESIDENTS for m in (FIRST, SECOND)
    )
    assert 0.93 < history / (228 / 5.1) < 1.07
    assert 0.9 < month / (4 / 5.1) < 1.1
    rows = city.rows("clean", "social_security", FIRST)
    assert (
        city.one(f"SELECT avg((insurance IN ('pension', 'medical'))::INTEGER) FROM {rows}") > 0.98
    )
    assert 0.001 < city.one(f"SELECT avg((kind = 'reversed')::INTEGER) FROM {rows}") < 0.01
    late = f"SELECT count(*) FROM {city.rows('clean', 'social_security', SECOND)} WHERE month < {SECOND.ordinal}"
    assert city.one(late) > 20
    assert city.one(late.replace("<", ">")) > 20  # paid in advance
    changed = f"""SELECT count(*) FROM (SELECT resident_id FROM {rows} WHERE insurance = 'pension'
        GROUP BY resident_id, month HAVING count(DISTINCT employer_id) = 2)"""
    assert city.one(changed) > 100
    assert city.one(f"SELECT count(*) FROM {rows} WHERE employer_id IS NULL") > 100


@pytest.mark.proves("sources-107")
def test_postings_arrive_unsorted_by_person(city: Cleaned) -> None:
    part = parts(city.inbox, FIRST, "social_security")[0]
    ids = [
        row[0]
        for row in city.engine.execute(f"SELECT resident_id FROM '{part}' LIMIT 2000").fetchall()
    ]
    assert sum(a == b for a, b in itertools.pairwise(ids)) < 20


@pytest.mark.parametrize(
    ("name", "column"),
    [
        ("volunteer", "kind"),
        ("education", "level"),
        ("housing", "tenure"),
        ("children", "enrolled"),
        ("patents", "kind"),
        ("corrections", "decision"),
    ],
)
def test_every_value_of_a_set_occurs(city: Cleaned, name: str, column: str) -> None:
    found = city.engine.execute(
        f"SELECT DISTINCT {column} FROM {city.rows('clean', name, FIRST)}"
    ).fetchall()
    assert {value for (value,) in found} == set(SOURCES[name].columns[column].values)


def test_every_indicator_has_somebody(city: Cleaned) -> None:
    def pairs(name: str, one: str, other: str) -> set[tuple[str, str]]:
        rows = city.rows("clean", name, FIRST)
        return set(city.engine.execute(f"SELECT DISTINCT {one}, {other} FROM {rows}").fetchall())

    levels = SOURCES["credit"].columns["level"].checks
    assert pairs("credit", "kind", "level") == {
        (kind, level) for kind in levels for level in levels[kind].one_of
    }
    awarded = SOURCES["local_awards"].synthetic.columns["indicator"].weights
    assert pairs("local_awards", "district", "indicator") == {
        (place, code) for place in awarded for code in awarded[place]
    }
    shortage = [
        row["occupation"]
        for row in table(REFERENCE / "shortage_occupations.csv")
        if row["year"] == "2021"
    ]
    jobs = city.rows("clean", "employment", FIRST)
    assert city.one(f"SELECT count(*) FROM {jobs} WHERE occupation IN {tuple(shortage)}") > 100
    assert city.one(f"SELECT max(jobs_created) FROM {jobs}") > 50
    communities = {
        (row["district"], row["community"]) for row in table(REFERENCE / "community_rents.csv")
    }
    homes = city.engine.execute(
        f"SELECT DISTINCT district, community FROM {city.rows('clean', 'housing', FIRST)} WHERE community IS NOT NULL"
    ).fetchall()
    assert set(homes) <= communities and ("330212", "东湖花园") in homes
    quotas = {row["grantor_id"] for row in table(REFERENCE / "award_quotas.csv")}
    awards = f"SELECT DISTINCT grantor_id FROM {city.rows('clean', 'local_awards', FIRST)} WHERE grantor_kind <> 'district'"
    assert {grantor for (grantor,) in city.engine.execute(awards).fetchall()} <= quotas


def test_events_are_taken_back_in_later_months(city: Cleaned) -> None:
    first, second = (city.rows("clean", "volunteer", month) for month in (FIRST, SECOND))
    void = f"SELECT count(*) FROM {second} JOIN {first} b USING (event_id)"
    assert city.one(f"{void} WHERE b.status = 'valid'") == city.one(void) > 0
    assert (
        city.one(
            f"SELECT count(*) FROM {city.rows('clean', 'credit', FIRST)} WHERE cleared_on IS NOT NULL"
        )
        > 20
    )


def test_children_stand_at_the_edges_of_enrolment(city: Cleaned) -> None:
    """Enrolment year 2022: children born in the school years that turn 6 and 12; many have two guardians."""
    rows = city.rows("clean", "children", FIRST)
    born = "(child_id // 1000) % 100000000"
    due = f"SELECT count(*) FROM {rows} WHERE enrolled IN ('none', 'kindergarten')"
    assert city.one(f"{due} AND {born} BETWEEN 20150901 AND 20160831") > 0.005 * RESIDENTS
    middle = f"SELECT count(*) FROM {rows} WHERE enrolled = 'primary'"
    assert city.one(f"{middle} AND {born} BETWEEN 20090901 AND 20100831") > 0.0025 * RESIDENTS
    assert (
        city.one(
            f"SELECT count(*) FROM (FROM {rows} SELECT child_id GROUP BY child_id HAVING count(*) = 2)"
        )
        > 500
    )
