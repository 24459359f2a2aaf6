"""A town of three months whose people come and go, for tests of what is removed and what stays."""

from __future__ import annotations

import datetime as dt
import shutil
from pathlib import Path
from typing import Any

from flows.access_settings import RetentionSettings
from flows.commands.prune import prune_root
from tests.support.leaks import Person
from tests.support.world import World, national_id

MONTHS = OCTOBER, NOVEMBER, DECEMBER = "2021-10", "2021-11", "2021-12"
JANUARY = "2022-01"
HAISHU, JIANGBEI = "330203", "330205"
SOURCES = ("registry", "education", "social_security")
TODAY = dt.date(2023, 6, 15)
"""So late that everything but the newest month is out after 13 months."""


def person(number: int, name: str) -> Person:
    """Somebody whose numbers have nothing in common with anybody else's."""
    resident_id = national_id(
        f"3302{number % 7 + 10}{1960 + number}0{number % 9 + 1}1{number % 10}{number:03d}"
    )
    return Person(resident_id, name, f"13{(number * 987_654_321) % 10**9:09d}")


STAYING = [person(number, f"留城{chr(0x4E00 + number)}") for number in range(1, 13)]
LEFT = person(20, "离城甲某")
"""In October's registry and degrees, in no later month."""
REFUSED = person(21, "退回乙某")
"""A row of October that is refused, in no later month."""
POSTED = person(22, "缴费丙某")
"""Nobody in the registry: in October's postings alone, which all later months are made from."""


def registry(*people: Person) -> list[dict[str, str]]:
    """Residents without a permit: they are reminded of it once."""
    return [
        {
            "resident_id": one.resident_id, "name": one.name or "", "phone": one.phone or "",
            "status": "resident", "registered_on": "2015-01-15",
            "residence_district": HAISHU if place % 3 else JIANGBEI,
        }
        for place, one in enumerate(people)
    ]  # fmt: skip


def degrees(*people: Person, level: str = "bachelor") -> list[dict[str, str]]:
    given = {"kind": "degree", "level": level, "awarded_on": "2010-06-30"}
    return [
        {"certificate_no": f"D{one.resident_id[-6:-1]}", "resident_id": one.resident_id, **given}
        for one in people
    ]


def postings(month: str, *people: Person) -> list[dict[str, str]]:
    given = {"insurance": "pension", "month": month, "district": HAISHU, "employer_id": "E1"}
    return [
        {"resident_id": one.resident_id, "kind": "paid", "posted_on": f"{month}-20", **given}
        for one in people
    ]


def build_town(folder: Path) -> World:
    """October (with a second revision), November and December are published."""
    town = World(folder, only=SOURCES)
    refused = {**registry(REFUSED)[0], "residence_district": "999999"}
    everybody = [*registry(*STAYING, LEFT), refused]
    unknown = degrees(REFUSED, level="无此学历")
    paid = postings("2021-09", *STAYING, POSTED)
    october: dict[str, Any] = {"registry": everybody, "social_security": paid}
    town.deliver(OCTOBER, education=[*degrees(*STAYING[:9], LEFT), *unknown], **october)
    town.run(OCTOBER)
    town.deliver(OCTOBER, education=[*degrees(*STAYING[:8], LEFT), *unknown], **october)
    town.run(OCTOBER)
    for month, before in ((NOVEMBER, OCTOBER), (DECEMBER, NOVEMBER)):
        deliver(town, month, before)
        town.run(month)
    return town


def deliver(town: World, month: str, before: str) -> None:
    """A month without anybody who left, with a posting of the month before."""
    town.deliver(
        month,
        registry=registry(*STAYING),
        education=degrees(*STAYING[: int(month[-2:]) % 5 + 4]),
        social_security=postings(before, *STAYING),
    )


def with_retention(town: World, **months: int) -> World:
    retention = RetentionSettings(**months)
    town.settings = town.settings.model_copy(update={"retention": retention})
    return town


def copy_town(town: World, folder: Path) -> World:
    """The same root and inbox elsewhere."""
    shutil.copytree(town.inbox.parent, folder, symlinks=True)
    copy = World(folder, only=town.sources)
    copy.settings = copy.settings.model_copy(update={"retention": town.settings.retention})
    return copy


def prune(town: World, today: dt.date = TODAY, **options: bool) -> list[str]:
    """Prune a root; what is reported."""
    lines: list[str] = []
    prune_root(town.settings, lines.append, today=today, **options)
    return lines
