"""Promises about rows of people, all in one month: guardians, awards within quota, corrections, who is not scored."""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pytest

from flows.settings import OWN_DECLARATIONS
from tests.support.people import OCTOBER, OTHER, PERSON, facts, person
from tests.support.world import FILLERS, World, national_id

CHILD = national_id("33020320151001001")


def correction(number: str, target: str, value: str, **more: str) -> dict[str, str]:
    given = {"case_id": number, "target": target, "value": value, "decision": "upheld"}
    return {**given, "valid_from": "2021-01-01", "decided_on": "2021-09-01", **more}


# what -> (its corrections, what comes of them, how many have no target)
CORRECTED: dict[str, tuple[list[dict[str, str]], Mapping[str, Any], int]] = {
    "the newest decision": (
        [correction("a1", "education", "5"), correction("a0", "education", "6", decided_on="2021-09-02")],
        {"education_points": 6},
        0,
    ),
    "then the largest number, by code point": (
        [correction("\uffee", "education", "5"), correction("\U00020000", "education", "6"), correction("b9", "education", "7")],
        {"education_points": 6},
        0,
    ),
    "not before it is valid": ([correction("c1", "education", "5", valid_from="2021-11-01")], {"education_points": 0}, 0),
    "on its last day": ([correction("d1", "education", "5", valid_to="2021-10-31")], {"education_points": 5}, 0),
    "not after its last day": ([correction("e1", "education", "5", valid_to="2021-10-30")], {"education_points": 0}, 0),
    "not when rejected": ([correction("f1", "education", "5", decision="rejected")], {"education_points": 0}, 0),
    "of the district lived in": (
        [correction("g1", "330203:mentoring", "2"), correction("g2", "330211:village_award", "3")],
        {"d330203_mentoring_points": 2, "d330211_village_award_points": None},
        1,
    ),
    "what is derived follows": ([correction("h1", "fact:dishonesty_serious", "1")], {"frozen": True}, 0),
    "what is yes or no": ([correction("i1", "fact:owns_home", "1")], {"owns_home": True}, 0),
    "what is derived itself": ([correction("j1", "fact:insured_now", "1")], {"insured_now": True}, 0),
    "at most 999.99": (
        [correction("k1", "education", "1000"), correction("k2", "skill", "-1"), correction("k3", "age", "999.99")],
        {"education_points": 0, "skill_points": 0, "age_points": Decimal("999.99")},
        2,
    ),
    "no such target": (
        [correction("l1", "nothing", "5"), correction("l2", "fact:nothing", "5"), correction("l3", "fact:degree", "5")],
        {"education_points": 0},
        3,
    ),
}  # fmt: skip
CORRECTED_PEOPLE = {
    what: national_id(f"330203199001{n + 1:02d}001") for n, what in enumerate(CORRECTED)
}
LEFT, DEAD = national_id("51010219870101101"), national_id("51010219880101101")
STRANGER = FILLERS["children"]["guardian_id"]


def award(number: str, who: str, day: str, points: str, **more: str) -> dict[str, str]:
    common = {
        "district": "330203",
        "indicator": "mentoring",
        "grantor_kind": "village",
        "grantor_id": "V",
    }
    return {
        "award_id": number,
        "resident_id": who,
        "on_date": day,
        "points": points,
        "status": "valid",
        **common,
        **more,
    }


AWARDS = [
    award("A10", PERSON, "2021-03-01", "1"),  # before A9: numbers are texts
    award("A9", PERSON, "2021-03-01", "4"),  # with it 11 are given, of 10
    award("A1", STRANGER, "2021-01-01", "6"),
    award("A2", PERSON, "2020-06-01", "5"),  # another year, just within
    award("A3", PERSON, "2021-02-01", "9", status="void"),
    award("A4", PERSON, "2021-02-01", "9", grantor_kind="district"),
    award("A5", PERSON, "2021-02-01", "9", grantor_kind="grid", grantor_id="nobody's quota"),
    award("A6", PERSON, "2021-02-01", "2", grantor_kind="district", indicator="unheard_of"),
]


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> World:
    folder = tmp_path_factory.mktemp("town")
    reference = folder / "reference"
    reference.mkdir()
    for path in (OWN_DECLARATIONS / "reference").glob("*.csv"):
        (reference / path.name).write_bytes(path.read_bytes())
    (reference / "award_quotas.csv").write_text("grantor_id,year,points\nV,2021,10\nV,2020,5\n")
    town = World(folder, reference=reference)
    town.deliver(
        OCTOBER,
        registry=[
            *(person(one) for one in (PERSON, OTHER, *CORRECTED_PEOPLE.values())),
            person(LEFT, status="left"),
            person(DEAD, status="死亡"),
        ],
        housing=[
            {**FILLERS["housing"], "record_id": one, "resident_id": one} for one in (PERSON, LEFT, DEAD)
        ],
        children=[
            {"child_id": CHILD, "guardian_id": one, "enrolled": "幼儿园"} for one in (PERSON, OTHER, STRANGER)
        ],
        local_awards=AWARDS,
        corrections=[
            {**case, "resident_id": CORRECTED_PEOPLE[what]} for what, (cases, _, _) in CORRECTED.items() for case in cases
        ],
    )  # fmt: skip
    town.run(OCTOBER)
    return town


