"""Hypothesis strategies for whole policies: every rule form, conditions, caps, groups, sections, district tables.

A policy is made as the text a writer would type (the models read it), over the project's declared facts. Numbers are
small enough that no sum outgrows DECIMAL(7,2).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from expectations.fact_model import COUNTED_UNITS, YEAR_UNITS, Fact
from transforms.points.models import PointsVersion
from transforms.points.structure import validate_order

Draw = Callable[[st.SearchStrategy[Any]], Any]
Text = dict[str, Any]
HOME, ELSEWHERE = "330211", "330225"
SMALL = ("0", "0.005", "0.2", "0.25", "0.3333", "0.5", "1", "1.5", "2", "2.675", "4", "5")
AMOUNTS = (*SMALL, "6", "8", "10", "12.345", "20", "30", "50")
AREAS = ("330203", "330212", "110101")
SHARES = ("0.1", "0.3333", "0.5", "1")
CAPS = ("0", "1", "4.5", "10", "12.34", "25", "60")
MARKS = (-1, 0, 1, 2, 5, 10, 12, 18, 24, 35, 36, 60, 61, 120)


def _fact(unit: str) -> Fact:
    return Fact.model_validate(
        {"title": "数据", "unit": unit, "meaning": "义", "meaning_en": "one", "measure": "count"}
    )


EXTRA_FACTS = {
    f"extra_{unit}": _fact(unit)
    for unit in ("times", "m2", "percent", "number", "area", *YEAR_UNITS)
}
"""Facts of every unit that the city's own sources do not have."""


@dataclass(frozen=True)
class DrawnPolicy:
    """The city's version and the districts', and what they were made from."""

    city: PointsVersion
    districts: Mapping[str, PointsVersion]


