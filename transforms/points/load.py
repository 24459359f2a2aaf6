"""Points tables read from their folder, with every mistake in all files at once."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from expectations.errors import DeclarationError, Diagnostic
from expectations.fact_model import Fact
from expectations.yaml_document import ClosedModel, Loaded, YamlDocument
from transforms.expressions.fact_values import AWARD
from transforms.points.models import CITY, Group, Indicator, PointsTable, PointsVersion, Section
from transforms.points.proofread import (
    ProofreadingScope,
    describe_left_out,
    proofread_structure,
)
from transforms.points.structure import Structure, validate_order, validate_structure
from transforms.points.validate import describe_unknown, validate_indicator
from transforms.versions import Place, WrittenPart, find_disorder

_KINDS: Mapping[str, type[ClosedModel]] = {
    "sections": Section,
    "groups": Group,
    "indicators": Indicator,
}
_OWN_KEYS = frozenset({"from", "amends"})  # of a version, not taken over by `as_in`


def load_tables(
    folder: Path, facts: Mapping[str, Fact], districts: Collection[str]
) -> list[PointsTable]:
    """Return the points tables of a folder (see `read_tables`)."""
    return read_tables(folder, facts, districts).items


def read_tables(
    folder: Path, facts: Mapping[str, Fact], districts: Collection[str]
) -> Loaded[PointsTable]:
    """Return the city's table, then those of districts by code, from `<authority>.yaml`.

    Districts without a file have no points of their own.

    Args:
        folder: Where the files are.
        facts: All facts that the sources declare, by name.
        districts: The codes of districts.csv.

    Raises:
        DeclarationError: With every mistake found in any of the files.
    """
    problems = list(_check_files(folder, districts))
    scope = ProofreadingScope(facts, districts)
    readers = [
        _TableReader(folder / f"{authority}.yaml", scope)
        for authority in [CITY, *sorted(districts)]
        if (folder / f"{authority}.yaml").exists()
    ]
    tables = {reader.authority: reader.read() for reader in readers}
    city = tables.get(CITY)
    for reader in readers:
        table = tables[reader.authority]
        if city is not None and table is not None and reader.authority != CITY:
            reader.check_against_city(table, city)
        problems += reader.problems
    if problems:
        raise DeclarationError(problems)
    found = [table for table in tables.values() if table is not None]
    warnings = [*_warn_of_missing(folder, found, districts)]
    for reader in readers:
        warnings += dict.fromkeys(reader.file.warnings)
    return Loaded(found, warnings)


def _check_files(folder: Path, districts: Collection[str]) -> Iterator[Diagnostic]:
    if not (folder / f"{CITY}.yaml").exists():
        yield Diagnostic(
            folder / f"{CITY}.yaml", 1, "(文件)", "没有这个文件", f"请为 {CITY} 写一份积分表"
        )
    for path in sorted(folder.glob("*.y*ml")):
        if path.suffix != ".yaml":
            yield Diagnostic(path, 1, "(文件)", path.name, "文件名应以 .yaml 结尾")
        elif path.stem not in (CITY, *districts):
            found = f"没有代码为 {path.stem} 的区县"
            yield Diagnostic(path, 1, "(文件)", found, "文件名应为 city 或区县代码")


def _warn_of_missing(
    folder: Path, tables: list[PointsTable], districts: Collection[str]
) -> Iterator[Diagnostic]:
    """Yield the districts without a table, where others have one."""
    present = {table.authority for table in tables}
    missing = [code for code in sorted(districts) if code not in present]
    if missing and len(present) > 1:
        yield Diagnostic(
            folder,
            1,
            "(文件)",
            f"{'、'.join(missing)} 没有积分表，其居民没有个性分",
            "请为它们写积分表；本来就没有的不必改",
        )


@dataclass
class _Draft:
    """A version as far as it can be understood. None: a part that is mistaken itself."""

    place: Place
    top: WrittenPart
    written: dict[str, dict[str, WrittenPart]] = field(default_factory=dict)
    models: dict[str, dict[str, Any]] = field(default_factory=dict)
    rules: ChainMap[str, tuple[Place, Any]] = field(default_factory=ChainMap)
    rules_of: dict[str, ChainMap[str, tuple[Place, Any]]] = field(default_factory=dict)
    used_rules: set[str] = field(default_factory=set)
    mentioned: set[str] = field(default_factory=set)
    without: list[str] = field(default_factory=list)

    @property
    def structure(self) -> Structure:
        return Structure(
            self.models["sections"],
            self.models["groups"],
            self.models["indicators"],
            self.mentioned,
        )


class _TableReader:
    """One file, read part by part, so that a mistake in one place does not hide the others."""

    def __init__(self, path: Path, scope: ProofreadingScope) -> None:
        self.file = YamlDocument(path)
        self.authority = path.stem
        self.scope = scope
        self.drafts: dict[str, _Draft] = {}

    @property
    def problems(self) -> list[Diagnostic]:
        """Each mistake once, also where a later version takes it over."""
        return list(dict.fromkeys(self.file.problems))

    def read(self) -> PointsTable | None:
        """Return the table, or None when anything in the file is wrong (see `problems`)."""
        if not isinstance(self.file.data, dict):
            if not self.file.problems:
                self.file.add_error((), "不是积分表", "应有 authority、title、versions 等键")
            return None
        data = dict(self.file.data)
        versions = data.get("versions")
        if isinstance(versions, list):
            data["versions"] = [
                self._version(index, version) for index, version in enumerate(versions)
            ]
            begins = [one.get("from") if isinstance(one, dict) else None for one in versions]
            for index, day, newest in find_disorder(begins):
                self.file.add_error(
                    ("versions", index, "from"),
                    f"{day} 不晚于前一个版本 {newest}",
                    "版本按日期从早到晚排列",
                )
        table = self.file.parse(PointsTable, data)
        self._check_head(data)
        self._check_names()
        if self.authority != CITY:
            self._check_awards()
        if self.problems or table is None:
            return None
        for draft, version in zip(self.drafts.values(), table.versions, strict=True):
            for place, found, expected in validate_order(version):
                self.file.add_error(self._locate(draft, place), found, expected)
        return None if self.problems else table

    def _check_head(self, data: Mapping[str, Any]) -> None:
        if data.get("authority") not in (None, self.authority):
            self.file.add_error(
                ("authority",), f"{data['authority']}", f"应与文件名相同：{self.authority}"
            )
        effect = data.get("effect")
        if isinstance(effect, list) and len({str(one) for one in effect}) < len(effect):
            self.file.add_error(("effect",), "有重复的服务", "同一项服务只写一次")

    def _version(self, index: int, data: Any) -> Any:
        """Return a version with every valid part as its model; mistaken parts are left out."""
        if not isinstance(data, dict):
            return data
        place: Place = ("versions", index)
        base = self._find_base(data, place)
        parts = {"rules", "without", *_KINDS}
        top = WrittenPart.read(
            {key: value for key, value in data.items() if key not in parts},
            place,
            base.top if base else None,
            _OWN_KEYS,
        )
        draft = _Draft(place, top)
        before = list(self.drafts.values())[-1:]
        draft.without = self._read_without(data, place)
        draft.rules = self._read_rules(draft, data, base)
        for kind, model in _KINDS.items():
            self._read_parts(draft, kind, model, data.get(kind), base)
        unknown_base = "as_in" in data and base is None
        self._check_draft(draft, data, unknown_base)
        for other in before:
            self._warn_of_left_out(draft, other)
        self.drafts.setdefault(str(data.get("from")), draft)
        if unknown_base:  # what it would take over is not missing
            return {"from": data.get("from"), **_EMPTY_VERSION}
        valid = {
            kind: {code: one for code, one in draft.models[kind].items() if one is not None}
            if isinstance(data.get(kind, {}), dict)
            else data[kind]
            for kind in _KINDS
            if kind in data or base is not None
        }
        return {**top.values, **valid}

    def _find_base(self, data: Mapping[str, Any], place: Place) -> _Draft | None:
        if "as_in" not in data:
            return None
        base = self.drafts.get(str(data["as_in"]))
        if base is None:
            self._refuse_version((*place, "as_in"), data["as_in"])
        return base

    def _refuse_version(self, place: Place, named: Any) -> None:
        if "None" not in self.drafts:  # one without a date, reported, may be the one meant
            self.file.add_error(place, *describe_unknown("更早的版本", str(named), self.drafts))

    def _read_without(self, data: Mapping[str, Any], place: Place) -> list[str]:
        """Return the parts of earlier versions that this one is meant not to have."""
        given = data.get("without", [])
        if not isinstance(given, list):
            self.file.add_error((*place, "without"), f"{given}", "应为代码的列表：[甲, 乙]")
            return []
        known = {
            code
            for earlier in self.drafts.values()
            for kind in _KINDS
            for code in earlier.written[kind]
        }
        for index, code in enumerate(given):
            found = (*place, "without", index)
            if code not in known:
                self.file.add_error(
                    found, *describe_unknown("可去掉的指标、分组或部分", str(code), known)
                )
            elif any(code in (data.get(kind) or {}) for kind in _KINDS):
                self.file.add_error(found, f"{code} 又写在这个版本中", "只留一处")
        return [str(code) for code in given]

    def _read_rules(
        self, draft: _Draft, data: Mapping[str, Any], base: _Draft | None
    ) -> ChainMap[str, tuple[Place, Any]]:
        """Return the named rules by name, each with its place; checked where they are used."""
        given = data.get("rules", {})
        if not isinstance(given, dict):
            self.file.add_error((*draft.place, "rules"), f"{given}", "应为 {名称: 规则}")
            given = {}
        own: dict[str, tuple[Place, Any]] = {
            name: ((*draft.place, "rules", name), rule) for name, rule in given.items()
        }
        return ChainMap(own, *(base.rules.maps if base else ()))

    def _read_parts(
        self,
        draft: _Draft,
        kind: str,
        model: type[ClosedModel],
        entries: Any,
        base: _Draft | None,
    ) -> None:
        """Read sections, groups or indicators: those taken over, then those written here."""
        draft.written[kind], draft.models[kind] = {}, {}
        own = entries if isinstance(entries, dict) else {}
        inherited = base.written[kind] if base else {}
        for code in dict.fromkeys([*inherited, *own]):
            if code in draft.without and code not in own:
                continue
            part: WrittenPart | None
            if code in own:
                part = self._read_part(draft, kind, code, own[code])
            else:
                part = draft.written[kind][code] = inherited[code]
                draft.rules_of[code] = draft.rules
                if base is not None and base.models[kind][code] is None:
                    part = None
            draft.models[kind][code] = self._parse_part(draft, kind, model, code, part)
            if draft.models[kind][code] is None:
                self._mention(draft, kind, code)

    def _read_part(self, draft: _Draft, kind: str, code: str, entry: Any) -> WrittenPart | None:
        """Return a part as written, or as in an earlier version with the keys given here.

        None: it cannot be understood.
        """
        place = (*draft.place, kind, code)
        draft.rules_of[code] = draft.rules
        draft.written[kind][code] = WrittenPart.read(entry, place)
        if not isinstance(entry, dict):
            self.file.parse(_KINDS[kind], entry, place)
            return None
        if not self.file.require_values(entry, place):
            return None
        if "as_in" not in entry:
            if "without" in entry:
                self.file.add_error(
                    (*place, "without"), "不起作用", "without 与 as_in 一同写，去掉沿用的键"
                )
                return None
            return draft.written[kind][code]
        earlier = self.drafts.get(str(entry["as_in"]))
        if earlier is None or code not in earlier.written[kind]:
            self._refuse_as_in(place, code, kind, entry["as_in"], earlier)
            return None
        own = {key: value for key, value in entry.items() if key != "without"}
        source = earlier.written[kind][code]
        drop = self._read_dropped(entry, place, source)
        draft.rules_of[code] = ChainMap(*draft.rules.maps, *earlier.rules_of[code].maps)
        draft.written[kind][code] = WrittenPart.read(own, place, source, drop)
        if earlier.models[kind][code] is None:  # what is wrong with it was reported there
            return None
        return draft.written[kind][code]

    def _read_dropped(
        self, entry: Mapping[str, Any], place: Place, source: WrittenPart
    ) -> list[str]:
        """Return the keys of an earlier part that are not taken over."""
        given = entry.get("without", [])
        keys = given if isinstance(given, list) else [given]
        for index, key in enumerate(keys):
            if key not in source.values:
                known = describe_unknown("可去掉的键", str(key), source.values)
                self.file.add_error((*place, "without", index), *known)
        return [str(key) for key in keys]

    def _parse_part(
        self,
        draft: _Draft,
        kind: str,
        model: type[ClosedModel],
        code: str,
        part: WrittenPart | None,
    ) -> Any:
        """Return a part as its model, checked by itself; None if it is mistaken."""
        if part is None:
            return None
        draft.written[kind][code] = part
        values = dict(part.values)
        if kind == "indicators" and isinstance(values.get("rule"), str):
            rules, name = draft.rules_of[code], values["rule"]
            if name not in rules:
                self.file.add_error(
                    part.locate(("rule",)), *describe_unknown("规则（rules）", name, rules)
                )
                return None
            where, values["rule"] = rules[name]
            draft.used_rules.add(name)
            part = WrittenPart(part.place, values, {**part.origins, "rule": where})
            draft.written[kind][code] = WrittenPart(
                part.place, draft.written[kind][code].values, part.origins
            )
        count = len(self.file.problems)
        found = self.file.parse(model, values, part.place)
        if found is None:
            self._relocate(count, part)
        return found

    def _relocate(self, count: int, part: WrittenPart) -> None:
        """Move mistakes found since to where their key was written."""
        for index, problem in enumerate(self.file.problems[count:], count):
            keys = problem.key.split(".")[len(part.place) :]
            if keys and keys[0] in part.origins:
                origin = part.origins[keys[0]]
                below = tuple(int(key) if key.isdigit() else key for key in keys[1:])
                self.file.problems[index] = self.file.describe(
                    (*origin, *below), problem.found, problem.expected
                )

    def _mention(self, draft: _Draft, kind: str, code: str) -> None:
        """Note where a mistaken part may stand, so that nothing else is blamed for it."""
        key = {"indicators": "section", "groups": "in"}.get(kind)
        if key:
            parent = draft.written[kind][code].values.get(key)
            every = {*draft.models["sections"], *draft.models.get("groups", {})}
            draft.mentioned |= {str(parent)} if parent else every

    def _refuse_as_in(
        self, place: Place, code: str, kind: str, named: Any, earlier: _Draft | None
    ) -> None:
        if earlier is None:
            self._refuse_version((*place, "as_in"), named)
            return
        titles = {"sections": "部分", "groups": "分组", "indicators": "指标"}
        self.file.add_error(
            (*place, "as_in"),
            *describe_unknown(f"{titles[kind]}（在 {named} 版中）", code, earlier.written[kind]),
        )

    def _check_draft(self, draft: _Draft, data: Mapping[str, Any], unknown_base: bool) -> None:
        for place, value in self.file.repeated:  # what stands under a code written twice
            if place[:2] == draft.place and isinstance(value, dict):
                draft.mentioned |= {str(value.get("section")), str(value.get("in"))}
        for name in data.get("rules", {}) if isinstance(data.get("rules"), dict) else ():
            if name not in draft.used_rules:
                self.file.add_error(
                    (*draft.place, "rules", name), "没有指标使用", f"指标写 rule: {name}，或删去它"
                )
        for code, indicator in draft.models["indicators"].items():
            found = (
                validate_indicator(indicator, self.authority, self.scope.facts)
                if indicator is not None
                else ()
            )
            for place, what, expected in found:
                self.file.add_error(
                    self._locate(draft, ("indicators", code, *place)), what, expected
                )
        whole = all(isinstance(data.get(kind, {}), dict) for kind in _KINDS)
        complete = "as_in" in data or all(kind in data for kind in ("sections", "indicators"))
        if not whole or not complete or unknown_base:
            return
        for place, what, expected in validate_structure(
            self.authority, draft.structure, self.scope.facts
        ):
            self.file.add_error(self._locate(draft, place), what, expected)
        for place, what, expected in proofread_structure(draft.structure, self.scope):
            self.file.add_warning(self._locate(draft, place), what, expected)

    def _locate(self, draft: _Draft, place: Place) -> Place:
        """Return where something of a version was written: there, or where it was taken from."""
        kind, *rest = place
        written = draft.written.get(str(kind), {})
        if rest and str(rest[0]) in written:
            return written[str(rest[0])].locate(tuple(rest[1:]))
        return (*draft.place, *place)

    def _warn_of_left_out(self, draft: _Draft, before: _Draft) -> None:
        left_out = {
            code: str(before.written["indicators"][code].values.get("title", ""))
            for code in before.models["indicators"]
            if code not in draft.models["indicators"] and code not in draft.without
        }
        if left_out:
            begins = str(before.top.values.get("from"))
            self.file.add_warning(
                (*draft.place, "indicators"), *describe_left_out(begins, left_out)
            )

    def _check_names(self) -> None:
        """A column of the scores means one thing in all months.

        No indicator has the code of a section of another version.
        """
        sections = {code for draft in self.drafts.values() for code in draft.models["sections"]}
        for draft in self.drafts.values():
            for code in draft.models["indicators"]:
                if code in sections - set(draft.models["sections"]):
                    place = self._locate(draft, ("indicators", code))
                    self.file.add_error(place, f"名称 {code} 是另一版本中的部分", "请换一个代码")

    def _check_awards(self) -> None:
        """Awards are given under the codes of indicators: one that no version has is a mistake."""
        known = {code for draft in self.drafts.values() for code in draft.models["indicators"]}
        for draft in self.drafts.values():
            for code, indicator in draft.models["indicators"].items():
                award = (indicator.fact if indicator else None) or ""
                if award.startswith(AWARD) and award.removeprefix(AWARD) not in known:
                    found, expected = describe_unknown("指标", award.removeprefix(AWARD), known)
                    self.file.add_error(
                        self._locate(draft, ("indicators", code, "fact")),
                        f"赋分记在指标代码下，{found}",
                        expected,
                    )

    def check_against_city(self, table: PointsTable, city: PointsTable) -> None:
        """Note what a district's table says of the city's, in the versions that hold together."""
        drafts = list(self.drafts.values())
        for index, version in enumerate(table.versions):
            for common in _versions_beside(table, index, city):
                self._check_required(drafts[index], version, common)
                self._check_replaced(drafts[index], version, common)

    def _check_required(self, draft: _Draft, version: PointsVersion, common: PointsVersion) -> None:
        for code in common.required_of_districts:
            if code not in version.indicators:
                self.file.add_error(
                    (*draft.place, "indicators"),
                    f"缺少 {code}：市级积分表 {common.begins} 版要求每个区县都有",
                    "请写上这个指标",
                )

    def _check_replaced(self, draft: _Draft, version: PointsVersion, common: PointsVersion) -> None:
        replaced: dict[str, str] = {}
        for code, indicator in version.indicators.items():
            place = self._locate(draft, ("indicators", code))
            if indicator.replaces is None:
                if code in common.indicators:
                    self.file.add_warning(
                        place,
                        f"{code} 与市级指标同名，两项都计分",
                        "要代替市级指标请写 replaces；不代替的请换一个代码",
                    )
            elif indicator.replaces not in common.indicators:
                self.file.add_error(
                    self._locate(draft, ("indicators", code, "replaces")),
                    *describe_unknown(
                        f"市级指标（{common.begins} 版）", indicator.replaces, common.indicators
                    ),
                )
            elif indicator.replaces in replaced:
                self.file.add_error(
                    self._locate(draft, ("indicators", code, "replaces")),
                    f"{indicator.replaces} 已由 {replaced[indicator.replaces]} 代替",
                    "一个市级指标只代替一次",
                )
            else:
                replaced[indicator.replaces] = code


_EMPTY_VERSION: dict[str, Any] = {"basis": "-", "sections": {}, "indicators": {}}


def _versions_beside(table: PointsTable, index: int, city: PointsTable) -> Iterator[PointsVersion]:
    """Yield the city's versions that are in force while a version of a district's table is."""
    begins = table.versions[index].begins
    later = table.versions[index + 1 :]
    for number, version in enumerate(city.versions):
        following = city.versions[number + 1 :]
        ends_before = bool(following) and following[0].begins <= begins
        begins_after = bool(later) and version.begins >= later[0].begins
        if not ends_before and not begins_after:
            yield version
