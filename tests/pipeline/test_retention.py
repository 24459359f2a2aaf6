"""What has been kept long enough goes, signed, and nothing else: numbers, chains and coming months stay."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from expectations.errors import ExitCode, JifenError
from expectations.month import Month
from flows.commands.access import report_accesses
from flows.commands.deliver import deliver_month
from flows.commands.explain import explain_person
from flows.commands.lookup import PersonQuery
from flows.commands.simulate import simulate_policy
from flows.commands.statement import write_statement_page
from flows.commands.status import list_month_states
from flows.commands.verify import verify_months
from flows.storage.files import hash_file
from flows.storage.operators import Operator
from flows.storage.removals import load_removals
from flows.storage.verify import verify_root
from tests.support.delivering import in_folder, with_destinations
from tests.support.leaks import Person, leaks_below, sought
from tests.support.retention_town import (
    DECEMBER,
    JANUARY,
    LEFT,
    MONTHS,
    NOVEMBER,
    OCTOBER,
    POSTED,
    REFUSED,
    STAYING,
    TODAY,
    build_town,
    copy_town,
    deliver,
    prune,
    with_retention,
)
from tests.support.world import World

ALL = {"identified": 13, "raw": 1, "superseded": 1}
PSEUDONYMOUS = ("scores", "facts", "eligibility", "changes", "metrics", "districts", "services")
FEW_POINTS = 20  # kills, spread over all that a removal does to files


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Read only."""
    return build_town(tmp_path_factory.mktemp("retention") / "town")


@pytest.fixture
def town(built: World, tmp_path: Path) -> World:
    """All rules are set."""
    return with_retention(copy_town(built, tmp_path / "town"), **ALL)


@pytest.fixture(scope="module")
def cleared(built: World, tmp_path_factory: pytest.TempPathFactory) -> World:
    """The town pruned; read only."""
    town = with_retention(copy_town(built, tmp_path_factory.mktemp("cleared") / "town"), **ALL)
    prune(town)
    return town


def verify(town: World) -> list[str]:
    return verify_root(town.root, town.root.key())


def find_people(town: World, *people: Person, below: str = "") -> list[str]:
    """Where in the root somebody is known by anything."""
    return leaks_below(town.root.path / below, sought(people), lambda path: False)


def list_tables(town: World) -> dict[str, str]:
    """The hash of every pseudonymous table, page, statement and policy of every revision."""
    kept = (*PSEUDONYMOUS, "thresholds", "report", "sql", "policy")
    return {
        path.relative_to(town.root.path).as_posix(): hash_file(path)
        for _, _, folder in town.root.revision_folders()
        for part in kept
        for path in sorted((folder / part).rglob("*"))
        if path.is_file()
    }


def list_all(town: World) -> dict[str, str]:
    """Every file of a root but those that hold times and places, by path."""
    return {
        place: hash_file(path)
        for path in sorted(town.root.path.rglob("*"))
        if path.is_file()
        and path.name != "receipt.json"
        and not (place := path.relative_to(town.root.path).as_posix()).startswith(
            ("runs/", "removals/", "tmp/spill", "prefect/")
        )
    }


# --- what goes, and what stays


def test_nobody_who_must_be_gone_is_found_anywhere(built: World, cleared: World) -> None:
    before = find_people(built, LEFT, REFUSED)
    for part in ("raw/", "clean/", "quarantine/", "months/"):
        assert any(place.startswith(part) for place in before), part
    assert find_people(cleared, LEFT, REFUSED) == []
    for month in (OCTOBER, NOVEMBER):
        assert find_people(built, *STAYING, below=f"months/{month}")
        assert find_people(cleared, *STAYING, below=f"months/{month}") == []


def test_what_later_months_are_made_from_stays(built: World, cleared: World) -> None:
    assert (
        find_people(cleared, POSTED, below="raw") == find_people(built, POSTED, below="raw") != []
    )
    assert find_people(cleared, *STAYING, below=f"months/{DECEMBER}")
    assert cleared.hashes(DECEMBER, "restricted", "reminders", "exports") == built.hashes(
        DECEMBER, "restricted", "reminders", "exports"
    )


def test_published_numbers_stay_and_verify_says_what_was_removed(
    built: World, cleared: World
) -> None:
    assert list_tables(cleared) == list_tables(built) and len(list_tables(built)) > 100
    assert verify(cleared) == []
    notes = verify_months(cleared.settings, None).notes
    assert [note.split("：")[0] for note in notes[:2]] == ["p1", "p2"]
    assert "可识别个人的文件" in notes[0] and "按规定清理（[retention] identified = 13" in notes[0]
    assert "原始交付" in notes[1] and "[retention] raw = 1" in notes[1]