class _Drawer:
    """Draws the parts of one policy over the declared facts."""

    def __init__(self, draw: Draw, facts: Mapping[str, Fact]) -> None:
        self.draw, self.facts = draw, facts
        self.numbers = [name for name, fact in facts.items() if fact.unit in COUNTED_UNITS]
        self.counts = [name for name, fact in facts.items() if fact.unit in ("count", "people")]
        self.levels = [name for name, fact in facts.items() if fact.unit == "level"]
        self.switches = [name for name, fact in facts.items() if fact.unit == "yes_no"]
        self.areas = [name for name, fact in facts.items() if fact.unit == "area"]
        self.by_year = [name for name, fact in facts.items() if fact.unit in YEAR_UNITS]

    def one(self, choices: Any) -> Any:
        return self.draw(st.sampled_from(list(choices)))

    def maybe(self) -> bool:
        return bool(self.draw(st.booleans()))

    def ladder(self, fact: str) -> list[str]:
        declared = self.facts[fact]
        return [rung[0] for rung in declared.ladder] + (
            [declared.otherwise] if declared.otherwise else []
        )

    def marks(self, least: int, most: int) -> list[str]:
        """Ascending marks, some with decimals."""
        found = self.draw(
            st.lists(st.sampled_from(MARKS), min_size=least, max_size=most, unique=True)
        )
        return [
            f"{mark}.5" if mark > 0 and self.draw(st.integers(0, 5)) == 0 else str(mark)
            for mark in sorted(found)
        ]

    def ranges(self, most: int) -> list[Text]:
        """Ranges that do not overlap: both ends included, or the end excluded, now and then open at an end."""
        marks = self.marks(2, 2 * most)
        spans = [
            {"from": low, **self.end(high)}
            for low, high in zip(marks[::2], marks[1::2], strict=False)
        ]
        if self.maybe():
            spans[0].pop("from")
        if self.maybe() and set(spans[-1]) != {"to"} and set(spans[-1]) != {"below"}:
            spans[-1] = {"from": spans[-1]["from"]}
        return spans

    def end(self, high: str) -> Text:
        return {self.one(("to", "below")): high}

    # One method per rule form: (fact of the indicator or None, the rule's content).

    def bands(self) -> tuple[str | None, Any]:
        return self.one(self.numbers), [
            {**span, "points": self.one(AMOUNTS)} for span in self.ranges(3)
        ]

    def slope(self) -> tuple[str | None, Any]:
        sign = "-" if self.maybe() else ""
        content = {
            "start": self.marks(1, 1)[0],
            "points": self.one(AMOUNTS),
            "each": sign + self.one(SMALL),
        }
        content["direction"] = self.one(("below", "above"))
        if self.maybe():
            content["unit"] = self.one(("1", "2", "12", "0.5"))
        low, high = self.marks(2, 2)
        content |= {key: value for key, value in (("from", low), ("to", high)) if self.maybe()}
        return self.one(self.numbers), content

    def by_level(self) -> tuple[str | None, Any]:
        if self.areas and self.maybe():
            return self.one(self.areas), {area: self.one(AMOUNTS) for area in AREAS}
        fact = self.one(self.levels)
        return fact, {level: self.one(AMOUNTS) for level in self.ladder(fact) if self.maybe()} or {
            self.ladder(fact)[0]: "3"
        }

    def each(self) -> tuple[str | None, Any]:
        content = {"points": self.one(SMALL)}
        content |= (
            {"pro_rata": "true"}
            if self.maybe()
            else {"unit": self.one(("1", "2.5", "5", "12", "0.1"))}
        )
        if self.maybe():
            content |= {"start": self.marks(1, 1)[0], "first": self.one(AMOUNTS)}
        return self.one(self.numbers), content

    def tiers(self) -> tuple[str | None, Any]:
        begins = sorted(self.draw(st.sets(st.integers(1, 30), min_size=1, max_size=4)))
        rates = [{"from": str(begin), "points": self.one(SMALL)} for begin in begins]
        content: Text = {"mode": self.one(("whole", "marginal")), "rates": rates}
        if self.maybe():
            content["unit"] = self.one(("1", "2.5", "12"))
        return self.one(self.numbers), content

    def steps(self) -> tuple[str | None, Any]:
        marks = {mark: self.one(AMOUNTS) for mark in self.draw(st.permutations(self.marks(1, 4)))}
        return self.one(self.numbers), {"mode": self.one(("highest", "sum")), "marks": marks}

    def by_count(self) -> tuple[str | None, Any]:
        most = self.draw(st.integers(1, 5))
        return self.one(self.counts), {
            str(times): self.one(AMOUNTS) for times in range(1, most + 1)
        }

    def flat(self) -> tuple[str | None, Any]:
        return self.one(self.switches), self.one(AMOUNTS)

    def per_year(self) -> tuple[str | None, Any]:
        form = self.one(("bands", "slope", "each", "tiers", "steps"))
        rule = {form: RULES[form](self)[1]}
        last = str(self.draw(st.integers(1, 6)))
        spans = (last, {"last": last}, {"last": last, "ending": "previous"})
        return self.one(self.by_year), {
            "cap": self.one(CAPS),
            "years": self.one(spans),
            "rule": rule,
        }

    def family(self) -> tuple[str | None, Any]:
        facts = self.draw(
            st.lists(st.sampled_from(self.counts), min_size=1, max_size=4, unique=True)
        )
        return None, {fact: self.one(AMOUNTS) for fact in facts}

    def table(self) -> tuple[str | None, Any]:
        (down, rows), (across, columns) = self.axis(), self.axis()
        points = {
            row: {columns[0]: "3"} | {c: self.one(AMOUNTS) for c in columns if self.maybe()}
            for row in rows
        }
        return None, {"down": down, "across": across, "points": points}

    def axis(self) -> tuple[Text, list[str]]:
        kind = self.one(("level", "yes_no", "number"))
        if kind == "level":
            fact = self.one(self.levels)
            return {"fact": fact}, self.ladder(fact)
        if kind == "yes_no":
            return {"fact": self.one(self.switches)}, ["true", "false"]
        bands = {f"第{index}档": span for index, span in enumerate(self.ranges(2))}
        return {"fact": self.one(self.numbers), "bands": bands}, list(bands)

    def condition(self, depth: int = 2) -> str:
        """An expression that is true, false or unknown."""
        if depth and self.maybe():
            left, right = self.condition(depth - 1), self.condition(depth - 1)
            return str(
                self.one((f"({left}) and ({right})", f"({left}) or ({right})", f"not ({left})"))
            )
        number, other, level, switch = (
            self.one(of) for of in (self.numbers, self.numbers, self.levels, self.switches)
        )
        mark, sign = self.one(MARKS[1:]), self.one(("=", "<>", "<", "<=", ">", ">="))
        names = ", ".join(f"'{name}'" for name in self.ladder(level)[:3])
        return str(
            self.one(
                (
                    f"{number} {sign} {mark}",
                    f"{number} + {other} * 2 - 1 {sign} {mark}",
                    f"{number} / {other} {sign} 1.5",
                    f"{number} between {mark} and {mark + 12}",
                    f"{number} not in ({mark}, {mark + 1})",
                    f"{level} = '{self.ladder(level)[0]}'",
                    f"{level} in ({names})",
                    f"{level} is not null",
                    f"pension_gap_months is null or {number} {sign} {mark}",
                    f"permit_valid_to {sign} as_of + {mark}",
                    "permit_issued_on < '2021-09-01'",
                    switch,
                    f"not {switch}",
                )
            )
        )

    def award(self, code: str) -> Text:
        """A district's own award, under a rule for a number."""
        form = self.one(("each", "bands", "steps", "slope"))
        return {"fact": f"award:{code}", "rule": {form: RULES[form](self)[1]}}

    def indicator(self, parent: str, form: str) -> Text:
        fact, content = RULES[form](self)
        found: Text = {"rule": {form: content}} | ({"fact": fact} if fact else {})
        bounded = form in ("bands", "slope", "each", "tiers", "steps", "by_count")
        if fact in self.numbers and bounded and self.maybe():
            other, less = self.one(self.numbers), self.one(self.numbers)
            found["at_most"] = self.one((other, other, f"{other} - {less}", f"{other} / 2"))
        return self.around(parent, found)

    def around(self, parent: str, found: Text) -> Text:
        """What stands around every rule."""
        bounded = next(iter(found["rule"])) in (
            "bands",
            "levels",
            "steps",
            "by_count",
            "flat",
            "table",
        )
        if not bounded or self.maybe():
            found["cap"] = self.one((*CAPS, "0.125"))
        found |= {
            guard: self.condition()
            for guard in ("when", "unless")
            if self.draw(st.integers(0, 3)) == 0
        }
        texts = {
            "title": "指标",
            "basis": "条",
            "values": "illustrative",
            "evidence": "依据",
            "examples": {"0": "0"},
        }
        return {**found, **texts, "section": parent}

    def limits(self, codes: list[str]) -> Text:
        """What limits and guards a group or section."""
        found: Text = {}
        if self.maybe():
            found["cap"] = self.one(CAPS)
        if self.rarely():
            found["cap_share"] = {
                "of": self.one([codes[0], codes[:2], codes[-1]]),
                "share": self.one(SHARES),
            }
        if self.rarely():
            found["floor"] = self.one(("0", "-5", "0.5")) if "cap" not in found else "0"
        found |= {guard: self.condition() for guard in ("when", "unless") if self.rarely()}
        if self.rarely():
            found["all_of"] = list(dict.fromkeys(codes[:2]))
        return found

    def rarely(self) -> bool:
        return bool(self.draw(st.integers(0, 5)) == 0)

    def version(self, sections: Text, forms: list[str], awards: bool, floor: bool) -> PointsVersion:
        """A version with groups under groups, every group and section in use."""
        groups: dict[str, Text] = {}
        for index in range(self.draw(st.integers(0, 3))):
            parent = self.one([*sections, *groups])
            groups[f"g{index}"] = {
                "title": "组",
                "in": parent,
                "combine": self.one(("sum", "highest")),
            }
        parents = [*sections, *groups]
        homes = parents + [self.one(parents) for _ in range(max(0, len(forms) - len(parents)))]
        indicators = {
            f"i{n}": self.indicator(home, forms[n % len(forms)]) for n, home in enumerate(homes)
        }
        if awards:
            indicators |= {
                f"a{n}": self.around(self.one(parents), self.award(f"a{n}")) for n in range(2)
            }
        if awards and self.maybe():
            indicators["i0"]["replaces"] = "i0"
        codes = [*indicators, *parents]
        limited = {
            code: self.limits([self.one(codes), self.one(list(indicators))]) for code in parents
        }
        text = {
            "from": "2021-09-08",
            "basis": "文",
            "sections": {code: {**part, **limited[code]} for code, part in sections.items()},
            "groups": {code: {**part, **limited[code]} for code, part in groups.items()},
            "indicators": indicators,
        }
        if floor and self.maybe():
            text["floor"] = self.one(("0", "-10", "2.5"))
        return _without_circles(text)


