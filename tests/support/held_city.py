"""A town of forty people with one published month, and the troubles that may come with the second."""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from pathlib import Path

from expectations.errors import ExitCode, JifenError
from flows.settings import OWN_DECLARATIONS, Drift, Settings
from tests.support.world import World, national_id

OCTOBER, NOVEMBER, DECEMBER = "2021-10", "2021-11", "2021-12"
HAISHU, JIANGBEI = "330203", "330205"
PEOPLE = [
    national_id(f"5101021985010{day}{number:03d}") for day in (1, 2) for number in range(1, 21)
]
NAME, PHONE = "欧阳待核", "13857407777"
SMALL = Drift(residents_min=5, rows_min=5, eligible_min=5, standard_errors=0)

Rows = list[dict[str, str]]


def registry(people: Sequence[str] = PEOPLE, permit: str = "2017-01-10") -> Rows:
    """Everybody in the registry: the first 24 live in 海曙, the others in 江北."""
    return [
        {
            "resident_id": person, "name": NAME, "phone": PHONE, "status": "resident", "registered_on": "2015-01-15",
            "permit_issued_on": permit, "permit_valid_to": "2025-01-01",
            "residence_district": HAISHU if PEOPLE.index(person) < 24 else JIANGBEI,
        }
        for person in people
    ]  # fmt: skip


def degrees(people: Sequence[str] = PEOPLE) -> Rows:
    given = {"kind": "degree", "level": "bachelor", "awarded_on": "2010-06-30"}
    return [
        {"certificate_no": f"D{n}", "resident_id": person, **given}
        for n, person in enumerate(people)
    ]


def with_drift(settings: Settings, drift: Drift = SMALL) -> Settings:
    return settings.model_copy(update={"drift": drift})


def first_month(folder: Path, month: str = OCTOBER, **paths: Path) -> World:
    """The town, its first month published."""
    town = World(folder, **paths)
    town.settings = with_drift(town.settings)
    town.deliver(month, registry=registry(), education=degrees())
    town.run(month)
    return town


def copied(town: World, folder: Path) -> World:
    """The same root and inbox elsewhere, to go on from."""
    shutil.copytree(town.inbox.parent, folder, symlinks=True)
    copy = World(folder, only=town.sources)
    copy.settings = with_drift(copy.settings)
    return copy


def held(town: World, month: str = NOVEMBER, **options: object) -> JifenError:
    """Run a month that the drift check must hold; nothing is switched."""
    before = list_tree(town)
    try:
        town.run(month, **options)
    except JifenError as error:
        assert error.code == ExitCode.HELD, error
        assert list_tree(town) == before
        return error
    raise AssertionError(f"{month} was published")


def a_tenth_of_education(town: World) -> None:
    """A November that the drift check must hold: education delivers four rows of forty."""
    town.deliver(NOVEMBER, registry=registry(), education=degrees(PEOPLE[:4]))


def verdict(text: str) -> str:
    """The first thing on the page, as plain text."""
    found = re.search(r'<section class="verdict.*?</section>', text, re.DOTALL)
    assert found
    return re.sub("<[^>]+>", "", found[0])


def amended(folder: Path, bachelor: int) -> Path:
    """The declarations with another value for a degree, written into the version that is in force."""
    shutil.copytree(OWN_DECLARATIONS, folder, ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    table = folder / "points" / "city.yaml"
    text = table.read_text(encoding="utf-8")
    text = text.replace("bachelor: 18", f"bachelor: {bachelor}").replace(
        "  - from: 2021-09-08\n", "  - from: 2021-09-08\n    amends: 更正文化程度的分值\n", 1
    )
    table.write_text(text, encoding="utf-8")
    return folder


def list_tree(town: World) -> list[tuple[str, int]]:
    """Everything that analysts and districts can see: published revisions, links, the catalogue."""
    root = town.root.path
    seen = [
        *(root / "months").rglob("*"),
        *(root / "published").iterdir(),
        *root.glob("catalogue*"),
    ]
    return sorted((str(path.relative_to(root)), path.lstat().st_mtime_ns) for path in seen)
