"""What the drift check found, in the operators' words: what is how much off, and whom to ask."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from expectations.source_model import Source
from reports.numbers import format_share
from transforms.comparison.drift import EVERYWHERE, DriftChange
from transforms.points.models import CITY

KINDS = {
    "rows": "各来源行数",
    "residents": "人数",
    "mean": "全市平均总分",
    "indicator_mean": "各指标平均分",
    "district_mean": "各区县平均总分",
    "eligible": "各服务达标人数",
}


@dataclass(frozen=True)
class ReportNames:
    """What things are called: sources by code; titles of districts, points columns (without `_points`), services, reminders.

    fed_by: the sources that an indicator is made from.
    """

    sources: Mapping[str, Source]
    districts: Mapping[str, str]
    items: Mapping[str, str]
    services: Mapping[str, str]
    reminders: Mapping[str, str]
    fed_by: Mapping[str, Sequence[str]]

    def source(self, code: str) -> str:
        """A source with the department to ask."""
        return f"{self.sources[code].title}（{self.sources[code].department}）"

    def authority(self, code: str) -> str:
        """Return whose table or service it is: the city, a district, or a service's title."""
        return "全市" if code == CITY else self.districts.get(code, self.services.get(code, code))

    def subject(self, change: DriftChange) -> str:
        """What a figure is of, without saying which figure."""
        match change.kind:
            case "rows":
                return self.source(change.name)
            case "indicator_mean":
                return self.items.get(change.name, change.name)
            case "eligible":
                return self.services.get(change.name, change.name)
            case _:
                return (
                    "全市"
                    if change.name == EVERYWHERE
                    else self.districts.get(change.name, change.name)
                )


def describe_changes(found: Sequence[DriftChange], names: ReportNames) -> list[str]:
    """One sentence per figure, each with what to do."""
    return [describe_change(change, names) for change in found]


def describe_change(change: DriftChange, names: ReportNames) -> str:
    """Return what changed, how much, and what to look at."""
    return f"{format_change(change, names)}。{explain_change(change, names)}。"


def format_change(change: DriftChange, names: ReportNames) -> str:
    """Return what changed, and how much."""
    before, after = format_amount(change, change.before), format_amount(change, change.after)
    return f"{_said(change, names)[0]}：{before} → {after}（{format_percent(change)}）"


def explain_change(change: DriftChange, names: ReportNames) -> str:
    """Return what to look at."""
    return _said(change, names)[1].removesuffix("。")


def format_amount(change: DriftChange, value: Decimal) -> str:
    """A figure with its unit."""
    if change.kind in ("mean", "district_mean", "indicator_mean"):
        return f"{value:,.2f} 分"
    return f"{value:,.0f} {'行' if change.kind == 'rows' else '人'}"


def format_percent(change: DriftChange) -> str:
    """The change as a share of what was before."""
    return format_share(change.after - change.before, change.before)


def _said(change: DriftChange, names: ReportNames) -> tuple[str, str]:
    subject = names.subject(change)
    match change.kind:
        case "rows":
            hint = f"请{names.sources[change.name].department}核对是否交全，补交后重新运行。"
            return f"{subject}交付的行数", hint
        case "residents":
            gone = change.name != EVERYWHERE and not change.after
            hint = f"请核对{_registries(names)}{'中该区县是否漏交' if gone else '是否交全'}。"
            return f"{subject}计分人数", hint
        case "indicator_mean":
            fed = "、".join(names.source(code) for code in names.fed_by.get(change.name, ()))
            hint = f"请核对{fed or '相关来源'}的日期和取值是否变了含义，以及积分表有没有更正。"
            return f"指标“{subject}”的平均分", hint
        case "eligible":
            return f"{subject}达标人数", "请核对影响该服务的积分和条件。"
        case _:
            return f"{subject}平均总分", "请看哪些指标变动大，再核对相应来源和积分表。"


def _registries(names: ReportNames) -> str:
    return "、".join(names.source(code) for code, source in names.sources.items() if source.spine)
