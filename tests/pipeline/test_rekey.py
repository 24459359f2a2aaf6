"""A new key: no pseudonym of the old one is left, months and people are as before."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from expectations.errors import ExitCode, JifenError
from expectations.month import Month
from flows.commands.access import report_accesses
from flows.commands.diff import show_difference
from flows.commands.lookup import PersonQuery, Reason
from flows.commands.project import ProjectCopy, copy_for_project
from flows.commands.statement import write_statement_page
from flows.commands.verify import verify_months
from flows.pipeline.release import renew_catalogue
from flows.storage.files import to_canonical_json
from flows.storage.keys import compute_mac, fingerprint_key
from flows.storage.removals import list_sent_files
from flows.storage.revisions import list_published_months
from tests.support.rekeying import (
    UNFINISHED,
    change_key,
    explain_first,
    find_damage,
    find_texts,
    is_signed_as_it_was,
)
from tests.support.replay import count_differences, list_published_tables, replay_month
from tests.support.retention_town import (
    DECEMBER,
    JANUARY,
    LEFT,
    MONTHS,
    NOVEMBER,
    OCTOBER,
    STAYING,
    build_town,
    copy_town,
    deliver,
    prune,
    with_retention,
)
from tests.support.world import World, read_rows
from transforms.engine.parquet import read_folder_sql, read_parquet_sql
from transforms.engine.portable import find_unportable
from transforms.engine.session import EngineSettings, open_engine
from transforms.engine.statements import Statement
from transforms.facts.pseudonyms import compute_pseudonym, hmac_params

PEOPLE = [one.resident_id for one in (*STAYING, LEFT)]
SAME = (
    "open",
    "metrics",
    "districts",
    "services",
    "thresholds",
    "exports",
    "report",
    "sql",
    "policy",
)
RENEWED = "sql/rekey_2/"
"""The statements that renewed the pseudonyms of a month."""
KEYED = {
    "changes": "changes",
    "eligibility": "eligibility",
    "facts": "facts",
    "scores": "scores",
    "reminders": "reminders",
    "reminders_withdrawn": "reminders/withdrawn",
    "restricted_facts": "restricted/facts",
    "restricted_families": "restricted/families",
    "restricted_identities": "restricted/identities",
}
"""The tables with what a key makes: name in the statements -> folder."""
RARE = {"changes", "eligibility", "reminders_withdrawn", "restricted_families"}
"""Those that not every month has."""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Read only."""
    town = build_town(tmp_path_factory.mktemp("rekey") / "town")
    with town.root.lock():
        renew_catalogue(town.project, town.root)
    explain_first(town, OCTOBER)
    return town


@pytest.fixture
def town(built: World, tmp_path: Path) -> World:
    return copy_town(built, tmp_path / "town")


@pytest.fixture(scope="module")
def rekeyed(built: World, tmp_path_factory: pytest.TempPathFactory) -> World:
    """The town with a new key; read only."""
    town = copy_town(built, tmp_path_factory.mktemp("rekeyed") / "town")
    change_key(town)
    return town


def list_keyed_texts(key: bytes, built: World) -> set[str]:
    """Every pseudonym that a key makes of the town's people, and every number of its reminders."""
    numbers = {
        row["reminder_id"]
        for _, _, folder in built.root.revision_folders()
        for row in read_rows(folder / "reminders")
    }
    return {compute_pseudonym(one, key) for one in PEOPLE} | numbers


def read_scores(town: World, month: str) -> dict[str, dict[str, Any]]:
    """Scores, facts, eligibility and changes by person, without what the key makes."""
    people = {
        row["resident_key"]: row["resident_id"]
        for row in town.table(month, "restricted/identities")
    }
    found: dict[str, dict[str, Any]] = {one: {} for one in people.values()}
    for name in ("scores", "facts", "eligibility", "changes", "restricted/facts"):
        for row in town.table(month, name):
            who = people.get(row.pop("resident_key"), "gone")
            found.setdefault(who, {}).setdefault(name, []).append(row)
    return found


# --- after it


