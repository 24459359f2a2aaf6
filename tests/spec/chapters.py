"""The chapters of the manual: folders of tiny fragments of declarations, each with a table of what comes of it.

A chapter is a folder: `chapter.md` (its heading and what it says), and for each case `<case>.yaml` (what a policy writer
types) with `<case>.csv` (what is given, then what is expected); `reference/` holds tables of the city that it needs.
Cases of points tables have one resident a row, facts and then points; keys that a fragment leaves out are filled in.
For the other kinds see `services` and `extracts`.
"""

from __future__ import annotations

import csv
import datetime as dt
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from shutil import copytree
from typing import Any, Literal, cast

from expectations.fact_model import YEAR_UNITS
from expectations.reference_tables import Reference, load_reference
from expectations.source_loader import collect_facts, load_sources
from expectations.yaml_document import YamlDocument
from tests.support.both_engines import ExampleResident
from transforms.expressions.fact_values import AWARD
from transforms.points.load import load_tables
from transforms.points.models import CITY, PointsTable

HERE = Path(__file__).parent
CITY_REFERENCE = HERE.parents[1] / "data" / "reference"
FACTS = collect_facts(load_sources())
AS_OF = dt.date(2021, 10, 31)
CORRECT = "correct:"
LETTERS = "甲乙丙丁戊己庚辛壬癸子"  # people, in the columns `who`
POINTS = "_points"
LINE = {
    "title": "指标",
    "basis": "条款",
    "values": "illustrative",
    "evidence": "依据",
    "examples": [{"points": "0"}],
}
Row = Mapping[str, str]
Kind = Literal["points", "services", "ranks", "families", "reminders", "extracts"]


@dataclass(frozen=True)
class Case:
    """One fragment and the residents scored with it."""

    fragment: Path

    @property
    def name(self) -> str:
        return f"{self.fragment.parent.name}/{self.fragment.stem}"

    @property
    def rows(self) -> list[Row]:
        """The table as written; an empty cell is nothing known, or no such column for this resident."""
        with self.fragment.with_suffix(".csv").open(encoding="utf-8", newline="") as text:
            return list(csv.DictReader(text))

    @property
    def data(self) -> dict[str, Any]:
        """What is typed."""
        file = YamlDocument(self.fragment)
        assert not file.problems and isinstance(file.data, dict)
        return file.data

    @property
    def kind(self) -> Kind:
        """What the case is about, as its fragment and the columns of its table say."""
        if "source" in self.data:
            return "extracts"
        kinds = {
            "run": "reminders",
            "child": "families",
            "rank": "ranks",
            "eligible": "services",
        }
        found = next((kind for column, kind in kinds.items() if column in self.rows[0]), "points")
        return cast(Kind, found)

    def reference(self, folder: Path) -> Reference:
        """The city's reference tables, copied to the folder; what the chapter brings stands in place of the city's own."""
        for source in (CITY_REFERENCE, self.fragment.parent / "reference"):
            if source.exists():
                copytree(source, folder, dirs_exist_ok=True)
        return load_reference(folder)

    @property
    def versions(self) -> dict[str, list[dict[str, Any]]]:
        """What is typed of points tables, by authority: a list of versions."""
        typed_in = {
            key: value for key, value in self.data.items() if key not in ("source", "facts")
        }
        parts = typed_in if CITY in typed_in else {CITY: typed_in}
        return {authority: part.get("versions", [part]) for authority, part in parts.items()}


@dataclass(frozen=True)
class Chapter:
    """A folder of cases about one thing."""

    folder: Path

    @property
    def subject(self) -> str:
        """The folder's name without its number: for a rule form, its key."""
        return self.folder.name.partition("_")[2]

    @property
    def text(self) -> str:
        return (self.folder / "chapter.md").read_text(encoding="utf-8")

    @property
    def of_mistakes(self) -> bool:
        """Whether it shows what is refused, and has no cases."""
        return (self.folder / "valid.yaml").exists()

    @property
    def own_tables(self) -> list[Path]:
        """The reference tables that the chapter brings."""
        return sorted(self.folder.glob("reference/*.csv"))

    @property
    def cases(self) -> list[Case]:
        return [Case(path.with_suffix(".yaml")) for path in sorted(self.folder.glob("*.csv"))]


def list_chapters() -> list[Chapter]:
    """All chapters in their order."""
    return [Chapter(path.parent) for path in sorted(HERE.glob("*/chapter.md"))]


def load_case_tables(case: Case, folder: Path) -> list[PointsTable]:
    """The tables of a case as the real loader reads them, from files written to the folder."""
    for authority, versions in case.versions.items():
        table = {
            "authority": authority,
            "title": "积分表",
            "purpose": "示例",
            "legal_basis": "示例",
            "effect": ["loan"],
        }
        filled = {**table, "versions": [_version(authority, version) for version in versions]}
        (folder / f"{authority}.yaml").write_text(
            json.dumps(filled, ensure_ascii=False), encoding="utf-8"
        )
    return load_tables(folder, FACTS, case.versions.keys() - {CITY})


def _version(authority: str, typed: Mapping[str, Any]) -> dict[str, Any]:
    section = "base" if authority == CITY else "district"
    given = {
        "from": "2021-09-08",
        "basis": "示例",
        "sections": {section: {"title": "示例"}},
        **typed,
    }
    line = {**LINE, "section": section}
    given["indicators"] = {
        code: indicator if "as_in" in indicator else {**line, **indicator}
        for code, indicator in typed["indicators"].items()
    }
    return given


def parse_residents(rows: Iterable[Row]) -> list[ExampleResident]:
    """The residents that the rows of a table describe."""
    return [_resident({name: cell for name, cell in row.items() if cell}) for row in rows]


def _resident(given: Row) -> ExampleResident:
    return ExampleResident(
        facts={
            name: _value(name, cell)
            for name, cell in given.items()
            if name in FACTS or name.startswith(AWARD)
        },
        as_of=dt.date.fromisoformat(given["as_of"]) if "as_of" in given else AS_OF,
        district=given.get("district", "330203"),
        corrections={
            name.removeprefix(CORRECT): Decimal(cell)
            for name, cell in given.items()
            if name.startswith(CORRECT)
        },
    )


def _value(name: str, cell: str) -> Any:
    """A cell as an example writes it; hours by year stand as `2020:10 2021:35.5`."""
    if name in FACTS and FACTS[name].unit in YEAR_UNITS:
        return dict(entry.split(":") for entry in cell.split())
    return cell


def parse_expected_points(row: Row) -> dict[str, Decimal | None]:
    """The points columns of a row; an empty one is null."""
    return {
        name: Decimal(cell) if cell else None for name, cell in row.items() if name.endswith(POINTS)
    }


def is_points_column(name: str) -> bool:
    """Whether a column of a table means something: nothing in a table is silently ignored."""
    return (
        name in FACTS
        or name in ("as_of", "district")
        or name.startswith((AWARD, CORRECT))
        or name.endswith(POINTS)
    )
