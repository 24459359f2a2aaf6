"""Services that compare people: ranks and children, from extracts to lists, statements and explanations."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from flows.project import load_declared_sources
from flows.settings import OWN_DECLARATIONS
from reports.explain.text import format_explanation
from reports.published_rules import load_published_rules
from reports.statements.model import StatementRow, StatementTexts
from reports.statements.read import RevisionFiles, compute_statement, find_person_row
from tests.support.lists import read_csv
from tests.support.page_renderer import render_lines
from tests.support.world import World, national_id, read_rows
from transforms.engine.session import open_engine

MONTH = "2021-10"
HAISHU, YINZHOU = "330203", "330212"
MOTHER, FATHER, AUNT, OTHER = (national_id(f"3302031985010110{n}") for n in range(1, 5))
FIRST, SECOND = (national_id(f"3302032016050410{n}") for n in (1, 2))
HOMES = {MOTHER: HAISHU, FATHER: YINZHOU, AUNT: YINZHOU, OTHER: HAISHU}
SERVICE = """
service: {code}
title: {title}
department: 教育局
purpose: 按积分安排
legal_basis: 积分入学办法（示例）
versions:
  - from: 2021-09-08
    basis: 积分入学办法（示例）
    values: {{districts: published, conditions: published, points: published}}
    districts: all
    conditions: []
    points: {{threshold: {threshold}}}
    window: all_year
"""
PLACES = f"""{SERVICE.format(code="school_place", title="入学排名", threshold=15)}
    subject: child
    guardians: {{points: highest}}
    rank: {{per: city, by: [score, {{asc: child_born_on}}]}}
    examples:
      - {{district: "330203", guardians: [{{total_points: 15}}, {{total_points: 1}}], eligible: true}}
"""
HOMES_OF = f"""{SERVICE.format(code="home_rank", title="公租房轮候", threshold=0)}
    rank:
      classes: [{{title: 海曙区, when: district = '330203'}}]
      per: city
      by: [score]
    examples: [{{district: "330203", total_points: 5, eligible: true}}]
"""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Four residents and two children: one with a mother and a father, one with two guardians of equal points."""
    folder = tmp_path_factory.mktemp("city")
    policy = folder / "policy"
    for name in ("points", "services", "reminders"):
        shutil.copytree(OWN_DECLARATIONS / name, policy / name)
    (policy / "services" / "school_place.yaml").write_text(PLACES, encoding="utf-8")
    (policy / "services" / "home_rank.yaml").write_text(HOMES_OF, encoding="utf-8")
    world = World(folder, only=("registry", "education", "children"), policy=policy)
    resident = {"name": "例甲", "status": "resident", "registered_on": "2015-01-01"}
    degree = {"kind": "degree", "awarded_on": "2010-06-30", "level": "bachelor"}
    world.deliver(
        MONTH,
        registry=[
            {**resident, "resident_id": who, "residence_district": district}
            for who, district in HOMES.items()
        ],
        education=[{**degree, "certificate_no": "1", "resident_id": MOTHER}],
        children=[
            {"child_id": one, "guardian_id": who, "enrolled": "kindergarten"}
            for one, family in ((FIRST, (MOTHER, FATHER)), (SECOND, (AUNT, OTHER)))
            for who in family
        ],
    )
    world.run(MONTH)
    return world


def keys(world: World) -> dict[str, str]:
    return {
        row["resident_key"]: row["resident_id"]
        for row in world.table(MONTH, "restricted/identities")
    }


def rows_of(world: World, service: str) -> list[dict[str, Any]]:
    return [row for row in world.table(MONTH, "eligibility") if row["service"] == service]


def test_a_child_has_one_row_by_the_points_of_the_higher_guardian(world: World) -> None:
    best = world.score(MONTH, MOTHER)["total_points"]
    less = world.score(MONTH, FATHER)["total_points"]
    assert best > less and less == world.score(MONTH, OTHER)["total_points"]
    families = world.table(MONTH, "restricted/families")
    children = {row["child_key"]: row["child_id"] for row in families}
    assert {
        children[row["resident_key"]]: (row["district"], row["score"], row["eligible"], row["rank"])
        for row in rows_of(world, "school_place")
    } == {FIRST: (HAISHU, best, True, 1), SECOND: (HAISHU, less, False, 2)}
    people = keys(world)
    assert {
        (row["child_id"], people[row["guardian_key"]]): (row["points"], row["counted"])
        for row in families
    } == {
        (FIRST, MOTHER): (best, True),
        (FIRST, FATHER): (less, False),
        (SECOND, AUNT): (less, True),
        (SECOND, OTHER): (less, True),
    }


