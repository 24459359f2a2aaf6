"""The words of a month's statements, from its points tables and services."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Literal

from expectations.source_model import COUNTED_UNITS, Fact, Source
from reports.published_rules import PublishedRules
from reports.statements.model import (
    SCHEMA_VERSION,
    FactText,
    Form,
    IndicatorText,
    ServiceText,
    StatementTexts,
    SumText,
    VersionText,
)
from reports.statements.rows_sql import StatementRules
from reports.statements.sentences import SENTENCES, VALUES
from reports.titles import collect_item_titles
from transforms.expressions.fact_values import AWARD
from transforms.points.columns import ScoredIndicator, list_scored_indicators
from transforms.points.describe import Titles, describe_condition, describe_limits, describe_rule
from transforms.points.models import CITY, Indicator, PointsSum, PointsVersion
from transforms.services.models import ServiceVersion
from transforms.templates import LONG_SURNAMES, format_number

_FORMS: dict[str, Form] = {
    "yes_no": "yes_no",
    "level": "level",
    "date": "date",
    "month": "month",
    "hours_by_year": "by_year",
    "points_by_key": "by_key",
    "children": "children",
}


def build_statement_rules(rules: PublishedRules) -> StatementRules:
    """Return what computes the statements of a month from its declarations."""
    versions = {authority: rules.version(authority) for authority in rules.tables}
    city = versions.pop(CITY)
    return StatementRules(city, versions, rules.services_in_force, rules.names.facts, rules.kinds)


def build_statement_texts(
    rules: PublishedRules, sources: Mapping[str, Source], compared_with: str | None
) -> StatementTexts:
    """Return the words of a month's statements.

    Args:
        rules: The declarations of the month.
        sources: Who delivers the evidence.
        compared_with: The revision of the month before that `change` compares with.
    """
    of_month = build_statement_rules(rules)
    authorities: dict[str, PointsVersion] = {CITY: of_month.city, **of_month.districts}
    departments = {name: source.department for source in sources.values() for name in source.facts}
    titles = {service.service: service for service in rules.services}
    return StatementTexts(
        schema_version=SCHEMA_VERSION,
        month=rules.as_of.isoformat()[:7],
        as_of=rules.as_of.isoformat(),
        compared_with=compared_with,
        districts=dict(rules.districts),
        versions=[
            VersionText(
                authority=authority,
                title=rules.tables[authority].title,
                basis=version.basis,
                **{"from": version.begins.isoformat()},
            )
            for authority, version in authorities.items()
        ],
        indicators=[
            _indicator_text(line, rules.names, departments)
            for line in list_scored_indicators(of_month.city, of_month.districts)
        ],
        sums=[
            one
            for authority, version in authorities.items()
            for one in _sum_texts(authority, version, rules.names)
        ],
        items={
            name_item(item): title
            for item, title in collect_item_titles(rules.tables, rules.districts).items()
        },
        services=[
            _service_text(code, titles[code].title, titles[code].department, version)
            for code, version in of_month.services.items()
        ],
        facts={
            name: _fact_text(name, fact, rules.names) for name, fact in rules.names.facts.items()
        },
        values=VALUES,
        surnames=LONG_SURNAMES,
        sentences=SENTENCES,
    )


def name_item(item: str) -> str:
    """Return the code of a points column: of a district's with the district before it."""
    parts = item.split("_", 1)
    is_district = len(parts) == 2 and parts[0][:1] == "d" and parts[0][1:].isdigit()
    return f"{parts[0][1:]}:{parts[1]}" if is_district else item


def qualify_code(authority: str, code: str) -> str:
    """Return the code of an indicator or sum as rows and texts have it."""
    return code if authority == CITY else f"{authority}:{code}"


