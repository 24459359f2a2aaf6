"""Nothing goes unreported: what was refused, emptied, replaced, repeated, carried or waived."""

from __future__ import annotations

import datetime as dt
import random
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from expectations.errors import ExitCode, JifenError
from expectations.findings import FindingKind, is_action_needed, read_findings
from flows.commands.serve import remind_of_missing
from flows.commands.status import format_month_states, list_month_states
from reports.findings import NOTHING_TO_DO, split_findings
from tests.support.held_city import (
    DECEMBER,
    NOVEMBER,
    OCTOBER,
    PEOPLE,
    amended,
    copied,
    degrees,
    held,
    registry,
    verdict,
)
from tests.support.world import SOURCES, World, write_csv

JANUARY = "2022-01"


@pytest.fixture
def town(october_town: World, tmp_path: Path) -> World:
    """October is published."""
    made = copied(october_town, tmp_path / "town")
    return made


def kinds(town: World, month: str = NOVEMBER) -> set[FindingKind]:
    return {one.kind for one in read_findings(town.revision(month).manifest.findings or ())}


def blocked(town: World, month: str = NOVEMBER, **options: object) -> JifenError:
    with pytest.raises(JifenError) as caught:
        town.run(month, **options)
    assert caught.value.code == ExitCode.GATE
    return caught.value


def many_degrees(month: str) -> list[dict[str, str]]:
    """Sixty certificates, other ones every month."""
    return [
        {**one, "certificate_no": f"{month}-{n}-{one['certificate_no']}"}
        for n in (1, 2)
        for one in degrees(PEOPLE[:30])
    ]


@pytest.mark.parametrize("form", ["csv", "gb18030", "parquet"])
def test_rows_of_an_earlier_month_block_in_any_order_format_and_encoding(
    town: World, form: str
) -> None:
    rows = many_degrees(OCTOBER)
    town.deliver(NOVEMBER, registry=registry(permit="2017-02-10"), education=rows)
    town.run(NOVEMBER, accept="测试")
    assert kinds(town) & {FindingKind.SAME_CONTENT} == set()
    random.Random(7).shuffle(rows)
    town.deliver(DECEMBER, registry=registry(permit="2017-03-10"), education=rows)
    file = town.inbox / DECEMBER / "education.csv"
    if form == "gb18030":
        file.write_bytes(file.read_text(encoding="utf-8").encode("gb18030"))
    if form == "parquet":
        columns = list(SOURCES["education"].columns)
        table = pa.table({name: [row.get(name) for row in rows] for name in columns})
        pq.write_table(table, file.with_suffix(".parquet"))
        file.unlink()
    error = blocked(town, DECEMBER)
    assert "与 2021-11 的内容相同" in error.message and "--same education=" in error.hint
    town.run(DECEMBER, same={"education": "教育局确认没有变化"})
    manifest = town.revision(DECEMBER).manifest
    assert manifest.same["education"] == {
        "months": [DECEMBER],
        "reason": "教育局确认没有变化",
    }
    assert "教育局确认没有变化" in verdict(report(town, DECEMBER))
    assert town.run(DECEMBER).unchanged


def report(town: World, month: str = NOVEMBER) -> str:
    page = town.revision(month).path / "report" / "index.html"
    return page.read_text(encoding="utf-8")


@pytest.mark.proves("sources-31")
@pytest.mark.parametrize("name", ["patents", "credit", "volunteer"])
def test_an_increment_of_an_earlier_month_blocks_unless_it_is_tiny(town: World, name: str) -> None:
    for rows in (2, 3):
        for month, order in ((NOVEMBER, 1), (DECEMBER, -1)):
            own = {name: EXAMPLES[name](rows)[::order]}
            permit = f"2017-{month[5:]}-10"
            town.deliver(month, registry=registry(permit=permit), education=degrees(), **own)
        town.run(NOVEMBER, accept="测试")
        if rows == 2:
            town.run(DECEMBER, accept="测试")
            assert FindingKind.ALLOWED_SAME in kinds(town, DECEMBER)
        else:
            assert "这是以前月份的文件" in blocked(town, DECEMBER).message


def patents(count: int) -> list[dict[str, str]]:
    given = {"kind": "invention", "granted_on": "2012-09-03", "status": "valid"}
    return [{"patent_no": f"P{n}", "resident_id": PEOPLE[n], **given} for n in range(count)]


