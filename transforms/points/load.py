"""Points tables read from their folder: everything that is wrong in all files, at once."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeVar

from expectations.errors import DeclarationError, Diagnostic
from expectations.source_model import COUNTED_UNITS, Fact
from expectations.yaml_document import ClosedModel, YamlDocument
from transforms.expressions.fact_values import find_fact
from transforms.points.models import AWARD, CITY, Group, Indicator, PointsTable, Section
from transforms.points.rules import WHOLE_UNITS, Range
from transforms.points.validate import (
    Place,
    describe_unknown,
    validate_indicator,
    validate_structure,
)

ModelPart = TypeVar("ModelPart", bound=ClosedModel)


def load_tables(
    folder: Path, facts: Mapping[str, Fact], districts: Collection[str]
) -> list[PointsTable]:
    """The city's table, then one per district code, from `<authority>.yaml` in the folder.

    `facts`: all facts that the sources declare, by name; `districts`: the codes of districts.csv.
    DeclarationError with every mistake found in any of the files.
    """
    problems: list[Diagnostic] = []
    tables: list[PointsTable] = []
    for authority in [CITY, *sorted(districts)]:
        path = folder / f"{authority}.yaml"
        if path.exists():
            reader = _TableReader(path, facts)
            table = reader.read()
            problems += reader.problems
            tables += [table] if table is not None else []
        else:
            problems.append(
                Diagnostic(path, 1, "(文件)", "没有这个文件", f"请为 {authority} 写一份积分表")
            )
    for path in sorted(folder.glob("*.y*ml")):
        if path.suffix != ".yaml":
            problems.append(Diagnostic(path, 1, "(文件)", path.name, "文件名应以 .yaml 结尾"))
        elif path.stem not in (CITY, *districts):
            problems.append(
                Diagnostic(
                    path,
                    1,
                    "(文件)",
                    f"没有代码为 {path.stem} 的区县",
                    "文件名应为 city 或区县代码",
                )
            )
    if problems:
        raise DeclarationError(problems)
    return tables


def find_gaps(tables: list[PointsTable], facts: Mapping[str, Fact]) -> list[str]:
    """Return the gaps between ranges on a fact with decimals (5 to 6: nothing holds 5.5).

    They are allowed, but seldom meant.
    """
    return [
        f"{table.authority}.yaml：{version.begins} 版 {code}：{gap} 之间的数值不得分（{name} 可有小数）"
        for table in tables
        for version in table.versions
        for code, indicator in version.indicators.items()
        for name, ranges in _ranges(indicator)
        if _has_decimals(find_fact(name, facts))
        for gap in _gaps(ranges)
    ]


def _has_decimals(fact: Fact | None) -> bool:
    return fact is not None and (
        fact.unit == "hours_by_year" or fact.unit in COUNTED_UNITS - WHOLE_UNITS
    )


def _ranges(indicator: Indicator) -> list[tuple[str, Iterable[Range]]]:
    """The facts of an indicator's rule, each with the ranges that its values are sorted into."""
    table = indicator.rule.table
    if table is not None:
        return [(axis.fact, (axis.bands or {}).values()) for axis in (table.down, table.across)]
    rule = indicator.rule.per_year.rule if indicator.rule.per_year else indicator.rule
    return [(indicator.fact or "", rule.bands or ())]


def _gaps(ranges: Iterable[Range]) -> list[str]:
    ascending = sorted(ranges, key=lambda one: Decimal("-Infinity") if one.low is None else one.low)
    gaps = []
    for one, two in pairwise(ascending):
        next_value = one.below if one.high is None else one.high + Decimal("0.01")
        if next_value is not None and two.low is not None and next_value < two.low:
            gaps.append(f"{one.below if one.high is None else one.high} 与 {two.low}")
    return gaps


