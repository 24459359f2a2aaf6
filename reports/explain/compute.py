"""The points of one person, line by line: evidence, rule, what limited it, clause.

Points are those that were published. What the rules gave, which guard closed an indicator and what
sums were before their caps are columns of the statement that scores everyone, run for this one
person over the published facts. Where it gives other points than were published,
`Explanation.discrepancies` says so.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from itertools import groupby
from pathlib import Path
from typing import Any

from reports.explain.model import (
    Correction,
    ExplainedIndicator,
    ExplainedSum,
    Explanation,
    ScoreChange,
    ServiceState,
)
from reports.explain.published_rules import PublishedRules
from reports.titles import collect_item_titles
from transforms.engine.parquet import read_folder_sql
from transforms.engine.session import Session
from transforms.outputs import FACTS, IDENTITIES, RESTRICTED_FACTS, SCORES, read_with_row_number
from transforms.points.columns import (
    ScoredIndicator,
    closed_by_column,
    list_points_columns,
    list_scored_indicators,
    points_column_name,
    rule_points_column,
    strip_points_suffix,
    uncapped_column,
)
from transforms.points.describe import Titles, describe_condition, describe_rule, format_value
from transforms.points.models import AWARD, CITY, Indicator, PointsVersion
from transforms.points.scored import scored_statement
from transforms.templates import fill_template, mask_name

Row = Mapping[str, Any]


@dataclass(frozen=True)
class _Person:
    """What is published of one person: the rows of the fact table and of the scores, the name.

    versions: the points tables that hold for the person, by authority. details: the row of the
    scoring statement with the columns that explain it.
    """

    facts: Row
    scores: Row
    name: str
    versions: Mapping[str, PointsVersion]
    details: Row


def find_person_row(session: Session, revision: Path, resident_key: str) -> int | None:
    """Return the row number of a person in the tables of a revision; None if not scored.

    All tables hold the same residents in the same order. Reads the key column of those row groups
    that can hold the key: one or two of each district.
    """
    rows = read_with_row_number(revision, SCORES)
    found = session.fetch_rows(
        f"SELECT file_row_number FROM {rows} WHERE resident_key = ?", [resident_key]
    )
    return int(found[0][0]) if found else None


def explain_row(
    session: Session,
    rules: PublishedRules,
    revision: Path,
    manifest: Row,
    row: int,
) -> Explanation:
    """Return the explanation of the person in this row of the revision (`find_person_row`)."""
    person = _load_person(session, rules, revision, row)
    city, districts = person.versions[CITY], dict(person.versions)
    districts.pop(CITY)
    titles = collect_item_titles(rules.tables, rules.districts)
    scores, district = person.scores, person.facts["district"]
    return Explanation(
        name=mask_name(person.name),
        district=district,
        district_name=rules.districts.get(district, district),
        versions=[
            _describe_version(rules, authority, version)
            for authority, version in person.versions.items()
        ],
        lines=[
            _explain_indicator(line, person, rules.names)
            for line in list_scored_indicators(city, districts)
        ],
        sums=[
            one
            for authority, version in person.versions.items()
            for one in _explain_sums(authority, version, person)
        ],
        common=scores["common_points"],
        district_points=scores["district_points"],
        total=scores["total_points"],
        corrected_facts=list(_corrected_facts(person.facts, rules.names)),
        compared_with=manifest.get("compared_with"),
        changes=_load_changes(session, revision, titles, person.facts),
        services=_load_service_states(session, revision, rules, person.facts),
        discrepancies=list(_check_against_published(person, titles)),
    )


def _load_person(session: Session, rules: PublishedRules, revision: Path, row: int) -> _Person:
    """Return what is published of one person; makes `facts`, `scores` and `scored` of their rows."""
    relations = {
        "public_facts": FACTS,
        "restricted_facts": RESTRICTED_FACTS,
        "identities": IDENTITIES,
        "scores": SCORES,
    }
    for name, output in relations.items():
        _take_row(session, name, read_with_row_number(revision, output), row)
    session.execute("""
        CREATE OR REPLACE TEMP VIEW facts AS
        FROM public_facts JOIN restricted_facts USING (resident_key)""")
    session.create_view(scored_statement(list_points_columns(session, "scores")))
    (facts,), (scores,) = session.fetch_dicts("FROM facts"), session.fetch_dicts("FROM scores")
    versions = {CITY: rules.version(CITY)}
    if facts["district"] in rules.tables:
        versions[facts["district"]] = rules.version(facts["district"])
    targets = [correction["target"] for correction in facts["corrections"] or ()]
    (details,) = session.fetch_dicts(
        rules.explaining_sql(versions, targets),
        {"month": rules.as_of.replace(day=1), "as_of": rules.as_of},
    )
    return _Person(facts, scores, session.scalar("SELECT name FROM identities"), versions, details)


def _take_row(session: Session, name: str, rows: str, row: int) -> None:
    """Create a temporary table of one row of a relation with row numbers."""
    session.execute(f"""
        CREATE OR REPLACE TEMP TABLE {name} AS
        SELECT * EXCLUDE (file_row_number) FROM {rows}
        WHERE file_row_number = {row}""")


def _describe_version(
    rules: PublishedRules, authority: str, version: PointsVersion
) -> dict[str, str]:
    return {
        "authority": authority,
        "title": rules.tables[authority].title,
        "from": version.begins.isoformat(),
        "basis": version.basis,
    }


def _explain_indicator(line: ScoredIndicator, person: _Person, names: Titles) -> ExplainedIndicator:
    indicator, points = line.indicator, person.scores[line.column]
    cases = [one for one in person.scores["corrected"] or () if one["target"] == line.target]
    return ExplainedIndicator(
        authority=line.authority,
        code=line.code,
        title=indicator.title,
        parent=indicator.section,
        evidence=_fill_evidence(line, person.facts, names),
        rule=_describe_rule(indicator, names),
        basis=indicator.basis,
        values=indicator.values,
        rule_points=person.details[rule_points_column(line)],
        closed_by=_describe_guard(indicator, person.details.get(closed_by_column(line)), names),
        cap=indicator.cap,
        correction=Correction(cases[0]["case_id"], indicator.title, cases[0]["before"], points)
        if cases
        else None,
        points=points,
    )


def _describe_rule(indicator: Indicator, names: Titles) -> str:
    """Return the rule and what stands around it, as one sentence."""
    parts = [describe_rule(indicator.rule, indicator.fact, names)]
    if indicator.at_most:
        parts.append(f"数值不超过{names.title(indicator.at_most)}")
    if indicator.cap is not None:
        parts.append(f"最高 {indicator.cap.normalize():f} 分")
    if indicator.when:
        parts.append(f"须{describe_condition(indicator.when, names)}")
    if indicator.unless:
        parts.append(f"{describe_condition(indicator.unless, names)}时不得分")
    return "；".join(parts) + "。"


def _describe_guard(indicator: Indicator, guard: str | None, names: Titles) -> str | None:
    """Return why an indicator was closed, in words; None if it was not."""
    if guard == "when":
        return f"须{describe_condition(str(indicator.when), names)}，现不满足"
    if guard == "unless":
        return f"{describe_condition(str(indicator.unless), names)}，不得分"
    return None


def _fill_evidence(line: ScoredIndicator, facts: Row, names: Titles) -> str:
    """Return the evidence line with this person's facts in it.

    A line without any says whether its yes/no fact holds.
    """
    indicator, own = line.indicator, _own_value(line, facts)
    text = fill_template(
        indicator.evidence,
        lambda name: format_value(name, own if name == "value" else facts.get(name), names),
    )
    if indicator.placeholders or not isinstance(own, bool):
        return text
    return f"{text}：{format_value(str(indicator.fact), own, names)}"


def _own_value(line: ScoredIndicator, facts: Row) -> Any:
    fact = line.indicator.fact or ""
    if not fact.startswith(AWARD):
        return facts.get(fact)
    key = f"{line.authority}:{fact.removeprefix(AWARD)}"
    return next((entry["points"] for entry in facts["awards"] if entry["key"] == key), Decimal(0))


def _explain_sums(
    authority: str, version: PointsVersion, person: _Person
) -> Iterator[ExplainedSum]:
    """Return the groups and sections of one table, inner ones first."""
    details = person.details

    def uncapped(code: str) -> Decimal:
        return Decimal(details[uncapped_column(authority, code)])

    for code, group in version.inner_first():
        points = details[points_column_name(authority, code)]
        yield ExplainedSum(
            authority, code, group.title, group.parent, group.combine, uncapped(code), group.cap,
            False, points,
        )  # fmt: skip
    for code, section in version.sections.items():
        column = points_column_name(CITY, code) if authority == CITY else "district_points"
        yield ExplainedSum(
            authority, code, section.title, None, "sum", uncapped(code), section.cap,
            section.subtract, person.scores[column],
        )  # fmt: skip


def _check_against_published(person: _Person, titles: Mapping[str, str]) -> Iterator[str]:
    """Return the points columns that are not what the published facts and tables give."""
    for column, published in person.scores.items():
        if not column.endswith("_points") or column not in person.details:
            continue
        points, item = person.details[column], strip_points_suffix(column)
        if points != published:
            yield f"{titles.get(item, item)}：按规则应为 {points} 分，发布的是 {published} 分"


def _corrected_facts(facts: Row, names: Titles) -> Iterator[Correction]:
    for one in facts["corrections"] or ():
        prefix, _, fact = one["target"].partition(":")
        if prefix == "fact":
            value = one["value"] == 1 if names.facts[fact].unit == "yes_no" else one["value"]
            after = format_value(fact, value, names)
            yield Correction(one["case_id"], names.title(fact), None, after)


def _load_changes(
    session: Session, revision: Path, titles: Mapping[str, str], facts: Row
) -> list[ScoreChange]:
    """Return the person's rows of the revision's `changes`, in the order of the titles."""
    order = {item: place for place, item in enumerate(titles)}
    rows = session.fetch_rows(
        f"SELECT item, before, after FROM {read_folder_sql(revision / 'changes')}"
        " WHERE district = ? AND resident_key = ?",
        [facts["district"], facts["resident_key"]],
    )
    rows.sort(key=lambda row: order.get(row[0], len(order)))
    return [
        ScoreChange(item, titles.get(item, item), before, after) for item, before, after in rows
    ]


def _load_service_states(
    session: Session, revision: Path, rules: PublishedRules, facts: Row
) -> list[ServiceState]:
    """Return every service in force for the one person in `scored`, with what it pays."""
    if not rules.services_in_force:
        return []
    values = {"as_of": rules.as_of} if "$as_of" in rules.requirements else None
    asked = session.fetch_rows(rules.requirements, values)
    amounts = dict(
        session.fetch_rows(
            f"SELECT service, monthly_amount FROM {read_folder_sql(revision / 'eligibility')}"
            " WHERE district = ? AND resident_key = ?",
            [facts["district"], facts["resident_key"]],
        )
    )
    titles = {service.service: service.title for service in rules.services}
    states = []
    for code, rows in groupby(asked, key=lambda row: str(row[1])):
        lacking = [(place, sentence) for _, _, place, _, holds, sentence in rows if not holds]
        # not open in the district: nothing else matters
        here = [sentence for place, sentence in lacking if place == 0]
        sentences = here or [sentence for _, sentence in lacking]
        states.append(ServiceState(code, titles[code], not sentences, sentences, amounts.get(code)))
    return states
