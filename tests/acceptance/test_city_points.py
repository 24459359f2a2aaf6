"""Every cell of the points tables of city and districts, independent of the rules' examples."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from tests.support.both_engines import ExampleResident, score_by_sql
from tests.support.policy_writing import VALID_TABLE, problems, write
from tests.support.services_town import FACTS, TABLES
from transforms.points.models import PointsVersion

OLD, NEW = dt.date(2021, 10, 31), dt.date(2022, 4, 30)

# code: fact, value=points ...; yes and no are 1 and 0
SAME_IN_BOTH = {
    "shortage_post": "shortage_job 1=10 0=0",
    "honours": "honour_level national=30 provincial=20 city=10 district=5",
    "blood": "blood_ml 199=0 200=1 399=1 1999=9 2000=10 9000=10",
    "donation": "donations 0=0 1=20 2=40 3=40",
    "penalties": "penalties_24m 1=5 30=150",
    "detentions": "detentions_60m 1=20 10=200",
    "crimes": "crimes_120m 1=50 4=200",
}
CITY_2021 = {
    **SAME_IN_BOTH,
    "age": "age 17=0 18=10 35=10 36=8 45=8 46=5 55=5 56=2 60=2 61=0",
    "permit": "permit_months 11=0 12=2 23=2 119=18 120=20 400=20",
    "social_insurance": "pension_months 1=0.2 124=24.8 125=25 400=25",
    "education": "degree primary=0 junior_middle=2 senior_middle=5 junior_college=12 bachelor=18 master=22 doctor=25",
    "skill": "skill level_5=2 level_4=4 level_3=8 level_2=12 level_1=15",
    "employment": "employed_months 11=0 12=2 59=8 60=10 400=10",
    "housing": "tenure owned=15 public_rental=8 rented=8 dormitory=5 none=0",
    "job_creation": "jobs_created 4=0 5=1 49=9 50=10 900=10",
}
CITY_2022 = {
    **SAME_IN_BOTH,
    "age": "age 17=0 18=20 40=20 41=19 54=6 55=5 60=5 61=0",
    "education": "degree primary=5 junior_middle=5 senior_middle=5 junior_college=8 bachelor=10 master=10 doctor=10",
    "skill": "skill level_1=10 level_2=10 level_3=8 level_4=5 level_5=3",
    "social_insurance": "pension_months 1=0.5 59=29.5 60=30 400=30",
    "residence": "residence_months 1=0.25 119=29.75 120=30 400=30",
    "employment": "employed_months 11=0 12=10 400=10",
    "housing": "tenure owned=20 public_rental=10 rented=10 dormitory=10 none=0",
    "job_creation": "jobs_created 4=0 5=1 99=19 100=20 900=20",
}
BASE = ["age", "permit", "social_insurance", "education", "skill", "employment", "housing"]
BONUS = [
    "shortage_post",
    "job_creation",
    "inventions",
    "honours",
    "volunteering",
    "blood",
    "donation",
]
DEDUCTION = ["dishonesty", "penalties", "detentions", "crimes"]
PUBLISHED = ["education", "skill", "social_insurance", "residence", "employment"]

# district: indicator: title, fact, cap
AWARDED = {
    "330203": {"deliberation": ("议事协商", 15), "mentoring": ("职业帮带", 15)},
    "330205": {"training": ("素质提升", 15)},
    "330206": {"rescue": ("抢险救灾", 20)},
    "330211": {
        "enterprise_award": ("企业赋分", 10),
        "village_award": ("村社赋分", 10),
        "grid_award": ("网格赋分", 10),
    },
    "330212": {"local_volunteer": ("公益积分", 20)},
    "330213": {"self_declaration": ("自主申报", 10), "skills_service": ("技能服务", 20)},
    "330225": {"party_service": ("党员服务", 15), "village_award": ("村社赋分", 15)},
    "330226": {"patrol": ("群防群治", 15), "mutual_aid": ("邻里互助", 15)},
    "330281": {"family_school": ("家庭教育", 10), "public_post": ("公益岗位", 20)},
    "330282": {"mediation": ("调解服务", 15), "association": ("和谐促进会", 15)},
}
OTHERS = {
    ("330205", "service_24m"): (
        "志愿服务",
        "service_hours_24m 9.99=0 10=1 149.99=14 150=15 900=15",
    ),
    ("330206", "role_model"): ("先进典型", "honours_district 0=0 1=5 2=10 9=10"),
    ("330212", "registered_rental"): ("规范租住", "rental_months 11=0 12=1 119=9 120=10 900=10"),
}


def scored(
    engine: duckdb.DuckDBPyConnection, column: str, people: list[ExampleResident]
) -> list[Decimal | None]:
    return [row[column] for row in score_by_sql(engine, TABLES.values(), FACTS, people)]


def cells(text: str) -> tuple[str, dict[str, Decimal]]:
    """The fact, and the points of each of its values."""
    fact, *pairs = text.split()
    given = dict(pair.split("=") for pair in pairs)
    if FACTS[fact].unit == "yes_no":
        given = {("true" if value == "1" else "false"): points for value, points in given.items()}
    return fact, {value: Decimal(points) for value, points in given.items()}


@pytest.mark.promises(
    {
        "points-93": "2021: age, permit, social insurance, education, skill, employment, housing",
        "points-94": "2021: shortage post, job creation, honours, blood, donation",
        "points-96": "2021: penalties 5, detentions 20, crimes 50 each, without a cap",
        "points-99": "2022: age slope and its ends, education, skill, insurance, residence",
        "points-100": "2022: employment 10 from 12 months; housing 20 and 10",
        "points-101": "2022: the rest as in 2021, but job creation cap 20, inventions 30",
        "points-103": "Both employment rows (the design's are torn by a pasted market_rent row)",
    }
)
@pytest.mark.proves("points-41")
@pytest.mark.parametrize(
    ("as_of", "table"), [(OLD, CITY_2021), (NEW, CITY_2022)], ids=["2021", "2022"]
)
def test_every_cell_of_the_citys_tables(
    as_of: dt.date, table: Mapping[str, str], engine: duckdb.DuckDBPyConnection
) -> None:
    for code, text in table.items():
        fact, given = cells(text)
        found = scored(
            engine, f"{code}_points", [ExampleResident({fact: value}, as_of) for value in given]
        )
        assert dict(zip(given, found, strict=True)) == given, code


def hours(*years: int) -> dict[str, Any]:
    return {"service_hours_by_year": {str(year): "80" for year in years}}


@pytest.mark.promise("points-95", "2021: inventions, volunteering, dishonesty")
@pytest.mark.proves("points-101")
@pytest.mark.parametrize(
    ("column", "facts", "old", "new"),
    [
        (
            "inventions",
            {"patents_invention": "1", "patents_utility_model": "1", "patents_design": "1"},
            14,
            14,
        ),
        ("inventions", {"patents_invention": "4"}, 20, 30),
        ("dishonesty", {"dishonesty_general": "2", "dishonesty_serious": "3"}, 110, 110),
        ("volunteering", {"service_hours_by_year": {"2021": "9.99"}}, 0, 0),
        ("volunteering", {"service_hours_by_year": {"2021": "49.99"}}, 4, 4),
        ("volunteering", hours(2017), 5, 0),
        ("volunteering", hours(2016, 2018, 2019), 10, 10),
        ("volunteering", hours(2018, 2019, 2020, 2021), 15, 15),
    ],
)
def test_cells_of_several_facts(
    column: str, facts: dict[str, Any], old: int, new: int, engine: duckdb.DuckDBPyConnection
) -> None:
    people = [ExampleResident(facts, as_of) for as_of in (OLD, NEW)]
    assert scored(engine, f"{column}_points", people) == [old, new]


def standing(version: PointsVersion) -> dict[str, list[str]]:
    return {code: version.members(code) for code in version.sections}


@pytest.mark.promise("points-92", "2021: base cap 100, bonus cap 50, deductions; who stands where")
@pytest.mark.promise(
    "points-98", "2022: province cap 100, city cap 150, deductions; who stands where"
)
def test_every_indicator_has_its_section_and_every_section_its_cap() -> None:
    before, after = TABLES["city"].versions
    assert standing(before) == {"base": BASE, "bonus": BONUS, "deduction": DEDUCTION}
    assert {code: (s.cap, s.subtract) for code, s in before.sections.items()} == {
        "base": (100, False), "bonus": (50, False), "deduction": (None, True)
    }  # fmt: skip
    province = ["age", "education", "skill", "social_insurance", "residence"]
    assert standing(after) == {
        "province": province,
        "city": ["employment", "housing", *BONUS],
        "deduction": DEDUCTION,
    }
    assert {code: (s.cap, s.subtract) for code, s in after.sections.items()} == {
        "province": (100, False), "city": (150, False), "deduction": (None, True)
    }  # fmt: skip


@pytest.mark.promises(
    {
        "points-97": "2021: every value is marked illustrative",
        "points-102": "2022: which values are published",
        "points-104": "What has no source yet is in the table with its reason",
        "points-110": "All district values illustrative",
    }
)
def test_only_published_values_say_so_and_omissions_have_reasons() -> None:
    """An indicator of which any value is illustrative is so altogether: age for its ends, housing for owned homes."""
    published = {
        (authority, version.begins.year): [
            c for c, line in version.indicators.items() if line.values == "published"
        ]
        for authority, table in TABLES.items()
        for version in table.versions
    }
    assert {where: codes for where, codes in published.items() if codes} == {("city", 2022): sorted(PUBLISHED, key=list(
        TABLES["city"].versions[1].indicators).index)}  # fmt: skip
    left_out = [[one.title for one in version.not_modelled] for version in TABLES["city"].versions]
    assert left_out == [["投资纳税"], ["投资纳税", "离开本市扣减的居住年限"]]
    assert all(one.reason for version in TABLES["city"].versions for one in version.not_modelled)


@pytest.mark.promise("points-107", "Each has its indicators, titles, and no others")
def test_the_districts_have_their_indicators_and_no_others() -> None:
    wanted = {
        code: {name: title for name, (title, _) in lines.items()} for code, lines in AWARDED.items()
    }
    for (district, code), (title, _) in OTHERS.items():
        wanted[district][code] = title
    for place in (0, 1):
        found = {
            code: {
                name: line.title for name, line in TABLES[code].versions[place].indicators.items()
            }
            for code in AWARDED
        }
        assert found == wanted


@pytest.mark.promise("points-108", "award:x = points under x of that district, to its cap")
@pytest.mark.parametrize("as_of", [OLD, NEW], ids=["2021", "2022"])
@pytest.mark.parametrize("district", AWARDED)
def test_an_award_gives_its_points_up_to_its_cap(
    district: str, as_of: dt.date, engine: duckdb.DuckDBPyConnection
) -> None:
    for code, (_, cap) in AWARDED[district].items():
        given = ["0.5", f"{cap - 1}.75", f"{cap}", "300"]
        people = [ExampleResident({f"award:{code}": points}, as_of, district) for points in given]
        found = scored(engine, f"d{district}_{code}_points", people)
        assert found == [Decimal("0.5"), cap - Decimal("0.25"), cap, cap], code


@pytest.mark.promise(
    "points-109", "江北 service_24m, 北仑 role_model, 鄞州 registered_rental (only when registered)"
)
@pytest.mark.parametrize("as_of", [OLD, NEW], ids=["2021", "2022"])
@pytest.mark.parametrize("place", OTHERS, ids="-".join)
def test_every_cell_of_a_district_that_is_no_award(
    place: tuple[str, str], as_of: dt.date, engine: duckdb.DuckDBPyConnection
) -> None:
    (district, code), (fact, given) = place, cells(OTHERS[place][1])
    people = [
        ExampleResident({fact: value, "rental_registered": "true"}, as_of, district)
        for value in given
    ]
    assert (
        dict(zip(given, scored(engine, f"d{district}_{code}_points", people), strict=True)) == given
    )
    if code == "registered_rental":
        unregistered = ExampleResident({fact: "900", "rental_registered": "false"}, as_of, district)
        assert scored(engine, f"d{district}_{code}_points", [unregistered]) == [0]


@pytest.mark.proves("points-49", "points-106")
@pytest.mark.parametrize(("as_of", "cap"), [(OLD, 30), (NEW, 50)])
def test_a_district_gives_no_more_than_its_cap(
    as_of: dt.date, cap: int, engine: duckdb.DuckDBPyConnection
) -> None:
    """With every correction at its most, which the caps of the indicators do not bound."""
    corrections = {"330211:enterprise_award": Decimal(28), "330211:grid_award": Decimal(40)}
    people = [
        ExampleResident({}, as_of, "330211", dict(list(corrections.items())[:many]))
        for many in (1, 2)
    ]
    assert scored(engine, "district_points", people) == [28, cap]


@pytest.mark.promise("points-6", "A table must have authority, title, purpose, legal basis, effect")
@pytest.mark.promise("outputs-54", "Every points table states purpose and legal basis")
@pytest.mark.parametrize("key", ["title", "purpose", "legal_basis", "effect", "authority"])
def test_a_table_without_what_it_must_say_is_refused(key: str, tmp_path: Path) -> None:
    lines = [line for line in VALID_TABLE.splitlines() if not line.startswith(f"    {key}:")]
    assert len(lines) == len(VALID_TABLE.splitlines()) - 1
    write(tmp_path, "\n".join(lines))
    assert [(problem.key, "缺少" in problem.found) for problem in problems(tmp_path)] == [
        (key, True)
    ]


@pytest.mark.promise(
    "points-8", "An indicator must have title, section, rule, basis, values, evidence, examples"
)
@pytest.mark.parametrize("key", ["title", "section", "basis", "values", "evidence", "rule"])
def test_an_indicator_without_what_it_must_say_is_refused(key: str, tmp_path: Path) -> None:
    age = VALID_TABLE.index("          age:")
    start = VALID_TABLE.index(f"            {key}:", age)
    ending, offset = ("            cap:", 0) if key == "rule" else ("\n", 1)
    end = VALID_TABLE.index(ending, start) + offset
    write(tmp_path, VALID_TABLE[:start] + VALID_TABLE[end:])
    found = problems(tmp_path)
    assert [(one.key, "缺少" in one.found) for one in found] == [
        (f"versions.0.indicators.age.{key}", True)
    ]