def test_a_second_prune_has_nothing_to_do_and_changes_nothing(
    cleared: World, tmp_path: Path
) -> None:
    town = copy_town(cleared, tmp_path / "town")
    before = list_all(town)
    assert prune(town)[0] == "没有满保存期限的内容"
    assert list_all(town) == before


def test_a_dry_run_says_the_same_and_removes_nothing(town: World) -> None:
    before, log = list_all(town), (town.root.runs / "access.log").read_bytes()
    said = prune(town, dry_run=True)
    assert list_all(town) == before and (town.root.runs / "access.log").read_bytes() == log
    assert not town.root.removals.exists()
    done = prune(town)
    assert [line for line in done if not line.startswith("清理 p")] == said
    assert any(f"months/{OCTOBER}/r1（3 项）" in line for line in said)
    assert any("保留 5 份更早的交付：仍是以后月份的输入" in line for line in said)
    assert any(f"收件目录 {OCTOBER} 中还有文件" in line for line in said)


@pytest.mark.parametrize(
    ("months", "gone"),
    [
        ({"identified": 13}, {f"{OCTOBER}/r1", f"{OCTOBER}/r2", f"{NOVEMBER}/r1"}),
        ({"identified": 18}, {f"{OCTOBER}/r1", f"{OCTOBER}/r2", f"{NOVEMBER}/r1"}),
        ({"identified": 19}, {f"{OCTOBER}/r1", f"{OCTOBER}/r2"}),
        ({"identified": 20}, set()),
        ({"superseded": 1}, set()),
    ],
)
def test_each_rule_takes_what_is_older_and_nothing_else(
    town: World, months: dict[str, int], gone: set[str]
) -> None:
    """A month stays for so many whole months after it; a replaced revision after its replacement."""
    prune(with_retention(town, **months))
    found = {
        f"{month}/r{number}"
        for month, number, folder in town.root.revision_folders()
        if not (folder / "restricted").exists()
    }
    assert found == gone
    assert (town.root.raw / OCTOBER / "registry" / "d1" / "registry.csv").exists()


def test_a_replaced_revision_goes_so_many_months_after_it_was_replaced(town: World) -> None:
    replaced = Month.parse(
        json.loads((town.root.months / OCTOBER / "r2" / "manifest.json").read_bytes())[
            "published_at"
        ][:7]
    )
    with_retention(town, superseded=2)
    prune(town, (replaced + 2).last_day)
    assert (town.root.months / OCTOBER / "r1" / "restricted").exists()
    prune(town, (replaced + 3).first_day)
    assert not (town.root.months / OCTOBER / "r1" / "restricted").exists()
    assert (town.root.months / OCTOBER / "r2" / "restricted").exists()
    assert verify(town) == []
    explain(town, OCTOBER)  # the one in force


def test_nothing_is_removed_while_nothing_is_set(built: World) -> None:
    with pytest.raises(JifenError) as refused:
        prune(built)
    assert refused.value.code == ExitCode.USAGE and "没有设置保存期限" in refused.value.message


# --- what is said of a month whose data are gone


def explain(town: World, month: str, **options: Any) -> str:
    lines: list[str] = []
    query = PersonQuery(STAYING[0].resident_id, month)
    explain_person(
        town.settings, query, lines.append, **{"as_json": False, "records": False, **options}
    )
    return "\n".join(lines)


def test_what_needs_removed_data_is_refused_and_says_why(cleared: World, tmp_path: Path) -> None:
    town = copy_town(cleared, tmp_path / "town")
    town.settings = with_destinations(town.settings, portal=in_folder(tmp_path / "out", "portal"))
    query, none = PersonQuery(STAYING[0].resident_id, OCTOBER), lambda line: None
    month = Month.parse(OCTOBER)
    draft = town.project.settings.paths.policy
    works: list[Callable[[], object]] = [
        lambda: explain(town, OCTOBER),
        lambda: explain(town, f"{OCTOBER}/r1", records=True),
        lambda: write_statement_page(town.settings, query, None, none),
        lambda: deliver_month(town.settings, month, [], none),
        lambda: simulate_policy(town.settings, draft, month, tmp_path / "draft", none),
    ]
    for work in works:
        with pytest.raises(JifenError) as refused:
            work()
        assert refused.value.code == ExitCode.USAGE
        assert "按规定清理（[retention] identified = 13" in refused.value.message


