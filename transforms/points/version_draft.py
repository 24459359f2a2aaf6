"""A version of a points table while it is read: its parts as they are written, and as models.

It is read part by part, so that a mistake in one place does not hide the others.
"""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from expectations.yaml_document import ClosedModel, YamlDocument
from transforms.points.models import Group, Indicator, Section
from transforms.points.structure import Structure
from transforms.points.validate import describe_unknown
from transforms.versions import Place, WrittenPart

PART_KINDS: Mapping[str, type[ClosedModel]] = {
    "sections": Section,
    "groups": Group,
    "indicators": Indicator,
}
_TITLES = {"sections": "分项", "groups": "分组", "indicators": "指标"}

NamedRules = ChainMap[str, tuple[Place, Any]]
"""Rules by name, each with its place."""


@dataclass
class VersionDraft:
    """A version as far as it can be understood. None: a part that is mistaken itself.

    Attributes:
        place: Where the version stands in the file.
        top: Its own keys, with those that it takes over.
        written: Kind -> code -> the part as written.
        models: Kind -> code -> the part as its model.
        rules: The named rules that its parts may use.
        rules_of: Indicator -> the named rules that it may use: an earlier version's, too.
        used_rules: Those that an indicator uses.
        mentioned: The sections and groups that mistaken parts stand in.
        without: The parts of earlier versions that it is meant not to have.
    """

    place: Place
    top: WrittenPart
    written: dict[str, dict[str, WrittenPart]] = field(default_factory=dict)
    models: dict[str, dict[str, Any]] = field(default_factory=dict)
    rules: NamedRules = field(default_factory=ChainMap)
    rules_of: dict[str, NamedRules] = field(default_factory=dict)
    used_rules: set[str] = field(default_factory=set)
    mentioned: set[str] = field(default_factory=set)
    without: list[str] = field(default_factory=list)

    @property
    def structure(self) -> Structure:
        """The parts by code, as far as they can be understood."""
        return Structure(
            self.models["sections"],
            self.models["groups"],
            self.models["indicators"],
            self.mentioned,
        )

    def locate(self, place: Place) -> Place:
        """Return where something of the version was written: here, or where it was taken from."""
        kind, *rest = place
        written = self.written.get(str(kind), {})
        if rest and str(rest[0]) in written:
            return written[str(rest[0])].locate(tuple(rest[1:]))
        return (*self.place, *place)

    def mention(self, kind: str, code: str) -> None:
        """Note where a mistaken part may stand, so that nothing else is blamed for it."""
        key = {"indicators": "section", "groups": "in"}.get(kind)
        if key:
            parent = self.written[kind][code].values.get(key)
            every = {*self.models["sections"], *self.models.get("groups", {})}
            self.mentioned |= {str(parent)} if parent else every


class PartReader:
    """Reads the sections, groups and indicators of versions, and what `as_in` takes over.

    Args:
        file: The file that they stand in; it takes the mistakes.
        drafts: The versions read before, by date.
    """

    def __init__(self, file: YamlDocument, drafts: Mapping[str, VersionDraft]) -> None:
        self.file = file
        self.drafts = drafts

    def read_parts(
        self, draft: VersionDraft, kind: str, entries: Any, base: VersionDraft | None
    ) -> None:
        """Read the parts of one kind: those taken over from `base`, then those written here."""
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
            draft.models[kind][code] = self._parse_part(draft, kind, code, part)
            if draft.models[kind][code] is None:
                draft.mention(kind, code)

    def refuse_version(self, place: Place, named: Any) -> None:
        """Note that `as_in` names a version that there is not."""
        if "None" not in self.drafts:  # one without a date, reported, may be the one meant
            self.file.add_error(place, *describe_unknown("更早的版本", str(named), self.drafts))

    def _read_part(
        self, draft: VersionDraft, kind: str, code: str, entry: Any
    ) -> WrittenPart | None:
        """Return a part as written, or as in an earlier version with the keys given here.

        None: it cannot be understood.
        """
        place = (*draft.place, kind, code)
        draft.rules_of[code] = draft.rules
        draft.written[kind][code] = WrittenPart.read(entry, place)
        if not isinstance(entry, dict):
            self.file.parse(PART_KINDS[kind], entry, place)
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
        if earlier is None:
            self.refuse_version((*place, "as_in"), entry["as_in"])
            return None
        if code not in earlier.written[kind]:
            what = f"{_TITLES[kind]}（在 {entry['as_in']} 版中）"
            unknown = describe_unknown(what, code, earlier.written[kind])
            self.file.add_error((*place, "as_in"), *unknown)
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
        self, draft: VersionDraft, kind: str, code: str, part: WrittenPart | None
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
        found = self.file.parse(PART_KINDS[kind], values, part.place)
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
