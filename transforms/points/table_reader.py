"""One points table read from its file, version by version."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from expectations.errors import Diagnostic
from expectations.yaml_document import YamlDocument
from transforms.expressions.fact_values import AWARD
from transforms.points.models import CITY, PointsTable
from transforms.points.proofread import (
    ProofreadingScope,
    describe_left_out,
    proofread_structure,
)
from transforms.points.structure import validate_order, validate_structure
from transforms.points.validate import describe_unknown, validate_indicator
from transforms.points.version_draft import PART_KINDS, NamedRules, PartReader, VersionDraft
from transforms.versions import Place, WrittenPart, find_disorder

_OWN_KEYS = frozenset({"from", "amends"})  # of a version, not taken over by `as_in`
_EMPTY_VERSION: dict[str, Any] = {"basis": "-", "sections": {}, "indicators": {}}


class TableReader:
    """One file, read part by part, so that a mistake in one place does not hide the others."""

    def __init__(self, path: Path, scope: ProofreadingScope) -> None:
        self.file = YamlDocument(path)
        self.authority = path.stem
        self.scope = scope
        self.drafts: dict[str, VersionDraft] = {}
        self.parts = PartReader(self.file, self.drafts)

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
                self._read_version(index, version) for index, version in enumerate(versions)
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
                self.file.add_error(draft.locate(place), found, expected)
        return None if self.problems else table

    def _check_head(self, data: Mapping[str, Any]) -> None:
        if data.get("authority") not in (None, self.authority):
            self.file.add_error(
                ("authority",), f"{data['authority']}", f"应与文件名相同：{self.authority}"
            )
        effect = data.get("effect")
        if isinstance(effect, list) and len({str(one) for one in effect}) < len(effect):
            self.file.add_error(("effect",), "有重复的服务", "同一项服务只写一次")

    def _read_version(self, index: int, data: Any) -> Any:
        """Return a version with every valid part as its model; mistaken parts are left out."""
        if not isinstance(data, dict):
            return data
        place: Place = ("versions", index)
        base = self._find_base(data, place)
        parts = {"rules", "without", *PART_KINDS}
        top = WrittenPart.read(
            {key: value for key, value in data.items() if key not in parts},
            place,
            base.top if base else None,
            _OWN_KEYS,
        )
        draft = VersionDraft(place, top)
        before = list(self.drafts.values())[-1:]
        draft.without = self._read_without(data, place)
        draft.rules = self._read_rules(draft, data, base)
        for kind in PART_KINDS:
            self.parts.read_parts(draft, kind, data.get(kind), base)
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
            for kind in PART_KINDS
            if kind in data or base is not None
        }
        return {**top.values, **valid}

    def _find_base(self, data: Mapping[str, Any], place: Place) -> VersionDraft | None:
        if "as_in" not in data:
            return None
        base = self.drafts.get(str(data["as_in"]))
        if base is None:
            self.parts.refuse_version((*place, "as_in"), data["as_in"])
        return base

    def _read_without(self, data: Mapping[str, Any], place: Place) -> list[str]:
        """Return the parts of earlier versions that this one is meant not to have."""
        given = data.get("without", [])
        if not isinstance(given, list):
            self.file.add_error((*place, "without"), f"{given}", "应为代码的列表：[甲, 乙]")
            return []
        known = {
            code
            for earlier in self.drafts.values()
            for kind in PART_KINDS
            for code in earlier.written[kind]
        }
        for index, code in enumerate(given):
            found = (*place, "without", index)
            if code not in known:
                self.file.add_error(
                    found, *describe_unknown("可去掉的指标、分组或分项", str(code), known)
                )
            elif any(code in (data.get(kind) or {}) for kind in PART_KINDS):
                self.file.add_error(found, f"{code} 又写在这个版本中", "只留一处")
        return [str(code) for code in given]

    def _read_rules(
        self, draft: VersionDraft, data: Mapping[str, Any], base: VersionDraft | None
    ) -> NamedRules:
        """Return the named rules by name, each with its place; checked where they are used."""
        given = data.get("rules", {})
        if not isinstance(given, dict):
            self.file.add_error((*draft.place, "rules"), f"{given}", "应为 {名称: 规则}")
            given = {}
        own: dict[str, tuple[Place, Any]] = {
            name: ((*draft.place, "rules", name), rule) for name, rule in given.items()
        }
        return ChainMap(own, *(base.rules.maps if base else ()))

    def _check_draft(
        self, draft: VersionDraft, data: Mapping[str, Any], unknown_base: bool
    ) -> None:
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
                self.file.add_error(draft.locate(("indicators", code, *place)), what, expected)
        whole = all(isinstance(data.get(kind, {}), dict) for kind in PART_KINDS)
        complete = "as_in" in data or all(kind in data for kind in ("sections", "indicators"))
        if not whole or not complete or unknown_base:
            return
        for place, what, expected in validate_structure(
            self.authority, draft.structure, self.scope.facts
        ):
            self.file.add_error(draft.locate(place), what, expected)
        for place, what, expected in proofread_structure(draft.structure, self.scope):
            self.file.add_warning(draft.locate(place), what, expected)

    def _warn_of_left_out(self, draft: VersionDraft, before: VersionDraft) -> None:
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
                    place = draft.locate(("indicators", code))
                    self.file.add_error(place, f"名称 {code} 是另一版本中的分项", "请换一个代码")

    def _check_awards(self) -> None:
        """Awards are given under the codes of indicators: one that no version has is a mistake."""
        known = {code for draft in self.drafts.values() for code in draft.models["indicators"]}
        for draft in self.drafts.values():
            for code, indicator in draft.models["indicators"].items():
                award = (indicator.fact if indicator else None) or ""
                if award.startswith(AWARD) and award.removeprefix(AWARD) not in known:
                    found, expected = describe_unknown("指标", award.removeprefix(AWARD), known)
                    self.file.add_error(
                        draft.locate(("indicators", code, "fact")),
                        f"赋分记在指标代码下，{found}",
                        expected,
                    )
