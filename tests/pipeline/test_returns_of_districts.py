"""What districts have to mend or decide: each gets its own, and no workbook has another's."""

from __future__ import annotations

import io
import json
import random
import re
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pyrage
import pytest

from expectations.errors import ExitCode, JifenError
from flows.commands.access import report_accesses
from flows.commands.lookup import PersonQuery
from flows.destinations.contents import list_destinations
from flows.settings import OWN_DECLARATIONS
from tests.support.answers import read_sheet
from tests.support.delivering import arrived, deliver, in_folder, with_destinations
from tests.support.held_city import HAISHU, JIANGBEI, OCTOBER, PEOPLE, registry
from tests.support.packages import new_key
from tests.support.world import SOURCES, World, national_id, write_csv

NAMES = {HAISHU: "海曙区", JIANGBEI: "江北区", "nobody": "区县（市）"}
STRANGER = national_id("33020319500101001")
AT_HAISHU, AT_JIANGBEI = PEOPLE[0], PEOPLE[30]
CASES = {
    "330203-own": (AT_HAISHU, "330203:mentoring"),
    "330203-fact": (AT_HAISHU, "fact:awards"),
    "330205-fact": (AT_JIANGBEI, "fact:awards"),
    "330205-own": (AT_JIANGBEI, "330205:training"),
    "bureau-elsewhere": (AT_JIANGBEI, "330203:mentoring"),
    "bureau-stranger": (STRANGER, "fact:awards"),
    "bureau-own": (STRANGER, "330205:training"),
}
Row = dict[str, str]


def make_award(number: str, district: str, **more: str) -> Row:
    given = {
        "award_id": number, "resident_id": AT_HAISHU, "district": district, "points": "1",
        "indicator": "mentoring", "grantor_kind": "district", "grantor_id": district or "0",
        "on_date": "2021-10-05", "status": "valid",
    }  # fmt: skip
    return given | more


def make_awards(seed: int, at_place: int) -> dict[str, list[Row]]:
    """Return awards by the folder that they are delivered in, some bad; the number names the owner."""
    choice = random.Random(seed)
    places: dict[str, list[Row]] = {}
    for place in (HAISHU, JIANGBEI, ""):
        rows = places.setdefault(place, [])
        for n in range(at_place):
            named = choice.choice([HAISHU, JIANGBEI, "330299", ""])
            owner = place or (named if named in NAMES else "nobody")
            row = make_award(f"{owner}-{place}{n}", named)
            fault = choice.choice(["date", "twice", "none"])
            rows += [row | {"on_date": "5/1/2020"} if fault == "date" else row]
            rows += [row | {"points": "2"}] if fault == "twice" else []
        rows += [make_award(f"valid-{place}{n}", place or HAISHU) for n in range(20)]
    return places


def deliver_month(world: World, awards: dict[str, list[Row]]) -> None:
    world.deliver(OCTOBER, registry=registry())
    inbox = world.inbox / OCTOBER
    (inbox / "local_awards.csv").unlink()
    for place, rows in awards.items():
        columns = list(SOURCES["local_awards"].columns)
        write_csv(inbox / "local_awards" / place / "awards.csv", columns, rows)
    for place, number in ((JIANGBEI, "N1"), ("", "N2")):
        answer = {"reminder_id": number, "outcome": "reached", "on_date": "2021-10-06"}
        path = inbox / "reminder_outcomes" / place / "reminders.csv"
        write_csv(path, list(SOURCES["reminder_outcomes"].columns), [answer])
    cases = [
        {"case_id": number, "resident_id": who, "target": target, "filed_on": "2021-10-08"}
        for number, (who, target) in CASES.items()
    ]
    write_csv(inbox / "objections.csv", list(SOURCES["objections"].columns), cases)


def list_returned(awards: dict[str, list[Row]]) -> set[str]:
    """Return the numbers of awards that are refused or replaced."""
    rows = [row for delivered in awards.values() for row in delivered]
    numbers = [row["award_id"] for row in rows]
    bad = {r["award_id"] for r in rows if r["district"] not in NAMES or r["on_date"] == "5/1/2020"}
    return bad | {number for number in numbers if numbers.count(number) > 1}


def find_numbers(rows: Sequence[dict[str, Any]]) -> set[str]:
    """Return the numbers of awards that a workbook of returns is about."""
    return set(re.findall(r"赋分编号：([\w-]+)", " ".join(r["交付的内容"] or "" for r in rows)))


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path, only=("registry", "local_awards"))


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_row_goes_to_the_district_that_delivered_it_or_that_it_names(
    world: World, seed: int
) -> None:
    awards = make_awards(seed, 8)
    deliver_month(world, awards)
    world.run(OCTOBER)
    folder = world.revision(OCTOBER).path / "restricted" / "returns"
    books = {path.stem: read_sheet(path) for path in folder.glob("*.xlsx")}
    assert books.keys() == set(NAMES.values())
    found = {name: find_numbers(rows) for name, rows in books.items()}
    assert set().union(*found.values()) == list_returned(awards)
    for owner, name in NAMES.items():
        assert found[name] and {number.partition("-")[0] for number in found[name]} == {owner}
    unknown = {name: str(rows) for name, rows in books.items() if "提醒编号不对" in str(rows)}
    assert "N1" in unknown["江北区"] and "N2" in unknown["区县（市）"] and len(unknown) == 2
    counts = {name: len(rows) for name, rows in books.items()}
    assert world.revision(OCTOBER).manifest.returns == counts


