"""An inbox as offices fill it: every file counts, is known to be none, or stops the month by name."""

from __future__ import annotations

import gzip
import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from expectations.errors import ExitCode, JifenError
from expectations.findings import FindingKind
from expectations.month import Month
from flows.commands.status import format_month_states, list_month_states
from flows.pipeline.context import RunContext, StageStoppedError
from flows.pipeline.ingest import pull_deliveries
from flows.settings import InboxSettings, SourceSettings
from tests.support.people import OCTOBER, OTHER, PERSON, person
from tests.support.world import World

KEY = "0f" * 32
NOVEMBER, DECEMBER = "2021-11", "2021-12"
DEGREE = {"certificate_no": "甲1", "kind": "degree", "level": "本科", "awarded_on": "2010-06-30"}


def education(*people: str) -> list[dict[str, str]]:
    return [DEGREE | {"certificate_no": f"甲{one}", "resident_id": one} for one in people]


def make_town(folder: Path) -> World:
    world = World(folder, only=("registry", "education"))
    world.deliver(OCTOBER, registry=[person(), person(OTHER)], education=education(PERSON, OTHER))
    return world


def blocked(world: World, month: str = OCTOBER) -> JifenError:
    with pytest.raises(JifenError) as caught:
        world.run(month)
    assert PERSON not in str(caught.value)
    return caught.value


def compress(path: Path) -> None:
    path.with_name("education.csv.gz").write_bytes(gzip.compress(path.read_bytes()))
    path.unlink()


def pack(path: Path) -> None:
    with zipfile.ZipFile(path.with_name("学历与职业技能.zip"), "w") as archive:
        archive.write(path, "表1.csv")
    path.unlink()


def split(path: Path) -> None:
    header, first, second = path.read_text(encoding="utf-8").splitlines()
    folder = path.with_suffix("")
    folder.mkdir()
    (folder / "1.csv").write_text(f"{header}\n{first}\n", encoding="utf-8")
    (folder / "2.csv").write_text(f"{header}\n{second}\n", encoding="gb18030")
    (folder / "Thumbs.db").touch()
    path.unlink()


def rewrite(change: Callable[[str], str], encoding: str = "utf-8") -> Callable[[Path], None]:
    def write(path: Path) -> None:
        text = path.read_text(encoding="utf-8")
        path.write_bytes(change(text).encode(encoding))

    return write


SAME_MONTH: dict[str, Callable[[Path], object]] = {
    "month and department": lambda path: path.rename(
        path.with_name("人社_学历与职业技能_202110.csv")
    ),
    "upper case": lambda path: path.rename(path.with_name("EDUCATION.CSV")),
    "a browser's copy": lambda path: path.rename(path.with_name("education(1).csv")),
    "month folder without a dash": lambda path: path.parent.rename(path.parents[1] / "202110"),
    "Chinese month folder": lambda path: path.parent.rename(path.parents[1] / "2021年10月"),
    "by-products beside it": lambda path: [
        path.with_name(name).touch() for name in ("Thumbs.db", ".DS_Store", "~$education.xlsx")
    ],
    "gzip": compress,
    "zip": pack,
    "parts in two encodings": split,
    "GB18030": rewrite(str, "gb18030"),
    "UTF-16": rewrite(str, "utf-16"),
    "title lines above": rewrite(lambda text: f"学历统计表,,,,\n制表：教育局,,,,\n{text}"),
    "remarks in the header": rewrite(
        lambda text: text.replace("resident_id", "公民身份号码（18位）", 1)
    ),
    "blank rows below": rewrite(lambda text: f"{text},,,,\n,,,,\n"),
}


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    world = make_town(tmp_path_factory.mktemp("plain"))
    world.root.key_file.write_text(KEY, encoding="ascii")
    world.run(OCTOBER)
    assert [row["kind"] for row in world.kept("clean", "education")] == ["degree"] * 2
    return world.hashes(OCTOBER, "scores", "facts", "eligibility")


@pytest.mark.parametrize("what", SAME_MONTH)
def test_an_unambiguous_file_gives_the_same_month(
    tmp_path: Path, expected: dict[str, str], what: str
) -> None:
    world = make_town(tmp_path)
    world.root.key_file.write_text(KEY, encoding="ascii")
    SAME_MONTH[what](world.inbox / OCTOBER / "education.csv")
    world.run(OCTOBER)
    assert world.hashes(OCTOBER, "scores", "facts", "eligibility") == expected