def _without_circles(text: Text) -> PointsVersion:
    """A version in which no limit follows points that follow it, as the loader demands."""
    for part in (*text["sections"].values(), *text["groups"].values()):
        part["all_of"] = [code for code in part.get("all_of", ()) if code in text["indicators"]]
    while True:
        version = PointsVersion.model_validate(text)
        circle = next((one for one in validate_order(version)), None)
        if circle is None:
            return version
        kind, code, key = circle[0]
        del text[str(kind)][str(code)][str(key)]


RULES: dict[str, Callable[[_Drawer], tuple[str | None, Any]]] = {
    "bands": _Drawer.bands,
    "slope": _Drawer.slope,
    "levels": _Drawer.by_level,
    "each": _Drawer.each,
    "tiers": _Drawer.tiers,
    "steps": _Drawer.steps,
    "by_count": _Drawer.by_count,
    "flat": _Drawer.flat,
    "per_year": _Drawer.per_year,
    "counts": _Drawer.family,
    "table": _Drawer.table,
}


@st.composite
def draw_policies(draw: Draw, facts: Mapping[str, Fact]) -> DrawnPolicy:
    """A city table with every rule form in some order, and two districts' tables."""
    drawer = _Drawer(draw, facts)
    forms = draw(st.permutations(list(RULES)))
    sections: Text = {
        "base": {"title": "基础分"},
        "extra": {"title": "加分"},
        "deduction": {"title": "扣分", "subtract": "true"},
    }
    city = drawer.version(sections, forms, awards=False, floor=True)
    districts = {}
    for code in (HOME, ELSEWHERE):
        district: Text = {"district": {"title": "个性分"}}
        if drawer.maybe():
            district["fines"] = {"title": "扣分", "subtract": "true"}
        drawn = [drawer.one(RULES), drawer.one(RULES)]
        districts[code] = drawer.version(district, drawn, awards=True, floor=True)
    return DrawnPolicy(city, districts)