@pytest.mark.promise("sources-86", "children: joined by guardian; each guardian has the child")
def test_each_guardian_has_the_child_and_a_stranger_has_none(town: World) -> None:
    assert {one for one, known in facts(town).items() if known["children_due_primary"]} == {
        PERSON,
        OTHER,
    }
    due = [
        row["children_due"]
        for row in town.table(OCTOBER, "restricted/facts")
        if row["children_due"]
    ]
    assert due == [[{"child": CHILD, "level": "primary", "enrolment_year": 2022}]] * 2
    assert town.revision(OCTOBER).manifest.unmatched["children"] == 1


@pytest.mark.promise("sources-65", "rows of who is no resident: kept, counted, never a resident")
def test_who_left_or_died_is_not_scored_and_their_rows_are_unmatched(town: World) -> None:
    assert set(facts(town)) == {PERSON, OTHER, *CORRECTED_PEOPLE.values()}
    assert town.revision(OCTOBER).manifest.unmatched["housing"] == 2


@pytest.mark.promises(
    {
        "sources-88": "awards of unknown codes are kept",
        "sources-90": "yearly quota per grantor: running sum by date, then number, whoever for",
        "sources-91": "no quota row: 0; districts have none; the rest listed in over_quota/",
        "sources-101": "a root may bring its own folder",
    }
)
@pytest.mark.proves("sources-66")
def test_awards_are_counted_against_the_quota_by_date_then_number_whoever_they_are_for(
    town: World,
) -> None:
    assert {row["award_id"] for row in town.table(OCTOBER, "restricted/over_quota")} == {"A9", "A5"}
    assert {entry["key"]: entry["points"] for entry in facts(town)[PERSON]["awards"]} == {
        "330203:mentoring": 1 + 5 + 9,
        "330203:unheard_of": 2,  # kept, though no table knows it
    }


@pytest.mark.promises(
    {
        "sources-66": "text is compared by code point",
        "sources-92": "a correction's target: city indicator, district indicator where one lives, fact",
        "sources-93": "decided and valid on the day; the newest, then the largest case",
        "sources-94": "a corrected fact carries on into what is derived",
        "sources-95": "a corrected indicator: 0 to 999.99, before group and section caps",
    }
)
@pytest.mark.parametrize("what", CORRECTED)
def test_a_correction_holds_as_decided(town: World, what: str) -> None:
    _, wanted, _ = CORRECTED[what]
    one = CORRECTED_PEOPLE[what]
    found = town.score(OCTOBER, one) | facts(town)[one]
    assert {name: found[name] for name in wanted} == wanted


@pytest.mark.promise("sources-96", "a target that nothing matches changes nothing and is counted")
def test_corrections_that_nothing_matches_are_counted(town: World) -> None:
    without = sum(count for _, _, count in CORRECTED.values())
    assert town.revision(OCTOBER).manifest.corrections_without_target == without == 6


@pytest.mark.promise("sources-163", "access log: exported")
def test_every_month_given_to_the_districts_is_in_the_access_log(town: World) -> None:
    town.run(OCTOBER)  # nothing is left to do: nothing is given
    (line,) = (town.root.runs / "access.log").read_text(encoding="utf-8").splitlines()
    noted = json.loads(line)
    given = [package.name for package in (town.revision(OCTOBER).path / "exports").iterdir()]
    assert sorted(given) == sorted(town.project.reference.districts)
    assert (noted["action"], noted["month"], noted["packages"]) == ("export", OCTOBER, len(given))
