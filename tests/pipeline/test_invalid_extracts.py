"""What arrives spoilt: planted faults are found where they were planted; whole files that are no good stop the month."""

from __future__ import annotations

import csv
import json
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data.synthetic.write import ExtractPlan, generate_extracts
from expectations.errors import ExitCode, JifenError
from expectations.month import Month
from flows.settings import Drift
from flows.storage.files import hash_file
from flows.storage.revisions import list_published_months
from flows.storage.verify import verify_root
from tests.support.world import GENERATED, SOURCES, World, national_id, read_rows
from transforms.engine.session import EngineSettings

MONTH = "2024-03"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    folder = tmp_path_factory.mktemp("invalid")
    world = World(folder)
    generate_extracts(
        ExtractPlan(
            1500,
            [Month.parse(MONTH)],
            sources=SOURCES,
            reference=world.settings.paths.reference,
            faults=True,
        ),
        world.inbox,
        settings=EngineSettings("1GB", 2),
        spill=folder / "spill",
        progress=lambda line: None,
    )
    world.run(MONTH)
    return world


def planted(world: World, kind: str) -> list[dict[str, str]]:
    with (world.inbox / "planted.csv").open(encoding="utf-8", newline="") as file:
        return [row for row in csv.DictReader(file) if row["kind"] == kind]


@pytest.mark.promise("sources-56", "bad ID, missing, type, set, range, future, order: each refused")
@pytest.mark.promise("outputs-26", "Quarantine: the other rows, with their reasons")
@pytest.mark.parametrize("source", GENERATED)
def test_every_planted_bad_value_is_in_quarantine_with_its_reason(
    world: World, source: str
) -> None:
    found = {
        (row["file"], row["record"]): set(row["reasons"])
        for row in world.kept("quarantine", source)
    }
    wanted = [row for row in planted(world, "refused") if row["source"] == source]
    assert wanted
    missing = [
        (
            row["planted"],
            row["column"],
            row["reason"],
            found.get((Path(row["file"]).name, int(row["record"]))),
        )
        for row in wanted
        if f"{row['column']}:{row['reason']}"
        not in found.get((Path(row["file"]).name, int(row["record"])), set())
    ]
    assert not missing


@pytest.mark.proves("sources-56")
@pytest.mark.parametrize("source", GENERATED)
def test_nothing_but_what_was_planted_is_refused(world: World, source: str) -> None:
    wanted = {
        (Path(row["file"]).name, int(row["record"]))
        for row in planted(world, "refused")
        if row["source"] == source
    }
    assert {(row["file"], row["record"]) for row in world.kept("quarantine", source)} == wanted


@pytest.mark.proves("sources-58", "sources-79")
def test_a_nulled_value_in_the_registry_removes_nobody(world: World) -> None:
    found = {row["record"]: row["defects"] for row in world.kept("defects", "registry")}
    nulled = planted(world, "defect")
    assert nulled
    assert all(f"{row['column']}:{row['reason']}" in found[int(row["record"])] for row in nulled)


@pytest.mark.promise("sources-63", "the others are superseded and counted")
@pytest.mark.promise("outputs-25", "Clean: one copy of each record as Parquet")
def test_the_planted_doubles_are_superseded(world: World) -> None:
    wanted = Counter(row["source"] for row in planted(world, "superseded"))
    accounts = {account["source"]: account for account in world.revision(MONTH).manifest.accounts}
    assert wanted
    assert {source: accounts[source]["superseded"] for source in wanted} == wanted


@pytest.mark.promise("sources-67", "received = clean + quarantined + superseded, every delivery")
@pytest.mark.promise("outputs-45", "Received = clean + quarantined + superseded")
def test_received_is_clean_plus_quarantined_plus_superseded_and_the_files_say_so_too(
    world: World,
) -> None:
    accounts = world.revision(MONTH).manifest.accounts
    assert {account["source"] for account in accounts} == set(GENERATED)
    for account in accounts:
        assert (
            account["received"] == account["clean"] + account["quarantined"] + account["superseded"]
        )
        place = f"{account['source']}/received={MONTH}/d1"
        assert len(read_rows(world.root.path / "clean" / place)) == account["clean"]
        assert len(read_rows(world.root.path / "quarantine" / place)) == account["quarantined"]
        receipt = json.loads(
            (world.root.raw / MONTH / account["source"] / "d1" / "receipt.json").read_text()
        )
        assert receipt["rows"] == account["received"]