def test_residents_are_ranked_by_class_then_score(world: World) -> None:
    people = keys(world)
    assert {
        people[row["resident_key"]]: (row["rank_class"], row["rank"])
        for row in rows_of(world, "home_rank")
    } == {MOTHER: ("海曙区", 1), OTHER: ("海曙区", 2), FATHER: (None, 3), AUNT: (None, 3)}
    others = [row for row in world.table(MONTH, "eligibility") if row["service"] == "health_check"]
    assert {(row["rank_class"], row["rank"]) for row in others} <= {(None, None)}


def test_files_of_eligibility_are_sorted_and_of_their_district(world: World) -> None:
    for file in (world.revision(MONTH).path / "eligibility").glob("*.parquet"):
        found = [(row["resident_key"], row["service"]) for row in read_rows(file.parent, file.name)]
        assert found == sorted(found)
        assert {row["district"] for row in read_rows(file.parent, file.name)} <= {file.stem}


def test_the_package_names_a_guardian_of_the_district_and_whose_points_counted(
    world: World,
) -> None:
    listed = list(read_csv(world.revision(MONTH).path / "exports" / HAISHU / "eligibility.csv"))
    of_children = [row for row in listed if row["服务"] == "入学排名"]
    assert [
        (row["排名"], row["公民身份号码"], row["子女身份号码"], row["是否达标"])
        for row in of_children
    ] == [("1", MOTHER, FIRST, "是"), ("2", OTHER, SECOND, "否")]
    assert "（计入）" in str(of_children[0]["各监护人的积分"])
    assert "（不计入）" in str(of_children[0]["各监护人的积分"])
    other = read_csv(world.revision(MONTH).path / "exports" / YINZHOU / "eligibility.csv")
    assert not [row for row in other if row["服务"] == "入学排名"]


def read_statement_row(world: World, who: str) -> tuple[StatementRow, StatementTexts]:
    folder = world.revision(MONTH).path / "restricted" / "statements"
    (row,) = [one for one in read_rows(folder) if one["resident_id"] == who]
    texts = StatementTexts.model_validate_json((folder / "texts.json").read_bytes())
    return StatementRow.model_validate(row), texts


def test_a_statement_says_rank_and_whose_points_counted(world: World) -> None:
    said = {who: "\n".join(format_explanation(*read_statement_row(world, who))) for who in HOMES}
    assert "入学排名（2016年5月4日出生的子女）" in said[MOTHER]
    assert "全市排名第 1；以本人的积分计" in said[MOTHER]
    assert "以另一位监护人的积分计" in said[FATHER]
    assert "类别为海曙区，全市排名第 2" in said[OTHER]
    (child,) = read_statement_row(world, FATHER)[0].children
    assert (child.reached, child.counted, child.guardians) == (True, [], 2)


def test_ranks_and_children_are_rendered_by_the_page_alone(world: World) -> None:
    for who in HOMES:
        row, texts = read_statement_row(world, who)
        given, words = row.model_dump(mode="json"), texts.model_dump(mode="json", by_alias=True)
        assert render_lines(given, words) == format_explanation(row, texts)


def test_a_statement_computed_again_from_what_is_published_is_the_same(
    world: World, tmp_path: Path
) -> None:
    revision = world.revision(MONTH)
    sources = load_declared_sources(world.settings)
    rules = load_published_rules(revision.path / "policy", revision.month.last_day, sources)
    files = RevisionFiles(revision.path, revision.number, None)
    people = {who: key for key, who in keys(world).items()}
    with open_engine(world.settings.engine_settings, tmp_path) as session:
        for who in HOMES:
            place = find_person_row(session, revision.path, people[who])
            assert place is not None
            again = compute_statement(session, files, place, rules, sources)
            assert again.row == read_statement_row(world, who)[0]