STOPPED: dict[str, tuple[Callable[[Path], object], str]] = {
    "a name that says nothing": (
        lambda path: path.rename(path.with_name("人社_202110.csv")),
        "人社_202110.csv",
    ),
    "an old workbook": (lambda path: path.with_name("education.xls").touch(), "education.xls"),
    "a second file": (
        lambda path: shutil.copy(path, path.with_name("education(1).csv")),
        "education(1).csv",
    ),
    "another folder": (lambda path: (path.parent / "旧").mkdir(), "旧"),
    "a file outside of the months": (
        lambda path: shutil.copy(path, path.parents[1] / "education.csv"),
        "education.csv",
    ),
    "another month's name": (
        lambda path: path.rename(path.with_name("education_202109.csv")),
        "education_202109.csv",
    ),
}


@pytest.mark.parametrize("what", STOPPED)
def test_whatever_else_lies_there_stops_the_month_by_name(tmp_path: Path, what: str) -> None:
    world = make_town(tmp_path)
    put, name = STOPPED[what]
    put(world.inbox / OCTOBER / "education.csv")
    error = blocked(world)
    assert error.code == ExitCode.EXTRACT and name in str(error)
    shown = "\n".join(format_month_states(list_month_states(world.settings)))
    assert name in shown or "份文件" in shown


def test_the_source_of_an_unknown_file_is_named_by_its_columns(tmp_path: Path) -> None:
    world = make_town(tmp_path)
    path = world.inbox / OCTOBER / "education.csv"
    path.rename(path.with_name("人社_202110.csv"))
    run = RunContext(world.project, world.root, world.root.key(), Month.parse(OCTOBER))
    with pytest.raises(StageStoppedError) as caught:
        pull_deliveries(run)
    assert "学历与职业技能（education）" in str(caught.value)
    assert "2021-10/education.csv" in str(caught.value)
    [finding] = [
        one for one in caught.value.result.findings if one.kind == FindingKind.UNKNOWN_FILE
    ]
    assert (finding.source, finding.month, finding.detail) == (
        "education",
        OCTOBER,
        "2021-10/人社_202110.csv",
    )


def test_patterns_of_the_settings_leave_files_aside(tmp_path: Path) -> None:
    world = make_town(tmp_path)
    (world.inbox / OCTOBER / "说明.docx").touch()
    world.settings = world.settings.model_copy(update={"inbox": InboxSettings(ignore=["*.docx"])})
    assert world.run(OCTOBER).published


def test_everything_wrong_is_reported_at_once(tmp_path: Path) -> None:
    world = World(tmp_path, only=("registry", "education", "patents", "credit"))
    world.deliver(OCTOBER, registry=[person()], education=education(PERSON))
    folder = world.inbox / OCTOBER
    (folder / "credit.csv").unlink()
    (folder / "patents.csv").write_bytes(b"")
    (folder / "education(1).csv").touch()
    (folder / "未知.csv").touch()
    error = blocked(world)
    for what in (
        "荣誉与失信（credit）缺少",
        "专利（patents）的文件无法读取",
        "education 2021-10 有多份",
        "未知.csv",
    ):
        assert what in error.message


def test_the_encoding_is_each_deliverys_own_and_is_kept(tmp_path: Path) -> None:
    world = World(tmp_path, only=("registry", "volunteer"))
    event = {"resident_id": PERSON, "kind": "service", "quantity": "3", "status": "有效"}
    for month, encoding in ((OCTOBER, "utf-8"), (NOVEMBER, "gb18030")):
        row = event | {"event_id": f"志愿者活动{month}", "on_date": f"{month}-02"}
        world.deliver(month, registry=[person()], volunteer=[row | {"status": "valid"}])
        path = world.inbox / month / "volunteer.csv"
        path.write_bytes(path.read_text(encoding="utf-8").encode(encoding))
        world.run(month)
        receipt = world.root.raw / month / "volunteer" / "d1" / "receipt.json"
        [part] = json.loads(receipt.read_text(encoding="utf-8"))["parts"]
        assert part["encoding"] == encoding
    world.deliver(DECEMBER, registry=[person()])
    sources = {"volunteer": SourceSettings(encoding="gb18030")}
    world.settings = world.settings.model_copy(update={"sources": sources})
    shutil.rmtree(world.root.clean)  # as after an update of the program
    assert world.run(DECEMBER).published
    row = event | {"event_id": "志愿者的活动", "on_date": f"{DECEMBER}-02", "status": "valid"}
    world.deliver(DECEMBER, registry=[person()], volunteer=[row])
    error = blocked(world, DECEMBER)
    assert (
        "编码是 utf-8，而设置只准许 gb18030" in error.message
        and "[sources.volunteer]" in error.hint
    )
