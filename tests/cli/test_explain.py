"""`jifen explain`: every number with its reason, equal to what is published; and an answer for those without a score."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from typer.testing import CliRunner

from expectations.errors import ExitCode, JifenError
from flows.cli.app import app
from flows.commands.explain import explain_person, load_statement
from flows.commands.lookup import PersonQuery
from flows.project import load_declared_sources
from flows.settings import OWN_DECLARATIONS
from reports.explain.compute import explain_row
from reports.explain.text import format_lines, to_json_data
from reports.published_rules import load_published_rules
from reports.statements.read import RevisionFiles, compute_statement, find_person_row
from tests.support.world import World, national_id
from transforms.engine.session import open_engine
from transforms.points.columns import points_column_name

PERSON = national_id("33020319900615302")
NEIGHBOUR = national_id("33020319900616302")
"""In a district whose table has an indicator in place of the city's."""
GONE, REFUSED, UNKNOWN = (national_id(f"3302031985010{n}003") for n in (1, 2, 3))
SUMS = {
    f"{name}_points" for name in ("province", "city", "deduction", "common", "district", "total")
}
CITY_TABLE = """
authority: city
title: 试验积分表
purpose: 试验
legal_basis: 试验办法
effect: [health_check]
versions:
  - from: 2021-09-08
    basis: 试验办法第一版
    sections:
      base: {title: 基础分, cap: 30}
      deduction: {title: 扣分, subtract: true}
    groups:
      ability: {title: 能力, in: base, combine: highest, cap: 15}
    indicators:
      age: {title: 年龄, section: base, fact: age, rule: {bands: [{from: 18, to: 40, points: 12}]}, cap: 9.5, basis: 第一条,
        values: published, evidence: "年龄 {age} 周岁", examples: {18: 9.5}}
      education: {title: 学历, section: ability, fact: degree, rule: {levels: {bachelor: 18}}, basis: 第二条, values: published,
        evidence: "最高学历：{degree}", examples: {bachelor: 18}}
      skill: {title: 技能, section: ability, fact: skill, rule: {levels: {level_3: 8}}, basis: 第三条, values: published,
        evidence: "技能：{skill}", examples: {level_3: 8}}
      residence: {title: 居住, section: base, fact: residence_months, rule: {each: {unit: 1, points: 0.25}}, when: pension_months >= 6,
        basis: 第四条, values: published, evidence: "居住 {residence_months} 个月",
        examples: [{residence_months: 4, pension_months: 6, points: 1}]}
      housing: {title: 住房, section: base, fact: tenure, rule: {levels: {rented: 8}}, basis: 第五条, values: illustrative,
        evidence: "居住方式：{tenure}", examples: {rented: 8}}
      penalties: {title: 行政处罚, section: deduction, fact: penalties_24m, rule: {each: {unit: 1, points: 5}}, basis: 第六条,
        values: published, evidence: "处罚 {penalties_24m} 次", examples: {1: 5}}
"""


# --- everybody: what is explained is what is published ---


@pytest.mark.promise("outputs-43", "`explain` reads the same columns; its lines sum to the total")
@pytest.mark.proves("points-48")
@pytest.mark.parametrize("month", ["2024-03", "2024-04"])
def test_everybodys_explanation_matches_the_published_row_and_its_sums(
    synthetic_city: World, month: str
) -> None:
    world = synthetic_city
    revision = world.revision(month)
    sources = load_declared_sources(world.settings)
    eligible = {
        (r["resident_key"], r["service"])
        for r in world.table(month, "eligibility")
        if r["eligible"]
    }
    bitten = corrected = 0
    with open_engine(world.settings.engine_settings, world.root.tmp / "spill") as connection:
        for score in world.table(month, "scores"):
            row = find_person_row(connection, revision.path, score["resident_key"])
            assert row is not None
            statement = load_statement(connection, sources, revision, row)
            found = explain_row(statement.row, statement.texts, statement.scores)
            assert found.discrepancies == []
            assert {
                points_column_name(line.authority, line.code): line.points for line in found.lines
            } == {
                name: points
                for name, points in score.items()
                if name.endswith("_points") and points is not None and name not in SUMS
            }
            assert (found.common, found.district_points, found.total) == tuple(
                score[f"{name}_points"] for name in ("common", "district", "total")
            )
            assert sum(_sections(found.lines, found.sums, score), Decimal(0)) == found.total
            reached = {
                (score["resident_key"], service.code)
                for service in found.services
                if service.reached
            }
            assert reached == {pair for pair in eligible if pair[0] == score["resident_key"]}
            bitten += sum(line.capped for line in found.lines)
            corrected += sum(line.correction is not None for line in found.lines)
    assert bitten and corrected  # the city has what the proof is about


