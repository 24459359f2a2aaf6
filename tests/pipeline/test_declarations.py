"""A published month and its declarations.

What a writer may no longer change, what `check` reports, and what the report repeats.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from expectations.errors import DeclarationError, ExitCode, JifenError
from expectations.month import Month
from flows.commands.check import check_project
from flows.pipeline.runner import run_scheduled
from flows.settings import OWN_DECLARATIONS, Settings
from tests.support.world import World, national_id

PERSON = national_id("36010219800315202")
RESIDENT = {
    "resident_id": PERSON, "name": "例甲", "residence_district": "330212", "registered_on": "2001-09-01", "status": "resident",
}  # fmt: skip
POSTING = {
    "resident_id": PERSON,
    "insurance": "pension",
    "district": "330212",
    "employer_id": "E",
    "kind": "paid",
}
RENTAL = {
    "record_id": "H1", "resident_id": PERSON, "tenure": "rented", "district": "330212", "community": "没有租金的小区",
    "registered": "是", "from_on": "2020-01-01",
}  # fmt: skip
AWARD = {
    "resident_id": PERSON, "district": "330212", "grantor_kind": "district", "grantor_id": "G", "points": 1,
    "on_date": "2022-01-01", "status": "valid",
}  # fmt: skip
MONTHS = [str(month) for month in Month.span(Month.parse("2016-01"), Month.parse("2022-04"))]
CITY, SERVICE, REMINDER = (
    "points/city.yaml",
    "services/health_check.yaml",
    "reminders/permit_endorsement.yaml",
)
Change = tuple[str, str, str]  # file, what stands there, what is written instead


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> World:
    """April 2022: a tenant who reaches the rent subsidy, in a community of which no rent is known."""
    world = World(tmp_path_factory.mktemp("writer"))
    insured = [{**POSTING, "month": month, "posted_on": f"{month}-20"} for month in MONTHS]
    awards = [
        {**AWARD, "award_id": code, "indicator": code}
        for code in ("nobodys_code", "another", "training")
    ]
    world.deliver(
        "2022-04",
        registry=[RESIDENT],
        social_security=insured,
        housing=[RENTAL],
        local_awards=awards,
    )
    world.run("2022-04")
    return world


@pytest.fixture
def amended(published: World, tmp_path: Path) -> Callable[..., Settings]:
    """Settings of the published world with some declarations written anew."""

    def write(*changes: Change) -> Settings:
        for part in ("points", "services", "reminders"):
            shutil.copytree(OWN_DECLARATIONS / part, tmp_path / "policy" / part, dirs_exist_ok=True)
        for file, was, becomes in changes:
            path = tmp_path / "policy" / file
            text = path.read_text(encoding="utf-8")
            assert was in text, was
            path.write_text(
                text[::-1].replace(was[::-1], becomes[::-1], 1)[::-1], encoding="utf-8"
            )  # the last one
        paths = published.settings.paths.model_copy(update={"policy": tmp_path / "policy"})
        return published.settings.model_copy(update={"paths": paths})

    return write


def run_check(settings: Settings) -> str:
    lines: list[str] = []
    check_project(settings, lines.append, strict=False)
    return "\n".join(lines)


def elsewhere(settings: Settings, folder: Path) -> Settings:
    """The same for a root in which nothing is published."""
    return settings.model_copy(
        update={"paths": settings.paths.model_copy(update={"root": folder / "root"})}
    )


DEARER: tuple[Change, ...] = (
    (
        CITY,
        "levels: {level_1: 10, level_2: 10, level_3: 8,",
        "levels: {level_1: 10, level_2: 10, level_3: 9,",
    ),
    (
        CITY,
        "level_5: 3, level_4: 5, level_3: 8, level_2: 10",
        "level_5: 3, level_4: 5, level_3: 9, level_2: 10",
    ),
)
EASIER: tuple[Change, ...] = (
    (SERVICE, "points: {threshold: 50}", "points: {threshold: 40}"),
    (SERVICE, "points_short: 37.66", "points_short: 27.66"),
)
REASONS: tuple[Change, ...] = (
    (CITY, "  - from: 2022-04-01\n", "  - from: 2022-04-01\n    amends: 更正技能的分值\n"),
    (SERVICE, "  - from: 2021-09-08\n", "  - from: 2021-09-08\n    amends: 更正分数线\n"),
)


@pytest.mark.promise(
    "points-17",
    "A version that scored a published month is frozen: `check` and `run` refuse, code 10",
)
@pytest.mark.promise("points-123", "Frozen once used, `amends` as in points tables")
@pytest.mark.parametrize(
    ("changes", "named"),
    [(DEARER, "city 2022-04-01"), (EASIER, "health_check 2021-09-08")],
    ids=["points", "services"],
)
def test_a_version_that_decided_a_published_month_cannot_change_without_a_reason(
    changes: tuple[Change, ...], named: str, amended: Callable[..., Settings]
) -> None:
    settings = amended(*changes)
    with pytest.raises(JifenError) as refused:
        run_check(settings)
    assert refused.value.code is ExitCode.DECLARATIONS
    assert (
        f"{named} 已改动（用于 2022-04）" in str(refused.value) and "amends" in refused.value.hint
    )
    outcome = run_scheduled(
        settings, lambda line: None, Month.parse("2022-05"), lambda step, run: step.function(run)
    )
    assert (outcome.code, outcome.report) == (ExitCode.DECLARATIONS, None)
    assert outcome.error and "不得改动" in outcome.error.message


def test_a_changed_version_is_reported_once_with_the_months_it_decided(
    amended: Callable[..., Settings], published: World, tmp_path: Path
) -> None:
    settings = elsewhere(amended(*DEARER), tmp_path)
    root = settings.paths.root
    for month in Month.span(Month.parse("2022-04"), Month.parse("2022-07")):
        shutil.copytree(published.revision("2022-04").path, root / "months" / str(month) / "r1")
        (root / "published").mkdir(exist_ok=True)
        (root / "published" / str(month)).symlink_to(f"../months/{month}/r1")
        with pytest.raises(JifenError) as refused:
            run_check(settings)
        assert refused.value.message.count("city 2022-04-01 已改动") == 1
        known = {
            "2022-04": "2022-04",
            "2022-06": "2022-04、2022-05、2022-06",
            "2022-07": "2022-04 至 2022-07 中 4 个月",
        }
        assert f"（用于 {known.get(str(month), '')}" in refused.value.message


@pytest.mark.promise(
    "points-18", "With `amends: reason` it may change; an unused version needs none"
)
@pytest.mark.proves("points-123")
def test_with_a_reason_it_may_and_a_version_that_decided_nothing_needs_none(
    amended: Callable[..., Settings],
) -> None:
    assert "无误" in run_check(amended(*DEARER, *EASIER, *REASONS))
    before = "levels: {level_5: 2, level_4: 4, level_3: 8, level_2: 12, level_1: 15}"
    example = "examples: {null: 0, level_5: 2, level_4: 4, level_3: 8, level_2: 12, level_1: 15}"
    unused = [
        (CITY, text, text.replace("level_1: 15", "level_1: 16")) for text in (before, example)
    ]
    assert "无误" in run_check(amended(*unused))  # the table of 2021


@pytest.mark.promise(
    "points-19", "A reason serves one change: once published, the next needs another"
)
@pytest.mark.parametrize(
    ("changes", "reason"), [(DEARER, REASONS[0]), (EASIER, REASONS[1])], ids=["points", "services"]
)
def test_a_reason_serves_one_change(
    changes: tuple[Change, ...],
    reason: Change,
    amended: Callable[..., Settings],
    published: World,
    tmp_path: Path,
) -> None:
    settings = elsewhere(amended(*changes, reason), tmp_path)
    shutil.copytree(published.root.path, settings.paths.root, symlinks=True)
    again = World(tmp_path, policy=settings.paths.policy)
    shutil.copytree(published.inbox, again.inbox)
    again.run("2022-04")
    assert again.revision("2022-04").number == 2
    assert "无误" in run_check(settings)
    further = tuple((file, becomes, becomes.replace("3: 9", "3: 7").replace("40", "41").replace("27.66", "28.66"))
        for file, _, becomes in changes)  # fmt: skip
    file, was, becomes = reason
    with pytest.raises(JifenError, match="已改动（用于 2022-04）"):
        run_check(elsewhere(amended(*changes, *further, reason), tmp_path))
    run_check(
        elsewhere(
            amended(*changes, *further, (file, was, becomes.replace("更正", "再次更正"))), tmp_path
        )
    )


@pytest.mark.proves("points-17")
def test_a_version_that_decided_a_published_month_cannot_go(
    amended: Callable[..., Settings],
) -> None:
    with pytest.raises(JifenError, match="health_check 2021-09-08 不见了"):
        run_check(amended((SERVICE, "  - from: 2021-09-08\n", "  - from: 2021-09-09\n")))


@pytest.mark.promise("points-10", "Examples are run by `check`; a changed rule is found by them")
@pytest.mark.promise("points-124", "Examples are run by `check`")
def test_check_runs_the_examples_of_tables_services_and_reminders(
    amended: Callable[..., Settings],
) -> None:
    settings = amended(DEARER[0], EASIER[0], (REMINDER, "as_of + 45", "as_of + 46"))
    with pytest.raises(DeclarationError) as refused:
        run_check(settings)
    assert {(one.file.name, one.key, "按规则" in one.found) for one in refused.value.problems} == {
        ("city.yaml", "versions.1.indicators.skill.examples.level_3", True),
        ("health_check.yaml", "versions.0.examples.1", True),
        ("permit_endorsement.yaml", "examples.3", True),
    }


@pytest.mark.promise(
    "points-15", "A gap between bands on a fact with decimals is warned of by `check`"
)
@pytest.mark.promise("points-16", "`check` lists every illustrative value the bureau must set")
def test_check_lists_illustrative_values_and_warns_of_gaps_between_bands(
    amended: Callable[..., Settings], tmp_path: Path
) -> None:
    said = run_check(amended())
    for part in ("张积分表", "项服务", "项提醒", "张参考表", "个示例：无误"):
        assert re.search(rf"[1-9]\d* {part}", said.splitlines()[0]), part
    for line in ("city 2022-04-01 donation 无偿捐献", "330203 2021-09-08 mentoring 职业帮带"):
        assert f"  {line}" in said
    assert "  rent_subsidy 2021-09-08 conditions 公租房租赁补贴" in said
    assert "city 2022-04-01 education" not in said and "请留意" not in said
    district, each = (
        "points/330203.yaml",
        "each: {pro_rata: true, points: 1}     # 赋多少分计多少分",
    )
    bands = (district, each, "bands: [{from: 0, to: 5, points: 0}, {from: 6, points: 15}]")
    examples = (
        district,
        "{null: 0, 0.5: 0.5, 14: 14, 15: 15, 25: 15}",
        "{null: 0, 5: 0, 5.5: 0, 6: 15}",
    )
    said = run_check(elsewhere(amended(bands, examples), tmp_path))
    assert re.search(r"请留意：\S*330203\.yaml:\d+: .*5 与 6 之间的数值不得分", said)


@pytest.mark.promise(
    "points-7", "Effect names services that there are; the city names those that read its table"
)
def test_a_table_names_only_services_that_there_are(amended: Callable[..., Settings]) -> None:
    settings = amended((CITY, "rent_subsidy, public_rental", "rent_subsidies, public_rental"))
    with pytest.raises(DeclarationError) as refused:
        run_check(settings)
    (problem,) = refused.value.problems
    assert (problem.file.name, problem.key, problem.expected) == (
        "city.yaml",
        "effect.4",
        "是否应为 rent_subsidy？",
    )
    assert "effect:" in problem.file.read_text(encoding="utf-8").splitlines()[problem.line - 1]


@pytest.mark.promise("points-105", "The report repeats what is not modelled")
def test_the_report_repeats_what_cannot_be_scored_yet(published: World) -> None:
    page = (published.revision("2022-04").path / "report" / "index.html").read_text(
        encoding="utf-8"
    )
    for words in (
        "投资纳税",
        "尚无税务部门数据来源",
        "离开本市扣减的居住年限",
        "尚无离甬期间的数据来源",
    ):
        assert words in page


@pytest.mark.promise("points-144", "Without a rent: amount null, the person stays eligible")
@pytest.mark.promise("points-145", "The report counts communities without a rent")
def test_without_a_rent_the_amount_is_null_the_tenant_stays_eligible_and_the_report_says_so(
    published: World,
) -> None:
    (subsidy,) = [
        row for row in published.table("2022-04", "eligibility") if row["service"] == "rent_subsidy"
    ]
    assert (subsidy["eligible"], subsidy["points_short"], subsidy["monthly_amount"]) == (
        True,
        0,
        None,
    )
    page = (published.revision("2022-04").path / "report" / "index.html").read_text(
        encoding="utf-8"
    )
    assert "公租房租赁补贴：达标，但金额算不出 1 人：涉及 1 个小区。" in page


@pytest.mark.promise("sources-89", "awards of unknown codes are counted")
def test_awards_that_no_table_knows_are_kept_and_counted(published: World) -> None:
    known = published.project.tables["330212"].versions[-1].indicators
    unknown = [code for code in ("nobodys_code", "another", "training") if code not in known]
    (facts,) = published.table("2022-04", "facts")
    assert {entry["key"] for entry in facts["awards"]} > {"330212:nobodys_code", "330212:another"}
    revision = published.revision("2022-04")
    assert revision.manifest.unknown_keys == {"local_awards": len(unknown)} and len(unknown) >= 2
    assert f"用了区县积分表都没有的代码，未计分 {len(unknown)} 项" in (
        revision.path / "report/index.html"
    ).read_text(encoding="utf-8")