def test_a_blocked_delivery_returns_to_every_district_the_reason_and_its_own_rows(
    world: World,
) -> None:
    awards = make_awards(4, 30)
    deliver_month(world, awards)
    with pytest.raises(JifenError) as caught:
        world.run(OCTOBER)
    assert caught.value.code == ExitCode.GATE
    folder = world.root.quarantine / "returns" / OCTOBER
    books = {path.stem: read_sheet(path) for path in folder.glob("*.xlsx")}
    districts = world.project.reference.districts.values()
    assert books.keys() == {*districts, NAMES["nobody"]}
    for name in districts:
        assert books[name][0]["处理"] == "整份退回"
    found = {name: find_numbers(rows) for name, rows in books.items()}
    assert set().union(*found.values()) == list_returned(awards)
    for owner, name in NAMES.items():
        assert {number.partition("-")[0] for number in found[name]} == {owner}


def test_a_case_goes_to_the_district_where_its_person_lives_and_to_no_other(world: World) -> None:
    deliver_month(world, make_awards(1, 2))
    world.run(OCTOBER)
    folder = world.revision(OCTOBER).path / "restricted" / "objections"
    found = {
        path.stem: {row["案件编号"] for row in read_sheet(path)} for path in folder.glob("*.xlsx")
    }
    assert found == {
        name: {number for number in CASES if number.startswith(owner)}
        for owner, name in ((HAISHU, "海曙区"), (JIANGBEI, "江北区"), ("bureau", "大数据局"))
    }


def test_a_package_has_the_districts_own_workbooks_and_is_delivered_with_them(
    tmp_path: Path,
) -> None:
    secret, key = new_key()
    shutil.copytree(OWN_DECLARATIONS / "reference", tmp_path / "reference")
    districts = tmp_path / "reference" / "districts.csv"
    text = districts.read_text("utf-8").replace("江北区,Jiangbei,", f"江北区,Jiangbei,{key}")
    districts.write_text(text, "utf-8")
    only = ("registry", "local_awards")
    world = World(tmp_path / "world", only=only, reference=tmp_path / "reference")
    deliver_month(world, make_awards(1, 8))
    world.run(OCTOBER)
    out = tmp_path / "out"
    places = {HAISHU: in_folder(out, "haishu"), JIANGBEI: in_folder(out, "jiangbei")}
    world.settings = with_destinations(world.settings, **{f"d{n}": p for n, p in places.items()})
    assert arrived(deliver(world))
    plain: dict[str, Callable[[bytes], bytes]] = {
        "haishu": lambda content: content,
        "jiangbei": lambda content: pyrage.decrypt(content, [secret]),
    }
    for name, owner, suffix in (("haishu", HAISHU, ""), ("jiangbei", JIANGBEI, ".age")):
        folder = out / name / OCTOBER / "r1"
        returns, cases = (
            read_sheet(io.BytesIO(plain[name]((folder / f"{book}.xlsx{suffix}").read_bytes())))
            for book in ("returns", "objections")
        )
        assert {number.partition("-")[0] for number in find_numbers(returns)} == {owner}
        assert {row["案件编号"].partition("-")[0] for row in cases} == {owner}
    assert not (world.revision(OCTOBER).path / "exports" / "330206" / "returns.xlsx").exists()
    lines: list[str] = []
    report_accesses(world.settings, PersonQuery(AT_HAISHU), lines.append, as_json=True)
    found = {(one["what"], one["recipient"]) for one in json.loads(lines[0])["outflows"]}
    for to in ("为{}制作", "送交{}"):
        assert ("区县导出包", to.format(f"海曙区（{HAISHU}）")) in found
        assert ("区县导出包（退回清单）", to.format(f"江北区（{JIANGBEI}）")) in found


@pytest.mark.parametrize("name", ["local_awards", "reminder_outcomes"])
def test_no_destination_gets_what_all_districts_delivered(
    world: World, tmp_path: Path, name: str
) -> None:
    world.settings = with_destinations(world.settings, **{name: in_folder(tmp_path, "all")})
    with pytest.raises(JifenError) as caught:
        list_destinations(world.project)
    assert (
        caught.value.code == ExitCode.DECLARATIONS and "[deliver.<区县代码>]" in caught.value.hint
    )