def events(count: int) -> list[dict[str, str]]:
    given = {"kind": "honour", "level": "city", "on_date": "2012-09-03", "status": "valid"}
    return [{"event_id": f"X{n}", "resident_id": PEOPLE[n], **given} for n in range(count)]


def hours(count: int) -> list[dict[str, str]]:
    given = {"kind": "service", "on_date": "2012-09-03", "quantity": "2", "status": "valid"}
    return [{"event_id": f"V{n}", "resident_id": PEOPLE[n], **given} for n in range(count)]


EXAMPLES = {"patents": patents, "credit": events, "volunteer": hours}


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_redelivered_increment_with_much_fewer_rows_is_held(town: World, name: str) -> None:
    others = {"registry": registry(permit="2017-02-10"), "education": degrees()}
    town.deliver(NOVEMBER, **others, **{name: EXAMPLES[name](30)})
    town.run(NOVEMBER, accept="测试")
    town.deliver(NOVEMBER, **others, **{name: EXAMPLES[name](6)})
    error = held(town)
    assert "第 2 次交付 6 行，所取代的有 30 行" in error.message
    assert "增量须完整交付" in error.message
    town.run(NOVEMBER, accept="确有撤销")
    assert "确有撤销" in verdict(report(town))
    assert town.run(NOVEMBER).unchanged


@pytest.mark.parametrize(
    ("column", "how"),
    [
        ("permit_issued_on", "left out"),
        ("permit_issued_on", "renamed"),
        ("permit_issued_on", "empty"),
        ("phone", "empty"),
        ("registered_on", "left out"),
    ],
)
def test_a_column_that_lost_its_values_holds_the_month(town: World, column: str, how: str) -> None:
    """Found by the generated office: such a column counted neither as missing nor as emptied."""
    rows = registry(permit="2017-02-10")
    for row in rows:
        if how == "empty":
            row[column] = ""
    town.deliver(NOVEMBER, registry=rows, education=degrees())
    if how != "empty":
        path = town.inbox / NOVEMBER / "registry.csv"
        columns = [name for name in SOURCES["registry"].columns if name != column]
        write_csv(path, columns, [{name: row.get(name, "") for name in columns} for row in rows])
        if how == "renamed":
            lines = path.read_text(encoding="utf-8").splitlines()
            text = "\n".join([f"{lines[0]},某列", *(f"{line},2017-01-01" for line in lines[1:])])
            path.write_text(f"{text}\n", encoding="utf-8")
    title = SOURCES["registry"].columns[column].title
    if column == "registered_on":
        assert title in blocked(town).message  # more than half may not be empty
        return
    error = held(town)
    assert f"{title}：比应有的值少一半以上 40 个" in error.message
    town.run(NOVEMBER, accept="公安确认")
    assert title in verdict(report(town))
    missing = [
        one
        for one in read_findings(town.revision(NOVEMBER).manifest.findings or ())
        if one.kind == FindingKind.MISSING_COLUMN
    ]
    assert [(one.source, one.column, one.count) for one in missing] == (
        [] if how == "empty" else [("registry", column, 40)]
    )


@pytest.mark.parametrize("encoding", ["utf-8", "gb18030", "utf-16"])
def test_a_text_file_that_ends_within_a_line_is_named(town: World, encoding: str) -> None:
    """A file that was cut off after a whole value has the right number of values everywhere."""
    town.deliver(NOVEMBER, registry=registry(permit="2017-02-10"), education=degrees())
    path = town.inbox / NOVEMBER / "education.csv"
    text = path.read_text(encoding="utf-8").rstrip()
    path.write_bytes(text[:-1].encode(encoding))
    town.run(NOVEMBER)
    found = read_findings(town.revision(NOVEMBER).manifest.findings or ())
    [finding] = [one for one in found if one.kind == FindingKind.UNENDED_FILE]
    assert (finding.source, finding.detail) == ("education", "读到 40 行")
    assert "最后一行没有换行" in verdict(report(town)) and NOTHING_TO_DO not in report(town)


def test_an_increment_with_nothing_but_a_header_is_named(town: World) -> None:
    others = {"education": degrees()}
    town.deliver(NOVEMBER, registry=registry(permit="2017-02-10"), **others, volunteer=hours(3))
    town.run(NOVEMBER, accept="测试")
    assert FindingKind.EMPTY_DELIVERY not in kinds(town)
    town.deliver(DECEMBER, registry=registry(permit="2017-03-10"), **others)
    town.run(DECEMBER, accept="测试")
    found = read_findings(town.revision(DECEMBER).manifest.findings or ())
    assert [
        (one.source, one.detail) for one in found if one.kind == FindingKind.EMPTY_DELIVERY
    ] == [("volunteer", "以前各月共 3 行")]