def _sections(lines: list[Any], sums: list[Any], score: dict[str, Any]) -> Iterator[Decimal]:
    """Sections worked out here from the lines alone, each compared with its column; signed as they count."""
    for one in sums:
        added = sum(
            (
                line.points
                for line in lines
                if (line.authority, line.parent) == (one.authority, one.code)
            ),
            Decimal(0),
        )
        capped = added if one.cap is None else min(added, one.cap)
        assert capped == score[f"{one.code}_points"] == one.points
        yield -capped if one.subtract else capped


# --- one person, by hand ---


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """A city with its own table: nested groups, a guard, caps, a correction; and three people without a score."""
    folder = tmp_path_factory.mktemp("explained")
    policy = folder / "policy"
    for part in ("points", "services", "reminders"):
        shutil.copytree(OWN_DECLARATIONS / part, policy / part)
    (policy / "points" / "city.yaml").write_text(CITY_TABLE, encoding="utf-8")
    for service in (policy / "services").glob("*.yaml"):
        if service.stem != "health_check":
            service.unlink()
    for table in (policy / "points").glob("3*.yaml"):
        text = table.read_text(encoding="utf-8")
        text = text.replace("title: 素质提升\n", "title: 素质提升\n        replaces: skill\n")
        table.write_text(re.sub("effect: .*", "effect: [health_check]", text), encoding="utf-8")
    world = World(folder, policy=policy)
    resident = {
        "name": "例女士",
        "phone": "05740000000",
        "residence_district": "330212",
        "registered_on": "2019-10-31",
    }
    world.deliver(
        "2021-10",
        registry=[
            {**resident, "resident_id": PERSON, "status": "resident"},
            {**resident, "resident_id": NEIGHBOUR, "residence_district": "330205", "status": "resident"},
            {**resident, "resident_id": GONE, "status": "left"},
            {**resident, "resident_id": REFUSED, "residence_district": "999999", "status": "resident"},
            *({**resident, "resident_id": national_id(f"33020319800101{n:03d}"), "status": "resident"} for n in range(100)),
        ],
        education=[
            {"certificate_no": "D1", "resident_id": PERSON, "kind": "degree", "level": "bachelor", "awarded_on": "2012-06-30"},
            {"certificate_no": "S1", "resident_id": PERSON, "kind": "skill", "level": "level_3", "awarded_on": "2015-06-30"},
        ],
        housing=[
            {"record_id": "H1", "resident_id": PERSON, "tenure": "rented", "district": "330212", "registered": "是",
             "from_on": "2020-01-01"}
        ],
        credit=[
            {"event_id": "K1", "resident_id": PERSON, "kind": "penalty", "level": "general", "on_date": "2021-05-01", "status": "valid"},
            {"event_id": "K2", "resident_id": PERSON, "kind": "penalty", "level": "general", "on_date": "2021-06-01", "status": "void"},
        ],
        local_awards=[
            {"award_id": "A1", "resident_id": PERSON, "district": "330212", "indicator": "local_volunteer", "status": "valid",
             "grantor_kind": "village", "grantor_id": "无配额村", "points": "9", "on_date": "2021-05-01"},
        ],
        corrections=[
            {"case_id": "C1", "resident_id": PERSON, "target": "housing", "decision": "upheld", "value": "10", "valid_from": "2021-10-01",
             "decided_on": "2021-10-08"},
            {"case_id": "C2", "resident_id": PERSON, "target": "fact:residence_months", "decision": "upheld", "value": "36",
             "valid_from": "2021-10-01", "decided_on": "2021-10-08"},
        ],
    )  # fmt: skip
    world.run("2021-10")
    return world


def explain(world: World, resident_id: str, **options: Any) -> str:
    lines: list[str] = []
    explain_person(
        world.settings,
        PersonQuery(resident_id),
        lines.append,
        **{"as_json": False, "records": False, **options},
    )
    return "\n".join(lines)


