"""An explanation as text for a terminal, and as plain data for JSON."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from decimal import Decimal
from typing import Any

from rich.cells import cell_len

from expectations.month import Month
from reports.explain.compute import explain_row
from reports.explain.model import (
    ExplainedIndicator,
    ExplainedSum,
    Explanation,
    ScoreChange,
    ServiceState,
)
from reports.statements.forecast import MONTHS
from reports.statements.model import StatementRow, StatementTexts
from transforms.points.models import CITY
from transforms.templates import fill_template, format_number

TITLE_CELLS = 16


def to_json_data(found: Explanation) -> dict[str, Any]:
    """The explanation as JSON can hold it: decimals as text, so that 63.50 stays 63.50."""
    plain: dict[str, Any] = to_json_value(asdict(found))
    for line, data in zip(found.lines, plain["lines"], strict=True):
        data["capped"] = line.capped
    for one, data in zip(found.sums, plain["sums"], strict=True):
        data["capped"] = one.capped
    return plain


def to_json_value(value: Any) -> Any:
    """Decimals and dates as text."""
    if isinstance(value, Mapping):
        return {name: to_json_value(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [to_json_value(item) for item in value]
    if isinstance(value, Decimal):
        return format(value, "f")
    return value.isoformat() if isinstance(value, dt.date) else value


def format_explanation(row: StatementRow, texts: StatementTexts) -> list[str]:
    """Return a statement as lines for a terminal, as docs/reference/statements.md lays them out."""
    return format_lines(explain_row(row, texts), row, texts)


def format_lines(
    found: Explanation,
    row: StatementRow,
    texts: StatementTexts,
    forecasts: Mapping[str, str] | None = None,
) -> list[str]:
    """Return the explanation of a statement as lines.

    `forecasts`: service -> the sentence that says when it will be reached.
    """
    return list(StatementWriter(found, row, texts, forecasts or {}).write_lines())


@dataclass(frozen=True)
class StatementWriter:
    """Writes what an explanation says, in the sentences of its month's texts."""

    found: Explanation
    row: StatementRow
    texts: StatementTexts
    forecasts: Mapping[str, str] = field(default_factory=dict)

    def say(self, sentence: str, **values: object) -> str:
        """Return a sentence of the texts, filled in."""
        return fill_template(self.texts.sentences[sentence], lambda name: str(values[name]))

    def write_lines(self) -> Iterator[str]:
        """Yield the lines for a terminal."""
        found, row = self.found, self.row
        yield self.say(
            "heading",
            name=found.name,
            month=f"{row.month:%Y-%m}",
            revision=row.revision,
            district=found.district_name,
            total=found.total,
        )
        for version in found.versions:
            yield self.say("version", **{**version, "begins": version["from"]})
        for discrepancy in found.discrepancies:
            yield f"！{discrepancy}；请运行 jifen verify 并报告"
        yield from self.write_corrected_facts()
        yield from self.write_objections()
        for one in found.sums:
            if one.parent is None:
                yield ""
                yield from self._members(one, "")
        yield ""
        yield self.say("common", common=found.common, terms=self._terms())
        yield self.say(
            "total",
            total=found.total,
            common=found.common,
            district_points=found.district_points,
        )
        yield from self._changes()
        yield from self._services()

    def write_corrected_facts(self) -> Iterator[str]:
        """Yield a sentence for every fact that a case has set."""
        for case in self.found.corrected_facts:
            yield self.say(
                "corrected_fact", title=case.title, value=case.after, case_id=case.case_id
            )

    def write_objections(self) -> Iterator[str]:
        """Yield a sentence for every open objection."""
        for one in self.found.open_objections:
            yield self.say("objection", **vars(one))

    def _terms(self) -> str:
        terms = " ".join(
            self.say("subtracted" if one.subtract else "added", title=one.title, points=one.points)
            for one in self.found.sums
            if one.parent is None and one.authority == CITY
        )
        return terms.removeprefix("＋ ")

    def _members(self, parent: ExplainedSum, indent: str) -> Iterator[str]:
        """A section or group with what stands in it."""
        yield f"{indent}{_padded(parent.title)}{parent.points:>8}{self.describe_sum(parent)}"
        for line in self.found.lines:
            if (line.authority, line.parent) == (parent.authority, parent.code):
                yield from (f"{indent}  {text}" for text in self._line(line))
        for one in self.found.sums:
            if (one.authority, one.parent) == (parent.authority, parent.code):
                yield from self._members(one, indent + "  ")

    def describe_sum(self, one: ExplainedSum) -> str:
        """Return how a sum is combined and capped."""
        note = self.say("highest") if one.combine == "highest" else ""
        if one.cap is not None:
            note += self.say("cap", cap=format_number(one.cap))
            note += self.say("over_cap", before_cap=one.before_cap) if one.capped else ""
        return note

    def _line(self, line: ExplainedIndicator) -> Iterator[str]:
        yield f"{_padded(line.title)}{line.points:>8}  {line.evidence}"
        indent = " " * (TITLE_CELLS + 10)
        example = self.say("illustrative") if line.values == "illustrative" else ""
        yield f"{indent}{self.say('rule', rule=line.rule, basis=line.basis)}{example}"
        yield from (f"{indent}{said}" for said in self.describe_limits(line))

    def describe_limits(self, line: ExplainedIndicator) -> Iterator[str]:
        """Yield what kept an indicator from the points of its rule."""
        if line.closed_by is not None:
            yield self.say("closed", reason=line.closed_by)
        elif line.capped:
            points = line.points_before_correction
            yield self.say("capped", rule_points=line.rule_points, points=points)
        if line.correction is not None:
            yield self.say("corrected", **vars(line.correction))

    def _changes(self) -> Iterator[str]:
        found = self.found
        yield ""
        if found.compared_with is None:
            yield self.say("not_compared")
            return
        said = self.say("compared", revision=found.compared_with.replace("/", " "))
        yield said + ("" if found.changes else self.say("unchanged"))
        for change in found.changes:
            yield f"  {_padded(change.title)}{self.describe_change(change, 8)}"

    def describe_change(self, change: ScoreChange, width: int = 0) -> str:
        """Return the points before, set right in a width, and now."""
        before, after = (
            self.texts.values["not_there"] if points is None else str(points)
            for points in (change.before, change.after)
        )
        return self.say("moved", before=f"{before:>{width}}", after=after)

    def _services(self) -> Iterator[str]:
        if self.found.services:
            yield ""
            yield self.say("services")
        for service in self.found.services:
            yield f"  {_padded(service.title)}  {self.describe_service(service)}"
            if service.code in self.forecasts:
                yield " " * (TITLE_CELLS + 4) + self.forecasts[service.code]

    def describe_service(self, service: ServiceState) -> str:
        """Return that a service is reached, or everything that lacks; then its notes."""
        if not service.reached:
            return "；".join([*service.lacking, *service.notes])
        amount = service.monthly_amount
        paid = "" if amount is None else self.say("amount", amount=f"{amount:f}")
        return "；".join([self.say("reached") + paid, *service.notes])


def describe_forecasts(
    months: Mapping[str, int | None], row: StatementRow, texts: StatementTexts
) -> dict[str, str]:
    """Return for each service when it will be reached, as a sentence (`forecast_services`)."""
    return {
        code: _say_forecast(after, Month.of(row.month), texts) for code, after in months.items()
    }


def _say_forecast(after: int | None, month: Month, texts: StatementTexts) -> str:
    if after is None:
        return fill_template(texts.sentences["no_forecast"], lambda name: str(MONTHS))
    values = {"months": str(after), "month": str(month + after)}
    return fill_template(texts.sentences["forecast"], values.__getitem__)


def _padded(title: str) -> str:
    """The title filled up to one width; Chinese characters take two cells."""
    return title + " " * max(1, TITLE_CELLS - cell_len(title))
