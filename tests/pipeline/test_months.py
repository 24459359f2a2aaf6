"""What a month promises: published whole or not at all, the same bytes from the same inputs, new revisions on change."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from expectations.errors import ExitCode, JifenError
from expectations.month import Month
from flows.pipeline.stages import COMPUTE_STAGES
from flows.pipeline.staleness import find_stale_months
from flows.storage.verify import verify_root
from tests.support import people
from tests.support.people import PERSON
from tests.support.synthetic_city import deliver_synthetic
from tests.support.world import SOURCES, World, national_id, read_rows

DEGREE = {
    "certificate_no": "D",
    "resident_id": PERSON,
    "kind": "degree",
    "level": "bachelor",
    "awarded_on": "2010-06-30",
}
person = partial(people.person, registered_on="2020-01-15")


@pytest.mark.promise("points-51", "Common points do not move with home, work or insurance district")
@pytest.mark.promise("points-52", "District columns of extracts never restrict a common fact")
def test_common_points_do_not_move_when_only_districts_change(tmp_path: Path) -> None:
    world = World(tmp_path)
    deliver_synthetic(world, tmp_path / "spill", 300)
    world.run("2024-03")
    people = {
        row["resident_id"]: row["resident_key"]
        for row in world.table("2024-03", "restricted/identities")
    }
    before = {row["resident_key"]: row["common_points"] for row in world.table("2024-03", "scores")}
    moved = {"residence_district": "居住区县", "district": "区县"}
    for source in SOURCES:
        for path in (world.inbox / "2024-03").glob(f"{source}*"):
            _move_everyone(path, moved, skip=source == "local_awards")
    world.run("2024-03")
    after = {row["resident_key"]: row["common_points"] for row in world.table("2024-03", "scores")}
    assert set(people.values()) == set(after)
    assert {row["district"] for row in world.table("2024-03", "scores")} == {"330225"}
    assert before == after


def _move_everyone(path: Path, columns: dict[str, str], *, skip: bool) -> None:
    """Let every district of an extract be 象山."""
    import duckdb

    if skip:
        return
    for file in sorted(path.rglob("*.parquet")) if path.is_dir() else [path]:
        read = (
            f"read_parquet('{file}')"
            if file.suffix == ".parquet"
            else f"read_csv('{file}', all_varchar = true)"
        )
        with duckdb.connect() as connection:
            names = [
                row[0] for row in connection.execute(f"DESCRIBE SELECT * FROM {read}").fetchall()
            ]
            where = [
                name
                for name in names
                if name in columns or name in columns.values() or name in ("居住区县", "参保区县")
            ]
            if not where:
                continue
            replaced = ", ".join(f"'330225' AS \"{name}\"" for name in where)
            form = "FORMAT parquet" if file.suffix == ".parquet" else "FORMAT csv, HEADER"
            connection.execute(
                f"COPY (SELECT * REPLACE ({replaced}) FROM {read}) TO '{file}.new' ({form})"
            )
        Path(f"{file}.new").rename(file)


@pytest.mark.promise("outputs-58", "The pipeline runs without Prefect")
@pytest.mark.promise("outputs-104", "Nothing changed: nothing published, exit 0")
@pytest.mark.promise("outputs-160", "`run`: idempotent, resumes a run that died")
def test_a_second_run_of_the_same_month_publishes_nothing(tmp_path: Path) -> None:
    world = World(tmp_path, only=("registry",))
    world.deliver("2021-10", registry=[person()])
    first = world.run("2021-10")
    second = world.run("2021-10")
    assert (first.unchanged, second.unchanged) == (False, True)
    assert world.revision("2021-10").number == 1
    assert not (world.root.months / "2021-10" / "r2").exists()


@pytest.mark.promise("sources-29", "months from there on are stale; a re-run makes a new revision")
@pytest.mark.promise("outputs-105", "Another delivery makes another revision")
def test_a_changed_delivery_makes_a_second_revision_and_later_months_stale(tmp_path: Path) -> None:
    world = World(tmp_path, only=("registry", "education"))
    world.deliver("2021-10", registry=[person()])
    world.deliver("2021-11", registry=[person()])
    world.run("2021-10")
    world.run("2021-11")
    assert find_stale_months(world.root, list(SOURCES)) == []
    world.deliver("2021-10", registry=[person()], education=[DEGREE])
    world.run("2021-10")
    assert world.revision("2021-10").number == 2
    package = world.revision("2021-10").path / "exports" / "330203" / "manifest.json"
    assert json.loads(package.read_bytes())["revision"] == 2
    assert (world.root.raw / "2021-10" / "education" / "d2").is_dir()
    assert find_stale_months(world.root, list(SOURCES)) == [Month.parse("2021-11")]
    assert world.score("2021-10", PERSON)["education_points"] == 18
    world.run("2021-11")
    assert world.revision("2021-11").number == 2
    assert find_stale_months(world.root, list(SOURCES)) == []
    assert verify_root(world.root, world.root.key()) == []


def blocked(world: World, month: str, **options: Any) -> JifenError:
    with pytest.raises(JifenError) as caught:
        world.run(month, **options)
    assert not (world.root.published / month).exists()
    return caught.value


@pytest.mark.promise("sources-72", "over the quarantine limit and over 20 rows: exit 12")
@pytest.mark.promise("outputs-152", "The quarantine limit blocks")
def test_too_many_bad_rows_block_the_month_and_nothing_is_published(tmp_path: Path) -> None:
    world = World(tmp_path, only=("registry",))
    good = [
        person(resident_id=national_id(f"330203197001{day:02d}{n:03d}"))
        for day in range(1, 29)
        for n in range(1, 40)
    ]
    world.deliver("2021-10", registry=good + [person(resident_id="330203")] * 25)
    error = blocked(world, "2021-10")
    assert error.code == ExitCode.GATE
    assert "registry" in str(error)
    assert "330203" not in str(error)
    world.deliver("2021-10", registry=good)
    world.run("2021-10")
    assert len(world.table("2021-10", "scores")) == len(good)


def test_twenty_bad_rows_are_few_enough_to_set_aside(tmp_path: Path) -> None:
    world = World(tmp_path, only=("registry",))
    world.deliver("2021-10", registry=[person()] + [person(resident_id="330203")] * 20)
    world.run("2021-10")
    assert len(world.kept("quarantine", "registry")) == 20


@pytest.mark.promise("sources-71", "an empty snapshot: exit 12")
def test_an_empty_snapshot_blocks(tmp_path: Path) -> None:
    world = World(tmp_path, only=("registry", "housing"))
    world.deliver("2021-10", registry=[person()], housing=[])
    assert blocked(world, "2021-10").code == ExitCode.GATE


@pytest.mark.promise("sources-70", "a required column missing, one header twice: exit 12")
def test_a_missing_required_column_and_a_header_twice_block(tmp_path: Path) -> None:
    world = World(tmp_path, only=("registry", "patents"))
    world.deliver("2021-10", registry=[person()])
    patents = world.inbox / "2021-10" / "patents.csv"
    patents.write_text("patent_no,resident_id,kind,status\n", encoding="utf-8")
    error = blocked(world, "2021-10")
    assert (error.code, "granted_on" in str(error)) == (ExitCode.GATE, True)
    patents.write_text("patent_no,专利号,resident_id,kind,granted_on,status\n", encoding="utf-8")
    error = blocked(world, "2021-10")
    assert (error.code, "patent_no" in str(error)) == (ExitCode.GATE, True)


@pytest.mark.promise(
    "sources-36", "`--allow-missing` lets the rest through, recorded with its reason"
)
@pytest.mark.promise("sources-69", "missing: exit 11")
@pytest.mark.proves("outputs-93")
def test_a_missing_extract_stops_the_run_unless_the_operator_allows_it(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.deliver("2021-10", registry=[person()])
    (world.inbox / "2021-10" / "patents.csv").unlink()
    assert blocked(world, "2021-10").code == ExitCode.EXTRACT
    world.run("2021-10", allowed={"patents": "本月无数据"})
    assert world.revision("2021-10").manifest.missing["patents"]["reason"] == "本月无数据"


@pytest.mark.proves("sources-37")
def test_the_registry_cannot_be_allowed_to_be_missing(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.deliver("2021-10", registry=[person()])
    (world.inbox / "2021-10" / "registry.csv").unlink()
    assert blocked(world, "2021-10", allowed={"registry": "没有"}).code == ExitCode.EXTRACT


@pytest.mark.promise("sources-30", "an increment equal to an earlier month's blocks")
@pytest.mark.promise("sources-129", "last month's file again")
def test_last_months_increment_again_blocks(tmp_path: Path) -> None:
    world = World(tmp_path, only=("registry", "volunteer"))
    event = {
        "event_id": "V1",
        "resident_id": PERSON,
        "kind": "service",
        "on_date": "2021-10-02",
        "quantity": "3",
        "status": "valid",
    }
    events = [{**event, "event_id": f"V{number}"} for number in (1, 2, 3)]
    world.deliver("2021-10", registry=[person()], volunteer=events)
    world.deliver("2021-11", registry=[person()], volunteer=events[::-1])
    world.run("2021-10")
    error = blocked(world, "2021-11")
    assert (error.code, "volunteer" in str(error)) == (ExitCode.GATE, True)


@pytest.mark.promise("sources-35", "what is carried is in the manifest and in the report")
def test_a_snapshot_is_carried_forward_and_the_manifest_says_so(tmp_path: Path) -> None:
    world = World(tmp_path, only=("registry", "education"))
    world.deliver("2021-10", registry=[person()], education=[DEGREE])
    world.deliver("2021-11", registry=[person()])
    (world.inbox / "2021-11" / "education.csv").unlink()
    world.run("2021-10")
    world.run("2021-11")
    assert world.score("2021-11", PERSON)["education_points"] == 18
    assert world.revision("2021-11").manifest.carried == {"education": "2021-10"}


@pytest.mark.promise("sources-64", "across months the row received last wins")
@pytest.mark.promise("sources-85", "event sources: last received row per key; void takes back")
def test_a_void_event_takes_back_what_an_earlier_month_gave(tmp_path: Path) -> None:
    world = World(tmp_path, only=("registry", "credit"))
    honour = {
        "event_id": "K",
        "resident_id": PERSON,
        "kind": "honour",
        "level": "city",
        "on_date": "2021-10-02",
        "status": "valid",
    }
    world.deliver("2021-10", registry=[person()], credit=[honour])
    world.deliver("2021-11", registry=[person()], credit=[{**honour, "status": "void"}])
    world.run("2021-10")
    world.run("2021-11")
    assert world.score("2021-10", PERSON)["honours_points"] == 10
    assert world.score("2021-11", PERSON)["honours_points"] == 0


@pytest.mark.promise("sources-3", "the agreed column names and the Chinese ones are headers")
@pytest.mark.promise("sources-22", "a setting that forbids a file's encoding is named")
@pytest.mark.proves("sources-21", "outputs-154")
def test_a_gb18030_extract_with_chinese_headers_is_read_unless_forbidden(tmp_path: Path) -> None:
    world = World(tmp_path, only=("registry",))
    world.deliver("2021-10", registry=[person()])
    path = world.inbox / "2021-10" / "registry.csv"
    text = f"状态,公民身份号码,居住区县,姓名\n在住,{PERSON},330203,㐂𠮷\n"
    path.write_bytes(text.encode("gb18030"))
    settings = world.settings.model_dump()
    settings["sources"] = {"registry": {"encoding": "utf-8"}}
    world.settings = type(world.settings).model_validate(settings)
    error = blocked(world, "2021-10")
    assert error.code == ExitCode.EXTRACT
    assert "编码是 gb18030，而设置只准许 utf-8" in error.message
    assert "[sources.registry] encoding" in error.hint
    world.settings = type(world.settings).model_validate(settings | {"sources": {}})
    world.run("2021-10")
    assert [row["name"] for row in world.table("2021-10", "restricted/identities")] == ["㐂𠮷"]


@pytest.mark.promise(
    "sources-60", "within an extract the later row wins; parts by byte order of path"
)
def test_the_parts_of_a_folder_are_one_extract_and_the_later_part_wins(tmp_path: Path) -> None:
    world = World(tmp_path, only=("registry",))
    world.deliver("2021-10", registry=[person()])
    folder = world.inbox / "2021-10" / "registry"
    folder.mkdir()
    (world.inbox / "2021-10" / "registry.csv").unlink()
    for name, district in (("b.csv", "330205"), ("a.csv", "330203")):
        (folder / name).write_text(
            f"resident_id,residence_district,status\n{PERSON},{district},resident\n"
        )
    world.run("2021-10")
    assert world.score("2021-10", PERSON)["district"] == "330205"
    assert len(read_rows(world.root.path / "clean" / "registry")) == 1


@pytest.mark.promise("outputs-185", "Every long step says when it begins")
def test_every_step_says_that_it_begins(tmp_path: Path) -> None:
    world, progress = World(tmp_path), []
    world.deliver(
        "2021-10",
        registry=[
            {"resident_id": national_id("33020319900101001"), "residence_district": "330203"}
        ],
    )
    world.run("2021-10", report_progress=progress.append)
    titles = [step.title for step in COMPUTE_STAGES]
    assert [line for line in progress if line in titles] == titles and all(titles)
    assert sum(line.startswith("清洗 2021-10 ") for line in progress) == len(world.project.sources)