@pytest.mark.promises(
    {
        "sources-97": "explain names the case",
        "points-11": "Evidence line reaches people with the values filled in",
        "points-131": "`explain` states what else a person lacks",
        "outputs-15": "Resident: every number with its reason, and what is lacking",
        "outputs-168": "`explain`: evidence, rule, cap, clause, correction, sections, services; `--json`",
    }
)
def test_an_explanation_gives_every_reason(world: World) -> None:
    data = json.loads(explain(world, PERSON, as_json=True))
    lines = {line["code"]: line for line in data["lines"]}
    assert lines["age"]["evidence"] == "年龄 31 周岁"
    assert (lines["age"]["rule_points"], lines["age"]["capped"], lines["age"]["points"]) == (
        "12.00",
        True,
        "9.50",
    )
    assert lines["age"]["rule"] == "18 至 40 岁 12 分，其他 0 分；最高 9.5 分。"
    assert lines["education"]["evidence"] == "最高学历：本科"
    assert lines["education"]["basis"] == "第二条"
    assert lines["residence"]["closed_by"] == "须养老保险缴费月数 ≥ 6，现不满足"
    assert (lines["residence"]["rule_points"], lines["residence"]["points"]) == (
        "9.00",
        "0.00",
    )  # 36 months as corrected
    assert lines["housing"]["correction"] == {
        "case_id": "C1",
        "title": "住房",
        "before": "8.00",
        "after": "10.00",
    }
    assert lines["local_volunteer"]["points"] == "0.00"  # over quota
    assert lines["registered_rental"]["points"] == "1.00"  # 21 months, one full year
    assert [(c["title"], c["after"], c["case_id"]) for c in data["corrected_facts"]] == [
        ("居住月数", "36", "C2")
    ]
    sums = {one["code"]: one for one in data["sums"]}
    assert (
        sums["ability"]["before_cap"],
        sums["ability"]["capped"],
        sums["ability"]["points"],
    ) == (
        "18.00",
        True,
        "15.00",
    )
    assert (sums["base"]["before_cap"], sums["base"]["capped"], sums["base"]["points"]) == (
        "34.50",
        True,
        "30.00",
    )
    assert (data["common"], data["district_points"], data["total"]) == ("25.00", "1.00", "26.00")
    assert data["discrepancies"] == []
    assert data["compared_with"] is None
    (service,) = data["services"]
    assert (service["code"], service["reached"]) == ("health_check", False)
    assert "积分需达到 50 分，还差 24 分" in service["lacking"]


@pytest.mark.proves("outputs-168")
def test_the_terminal_says_the_same_in_sentences(world: World) -> None:
    text = explain(world, PERSON)
    for sentence in [
        "例**  2021-10 修订版 r1  鄞州区  总分 26.00",
        "适用 试验积分表（自 2021-09-08 起；试验办法第一版）",
        "按规则 12.00 分，超过上限，计 9.50 分",
        "取其中最高  上限 15，合计 18.00，按上限计",
        "未计：须养老保险缴费月数 ≥ 6，现不满足",
        "异议更正：8.00 → 10.00（案件 C1）",
        "异议更正数据：居住月数为 36（案件 C2）",
        "共性分 25.00 ＝ 基础分 30.00 − 扣分 5.00",
        "总分 26.00 ＝ 共性分 25.00 ＋ 个性分 1.00",
        "上月未发布，没有可比的积分",
    ]:
        assert sentence in text
    assert PERSON not in text and "例女士" not in text and "05740000000" not in text


def test_an_indicator_that_the_districts_own_replaces_is_explained(world: World) -> None:
    text = explain(world, NEIGHBOUR)
    assert "未计：由居住区县的指标代替" in text
    assert "未计：由居住区县的指标代替" not in explain(world, PERSON)


@pytest.mark.promise(
    "outputs-171", "`explain --records`: rows, refused and over-quota ones with reasons"
)
def test_records_behind_the_facts_with_reasons_for_those_that_do_not_count(world: World) -> None:
    records = json.loads(explain(world, PERSON, as_json=True, records=True))["records"]
    found = {
        next(iter(record["values"].values())): record for record in records if not record["refused"]
    }
    assert found["K1"]["facts"] == ["近24个月行政处罚次数"]
    assert found["K2"]["reasons"] == ["已作废"]
    assert found["A1"]["reasons"] == ["超出当年配额"]
    assert found["D1"]["facts"] == ["最高学历"]
    assert found["D1"]["values"]["等级"] == "本科"
    assert {"K1", "K2", "A1", "D1", "S1", "H1", "C1", "C2"} <= found.keys()
    assert PERSON not in json.dumps(records, ensure_ascii=False)
    (refused,) = (
        record
        for record in json.loads(explain(world, REFUSED, as_json=True, records=True))["records"]
    )
    assert (refused["refused"], refused["reasons"]) == (True, ["居住区县不在取值范围内"])