@pytest.mark.promise("sources-78", "registry is the spine: exactly its `resident` rows are scored")
@pytest.mark.promise("outputs-47", "Every resident of the registry has a score")
def test_every_resident_of_the_registry_is_scored_and_nobody_else(world: World) -> None:
    (clean,) = [world.root.path / "clean" / "registry" / f"received={MONTH}" / "d1"]
    residents = {row["resident_id"] for row in read_rows(clean) if row["status"] == "resident"}
    scored = {int(row["resident_id"][:17]) for row in world.table(MONTH, "restricted/identities")}
    assert scored == residents
    assert len(world.table(MONTH, "scores")) == len(residents)


@pytest.mark.proves("sources-65")
def test_rows_about_strangers_are_kept_and_counted(world: World) -> None:
    unmatched = world.revision(MONTH).manifest.unmatched
    wanted = Counter(row["source"] for row in planted(world, "unmatched"))
    assert wanted
    assert all(unmatched[source] >= count for source, count in wanted.items())


# --- files that are no good ---

GUARDIAN = national_id("51010219850101101")
CHILDREN = [
    national_id(f"3302032016{1 + n // 28:02d}{1 + n % 28:02d}00{n % 10}") for n in range(100)
]
HEADER = "child_id,guardian_id,enrolled"
ROWS = [f"{child},{GUARDIAN},kindergarten" for child in CHILDREN]
GOOD = "\n".join([HEADER, *ROWS, ""])


def as_parquet(**columns: list[str]) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table(columns), sink)
    return sink.getvalue().to_pybytes()


def parquet_of_all() -> bytes:
    return as_parquet(child_id=CHILDREN, guardian_id=[GUARDIAN] * 100, enrolled=["none"] * 100)


def spoilt_ids(share: int) -> str:
    return "\n".join(
        [
            HEADER,
            *(
                row.replace("3302", "3399", 1)[1:] if n < share else row
                for n, row in enumerate(ROWS)
            ),
        ]
    )


NO_GOOD: dict[str, tuple[str, bytes, int]] = {
    "truncated Parquet": ("parquet", parquet_of_all()[:-60], ExitCode.EXTRACT),
    "Parquet without its middle": ("parquet", parquet_of_all()[:200] + parquet_of_all()[-900:], ExitCode.EXTRACT),
    "foreign Parquet": ("parquet", as_parquet(a=["1"], b=["2"]), ExitCode.GATE),
    "Parquet that is a CSV": ("parquet", GOOD.encode(), ExitCode.EXTRACT),
    "Parquet in GBK": ("parquet", parquet_of_all().replace(b"none", "无".encode("gbk") * 2), ExitCode.EXTRACT),
    "broken quote": ("csv", GOOD.replace(ROWS[50], '"' + ROWS[50]).encode(), ExitCode.EXTRACT),
    "NUL bytes": ("csv", GOOD.replace("garten", "gar\0en").encode(), ExitCode.GATE),
    "field of ten megabytes": ("csv", f"{GOOD}{'长' * 3_500_000}\n".encode(), ExitCode.EXTRACT),
    "unmarked UTF-16": ("csv", GOOD.encode("utf-16-le"), ExitCode.EXTRACT),
    "two encodings": ("csv", f"{GOOD}{'幼儿园' * 9}\n".encode() + "幼儿园,,\n".encode("gb18030"), ExitCode.EXTRACT),
    "only a header": ("csv", f"{HEADER}\n".encode(), ExitCode.GATE),
    "nothing": ("csv", b"", ExitCode.EXTRACT),
    "no header": ("csv", "\n".join(ROWS).encode(), ExitCode.GATE),
    "a column twice": ("csv", GOOD.replace("\n", ",none\n").replace("enrolled,none", "enrolled,在读学段").encode(), ExitCode.GATE),
    "every ID bad": ("csv", spoilt_ids(100).encode(), ExitCode.GATE),
    "30 % of the rows bad": ("csv", spoilt_ids(30).encode(), ExitCode.GATE),
}  # fmt: skip
READ_ALL_THE_SAME = {
    "as delivered": GOOD.encode(),
    "mixed line ends": "\r\n".join([HEADER, *ROWS[:30]]).encode() + b"\n" + "\n".join(ROWS[30:70]).encode() + b"\r"
    + "\r".join(ROWS[70:]).encode(),
    "byte order mark": GOOD.encode("utf-8-sig"),
    "GB18030": GOOD.replace("kindergarten", "幼儿园").encode("gb18030"),
    "UTF-16": GOOD.encode("utf-16"),
    "twice the same rows": "\n".join([HEADER, *ROWS, *ROWS]).encode(),
}  # fmt: skip


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> World:
    """A town with October published; November waits for its children."""
    world = World(tmp_path_factory.mktemp("town"), only=("registry", "children"))
    registry = [
        {
            "resident_id": GUARDIAN,
            "residence_district": "330203",
            "status": "resident",
            "name": "欧阳家长",
        }
    ]
    children = [
        {"child_id": child, "guardian_id": GUARDIAN, "enrolled": "none"} for child in CHILDREN[:90]
    ]
    world.deliver("2021-10", registry=registry, children=children)
    world.deliver("2021-11", registry=registry)
    world.run("2021-10")
    return world