@pytest.mark.parametrize("name", EXAMPLES)
def test_records_numbered_anew_every_month_block(town: World, name: str) -> None:
    """They would replace the records of other people of the months before."""
    for month, people in ((NOVEMBER, 30), (DECEMBER, 30)):
        rows = EXAMPLES[name](people)
        if month == DECEMBER:
            rows = [{**row, "resident_id": PEOPLE[39 - n]} for n, row in enumerate(rows)]
        permit = f"2017-{month[5:]}-10"
        town.deliver(month, registry=registry(permit=permit), education=degrees(), **{name: rows})
    town.run(NOVEMBER, accept="测试")
    error = blocked(town, DECEMBER)
    assert "30 行中有 30 行" in error.message and "另一个人" in error.message


def correction(case: str, **changed: str) -> dict[str, str]:
    return {
        "case_id": case, "resident_id": PEOPLE[0], "target": "education", "decision": "upheld",
        "value": "1", "valid_from": "2021-01-01", "decided_on": "2021-10-01", **changed,
    }  # fmt: skip


def test_refused_and_ineffective_corrections_are_named_by_case(town: World) -> None:
    given = [
        correction("YY1"),
        correction("YY2", decided_on="5/10/2021"),
        correction("YY3", target="学历"),
        correction(PEOPLE[1], value=""),
    ]
    town.deliver(
        NOVEMBER, registry=registry(permit="2017-02-10"), education=degrees(), corrections=given
    )
    town.run(NOVEMBER)
    top = verdict(report(town))
    assert "YY2（决定日期：日在前" in top and "YY3（学历）" in top
    assert "第 4 行（更正值：缺少）" in top and PEOPLE[1] not in report(town)
    assert NOTHING_TO_DO not in top


@pytest.mark.proves("sources-42")
def test_a_corrected_value_is_taken_whole_or_named(town: World) -> None:
    """The column is text, since a correction may set a level: what is no number corrects nothing."""
    taken = ["0", "5000.5", "007.10", "-0"]
    refused = [
        "1e3",
        "1.005",
        "10000000000",
        "1.",
        ".5",
        "+1",
        "1,000",
        "1_000",
        "0x10",
        "1/2",
        "1.000",
        "-1",
        "bachelor",
        "是",
    ]
    given = [
        correction(
            f"YY{place:02d}", resident_id=PEOPLE[place], target="fact:service_hours_24m", value=text
        )
        for place, text in enumerate([*taken, *refused])
    ]
    town.deliver(
        NOVEMBER, registry=registry(permit="2017-02-10"), education=degrees(), corrections=given
    )
    town.run(NOVEMBER, accept="测试")
    found = read_findings(town.revision(NOVEMBER).manifest.findings or ())
    (missed,) = [one for one in found if one.kind == FindingKind.CORRECTIONS_WITHOUT_TARGET]
    named = {
        given[place]["value"] for place in range(len(given)) if f"YY{place:02d}（" in missed.detail
    }
    assert named == set(refused) and missed.count == len(refused)


def test_all_corrections_refused_block_the_month(town: World) -> None:
    given = [correction(f"YY{n}", decided_on="5/10/2021") for n in range(19)]
    town.deliver(
        NOVEMBER, registry=registry(permit="2017-02-10"), education=degrees(), corrections=given
    )
    assert "19 行中有 19 行" in blocked(town).message


def test_returns_hold_every_refused_emptied_and_replaced_row(town: World) -> None:
    permits = registry(permit="2017-02-10")
    permits[0]["permit_issued_on"] = "1/2/2020"
    bad = {**degrees(PEOPLE[:1])[0], "certificate_no": "X", "awarded_on": "5/1/2020"}
    other = {**degrees(PEOPLE[1:2])[0], "certificate_no": "D0"}
    town.deliver(NOVEMBER, registry=permits, education=[*degrees(), bad, other])
    town.run(NOVEMBER)
    found = [
        (row["kind"], row["record"], row["column"], row["wanted"])
        for source in ("education", "registry")
        for row in town.returns(source)
    ]
    assert found == [
        ("replaced", 1, "证书编号", "每条记录一个编号"),
        ("refused", 41, "颁发日期", "日期，如 2024-03-05"),
        ("emptied", 1, "居住证签发日期", "日期，如 2024-03-05"),
    ]
    [replaced, *_] = town.returns("education")
    assert "另一个人" in replaced["reason"] and PEOPLE[0] in replaced["delivered"]
    assert {FindingKind.REPLACED_OTHER_PERSON, FindingKind.EMPTIED_VALUES} <= kinds(town)