def _indicator_text(
    line: ScoredIndicator, names: Titles, departments: Mapping[str, str]
) -> IndicatorText:
    indicator = line.indicator
    read = ["awards" if fact.startswith(AWARD) else fact for fact in indicator.facts]
    return IndicatorText(
        code=line.target,
        authority=line.authority,
        parent=qualify_code(line.authority, indicator.section),
        title=indicator.title,
        evidence=indicator.evidence,
        fact=_own_fact(line),
        rule=_describe_rule(indicator, names),
        basis=indicator.basis,
        values=indicator.values,
        cap=None if indicator.cap is None else format_number(indicator.cap),
        guards=dict(_guard_texts(line, names)),
        departments=list(dict.fromkeys(departments[fact] for fact in read)),
    )


def _own_fact(line: ScoredIndicator) -> str | None:
    fact = line.indicator.fact
    if fact is None or not fact.startswith(AWARD):
        return fact
    return f"awards/{line.authority}:{fact.removeprefix(AWARD)}"


def _describe_rule(indicator: Indicator, names: Titles) -> str:
    """Return the rule and what stands around it, as one sentence."""
    parts = [describe_rule(indicator.rule, indicator.fact, names)]
    if indicator.at_most:
        parts.append(f"数值不超过{describe_condition(indicator.at_most, names)}")
    if indicator.cap is not None:
        parts.append(f"最高 {indicator.cap.normalize():f} 分")
    if indicator.when:
        parts.append(f"须{describe_condition(indicator.when, names)}")
    if indicator.unless:
        parts.append(f"{describe_condition(indicator.unless, names)}时不得分")
    return "；".join(parts) + "。"


def _guard_texts(line: ScoredIndicator, names: Titles) -> Iterator[tuple[str, str]]:
    """Yield each guard, and why the indicator is closed by it."""
    indicator = line.indicator
    if line.replaced_in:
        yield "replaced", "由居住区县的指标代替"
    if indicator.when:
        yield "when", f"须{describe_condition(indicator.when, names)}，现不满足"
    if indicator.unless:
        yield "unless", f"{describe_condition(indicator.unless, names)}，不得分"


def _sum_texts(authority: str, version: PointsVersion, names: Titles) -> Iterator[SumText]:
    """Yield the groups and sections of one table, inner ones first."""
    for code, group in version.inner_first():
        yield SumText(
            code=qualify_code(authority, code),
            authority=authority,
            parent=qualify_code(authority, group.parent),
            title=_sum_title(version, group, names),
            combine=group.combine,
            cap=None if group.cap is None else format_number(group.cap),
            subtract=False,
        )
    for code, section in version.sections.items():
        yield SumText(
            code=qualify_code(authority, code),
            authority=authority,
            parent=None,
            title=_sum_title(version, section, names),
            combine="sum",
            cap=None if section.cap is None else format_number(section.cap),
            subtract=section.subtract,
        )


def _sum_title(version: PointsVersion, found: PointsSum, names: Titles) -> str:
    """Return a group's or section's title, with what bounds or closes it besides the cap."""
    titles = {code: version.find_sum(code).title for code in (*version.groups, *version.sections)}
    titles |= {code: indicator.title for code, indicator in version.indicators.items()}
    limits = describe_limits(found.model_copy(update={"cap": None}), titles, names)
    return f"{found.title}（{limits}）" if limits else found.title


def _service_text(code: str, title: str, department: str, version: ServiceVersion) -> ServiceText:
    return ServiceText(
        code=code,
        title=title,
        department=department,
        threshold={
            district: format_number(points) for district, points in version.points.threshold.items()
        },
        conditions=[condition.lacking for condition in version.conditions],
        ranked=None if version.rank is None else version.rank.per,
        guardians=_guardians_word(version),
    )


def _guardians_word(
    version: ServiceVersion,
) -> Literal["highest", "chosen", "sum", "parts"] | None:
    if version.guardians is None:
        return None
    points = version.guardians.points
    return "parts" if isinstance(points, dict) else points


def _fact_text(name: str, fact: Fact, names: Titles) -> FactText:
    form: Form = "number" if fact.unit in COUNTED_UNITS else _FORMS.get(fact.unit, "text")
    return FactText(title=fact.title, form=form, levels=dict(names.levels.get(name, {})))
