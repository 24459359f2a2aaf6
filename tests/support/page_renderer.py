"""The lines of a statement, written from docs/reference/statements.md alone.

It is what a stranger would write who has the page, `texts.json` and rows as JSON, and nothing of
this program: the page is complete as long as it renders the examples.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

Data = Mapping[str, Any]


def render_lines(row: Data, texts: Data) -> list[str]:
    """Return the lines of one row."""
    return list(_Page(row, texts).render())


class _Page:
    def __init__(self, row: Data, texts: Data) -> None:
        self.row, self.texts = row, texts
        self.indicators = {one["code"]: one for one in texts["indicators"]}
        self.sums = {one["code"]: one for one in texts["sums"]}

    def say(self, sentence: str, **values: object) -> str:
        return _fill(self.texts["sentences"][sentence], values)

    def render(self) -> Iterator[str]:
        row, texts = self.row, self.texts
        yield self.say(
            "heading",
            name=self.mask(row["name"]),
            month=row["month"][:7],
            revision=row["revision"],
            district=texts["districts"][row["district"]],
            total=row["total_points"],
        )
        for one in texts["versions"]:
            if one["authority"] in ("city", row["district"]):
                yield self.say("version", **one, begins=one["from"])
        yield from self.render_cases()
        for one in row["sums"]:
            if self.sums[one["code"]]["parent"] is None:
                yield ""
                yield from self.render_sum(one, "")
        yield ""
        terms = " ".join(self.list_terms())
        common = row["common_points"]
        yield self.say("common", common=common, terms=terms.removeprefix("＋ "))
        district, total = row["district_points"], row["total_points"]
        yield self.say("total", total=total, common=common, district_points=district)
        yield from self.render_change()
        yield from self.render_services()

    def mask(self, name: str | None) -> str:
        if not name:
            return str(self.texts["values"]["nobody"])
        long = len(name) > 2 and name[:2] in self.texts["surnames"]
        return name[: 2 if long else 1] + "**"

    def render_cases(self) -> Iterator[str]:
        facts = self.texts["facts"]
        for one in self.row["facts"]["corrected"]:
            value = one["value"]
            if facts[one["fact"]]["form"] == "yes_no":
                value = Decimal(value) == 1
            said = self.put(one["fact"], {one["fact"]: value})
            title = facts[one["fact"]]["title"]
            yield self.say("corrected_fact", title=title, value=said, case_id=one["case_id"])
        for one in self.row["open_objections"]:
            target = one["target"]
            named = self.indicators.get(target) or facts.get(target.removeprefix("fact:"))
            yield self.say("objection", **one, title=named["title"] if named else target)

    def render_sum(self, one: Data, indent: str) -> Iterator[str]:
        words = self.sums[one["code"]]
        said = self.say("highest") if words["combine"] == "highest" else ""
        if words["cap"] is not None:
            said += self.say("cap", cap=words["cap"])
            if Decimal(one["before_cap"]) > Decimal(words["cap"]) == Decimal(one["points"]):
                said += self.say("over_cap", before_cap=one["before_cap"])
        yield f"{indent}{_fill_up(words['title'])}{one['points']:>8}{said}"
        for line in self.row["lines"]:
            if self.indicators[line["code"]]["parent"] == one["code"]:
                yield from (f"{indent}  {text}" for text in self.render_line(line))
        for inner in self.row["sums"]:
            if self.sums[inner["code"]]["parent"] == one["code"]:
                yield from self.render_sum(inner, indent + "  ")

    def render_line(self, line: Data) -> Iterator[str]:
        words = self.indicators[line["code"]]
        yield f"{_fill_up(words['title'])}{line['points']:>8}  {self.put_evidence(words)}"
        example = self.say("illustrative") if words["values"] == "illustrative" else ""
        below = " " * 26
        yield below + self.say("rule", rule=words["rule"], basis=words["basis"]) + example
        before = Decimal(line["rule_points"])
        if words["cap"] is not None:
            before = min(before, Decimal(words["cap"]))
        said = "0.00" if line["closed_by"] else f"{before:.2f}"
        if line["closed_by"]:
            yield below + self.say("closed", reason=words["guards"][line["closed_by"]])
        elif line["capped"]:
            yield below + self.say("capped", rule_points=line["rule_points"], points=said)
        if line["case_id"] is not None:
            yield below + self.say(
                "corrected", before=said, after=line["points"], case_id=line["case_id"]
            )

    def put_evidence(self, words: Data) -> str:
        facts, own = self.row["facts"], words["fact"]
        names = re.findall(r"{(\w[^}]*)}", words["evidence"])
        values = {name: self.put(own if name == "value" else name, facts) for name in names}
        said = _fill(words["evidence"], values)
        is_yes_no = self.texts["facts"].get(own, {}).get("form") == "yes_no"
        if not names and is_yes_no and facts.get(own) is not None:
            return self.say("yes_or_no", evidence=said, value=self.put(own, facts))
        return said

    def put(self, name: str, facts: Data) -> str:
        words, (fact, _, key) = self.texts["values"], name.partition("/")
        if key:
            entries = facts[fact] or []
            return _plain(next((one["points"] for one in entries if one["key"] == key), "0"))
        value, about = facts.get(fact), self.texts["facts"].get(fact, {"form": "text"})
        if value is None:
            return str(words["unknown"])
        match about["form"]:
            case "yes_no":
                return str(words["yes" if value else "no"])
            case "number":
                return _plain(value)
            case "level":
                return str(about["levels"].get(value, value))
            case "date" | "month" as form:
                return _fill(words[form], _split_date(value))
            case "by_year" | "by_key" | "children" as form:
                said = (_fill(words[form], _with_plain_numbers(one)) for one in value)
                return words["separator"].join(said) or str(words["none"])
        return str(value)

    def list_terms(self) -> Iterator[str]:
        for one in self.row["sums"]:
            words = self.sums[one["code"]]
            if words["parent"] is None and words["authority"] == "city":
                kind = "subtracted" if words["subtract"] else "added"
                yield self.say(kind, title=words["title"], points=one["points"])

    def render_change(self) -> Iterator[str]:
        row, items = self.row, list(self.texts["items"])
        yield ""
        if self.texts["compared_with"] is None:
            yield self.say("not_compared")
            return
        moved = row["change"]["moved"] if row["change"] else []
        said = self.say("compared", revision=self.texts["compared_with"].replace("/", " "))
        yield said + ("" if moved else self.say("unchanged"))
        now = {one["code"]: one["points"] for one in (*row["lines"], *row["sums"])}
        now |= {name: row[f"{name}_points"] for name in ("common", "district", "total")}
        absent = self.texts["values"]["not_there"]
        for one in sorted(moved, key=lambda one: items.index(one["code"])):
            title = _fill_up(self.texts["items"][one["code"]])
            before = absent if one["before"] is None else one["before"]
            after = now.get(one["code"]) or absent
            yield f"  {title}{self.say('moved', before=f'{before:>8}', after=after)}"

    def render_services(self) -> Iterator[str]:
        if self.texts["services"]:
            yield ""
            yield self.say("services")
        lines = {one["code"]: one for one in self.row["services"]}
        ranks = {one["code"]: one for one in self.row.get("ranks", [])}
        for words in self.texts["services"]:
            code, line = words["code"], lines.get(words["code"])
            children = [one for one in self.row.get("children", []) if one["code"] == code]
            for child in children:
                born = _fill(self.texts["values"]["date"], _split_date(child["born_on"]))
                title = self.say("child", title=words["title"], born_on=born)
                notes = [*self.list_places(child, child, words), self.say_guardians(child, words)]
                short = self.list_short(child, words, child["district"])
                yield self.render_service(title, child, short, notes)
            if children:
                continue
            if line is None:
                yield self.render_service(words["title"], {}, [self.say("not_open")], [])
                continue
            lacking = [words["conditions"][number - 1] for number in line["unmet"]]
            if words["guardians"] is None:
                lacking += self.list_short(line, words, self.row["district"])
            elif not lacking:
                lacking = [self.say("no_child")]
            place = ranks.get(code)
            notes = self.list_places(line, place, words) if place else []
            yield self.render_service(words["title"], line, lacking, notes)

    def render_service(self, title: str, line: Data, lacking: list[str], notes: list[str]) -> str:
        if not lacking:
            amount = line["monthly_amount"]
            paid = "" if amount is None else self.say("amount", amount=amount)
            lacking = [self.say("reached") + paid]
        return f"  {_fill_up(title)}  {'；'.join([*lacking, *notes])}"

    def list_short(self, line: Data, words: Data, district: str) -> list[str]:
        if Decimal(line["points_short"]) == 0:
            return []
        threshold = words["threshold"].get(district, words["threshold"].get("default"))
        short = _plain(line["points_short"])
        return [self.say("points_lacking", threshold=threshold, short=short)]

    def list_places(self, line: Data, place: Data, words: Data) -> list[str]:
        said = [self.say("score", score=line["score"])]
        if place["rank"] is None or words["ranked"] is None:
            return said
        sentence = "rank" if place["rank_class"] is None else "rank_in_class"
        among = self.texts["values"][words["ranked"]]
        values = {"rank": place["rank"], "rank_class": place["rank_class"], "among": among}
        return [*said, self.say(sentence, **values)]

    def say_guardians(self, child: Data, words: Data) -> str:
        if words["guardians"] == "parts":
            parts = [self.texts["items"][one.removesuffix("_points")] for one in child["counted"]]
            values = self.texts["values"]
            return self.say("child_parts", parts=values["separator"].join(parts) or values["none"])
        if words["guardians"] == "sum" and child["guardians"] > 1:
            return self.say("child_sum")
        return self.say("child_own" if child["counted"] else "child_other")


def _fill(sentence: str, values: Data) -> str:
    return re.sub(r"{(\w[^}]*)}", lambda found: str(values[found[1]]), sentence)


def _fill_up(title: str) -> str:
    cells = sum(2 if unicodedata.east_asian_width(one) in "WF" else 1 for one in title)
    return title + " " * max(1, 16 - cells)


def _plain(number: object) -> str:
    return f"{Decimal(str(number)).normalize():f}" if Decimal(str(number)) else "0"


def _split_date(day: str) -> dict[str, int]:
    year, month, day_of_month = map(int, day.split("-"))
    return {"year": year, "month": month, "day": day_of_month}


def _with_plain_numbers(entry: Data) -> dict[str, Any]:
    numbers = {name: _plain(entry[name]) for name in ("hours", "points") if name in entry}
    return {**entry, **numbers}