def test_no_pseudonym_of_the_old_key_is_left_in_any_file(built: World, rekeyed: World) -> None:
    (old,) = built.root.keys()
    texts = list_keyed_texts(old, built)
    before = find_texts(built.root.path, texts, lambda place: False)
    for part in ("scores", "facts", "restricted/facts", "restricted/identities", "reminders"):
        assert any(f"/{part}/" in place for place in before), part
    assert find_texts(rekeyed.root.path, texts, is_signed_as_it_was) == []
    assert "runs/access.log" in find_texts(rekeyed.root.path, texts, lambda place: False)


def test_everything_else_is_as_it_was(built: World, rekeyed: World) -> None:
    assert list(map(str, list_published_months(rekeyed.root))) == list(MONTHS)
    for month in MONTHS:
        assert read_scores(rekeyed, month) == read_scores(built, month)
        for part in SAME:
            files = rekeyed.hashes(month, part)
            kept = {name: one for name, one in files.items() if not name.startswith(RENEWED)}
            assert kept == built.hashes(month, part), part
        before, after = built.revision(month).manifest, rekeyed.revision(month).manifest
        assert after.revision == before.revision + 1
        assert after.renewed_from == [built.revision(month).name]
        assert after.key_fingerprint != before.key_fingerprint
        for name in ("inputs", "residents", "deliveries", "reminders", "figures", "code"):
            assert getattr(after, name) == getattr(before, name)


def test_rows_are_in_the_order_of_the_new_pseudonyms(rekeyed: World) -> None:
    """In the old order whoever has the old key would know who is in which row."""
    for month in MONTHS:
        places = [(row["district"], row["resident_key"]) for row in rekeyed.table(month, "scores")]
        assert places == sorted(places)
        keys = [key for _, key in places]
        for name in ("facts", "restricted/facts", "restricted/identities"):
            assert [row["resident_key"] for row in rekeyed.table(month, name)] == keys
        people = [row["resident_id"] for row in rekeyed.table(month, "restricted/identities")]
        listed = [row["resident_id"] for row in rekeyed.table(month, "restricted/statements")]
        assert listed == people


def test_the_statements_that_renewed_a_table_are_published_portable_and_make_it_again(
    built: World, rekeyed: World, tmp_path: Path
) -> None:
    params = hmac_params(rekeyed.root.keys()[1])
    with open_engine(EngineSettings("1GB"), tmp_path / "spill") as session:
        for month in MONTHS:
            before, after = built.revision(month).path, rekeyed.revision(month).path
            found = sorted((after / RENEWED).glob("*.sql"))
            tables = {file.stem.split("_renewed_")[1]: file for file in found}
            assert tables.keys() >= KEYED.keys() - RARE
            assert tables.keys() <= KEYED.keys()
            for name, file in tables.items():
                sql = file.read_text(encoding="utf-8").strip().removesuffix(";")
                assert find_unportable(sql) == [], name
                for one in {name, "scores"}:
                    rows = read_folder_sql(before / KEYED[one])
                    session.execute(f"CREATE OR REPLACE TEMP TABLE {one} AS FROM {rows}")
                statement = Statement(f"renewed_{name}", sql)
                session.create_table(statement, params)
                made = f"FROM {read_folder_sql(after / KEYED[name])}"
                assert count_differences(session, made, f"FROM {statement.name}")[2] == 0, name


def test_verify_is_right_before_and_after_and_says_why_the_key_was_changed(
    built: World, rekeyed: World
) -> None:
    assert find_damage(built) == []
    assert find_damage(rekeyed) == []
    notes = verify_months(rekeyed.settings, None).notes
    assert "更换（" in notes[0] and notes[0].endswith("密钥保管人离任")
    assert any("旧密钥的匿名数据" in note and "更换密钥时清理" in note for note in notes)


def test_published_months_are_up_to_date_and_need_no_run(rekeyed: World, tmp_path: Path) -> None:
    town = copy_town(rekeyed, tmp_path / "town")
    assert [town.run(month).unchanged for month in MONTHS] == [True, True, True]
    assert find_damage(town) == []


