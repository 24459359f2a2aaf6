"""`jifen diff`: people, points, tables and deliveries that are not the same in two months or revisions."""

from __future__ import annotations

import json
import shutil
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from expectations.errors import ExitCode, JifenError
from flows.commands.diff import show_difference
from flows.settings import OWN_DECLARATIONS
from tests.support.synthetic_city import MONTHS
from tests.support.world import World, national_id

STAYS, MOVES, LEAVES, COMES = (national_id(f"3302031985010{n}003") for n in (1, 2, 3, 4))


def resident(
    resident_id: str, district: str = "330203", since: str = "2020-10-31"
) -> dict[str, str]:
    return {
        "resident_id": resident_id,
        "residence_district": district,
        "registered_on": since,
        "status": "resident",
    }


def compared(world: World, before: str, after: str) -> dict[str, Any]:
    lines: list[str] = []
    show_difference(world.settings, before, after, lines.append, as_json=True)
    found: dict[str, Any] = json.loads("\n".join(lines))
    return found


@pytest.mark.promise("outputs-177", "`diff` of months or revisions")
def test_two_revisions_of_a_month_by_hand(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    world = World(tmp_path, only=("registry",))
    world.deliver("2022-10", registry=[resident(STAYS), resident(MOVES), resident(LEAVES)])
    world.run("2022-10")
    shutil.rmtree(world.inbox / "2022-10")
    people = [resident(STAYS, since="2020-06-30"), resident(MOVES, "330205"), resident(COMES)]
    world.deliver("2022-10", registry=people)
    world.run("2022-10")
    found = compared(world, "2022-10/r1", "2022-10")
    assert (found["before"], found["after"]) == ("2022-10/r1", "2022-10/r2")
    assert found["people"] == [
        {
            "district": "330203",
            "before": 3,
            "after": 2,
            "arrived": 1,
            "left": 1,
            "moved_in": 0,
            "moved_out": 1,
        },
        {
            "district": "330205",
            "before": 0,
            "after": 1,
            "arrived": 0,
            "left": 0,
            "moved_in": 1,
            "moved_out": 0,
        },
    ]
    # four months earlier: 4 x 0.25 points more for one of the two who are in both
    assert found["points"] == [
        {"item": item, "up": 1, "down": 0, "mean": "1.00"}
        for item in ("residence", "province", "common", "total")
    ]
    assert found["policy"] == []
    assert found["deliveries"] == [
        {"source": "registry", "month": "2022-10", "number": 1, "only_in": "before"},
        {"source": "registry", "month": "2022-10", "number": 2, "only_in": "after"},
    ]
    show_difference(world.settings, "2022-10/r1", "2022-10/r2", print, as_json=False)
    shown = capsys.readouterr().out
    assert "海曙区" in shown and "居住年限" in shown and "积分表没有变化" in shown


@pytest.mark.proves("outputs-177")
def test_two_months_of_a_whole_city_agree_with_counting_by_hand(synthetic_city: World) -> None:
    world = synthetic_city
    found = compared(world, *MONTHS)
    then, now = (
        {row["resident_key"]: row for row in world.table(month, "scores")} for month in MONTHS
    )
    assert sum(line["arrived"] for line in found["people"]) == len(now.keys() - then.keys())
    assert sum(line["left"] for line in found["people"]) == len(then.keys() - now.keys())
    expected = {}
    for item in [name for name in next(iter(now.values())) if name.endswith("_points")]:
        changes = [
            (now[key][item] or Decimal(0)) - (then[key][item] or Decimal(0))
            for key in then.keys() & now.keys()
        ]
        moved = [change for change in changes if change]
        if moved:
            up = sum(change > 0 for change in moved)
            mean = f"{sum(moved, Decimal(0)) / len(moved):.2f}"
            expected[item.removesuffix("_points")] = (up, len(moved) - up, mean)
    assert {
        line["item"]: (line["up"], line["down"], line["mean"]) for line in found["points"]
    } == expected


def test_a_title_is_no_markup(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(OWN_DECLARATIONS / "points", tmp_path / "policy" / "points")
    for name in ("services", "reminders", "reference"):
        shutil.copytree(OWN_DECLARATIONS / name, tmp_path / "policy" / name)
    city = tmp_path / "policy" / "points" / "city.yaml"
    titled = city.read_text(encoding="utf-8").replace(
        "title: 居住年限\n", 'title: "居住[b]年限[/b][/]"\n', 1
    )
    city.write_text(titled, encoding="utf-8")
    world = World(tmp_path, only=("registry",), policy=tmp_path / "policy")
    for month, since in (("2022-10", "2020-10-31"), ("2022-11", "2020-06-30")):
        world.deliver(month, registry=[resident(STAYS, since=since)])
        world.run(month)
    show_difference(world.settings, "2022-10", "2022-11", print, as_json=False)
    assert "居住[b]年限[/b][/]" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["2024", "2024-13", "2024-03/r9", "2023-01", "2024-03/1"])
def test_a_name_of_nothing_is_refused(synthetic_city: World, name: str) -> None:
    with pytest.raises(JifenError) as refused:
        compared(synthetic_city, name, MONTHS[1])
    assert refused.value.code == ExitCode.USAGE