@pytest.mark.promise("outputs-172", "`explain`: why someone has no score")
@pytest.mark.parametrize(
    ("resident_id", "why"),
    [
        (GONE, "流动人口登记中的状态为：离开（2021-10 的数据）"),
        (REFUSED, "流动人口登记中的记录被退回：居住区县不在取值范围内（2021-10 的数据）"),
        (UNKNOWN, "流动人口登记中没有此人"),
    ],
)
def test_without_a_score_it_says_why(world: World, resident_id: str, why: str) -> None:
    data = json.loads(explain(world, resident_id, as_json=True))
    assert (data["scored"], data["why"]) == (False, why)


@pytest.mark.proves("sources-53")
def test_an_id_is_read_as_in_cleaning_and_not_quoted_when_refused(
    world: World,
) -> None:
    spelled = " " + PERSON.translate(str.maketrans("0123456789X", "０１２３４５６７８９x"))
    assert explain(world, spelled) == explain(world, PERSON)
    wrong = PERSON[:17] + ("0" if PERSON[17] != "0" else "1")
    for given in (wrong, "", "1 OR 1=1"):
        with pytest.raises(JifenError) as refused:
            explain(world, given)
        assert refused.value.code == ExitCode.USAGE
        assert not given or given not in str(refused.value)


@pytest.mark.promise("sources-161", "access log: explained")
@pytest.mark.promise("outputs-173", "`explain`: every use in the access log")
def test_every_use_is_noted_by_resident_key_only(world: World) -> None:
    log = world.root.runs / "access.log"
    before = len(log.read_text().splitlines()) if log.exists() else 0
    explain(world, PERSON)
    explain(world, UNKNOWN)
    entries = [json.loads(line) for line in log.read_text().splitlines()[before:]]
    keys = {
        row["resident_id"]: row["resident_key"]
        for row in world.table("2021-10", "restricted/identities")
    }
    assert [entry["action"] for entry in entries] == ["explain", "explain"]
    assert entries[0]["resident_key"] == keys[PERSON]
    assert PERSON not in log.read_text() and UNKNOWN not in log.read_text()


@pytest.mark.proves("outputs-170")
def test_the_command_takes_the_id_from_stdin_and_knows_what_is_published(world: World) -> None:
    root = ["--root", str(world.root.path)]
    given = CliRunner().invoke(
        app, ["explain", "--resident", "-", "--month", "2021-10", *root], input=f"{PERSON}\n"
    )
    assert (given.exit_code, "总分 26.00" in given.stdout) == (0, True)
    with pytest.raises(JifenError) as refused:
        query = PersonQuery(PERSON, "2021-11")
        explain_person(world.settings, query, print, as_json=False, records=False)
    assert (refused.value.code, refused.value.message) == (ExitCode.USAGE, "2021-11 没有发布")


def test_a_published_number_that_contradicts_the_rules_is_reported(world: World) -> None:
    revision = world.revision("2021-10")
    sources = load_declared_sources(world.settings)
    rules = load_published_rules(revision.path / "policy", revision.month.last_day, sources)
    key = world.score("2021-10", PERSON)["resident_key"]
    altered = rules.tables["city"].model_copy(deep=True)
    altered.versions[0].sections["base"].__dict__["cap"] = Decimal(29)
    rules.tables["city"] = altered  # type: ignore[index]
    with open_engine(world.settings.engine_settings, world.root.tmp / "spill") as connection:
        row = find_person_row(connection, revision.path, key)
        assert row is not None
        files = RevisionFiles(revision.path, revision.number, None)
        statement = compute_statement(connection, files, row, rules, sources)
        found = explain_row(statement.row, statement.texts, statement.scores)
    assert found.discrepancies == [
        "基础分：按规则应为 29.00 分，发布的是 30.00 分",
        "共性分：按规则应为 24.00 分，发布的是 25.00 分",
        "总分：按规则应为 25.00 分，发布的是 26.00 分",
    ]
    assert any(
        line.startswith("！") for line in format_lines(found, statement.row, statement.texts)
    )
    assert to_json_data(found)["total"] == "26.00"
