"""`jifen simulate`: a draft gives what publishing it would give, touches nothing published, and its page names nobody."""

from __future__ import annotations

import hashlib
import re
import shutil
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from expectations.errors import DeclarationError, ExitCode, JifenError
from expectations.month import Month
from expectations.source_loader import BUILTIN_SOURCES
from flows.commands.simulate import simulate_policy
from flows.settings import OWN_DECLARATIONS
from tests.support.synthetic_city import MONTHS
from tests.support.world import World, national_id, read_rows

MONTH = MONTHS[0]
SERVICE_COLUMNS = ("eligible", "points_short", "monthly_amount")
BOTH = (*(f"{name}_before" for name in SERVICE_COLUMNS), *SERVICE_COLUMNS)


def draft(folder: Path, city: dict[str, str] | None = None, **services: tuple[str, str]) -> Path:
    """The project's declarations with pieces of city.yaml and of services replaced: old text -> new text."""
    for part in ("points", "services", "reminders"):
        shutil.copytree(OWN_DECLARATIONS / part, folder / part)
    for old, new in (city or {}).items():
        _replace(folder / "points" / "city.yaml", old, new)
    for service, (old, new) in services.items():
        _replace(folder / "services" / f"{service}.yaml", old, new)
    return folder


def _replace(file: Path, old: str, new: str) -> None:
    text = file.read_text(encoding="utf-8")
    assert old in text
    file.write_text(text.replace(old, new), encoding="utf-8")


def simulated(world: World, policy: Path, out: Path) -> list[str]:
    printed: list[str] = []
    simulate_policy(world.settings, policy, Month.parse(MONTH), out, printed.append)
    return printed