def test_a_month_whose_inputs_are_gone_is_not_run_again_and_says_why(
    cleared: World, tmp_path: Path
) -> None:
    town = copy_town(cleared, tmp_path / "town")
    before = list_all(town)
    for month in (OCTOBER, NOVEMBER):
        with pytest.raises(JifenError) as refused:
            town.run(month)
        assert refused.value.code == ExitCode.USAGE
        assert "不能重新计算：所用的交付" in refused.value.message
        assert "按规定清理（[retention] raw = 1" in refused.value.message
    assert list_all(town) == before
    assert town.run(DECEMBER).unchanged


def test_a_month_without_its_own_lists_is_not_run_again(town: World) -> None:
    prune(with_retention(town, identified=13))
    with pytest.raises(JifenError) as refused:
        town.run(OCTOBER)
    assert "不能重新计算：该月可识别个人的文件" in refused.value.message


def test_explain_says_that_records_are_gone_while_the_month_is_still_explained(
    town: World,
) -> None:
    prune(with_retention(town, raw=1))
    for records in (False, True):
        text = explain(town, OCTOBER, records=records)
        assert "总分" in text and "部分依据数据已于" in text
    lines: list[str] = []
    query = PersonQuery(LEFT.resident_id, NOVEMBER)
    explain_person(town.settings, query, lines.append, as_json=False, records=False)
    assert "流动人口登记的数据已按规定清理，不能说明原因" in lines[0]


def test_status_shows_what_may_be_pruned_and_what_was(built: World, town: World) -> None:
    states = list(list_month_states(town.settings, TODAY))
    (due,) = [one for one in states if one.state == "保存期限"]
    assert "可清理：可识别个人的文件（2021-10 至 2021-11" in due.notes[0]
    prune(town)
    states = list(list_month_states(town.settings, TODAY))
    assert not [one for one in states if one.state == "保存期限"]
    by_month = {one.month: one for one in states}
    assert by_month[OCTOBER].state == by_month[NOVEMBER].state == "已发布"
    assert "不能重新计算" in by_month[OCTOBER].notes[0]
    assert "不能重新计算" not in "".join(by_month[DECEMBER].notes)
    assert all(one.state != "保存期限" for one in list_month_states(built.settings, TODAY))


def test_who_looked_and_where_data_went_is_answered_after_the_removal(
    cleared: World, tmp_path: Path
) -> None:
    town = copy_town(cleared, tmp_path / "town")
    lines: list[str] = []
    query = PersonQuery(LEFT.resident_id)
    report_accesses(town.settings, query, lines.append, as_json=True)
    found = json.loads(lines[0])["outflows"]
    assert [one["revision"] for one in found] == [f"{OCTOBER}/r1", f"{OCTOBER}/r2"]


# --- coming months


def test_the_next_month_is_the_same_as_without_the_removal(
    built: World, cleared: World, tmp_path: Path
) -> None:
    """Also where a reminder is sent once for ever: whom it was sent to is not needed for that."""
    kept, pruned = (copy_town(one, tmp_path / name) for one, name in ((built, "a"), (cleared, "b")))
    assert len(built.table(OCTOBER, "reminders")) >= len(STAYING)
    for town in (kept, pruned):
        deliver(town, JANUARY, DECEMBER)
        shutil.rmtree(town.root.tmp / "incremental_state")
        town.run(JANUARY)
    parts = (*PSEUDONYMOUS, "restricted/facts", "restricted/identities", "reminders")
    assert pruned.hashes(JANUARY, *parts) == kept.hashes(JANUARY, *parts)
    assert not [
        one for one in pruned.table(JANUARY, "reminders") if one["kind"] == "permit_application"
    ]
    assert verify(pruned) == []
    assert not (pruned.root.raw / OCTOBER / "registry" / "d2").exists()


def test_without_what_was_kept_of_a_list_people_would_be_reminded_again(
    cleared: World, tmp_path: Path
) -> None:
    town = copy_town(cleared, tmp_path / "town")
    for file in town.root.removals.rglob("sent-*.parquet"):
        file.unlink()
    assert any("内容与清理时不同" in one for one in verify(town))
    deliver(town, JANUARY, DECEMBER)
    with pytest.raises(JifenError) as refused:
        town.run(JANUARY)
    assert refused.value.code == ExitCode.DAMAGE


# --- the record


