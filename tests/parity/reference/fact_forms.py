"""Hypothesis strategies for facts: every measure, window, cut-off day and way to count a record.

A fact is made as the text a writer would type, over a source with a column of every type.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from hypothesis import strategies as st

from expectations.source_model import Source

Draw = Callable[[st.SearchStrategy[Any]], Any]
Text = dict[str, Any]
COLUMNS: dict[str, Text] = {
    "resident_id": {"type": "id", "required": "true"},
    "act_id": {"type": "text", "required": "true"},
    "kind": {"type": "set", "values": {"whole": "全血", "platelets": "血小板", "other": "其他"}},
    "severity": {"type": "set", "values": {"slight": "轻", "grave": "重"}},
    "on_date": {"type": "date", "required": "true"},
    "until": {"type": "date", "future": "true", "not_before": "on_date"},
    "month": {"type": "month", "required": "true"},
    "amount": {"type": "amount"},
    "share": {"type": "amount"},
    "base": {"type": "amount", "check": {"min": "0", "max": "9"}},
    "holders": {"type": "integer"},
    "proved": {"type": "yes_no"},
}
DAYS = ("2017-03-31", "2020-02-29", "2021-06-30", "2021-12-31", "2022-04-15")
MONTHS = ("2017-03", "2020-02", "2021-06", "2021-12", "2022-04")
CUT_OFFS = ({"month": 3, "day": 31}, {"month": 2, "day": 28}, {"month": 12, "day": 15})
GREATEST = ("severity", "amount", "on_date", "holders", "month")


def make_source(name: str, delivery: str, facts: Mapping[str, Text]) -> Source:
    """Return a source with a column of every type and these facts."""
    columns = {code: {"title": code, **column} for code, column in COLUMNS.items()}
    head = {"source": name, "title": name, "department": "局", "delivery": delivery}
    return Source.model_validate(
        {**head, "person": "resident_id", "columns": columns, "facts": facts}
    )


class FactDrawer:
    """Draws facts of one source; `other` is a source with the same columns."""

    def __init__(self, draw: Draw, other: str) -> None:
        self.draw, self.other = draw, other

    def one(self, choices: Any) -> Any:
        return self.draw(st.sampled_from(list(choices)))

    def maybe(self) -> bool:
        return bool(self.draw(st.booleans()))

    def fact(self, unit: str, measure: str, **more: Any) -> Text:
        words = {"title": "数据", "meaning": "义", "meaning_en": "one"}
        return {**words, "unit": unit, "measure": measure, **more}

    def where(self) -> Text:
        if not self.maybe():
            return {}
        asked = {
            "kind": ["whole", "other"],
            "base": {self.one(("min", "above", "max", "below")): self.one(("3", "5.5"))},
            "holders": self.one(({"min": "4", "below": "49"}, ["0", "5"])),
            "proved": self.one(("true", "false")),
        }
        chosen = self.one(asked)
        return {"where": {chosen: asked[chosen]}}

    def years(self) -> Text:
        return {"last": self.one((1, 2, 3)), "ending": self.one(("this", "previous"))}

    def window(self, ends: tuple[str, ...]) -> Text:
        low, high = sorted([self.one(ends), self.one(ends)])
        kinds: tuple[Text, ...] = (
            {"last_months": self.one((1, 12, 24, 36))},
            {"last_months": self.one((1, 12, 24)), "ending": "month_before"},
            {"between": [low, high]},
            {"since": low},
            {"calendar_years": self.years()},
        )
        return dict(self.one(kinds))

    def at(self) -> Text:
        return {"at": self.one(("first_of_month", *CUT_OFFS))} if self.maybe() else {}

    def dated(self) -> Text:
        """A window over a column of dates or months, now and then on a cut-off day; or none."""
        if not self.maybe():
            return {}
        of = self.one(("on_date", "month"))
        window = self.window(DAYS if of == "on_date" else MONTHS)
        return {"within": {"of": of, **window}, **self.at()}

    def acts(self) -> Text:
        return {"once_per": ["act_id"], "greatest": self.one(GREATEST)} if self.maybe() else {}

    def record(self) -> Text:
        """What a record adds."""
        found: Text = {}
        if self.maybe():
            found["clip"] = {self.one(("min", "max")): self.one(("1", "6"))}
        if self.maybe():
            found["times"] = self.one(("share", "holders"))
        if self.maybe():
            column = {"of": "holders", "plus": self.one((0, 1))}
            found["divided_by"] = self.one(("3", "2.5", column))
        if self.maybe():
            found["weights"] = {"kind": {"platelets": "200", "other": "0.3333"}}
        if self.maybe():
            dates = {self.one(DAYS): {"kind": {"platelets": self.one(("400", "2"))}}}
            dates["2022-01-01"] = {"kind": {"whole": "0.5"}}
            found["weights_from"] = {"of": "on_date", "dates": dates}
        return found

    def sum(self) -> Text:
        more = {**self.where(), **self.dated(), **self.acts(), **self.record()}
        return self.fact("points", "sum", of="amount", **more)

    def count(self) -> Text:
        return self.fact("times", "count", **self.where(), **self.dated(), **self.acts())

    def current(self) -> Text:
        span = {"from": "on_date", "to": "until", "open_end": self.one(("true", "false"))}
        kind = self.one(("current", "open"))
        return self.fact("yes_no", "exists", **{kind: span}, **self.where(), **self.at())

    def by_year(self) -> Text:
        unit = self.one(("times_by_year", "yuan_by_year", "ml_by_year", "hours_by_year"))
        of = {} if unit == "times_by_year" else {"of": "amount", **self.record()}
        years = self.one((2, 5, self.years()))
        more = {**self.where(), **self.acts(), **of}
        if not of and "once_per" in more and "greatest" not in more:
            more["greatest"] = "on_date"
        return self.fact(unit, "sum_by_year", keys="on_date", years=years, **more)

    def full_months(self) -> Text:
        return self.fact("months", "full_months", of="on_date", **self.where(), **self.at())

    def months(self) -> Text:
        units = {"last_month": "month"}
        measure = self.one(("distinct_months", "last_month", "gap_months", "run_months"))
        more = {**self.where(), **self.at()}
        if self.maybe():
            more["within"] = self.window(MONTHS)
        if measure == "run_months" and self.maybe():
            more["gap"] = self.one((1, 3, 24))
        return self.fact(units.get(measure, "months"), measure, of="month", **more)

    def spell(self) -> Text:
        source = {"source": self.other} if self.maybe() else {}
        span = {"from": "on_date", "to": "until", "open_end": self.one(("true", "false"))}
        return {**source, **span, **self.where()}

    def covered(self) -> Text:
        more: Text = {"spells": [self.spell() for _ in range(self.one((1, 2)))], **self.at()}
        if self.maybe():
            more["without"] = [self.spell()]
        if self.maybe():
            more["within"] = self.window(MONTHS)
        return self.fact("months", "covered_months", **more)


FORMS = ("sum", "count", "current", "by_year", "full_months", "months", "covered")


@st.composite
def draw_facts(draw: Draw, each: int) -> dict[str, Text]:
    """Draw some facts of every form, by name."""
    drawer = FactDrawer(draw, "other")
    return {f"{form}_{n}": getattr(drawer, form)() for form in FORMS for n in range(each)}