def published_files(world: World) -> dict[str, str]:
    folders = (world.root.months, world.root.published, world.root.clean, world.root.raw)
    return {
        str(path): hashlib.sha256(path.read_bytes()).hexdigest()
        for folder in folders
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.mark.promise("outputs-13", "Policy writer: sees what a draft would change for whom")
@pytest.mark.promise(
    "outputs-174", "`simulate`: gains, losses, money, HTML and Parquet; never publishes"
)
def test_what_a_draft_changes_is_what_publishing_it_would_change(
    synthetic_city: World, tmp_path: Path
) -> None:
    world = synthetic_city
    before = published_files(world)
    policy = draft(
        tmp_path / "draft",
        {
            "each: {unit: 1, points: 0.25}": "each: {unit: 1, points: 0.4}",
            "province: {title: 省共性分, cap: 100}": "province: {title: 省共性分, cap: 60}",
            "      donation: {as_in: 2021-09-08, section: city}\n": "      donation_twice: {title: 捐献, section: city, fact: donations, "
            'rule: {each: {unit: 1, points: 7}}, basis: 草案, values: illustrative, evidence: "捐献 {donations} 次", examples: {1: 7}}\n',
        },
        health_check=("points: {threshold: 50}", "points: {threshold: 45}"),
    )
    simulated(synthetic_city, policy, tmp_path / "out")
    assert published_files(world) == before

    drafted = World(tmp_path / "drafted", policy=policy)
    shutil.copytree(world.inbox, drafted.inbox)
    shutil.copyfile(world.root.key_file, drafted.root.key_file)
    drafted.run(MONTH)
    assert _points(read_rows(tmp_path / "out" / "points")) == _differences(world, drafted)
    rows = read_rows(tmp_path / "out" / "services")
    found = {
        (row["resident_key"], row["service"]): tuple(row[name] for name in BOTH) for row in rows
    }
    then, now = _services(world), _services(drafted)
    nothing = (None, None, None)
    assert found == {
        pair: then.get(pair, nothing) + now.get(pair, nothing)
        for pair in then.keys() | now.keys()
        if then.get(pair) != now.get(pair)
    }
    assert any(
        row[0] is not True and row[3] for row in found.values()
    )  # somebody reaches a service


def _points(rows: list[dict[str, Any]]) -> dict[tuple[str, str], tuple[Decimal, Decimal]]:
    return {
        (row["resident_key"], row["item"]): (
            row["before"] or Decimal(0),
            row["after"] or Decimal(0),
        )
        for row in rows
    }


def _differences(one: World, two: World) -> dict[tuple[str, str], tuple[Decimal, Decimal]]:
    then, now = (
        {row["resident_key"]: row for row in world.table(MONTH, "scores")} for world in (one, two)
    )
    assert then.keys() == now.keys()
    found = {}
    for key, row in now.items():
        for name in {name for name in (*row, *then[key]) if name.endswith("_points")}:
            points = (then[key].get(name) or Decimal(0), row.get(name) or Decimal(0))
            if points[0] != points[1]:
                found[key, name.removesuffix("_points")] = points
    return found


def _services(world: World) -> dict[tuple[str, str], tuple[Any, ...]]:
    return {
        (row["resident_key"], row["service"]): tuple(row[name] for name in SERVICE_COLUMNS)
        for row in world.table(MONTH, "eligibility")
    }


NEW_FACT = """facts:
  homes_ever:
    title: 居住记录数
    unit: count
    meaning: 有过的居住记录的数目
    meaning_en: Housing records, ever
    measure: count
"""
NEW_SOURCE = """source: contests
title: 技能竞赛
department: 总工会
delivery: increment
person: resident_id
key: [entry]

columns:
  entry: {title: 编号, type: text, required: true}
  resident_id: {title: 公民身份号码, type: id, required: true}

facts:
  contest_entries:
    title: 参赛次数
    unit: count
    meaning: 参赛次数
    meaning_en: Entries
    measure: count
"""
BY_FACT = (
    "      {code}: {{title: 草案, section: city, fact: {fact}, rule: {{each: {{unit: 1, points: 2}}}}, "
    'cap: 6, basis: 草案, values: illustrative, evidence: "{{{fact}}} 次", examples: {{1: 2}}}}\n'
)
DONATION = "      donation: {as_in: 2021-09-08, section: city}\n"


def draft_source(policy: Path, name: str, old: str, new: str) -> None:
    (policy / "sources").mkdir()
    shutil.copy(BUILTIN_SOURCES / f"{name}.yaml", policy / "sources")
    _replace(policy / "sources" / f"{name}.yaml", old, new)


def test_a_draft_with_a_new_fact_gives_what_publishing_it_would_give(
    synthetic_city: World, tmp_path: Path
) -> None:
    world = synthetic_city
    before = published_files(world)
    line = BY_FACT.format(code="homes", fact="homes_ever")
    policy = draft(tmp_path / "draft", {DONATION: DONATION + line})
    draft_source(policy, "housing", "facts:\n", NEW_FACT)
    printed = simulated(world, policy, tmp_path / "out")
    assert published_files(world) == before
    assert "按已保存的合格数据重新计算了指标数据：新增 居住记录数" in printed
    assert not list(world.root.tmp.glob("simulate-*"))

    whole = tmp_path / "whole"
    shutil.copytree(policy, whole)
    for path in BUILTIN_SOURCES.glob("*.yaml"):
        if not (whole / "sources" / path.name).exists():
            shutil.copy(path, whole / "sources")
    drafted = World(tmp_path / "drafted", policy=whole)
    shutil.copytree(world.inbox, drafted.inbox)
    shutil.copyfile(world.root.key_file, drafted.root.key_file)
    drafted.run(MONTH)
    found = _points(read_rows(tmp_path / "out" / "points"))
    assert found == _differences(world, drafted) and found


def test_a_draft_cannot_use_a_source_that_nobody_has_delivered(
    synthetic_city: World, tmp_path: Path
) -> None:
    line = BY_FACT.format(code="contests", fact="contest_entries")
    policy = draft(tmp_path / "draft", {DONATION: DONATION + line})
    (policy / "sources").mkdir()
    (policy / "sources" / "contests.yaml").write_text(NEW_SOURCE, encoding="utf-8")
    with pytest.raises(JifenError) as refused:
        simulated(synthetic_city, policy, tmp_path / "out")
    assert refused.value.code == ExitCode.DECLARATIONS
    assert "技能竞赛" in str(refused.value) and "contest_entries" in str(refused.value)


def test_a_draft_cannot_change_what_was_cleaned(synthetic_city: World, tmp_path: Path) -> None:
    policy = draft(tmp_path / "draft")
    draft_source(policy, "housing", "carry_forward: 3", "carry_forward: 11")
    _replace(policy / "sources" / "housing.yaml", "facts:\n", NEW_FACT)
    with pytest.raises(JifenError) as refused:
        simulated(synthetic_city, policy, tmp_path / "out")
    assert "carry_forward" in str(refused.value) and refused.value.hint


def test_the_same_policy_changes_nothing(synthetic_city: World, tmp_path: Path) -> None:
    printed = simulated(synthetic_city, draft(tmp_path / "draft"), tmp_path / "out")
    assert (read_rows(tmp_path / "out" / "points"), read_rows(tmp_path / "out" / "services")) == (
        [],
        [],
    )
    assert printed[0] == "积分表与已发布的相同"


def test_a_version_that_begins_later_is_tried_as_if_it_were_in_force(
    synthetic_city: World, tmp_path: Path
) -> None:
    policy = draft(tmp_path / "draft")
    city = policy / "points" / "city.yaml"
    text = city.read_text(encoding="utf-8")
    newest = text[text.index("  - from: 2022-04-01") :]
    later = newest.replace("from: 2022-04-01", "from: 2030-01-01").replace(
        "each: {unit: 1, points: 0.25}", "each: {unit: 1, points: 0.1}"
    )
    city.write_text(text + later, encoding="utf-8")
    printed = simulated(synthetic_city, policy, tmp_path / "out")
    assert (
        printed[0]
        == "宁波市流动人口量化积分表：2022-04-01 版 → 草案 2030-01-01 版，改动的指标：居住年限"
    )
    assert "试算 2030-01-01 生效的全部积分表和服务，数据仍是计分日 2024-03-31 的" in printed
    items = {row["item"] for row in read_rows(tmp_path / "out" / "points")}
    assert items == {"residence", "province", "common", "total"}


OLD_AND_NEW_SECTIONS = """
    points: {score: base_points + bonus_points, threshold: 20}
    window: all_year
    examples: [{district: "330213", permit_held: true, insured_now: true, base_points: 20, eligible: true}]
  - from: 2022-04-01
    as_in: 2021-09-08
    points: {score: province_points + city_points, threshold: 200}
    examples: [{district: "330213", permit_held: true, insured_now: true, province_points: 200, eligible: true}]

"""


@pytest.fixture(scope="module")
def autumn(tmp_path_factory: pytest.TempPathFactory) -> World:
    """October 2021, half a year before tables and services change: one who lacks nothing but points."""
    folder = tmp_path_factory.mktemp("autumn")
    policy = draft(folder / "policy")
    file = policy / "services" / "health_check.yaml"
    text = re.sub(
        r"\n    points: .*?(?=reminder:)",
        OLD_AND_NEW_SECTIONS,
        file.read_text(encoding="utf-8"),
        flags=re.S,
    )
    file.write_text(text, encoding="utf-8")
    world = World(folder, only=("registry", "social_security"), policy=policy)
    person = {
        "resident_id": national_id("36010219800315202"),
        "name": "例甲",
        "residence_district": "330212",
    }
    permit = {
        "registered_on": "2001-09-01",
        "permit_issued_on": "2016-01-01",
        "permit_valid_to": "2022-06-30",
    }
    insured = {"insurance": "pension", "district": "330212", "employer_id": "E", "kind": "paid"}
    months = [str(month) for month in Month.span(Month.parse("2016-11"), Month.parse("2021-10"))]
    postings = [
        {**insured, "resident_id": person["resident_id"], "month": m, "posted_on": f"{m}-20"}
        for m in months
    ]
    world.deliver(
        "2021-10", registry=[{**person, **permit, "status": "resident"}], social_security=postings
    )
    world.run("2021-10")
    return world


LATER_TABLE = """
  - from: 2022-06-01
    basis: 草案
    sections:
      district: {title: 个性分, cap: 40}
    indicators:
      local_volunteer: {as_in: 2021-09-08}
"""


@pytest.mark.promise(
    "outputs-175", "`simulate` of a version that begins later: all tables and services of one day"
)
@pytest.mark.parametrize(
    ("table", "change", "day"),
    [
        (
            "city",
            ("city: {title: 市共性分, cap: 150}", "city: {title: 市共性分, cap: 140}"),
            "2022-04-01",
        ),
        ("330212", ("", LATER_TABLE), "2022-06-01"),
    ],
)
def test_tables_and_services_of_one_day_are_tried_together(
    autumn: World, tmp_path: Path, table: str, change: tuple[str, str], day: str
) -> None:
    old, new = change
    policy, out, printed = tmp_path / "draft", tmp_path / "out", list[str]()
    shutil.copytree(autumn.settings.paths.policy, policy)
    file = policy / "points" / f"{table}.yaml"
    _replace(file, old, new) if old else file.write_text(
        file.read_text(encoding="utf-8") + new, encoding="utf-8"
    )
    simulate_policy(autumn.settings, policy, None, out, printed.append)
    assert f"试算 {day} 生效的全部积分表和服务，数据仍是计分日 2021-10-31 的" in printed
    assert any(
        "宁波市流动人口量化积分表：2021-09-08 版 → 草案 2022-04-01 版" in line for line in printed
    )
    assert "服务 household_registration 积分落户：草案 2022-04-01 版" in printed
    points = {row["item"]: row["after"] for row in read_rows(out / "points")}
    short = {
        row["service"]: (row["points_short_before"], row["points_short"])
        for row in read_rows(out / "services")
    }
    before = autumn.table("2021-10", "scores")[0]["total_points"]
    assert short["household_registration"] == (120 - before, 150 - points["total"])
    assert short["health_check"] == (0, 200 - points["province"])  # nothing in the section `city`


def test_a_new_version_that_another_has_replaced_by_then_is_reported(
    autumn: World, tmp_path: Path
) -> None:
    policy, printed = tmp_path / "draft", list[str]()
    shutil.copytree(autumn.settings.paths.policy, policy)
    _replace(
        policy / "points" / "city.yaml", "cap: 50}", "cap: 45}"
    )  # of the bonus in the version of 2021
    file = policy / "points" / "330212.yaml"
    file.write_text(file.read_text(encoding="utf-8") + LATER_TABLE, encoding="utf-8")
    simulate_policy(autumn.settings, policy, None, tmp_path / "out", printed.append)
    assert [line for line in printed if "不在模拟之内" in line] == [
        "宁波市流动人口量化积分表：2021-09-08 版的改动不在模拟之内，2022-06-01 生效的是 2022-04-01 版"
    ]


@pytest.mark.promise("outputs-176", "`simulate` by district, section and service")
def test_the_page_rounds_people_and_shows_means_of_ten_or_more(
    synthetic_city: World, tmp_path: Path
) -> None:
    policy = draft(
        tmp_path / "draft", {"each: {unit: 1, points: 0.25}": "each: {unit: 1, points: 0.1}"}
    )
    simulated(synthetic_city, policy, tmp_path / "out")
    page = (tmp_path / "out" / "index.html").read_text(encoding="utf-8")
    sections = {part.split("</h2>")[0]: part for part in re.split("<h2[^>]*>", page)[1:]}
    people = re.findall(r"<td>([0-9,]+|少于 10)</td>", page)
    assert people and all(
        number == "少于 10" or int(number.replace(",", "")) % 10 == 0 for number in people
    )
    exact = len({row["resident_key"] for row in read_rows(tmp_path / "out" / "points")})
    assert exact % 10 and f">{exact}<" not in page
    for name in ("按区县（总分）", "按分项与合计", "按指标"):
        for row in re.findall(r"<tr>(.*?)</tr>", sections[name])[1:]:
            gainers, gain, losers, loss = re.findall(r"<td>(.*?)</td>", row)[-4:]
            for number, mean in ((gainers, gain), (losers, loss)):
                assert (mean == "—") == (number in ("0", "少于 10"))
    assert (
        "+" in sections["按指标"] or "-" in sections["按指标"]
    )  # the city is large enough for some mean
    assert not any(row["resident_key"] in page for row in synthetic_city.table(MONTH, "scores"))
    assert "http" not in page and "<script" not in page


def test_a_draft_with_mistakes_is_refused_with_its_place(
    synthetic_city: World, tmp_path: Path
) -> None:
    policy = draft(tmp_path / "draft", {"fact: residence_months": "fact: residence_weeks"})
    with pytest.raises(DeclarationError) as refused:
        simulated(synthetic_city, policy, tmp_path / "out")
    assert refused.value.code == ExitCode.DECLARATIONS
    assert "city.yaml" in str(refused.value) and "residence_weeks" in str(refused.value)


@pytest.mark.proves("outputs-174")
@pytest.mark.parametrize("place", ["months/2024-03/r9", "published/x", "clean/x"])
def test_results_cannot_be_put_where_the_pipeline_publishes_or_reads(
    synthetic_city: World, tmp_path: Path, place: str
) -> None:
    world = synthetic_city
    with pytest.raises(JifenError) as refused:
        simulated(synthetic_city, draft(tmp_path / "draft"), world.root.path / place)
    assert refused.value.code == ExitCode.USAGE
    assert not (world.root.path / place).exists()


def test_an_empty_draft_and_a_used_folder_are_refused(
    synthetic_city: World, tmp_path: Path
) -> None:
    (tmp_path / "used").mkdir()
    (tmp_path / "used" / "mine.txt").write_text("x")
    for policy, out in (
        (tmp_path / "nothing", tmp_path / "out"),
        (draft(tmp_path / "draft"), tmp_path / "used"),
    ):
        with pytest.raises(JifenError) as refused:
            simulated(synthetic_city, policy, out)
        assert refused.value.code == ExitCode.USAGE


def test_new_and_removed_items_are_reported_by_name(synthetic_city: World, tmp_path: Path) -> None:
    policy = draft(tmp_path / "draft")
    _replace(policy / "points" / "330205.yaml", "      service_24m: {as_in: 2021-09-08}\n", "")
    (policy / "services" / "recuperation.yaml").unlink()
    for table in (policy / "points").iterdir():
        _replace(table, "recuperation, ", "") if "recuperation, " in table.read_text(
            encoding="utf-8"
        ) else None
    service = (policy / "services" / "health_check.yaml").read_text(encoding="utf-8")
    (policy / "services" / "dentist.yaml").write_text(
        service.replace("health_check", "dentist").replace("title: 免费体检", "title: 口腔检查"),
        encoding="utf-8",
    )
    (policy / "reminders" / "insurance_gap.yaml").write_text("changed", encoding="utf-8")
    printed = simulated(synthetic_city, policy, tmp_path / "out")
    assert (
        printed[0] == "江北区个性积分表：2022-04-01 版 → 草案 2022-04-01 版，取消的指标：志愿服务"
    )
    assert "新的服务 dentist 口腔检查：草案 2021-09-08 版" in printed
    assert "服务 recuperation 积分疗养：草案中没有，按取消计算" in printed
    assert "提醒 insurance_gap 的改动不在模拟之内：模拟不出提醒名单" in printed
    assert "积分疗养" in (tmp_path / "out" / "index.html").read_text(encoding="utf-8")


def test_a_draft_that_lacks_a_table_is_refused(synthetic_city: World, tmp_path: Path) -> None:
    policy = draft(tmp_path / "draft")
    (policy / "points" / "330205.yaml").unlink()
    with pytest.raises(JifenError) as refused:
        simulated(synthetic_city, policy, tmp_path / "out")
    assert "缺少 330205 的积分表" in str(refused.value) and "整个复制" in refused.value.hint


def test_a_draft_with_a_district_that_the_month_does_not_have_is_refused_with_the_way_out(
    synthetic_city: World, tmp_path: Path
) -> None:
    policy = draft(tmp_path / "draft")
    text = (policy / "points" / "330203.yaml").read_text(encoding="utf-8")
    (policy / "points" / "330298.yaml").write_text(
        text.replace("330203", "330298"), encoding="utf-8"
    )
    with pytest.raises(JifenError, match=f"330298.*{MONTH} 发布时还没有这个区县") as raised:
        simulated(synthetic_city, policy, tmp_path / "out")
    assert raised.value.code == ExitCode.DECLARATIONS
    assert "districts.csv" in raised.value.hint and "移走" in raised.value.hint


def test_changed_reference_tables_of_a_draft_are_reported_as_unused(
    synthetic_city: World, tmp_path: Path
) -> None:
    policy = draft(tmp_path / "draft")
    shutil.copytree(OWN_DECLARATIONS / "reference", policy / "reference")
    (policy / "reference" / "award_quotas.csv").write_text(
        "grantor_id,year,points\n", encoding="utf-8"
    )
    printed = simulated(synthetic_city, policy, tmp_path / "out")
    assert [line for line in printed if "不在模拟之内" in line] == [
        "参考表 award_quotas.csv 的改动不在模拟之内：数据仍是该月已发布的"
    ]