def test_the_next_month_has_the_same_scores_and_reminders_as_without_it(
    town: World, tmp_path: Path, built: World
) -> None:
    plain = copy_town(built, tmp_path / "plain")
    change_key(town)
    for one in (plain, town):
        deliver(one, JANUARY, DECEMBER)
        one.run(JANUARY)
    assert read_scores(town, JANUARY) == read_scores(plain, JANUARY)
    assert town.revision(JANUARY).manifest.reminders == plain.revision(JANUARY).manifest.reminders
    assert town.revision(JANUARY).manifest.moved == plain.revision(JANUARY).manifest.moved
    assert find_damage(town) == []
    with open_engine(EngineSettings("1GB"), tmp_path / "spill") as session:  # by its sql/ alone
        replay_month(session, town, JANUARY)
        for name, files in list_published_tables(town.revision(JANUARY).path).items():
            published = f"FROM {read_parquet_sql(*files)}"
            assert count_differences(session, published, f"FROM {name}")[2] == 0, name
    keys = {
        row["resident_id"]: row["resident_key"]
        for row in town.table(JANUARY, "restricted/identities")
    }
    for month in MONTHS:
        for row in town.table(month, "restricted/identities"):
            assert keys.get(row["resident_id"], row["resident_key"]) == row["resident_key"]


def test_a_month_run_once_more_writes_the_same_bytes(rekeyed: World, tmp_path: Path) -> None:
    """What was rewritten is what a run with the new key writes, but for what earlier lists had."""
    town = copy_town(rekeyed, tmp_path / "town")
    parts = (
        "scores",
        "facts",
        "eligibility",
        "changes",
        "restricted/facts",
        "restricted/identities",
    )
    before = town.hashes(NOVEMBER, *parts)
    town.run(NOVEMBER, send=True, allowed={"volunteering": "另一个说法"})
    assert town.hashes(NOVEMBER, *parts) == before


def test_old_revisions_are_still_explained_and_accesses_before_it_answered(
    built: World, rekeyed: World, tmp_path: Path
) -> None:
    town = copy_town(rekeyed, tmp_path / "town")
    for name in (f"{OCTOBER}/r1", f"{OCTOBER}/r2", f"{NOVEMBER}/r1"):
        assert (
            explain_first(town, name).splitlines()[:5]
            == explain_first(built, name).splitlines()[:5]
        )
        query = PersonQuery(STAYING[0].resident_id, name)
        write_statement_page(town.settings, query, tmp_path / "page.html", lambda line: None)
        assert "积分表" in (tmp_path / "page.html").read_text(encoding="utf-8")
    for month in MONTHS:
        was, now = explain_first(built, month), explain_first(town, month)
        assert was.splitlines()[1:] == now.splitlines()[1:]
    lines: list[str] = []
    query = PersonQuery(STAYING[0].resident_id)
    report_accesses(town.settings, query, lines.append, as_json=True)
    found = json.loads(lines[0])
    assert [one["action"] for one in found["lookups"]].count("explain") >= 7
    assert found["lookups"][0]["month"] == OCTOBER
    revisions = {one["revision"] for one in found["outflows"]}
    assert {f"{OCTOBER}/r1", f"{OCTOBER}/r2", f"{OCTOBER}/r3"} <= revisions


def test_what_the_removed_tables_are_needed_for_is_refused_and_says_where_they_are(
    rekeyed: World,
) -> None:
    with pytest.raises(JifenError) as refused:
        show_difference(rekeyed.settings, f"{OCTOBER}/r2", OCTOBER, print, as_json=True)
    assert refused.value.code == ExitCode.USAGE and f"{OCTOBER}/r3" in refused.value.hint
    lines: list[str] = []
    show_difference(rekeyed.settings, OCTOBER, NOVEMBER, lines.append, as_json=True)
    assert json.loads(lines[0])


# --- with what retention removed, and twice


def test_months_without_identities_are_renewed_and_reminders_are_not_sent_again(
    built: World, tmp_path: Path
) -> None:
    town = with_retention(copy_town(built, tmp_path / "town"), identified=13)
    prune(town)
    (old,) = town.root.keys()
    change_key(town)
    assert find_damage(town) == []
    texts = list_keyed_texts(old, built)
    assert find_texts(town.root.path, texts, is_signed_as_it_was) == []
    keys = town.root.keys()
    for month, before in ((OCTOBER, "r2"), (NOVEMBER, "r1")):
        expected = {
            compute_pseudonym(row["resident_key"], keys[1])
            for row in read_rows(built.root.months / month / before / "scores")
        }
        assert {row["resident_key"] for row in town.table(month, "scores")} == expected
    with pytest.raises(JifenError, match="按规定清理"):
        explain_first(town, OCTOBER)
    assert len(list_sent_files(town.root, town.root.key())) == 3
    deliver(town, JANUARY, DECEMBER)
    town.run(JANUARY)
    assert not [
        one for one in town.table(JANUARY, "reminders") if one["kind"] == "permit_application"
    ]
    assert find_damage(town) == []