def deliver_children(town: World, kind: str, content: bytes) -> None:
    for known in (town.inbox / "2021-11").glob("children.*"):
        known.unlink()
    (town.inbox / "2021-11" / f"children.{kind}").write_bytes(content)


@pytest.mark.promise(
    "sources-68", "unreadable, truncated, wrong encoding: exit 11, nothing published"
)
@pytest.mark.promise("sources-117", "the error names the thing and the way out")
@pytest.mark.promise(
    "sources-127",
    "truncated, foreign Parquet; broken quote, NUL, 10 MB, encoding, header only, nothing, no "
    "header, twice; every ID bad; 30 % bad",
)
@pytest.mark.parametrize("what", NO_GOOD)
def test_a_file_that_is_no_good_stops_the_month_and_quotes_nobody(town: World, what: str) -> None:
    kind, content, code = NO_GOOD[what]
    before = verify_root(town.root, town.root.key()), list_published_months(town.root)
    deliver_children(town, kind, content)
    with pytest.raises(JifenError) as caught:
        town.run("2021-11")
    message = str(caught.value)
    assert caught.value.code == code, message
    assert "children" in message and "处理：" in message
    assert not [known for known in (GUARDIAN, *CHILDREN) if known in message]
    assert (
        (verify_root(town.root, town.root.key()), list_published_months(town.root))
        == before
        == ([], [Month.parse("2021-10")])
    )


@pytest.mark.promise("sources-128", "mixed line ends, BOM: read alike, same hashes")
def test_after_all_that_good_files_of_every_shape_make_the_same_month(town: World) -> None:
    made = []
    for shape, content in READ_ALL_THE_SAME.items():
        deliver_children(town, "csv", content)
        if shape == "twice the same rows":
            with pytest.raises(JifenError) as caught:
                town.run("2021-11")
            assert caught.value.code == ExitCode.HELD and "交付的行数" in caught.value.message
            town.run("2021-11", accept="行数翻倍属实")
        else:
            town.run("2021-11")
        (account,) = [
            one for one in town.revision("2021-11").manifest.accounts if one["source"] == "children"
        ]
        assert account["clean"] == 100
        base = town.revision("2021-11").path
        files = [
            file
            for name in ("scores", "facts", "eligibility")
            for file in sorted((base / name).iterdir())
        ]
        made.append([hash_file(file) for file in files])
    assert len(made) == 6 and all(one == made[0] for one in made)
    assert town.revision("2021-11").number == 6
    assert verify_root(town.root, town.root.key()) == []


@pytest.mark.promise("sources-74", "row counts are drift, exit 14, no gate")
@pytest.mark.promise("sources-130", "ten times its size; a tenth")
def test_a_source_of_ten_times_its_size_is_held_and_named(tmp_path: Path) -> None:
    world = World(tmp_path, only=("registry", "children"))
    world.settings = world.settings.model_copy(update={"drift": Drift(rows_min=5)})
    registry = [{"resident_id": GUARDIAN, "residence_district": "330203", "status": "resident"}]
    rows = [{"child_id": child, "guardian_id": GUARDIAN, "enrolled": "none"} for child in CHILDREN]
    world.deliver("2021-10", registry=registry, children=rows[:10])
    world.deliver("2021-11", registry=registry, children=rows)
    world.run("2021-10")
    with pytest.raises(JifenError) as caught:
        world.run("2021-11")
    assert caught.value.code == ExitCode.HELD and "随迁子女" in caught.value.message
    assert list_published_months(world.root) == [Month.parse("2021-10")]