def test_the_record_says_what_rule_when_and_who_and_the_log_holds_its_hash(cleared: World) -> None:
    records = load_removals(cleared.root, cleared.root.key()).records
    assert [(one.number, one.rule, one.months) for one in records] == [
        (1, "identified", 13),
        (2, "raw", 1),
    ]
    assert all(one.by == cleared.root.operator.name and one.files for one in records)
    manifest = cleared.revision(OCTOBER).manifest
    gone = {
        name: facts["sha256"]
        for name, facts in manifest.files.items()
        if name.startswith(("restricted/", "reminders/", "exports/"))
    }
    prefix = f"months/{OCTOBER}/r2/"
    noted = {
        name.removeprefix(prefix): facts["sha256"]
        for name, facts in records[0].files.items()
        if name.startswith(prefix)
    }
    assert noted == gone
    logged = [
        entry.values
        for entry in cleared.root.open_access_log().read_entries()
        if entry.values["action"] == "prune"
    ]
    folder = cleared.root.removals
    assert [(one["removal"], one["sha256"]) for one in logged] == [
        (number, hash_file(folder / f"p{number}" / "removal.json")) for number in (1, 2)
    ]


def drop_a_folder(town: World) -> None:
    """Remove without a rule."""
    shutil.rmtree(town.root.months / DECEMBER / "r1" / "restricted")


def forge_a_record(town: World) -> None:
    """Let a record cover what no rule has removed."""
    file = town.root.removals / "p1" / "removal.json"
    record = json.loads(file.read_bytes())
    names = town.revision(DECEMBER).manifest.files
    record["files"] |= {
        f"months/{DECEMBER}/r1/{name}": facts
        for name, facts in names.items()
        if name.startswith("restricted")
    }
    file.write_text(json.dumps(record))
    drop_a_folder(town)


def drop_a_record(town: World) -> None:
    shutil.rmtree(town.root.removals / "p2")


def put_a_file_back(town: World) -> None:
    name = next(
        name for name in town.revision(OCTOBER).manifest.files if name.startswith("restricted/")
    )
    file = town.revision(OCTOBER).path / name
    file.parent.mkdir(parents=True)
    file.write_text("back")


def put_a_part_back(town: World) -> None:
    (town.root.raw / OCTOBER / "registry" / "d1" / "registry.csv").write_text("back")


def replay_a_record(town: World) -> None:
    shutil.copytree(town.root.removals / "p1", town.root.removals / "p3")


@pytest.mark.parametrize(
    ("change", "finding"),
    [
        (drop_a_folder, "缺少文件 restricted/"),
        (forge_a_record, "removals/p1：清理记录已损坏，或与校验码不符"),
        (drop_a_record, "removals/p2：访问记录中有这次清理，记录不见了"),
        (put_a_file_back, "却仍在"),
        (put_a_part_back, "文件 registry.csv 已于"),
        (replay_a_record, "removals/p3：访问记录中没有这次清理"),
    ],
)
def test_what_no_rule_removed_or_somebody_changed_is_found(
    cleared: World, tmp_path: Path, change: Callable[[World], None], finding: str
) -> None:
    town = copy_town(cleared, tmp_path / "town")
    change(town)
    assert any(finding in one for one in verify(town)), verify(town)


def test_a_file_altered_before_its_removal_is_found_afterwards(town: World) -> None:
    (file,) = (town.root.months / OCTOBER / "r1" / "restricted" / "identities").glob("*.parquet")
    file.write_bytes(b"another")
    (town.root.raw / OCTOBER / "registry" / "d1" / "registry.csv").write_bytes(b"another")
    prune(town)
    found = verify(town)
    assert any(
        "restricted/identities/identities.parquet 在清理时已与原来的不同" in one for one in found
    )
    assert any("registry.csv 在清理时已与原来的不同" in one for one in found)


def test_only_named_operators_prune(town: World, monkeypatch: pytest.MonkeyPatch) -> None:
    access = town.settings.access.model_copy(update={"operators": {"wangfang": "王芳"}})
    town.settings = town.settings.model_copy(update={"access": access})
    monkeypatch.setenv("SUDO_USER", "guest")
    with pytest.raises(JifenError) as refused:
        prune(town)
    assert refused.value.code == ExitCode.USAGE
    monkeypatch.setenv("SUDO_USER", "wangfang")
    prune(town)
    records = load_removals(town.root, town.root.key()).records
    assert {(one.by, one.account) for one in records} == {("王芳", "wangfang")}
    assert Operator("wangfang").name == "wangfang"


def test_every_month_is_in_the_town(built: World) -> None:
    assert [str(month) for month, _, _ in built.root.revision_folders()] == [OCTOBER, *MONTHS]