def test_a_delivery_refused_whole_has_returns_too(town: World) -> None:
    wrong = [{**one, "awarded_on": "5/1/2020"} for one in degrees()]
    town.deliver(NOVEMBER, registry=registry(permit="2017-02-10"), education=wrong)
    blocked(town)
    assert len(town.returns("education")) == len(wrong)


@pytest.mark.parametrize("has_fault", [False, True])
def test_report_run_status_and_notification_list_the_same(town: World, has_fault: bool) -> None:
    """And `nothing to do` is said only where that is so."""
    permits = registry(permit="2017-02-10")
    if has_fault:
        permits[0]["permit_issued_on"] = "1/2/2020"
    town.deliver(NOVEMBER, registry=permits, education=degrees())
    run = town.run(NOVEMBER)
    findings = read_findings(town.revision(NOVEMBER).manifest.findings or ())
    assert findings == run.findings
    listed = split_findings(findings, SOURCES)
    top = verdict(report(town))
    shown = "\n".join(format_month_states(list_month_states(town.settings)))
    for sentence in (*listed.actions, *listed.notices):
        assert sentence in top and sentence in shown
    assert any(one.kind == FindingKind.EMPTIED_VALUES for one in findings) == has_fault
    assert (NOTHING_TO_DO in top) == (not is_action_needed(findings))


def test_an_allowed_gap_stays_allowed_in_later_months(town: World) -> None:
    """Nobody has to name it again, nor does a scheduled run, which cannot."""
    for number, month in enumerate((NOVEMBER, DECEMBER, JANUARY), 2):
        town.deliver(month, registry=registry(permit=f"2017-{number:02d}-10"), education=degrees())
    (town.inbox / NOVEMBER / "patents.csv").unlink()
    town.run(NOVEMBER, allowed={"patents": "停机"})
    town.run(DECEMBER)
    town.run(JANUARY)
    manifest = town.revision(JANUARY).manifest
    assert manifest.missing == {"patents": {"months": [NOVEMBER], "reason": "停机"}}
    assert f"{NOVEMBER}，原因：停机" in verdict(report(town, JANUARY))
    states = {str(one.month): one for one in list_month_states(town.settings)}
    assert SOURCES["patents"].title not in "；".join(states[NOVEMBER].notes)


def test_an_amended_version_makes_the_months_stale_that_it_scored(
    town: World, tmp_path: Path
) -> None:
    paths = town.settings.paths.model_copy(update={"policy": amended(tmp_path / "policy", 20)})
    town.settings = town.settings.model_copy(update={"paths": paths})
    [october] = [one for one in list_month_states(town.settings) if str(one.month) == OCTOBER]
    assert october.state.startswith("已过期")
    assert "经更正（更正文化程度的分值）" in "；".join(october.notes)
    town.deliver(NOVEMBER, registry=registry(permit="2017-02-10"), education=degrees())
    town.run(NOVEMBER, accept="更正")
    top = verdict(report(town))
    assert f"{OCTOBER}：已发布的月份已过期" in top and "更正文化程度的分值" in top


@pytest.mark.parametrize(("day", "is_sent"), [(1, False), (2, True), (3, False), (4, True)])
def test_missing_sources_are_reported_before_the_deadline(
    town: World, day: int, is_sent: bool
) -> None:
    sent = remind_of_missing(town.settings, lambda line: None, dt.date(2021, 12, day))
    assert (sent is not None) == is_sent
    if sent:
        assert (str(sent.month), sent.state) == (NOVEMBER, "due")
        assert f"还有 {5 - day} 天" in sent.reason and "流动人口登记" in sent.reason


def test_nothing_is_reported_before_the_deadline_when_all_is_here(town: World) -> None:
    town.deliver(NOVEMBER, registry=registry(), education=degrees())
    assert remind_of_missing(town.settings, lambda line: None, dt.date(2021, 12, 2)) is None