@dataclass
class _Draft:
    """A version as far as it can be understood. None: an entry that is mistaken itself."""

    place: Place
    sections: dict[str, Section | None] = field(default_factory=dict)
    groups: dict[str, Group | None] = field(default_factory=dict)
    indicators: dict[str, Indicator | None] = field(default_factory=dict)
    origins: dict[str, dict[str, Place]] = field(default_factory=dict)
    written: dict[str, dict[str, Any]] = field(default_factory=dict)
    mentioned: set[str] = field(default_factory=set)


class _TableReader:
    """One file: read part by part, so that a mistake in one place does not hide the others."""

    def __init__(self, path: Path, facts: Mapping[str, Fact]) -> None:
        self.file = YamlDocument(path)
        self.authority = path.stem
        self.facts = facts
        self.drafts: dict[str, _Draft] = {}

    @property
    def problems(self) -> list[Diagnostic]:
        """Each mistake once, also where a later version takes it over with `as_in`."""
        return list(dict.fromkeys(self.file.problems))

    def read(self) -> PointsTable | None:
        """The table, or None when anything in the file is wrong (see `problems`)."""
        if not isinstance(self.file.data, dict):
            if not self.file.problems:
                self.file.add_error((), "不是积分表", "应有 authority、title、versions 等键")
            return None
        data = dict(self.file.data)
        if isinstance(data.get("versions"), list):
            data["versions"] = [
                self._version(index, version) for index, version in enumerate(data["versions"])
            ]
        table = self.file.parse(PointsTable, data)
        if data.get("authority") not in (None, self.authority):
            self.file.add_error(
                ("authority",), f"{data['authority']}", f"应与文件名相同：{self.authority}"
            )
        self._check_order(data.get("versions"))
        self._check_names()
        if self.authority != CITY:
            self._check_awards()
        return None if self.problems else table

    def _version(self, index: int, data: Any) -> Any:
        """Return the version with its valid parts in final form; mistaken parts are left out."""
        if not isinstance(data, dict):
            return data
        draft = _Draft(("versions", index))
        self._parts(draft, data, "sections", Section, draft.sections)
        self._parts(draft, data, "groups", Group, draft.groups)
        self._indicators(draft, data)
        if all(isinstance(data.get(key), dict) for key in ("sections", "indicators")):
            parts_of = (draft.sections, draft.groups, draft.indicators)
            for place, found, meant in validate_structure(
                self.authority, *parts_of, draft.mentioned
            ):
                self.file.add_error((*draft.place, *place), found, meant)
        self.drafts.setdefault(str(data.get("from")), draft)
        parts: dict[str, dict[str, Any]] = {
            "sections": draft.sections, "groups": draft.groups, "indicators": draft.indicators
        }  # fmt: skip
        valid = {
            key: {code: part for code, part in parts[key].items() if part is not None}
            for key in parts
        }
        return {
            key: valid[key] if key in valid and isinstance(data[key], dict) else data[key]
            for key in data
        }

    def _parts(
        self,
        draft: _Draft,
        data: dict[str, Any],
        key: str,
        model: type[ClosedModel],
        into: dict[str, Any],
    ) -> None:
        entries = data.get(key)
        for code, entry in (entries if isinstance(entries, dict) else {}).items():
            into[code] = self._parse(model, entry, (*draft.place, key, code))
            if into[code] is None and isinstance(entry, dict):
                draft.mentioned.add(str(entry.get("in")))

    def _indicators(self, draft: _Draft, data: dict[str, Any]) -> None:
        entries = data.get("indicators")
        for code, entry in (entries if isinstance(entries, dict) else {}).items():
            indicator = self._indicator(draft, code, entry)
            draft.indicators[code] = indicator
            if indicator is None:
                section = draft.written.get(code, {}).get(
                    "section"
                )  # without one it may stand in any of them
                draft.mentioned |= {str(section)} if section else {*draft.sections, *draft.groups}
                continue
            for place, found, meant in validate_indicator(indicator, self.authority, self.facts):
                self.file.add_error(self._origin(draft, code, place), found, meant)

    def _indicator(self, draft: _Draft, code: str, entry: Any) -> Indicator | None:
        """Return an indicator as written, or as in an earlier version with the keys given here."""
        place = (*draft.place, "indicators", code)
        if not isinstance(entry, dict) or "as_in" not in entry:
            draft.written[code] = entry if isinstance(entry, dict) else {}
            draft.origins[code] = {key: (*place, key) for key in draft.written[code]}
            return self._parse(Indicator, entry, place)
        earlier = self.drafts.get(str(entry["as_in"]))
        filled = self.file.require_values(entry, place)
        if not filled or earlier is None or code not in earlier.indicators:
            if filled:
                self._refuse_as_in(place, code, entry["as_in"], earlier)
            draft.written[code] = entry
            draft.mentioned |= {*draft.sections, *draft.groups}  # it may stand in any of them
            return None
        own = {key: value for key, value in entry.items() if key != "as_in"}
        draft.written[code] = {**earlier.written[code], **own}
        draft.origins[code] = {
            **earlier.origins.get(code, {}),
            **{key: (*place, key) for key in own},
        }
        if earlier.indicators[code] is None:
            return None
        return self.file.parse(Indicator, draft.written[code], place)

    def _parse(self, model: type[ModelPart], entry: Any, place: Place) -> ModelPart | None:
        return (
            self.file.parse(model, entry, place) if self.file.require_values(entry, place) else None
        )

    def _refuse_as_in(self, place: Place, code: str, named: Any, earlier: _Draft | None) -> None:
        if earlier is not None:
            self.file.add_error(
                (*place, "as_in"),
                *describe_unknown(f"指标（在 {named} 版中）", code, earlier.indicators),
            )
        elif (
            "None" not in self.drafts
        ):  # a version without a date, reported already, may be the one that is meant
            self.file.add_error(
                (*place, "as_in"), *describe_unknown("更早的版本", str(named), self.drafts)
            )

    def _origin(self, draft: _Draft, code: str, place: Place) -> Place:
        """Return where a part of an indicator was written: in this version, or the one named."""
        here = (*draft.place, "indicators", code)
        return (
            (*draft.origins[code].get(str(place[0]), (*here, place[0])), *place[1:])
            if place
            else here
        )

    def _check_order(self, versions: Any) -> None:
        """Check that versions ascend by date; dates that are none were reported already."""
        newest = ""
        for index, version in enumerate(versions if isinstance(versions, list) else ()):
            begins = str(version.get("from")) if isinstance(version, dict) else ""
            if not re.fullmatch(r"\d{4}-\d{2}-\d{2}", begins):
                continue
            if begins <= newest:
                self.file.add_error(
                    ("versions", index, "from"),
                    f"{begins} 不晚于前一个版本 {newest}",
                    "版本按日期从早到晚排列",
                )
            newest = max(newest, begins)

    def _check_names(self) -> None:
        """Check that a column of the scores means one thing in all versions: no section's name."""
        sections = {code for draft in self.drafts.values() for code in draft.sections}
        for draft in self.drafts.values():
            for code in draft.indicators:
                if code in sections - set(draft.sections):
                    place = (*draft.place, "indicators", code)
                    self.file.add_error(place, f"名称 {code} 是另一版本中的部分", "请换一个代码")

    def _check_awards(self) -> None:
        """Check that awards are given under codes of indicators: another is a typing mistake."""
        known = {code for draft in self.drafts.values() for code in draft.indicators}
        for draft in self.drafts.values():
            for code, indicator in draft.indicators.items():
                award = (indicator.fact if indicator else None) or ""
                if award.startswith(AWARD) and award.removeprefix(AWARD) not in known:
                    found, meant = describe_unknown("指标", award.removeprefix(AWARD), known)
                    self.file.add_error(
                        self._origin(draft, code, ("fact",)), f"赋分记在指标代码下，{found}", meant
                    )