def test_a_second_change_leaves_nothing_of_the_first_two(rekeyed: World, tmp_path: Path) -> None:
    town = copy_town(rekeyed, tmp_path / "town")
    texts = {
        compute_pseudonym(one, *keys)
        for one in PEOPLE
        for keys in (town.root.keys()[:1], town.root.keys())
    }
    change_key(town)
    assert len(town.root.keys()) == 3 and find_damage(town) == []
    assert find_texts(town.root.path, texts, is_signed_as_it_was) == []
    assert town.revision(OCTOBER).manifest.renewed_from == [f"{OCTOBER}/r3", f"{OCTOBER}/r2"]
    assert read_scores(town, NOVEMBER) == read_scores(rekeyed, NOVEMBER)
    assert "总分" in explain_first(town, f"{OCTOBER}/r1")


def test_copies_for_projects_are_removed_and_named(town: World) -> None:
    copy = ProjectCopy("housing-2026", None, None, Reason())
    copy_for_project(town.settings, copy, lambda line: None)
    said = change_key(town)
    assert any("项目 housing-2026" in line for line in said)
    assert not (town.root.path / "projects" / "housing-2026").exists()
    assert find_damage(town) == []
    copy_for_project(town.settings, copy, lambda line: None)


# --- who has the old key


def test_whoever_has_the_old_key_can_sign_nothing_any_more(rekeyed: World, tmp_path: Path) -> None:
    town = copy_town(rekeyed, tmp_path / "town")
    old = town.root.keys()[0]
    log = town.root.runs / "access.log"
    content = log.read_bytes()
    forged = type(town.root.open_access_log())(log, old)
    forged.append({"action": "explain", "resident_key": "00"})
    assert any("由已更换的旧密钥写成" in one for one in find_damage(town))
    log.write_bytes(content)
    folder = town.revision(DECEMBER).path
    values = json.loads((folder / "manifest.json").read_bytes())
    values["residents"] = 1
    values["key_fingerprint"] = fingerprint_key(old)
    manifest = to_canonical_json(values)
    (folder / "manifest.json").write_bytes(manifest)
    (folder / ".mac").write_bytes(compute_mac(old, manifest))
    assert any("清单由已更换的旧密钥签名" in one for one in find_damage(town))


def test_a_damaged_month_is_not_signed_anew(town: World) -> None:
    (file,) = (town.revision(OCTOBER).path / "metrics").glob("*.parquet")
    file.write_bytes(b"another")
    with pytest.raises(JifenError) as refused:
        change_key(town)
    assert refused.value.code == ExitCode.DAMAGE and len(town.root.keys()) == 1


def test_an_older_key_file_is_refused(rekeyed: World, built: World, tmp_path: Path) -> None:
    town = copy_town(rekeyed, tmp_path / "town")
    shutil.copyfile(built.root.key_file, town.root.key_file)
    with pytest.raises(JifenError) as refused:
        town.root.key()
    assert refused.value.code == ExitCode.DAMAGE


# --- killed


def test_the_run_after_a_kill_finishes_it_first(town: World) -> None:
    """As `jifen run` does: before anything of the month."""
    from flows.pipeline.rekey import start_rekey
    from flows.pipeline.runner import prepare_run

    with town.root.lock():
        start_rekey(town.root, "试验")
    assert find_damage(town) == [UNFINISHED]
    with pytest.raises(JifenError, match="更换密钥没有完成"):
        show_difference(town.settings, OCTOBER, NOVEMBER, print, as_json=True)
    lines: list[str] = []
    with town.root.lock():
        prepare_run(town.root, town.settings, [Month.parse(DECEMBER)], lines.append)
    assert lines[-1] == "上次中断的更换密钥已完成" and find_damage(town) == []
