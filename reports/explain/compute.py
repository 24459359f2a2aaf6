"""The points of one person, line by line: what is known, the rule, what bit, the clause; taken from the published rows.

Points are those that were published. Why they are so is worked out again from the published facts with the tables of
the same revision; where the two disagree, `Explanation.doubts` says so.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any

from reports.explain.comparison import load_changes, load_service_states
from reports.explain.model import CENT, Correction, ExplainedIndicator, ExplainedSum, Explanation
from reports.explain.published_rules import PublishedRules
from reports.titles import collect_item_titles
from transforms.engine.session import Session
from transforms.expressions.language import build_fact_kinds, parse_condition
from transforms.outputs import read_with_row_number
from transforms.points.columns import points_column_name
from transforms.points.describe import Titles, describe_condition, describe_rule, format_value
from transforms.points.models import AWARD, CITY, Indicator, PointsVersion
from transforms.services.eligibility_sql import bind_names


def find_person_row(session: Session, revision: Path, resident_key: str) -> int | None:
    """The place of a person in the revision's tables, which all hold the same residents in the same order; None: not scored.

    Reads the key column of those row groups that can hold the key: one or two of each district.
    """
    found = session.execute(
        f"SELECT file_row_number FROM {read_with_row_number(revision, 'scores')} WHERE resident_key = ?",
        [resident_key],
    ).fetchall()
    return int(found[0][0]) if found else None


def explain_row(
    session: Session,
    rules: PublishedRules,
    revision: Path,
    manifest: Mapping[str, Any],
    row: int,
) -> Explanation:
    """The explanation of the person in this row of the revision (`find_row`)."""
    _take_person(session, revision, row)
    facts, scores = _one(session, "facts"), _one(session, "scores")
    versions = {CITY: rules.version(CITY)}
    if facts["district"] in rules.tables:
        versions[facts["district"]] = rules.version(facts["district"])
    earned = _rule_points(session, rules, versions)
    lines = [
        _line(session, rules, authority, code, indicator, facts, scores, earned)
        for authority, version in versions.items()
        for code, indicator in version.indicators.items()
    ]
    sums = [
        one for authority, version in versions.items() for one in _sums(authority, version, lines)
    ]
    found = Explanation(
        name=_masked(_named(session, revision, row)),
        district=facts["district"],
        district_name=rules.districts.get(facts["district"], facts["district"]),
        versions=[_version(rules, authority, version) for authority, version in versions.items()],
        lines=lines,
        sums=sums,
        common=scores["common_points"],
        district_points=scores["district_points"],
        total=scores["total_points"],
        corrected_facts=_corrected_facts(facts, rules.names),
        compared_with=manifest.get("compared_with"),
        changes=load_changes(
            session,
            revision,
            collect_item_titles(rules.tables, rules.districts),
            facts["district"],
            facts["resident_key"],
        ),
        services=load_service_states(session, revision, rules),
    )
    found.doubts.extend(_check_against_published(found, scores))
    return found


def _take_person(session: Session, revision: Path, row: int) -> None:
    """The tables `facts`, `scores` and `scored` (both), with this one person in them."""
    here = f"WHERE file_row_number = {row}"
    restricted = f"SELECT * EXCLUDE (file_row_number) FROM {read_with_row_number(revision, 'restricted/facts')} {here}"
    facts = (
        f"SELECT * EXCLUDE (file_row_number) FROM {read_with_row_number(revision, 'facts')} {here}"
    )
    scores = (
        f"SELECT * EXCLUDE (file_row_number) FROM {read_with_row_number(revision, 'scores')} {here}"
    )
    session.execute(
        f"CREATE OR REPLACE TEMP TABLE facts AS FROM ({facts}) JOIN ({restricted}) USING (resident_key)"
    )
    session.execute(f"CREATE OR REPLACE TEMP TABLE scores AS {scores}")
    session.execute("""
        CREATE OR REPLACE TEMP VIEW scored AS
        SELECT facts.*, scores.* EXCLUDE (month, resident_key, district, policy_city, policy_district, corrected)
        FROM facts JOIN scores USING (resident_key)""")


def _one(session: Session, table: str) -> dict[str, Any]:
    result = session.execute(f"FROM {table}")
    names = [column[0] for column in result.description or ()]
    (row,) = result.fetchall()
    return dict(zip(names, row, strict=True))


def _named(session: Session, revision: Path, row: int) -> str:
    rows = read_with_row_number(revision, "restricted/identities")
    return str(
        session.execute(f"SELECT name FROM {rows} WHERE file_row_number = {row}").fetchall()[0][0]
        or ""
    )


def _masked(name: str) -> str:
    return f"{name[:1]}**"


def _version(rules: PublishedRules, authority: str, version: PointsVersion) -> dict[str, str]:
    return {
        "authority": authority,
        "title": rules.tables[authority].title,
        "from": version.begins.isoformat(),
        "basis": version.basis,
    }


def _rule_points(
    session: Session, rules: PublishedRules, authorities: Iterable[str]
) -> dict[str, Decimal]:
    """What every rule of these tables gives alone, by points column."""
    statement = rules.rule_points(authorities)
    result = session.execute(statement, {"month": rules.as_of.replace(day=1), "as_of": rules.as_of})
    names = [column[0] for column in result.description or ()]
    return dict(zip(names, result.fetchall()[0], strict=True))


def _line(
    session: Session,
    rules: PublishedRules,
    authority: str,
    code: str,
    indicator: Indicator,
    facts: Mapping[str, Any],
    scores: Mapping[str, Any],
    earned: Mapping[str, Decimal],
) -> ExplainedIndicator:
    column, target = (
        points_column_name(authority, code),
        code if authority == CITY else f"{authority}:{code}",
    )
    case = next((one for one in scores["corrected"] or () if one["target"] == target), None)
    points = scores[column]
    return ExplainedIndicator(
        authority=authority,
        code=code,
        title=indicator.title,
        within=indicator.section,
        evidence=_evidence(indicator, authority, facts, rules.names),
        rule=_rule(indicator, rules.names),
        basis=indicator.basis,
        values=indicator.values,
        rule_points=earned[column],
        closed_by=_closed_by(session, indicator, rules),
        cap=indicator.cap,
        correction=Correction(case["case_id"], indicator.title, case["before"], points)
        if case
        else None,
        points=points,
    )


def _rule(indicator: Indicator, names: Titles) -> str:
    """The rule and what stands around it, as one sentence."""
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


def _evidence(indicator: Indicator, authority: str, facts: Mapping[str, Any], names: Titles) -> str:
    """The evidence line with this person's facts in it. A line without any says whether its yes/no fact holds."""
    own = _own_value(indicator, authority, facts)
    values = {
        name: format_value(name, own if name == "value" else facts.get(name), names)
        for name in indicator.placeholders
    }
    said = indicator.evidence.format_map(values)
    return (
        f"{said}：{format_value(str(indicator.fact), own, names)}"
        if not values and isinstance(own, bool)
        else said
    )


def _own_value(indicator: Indicator, authority: str, facts: Mapping[str, Any]) -> Any:
    fact = indicator.fact or ""
    if not fact.startswith(AWARD):
        return facts.get(fact)
    key = f"{authority}:{fact.removeprefix(AWARD)}"
    return next((entry["points"] for entry in facts["awards"] if entry["key"] == key), Decimal(0))


def _closed_by(session: Session, indicator: Indicator, rules: PublishedRules) -> str | None:
    """The guard that closed the indicator for this person, in words."""
    kinds = build_fact_kinds(rules.names.facts)
    for guard, closes in ((indicator.when, False), (indicator.unless, True)):
        if guard:
            holds = bind_names(parse_condition(guard, kinds))
            named = {"as_of": rules.as_of} if "$as_of" in holds else None
            (answer,) = session.execute(f"SELECT ({holds}) IS TRUE FROM facts", named).fetchall()[0]
            if answer is closes:
                said = describe_condition(guard, rules.names)
                return f"{said}，不得分" if closes else f"须{said}，现不满足"
    return None


def _sums(
    authority: str, version: PointsVersion, lines: Sequence[ExplainedIndicator]
) -> Iterator[ExplainedSum]:
    """Groups and sections of one table, inner ones first. Points are rounded once more at the section."""
    points = {line.code: line.points for line in lines if line.authority == authority}

    def one(
        code: str, title: str, within: str | None, combine: str, cap: Decimal | None, subtract: bool
    ) -> ExplainedSum:
        members = [points[member] for member in version.members(code)]
        before = max(members) if combine == "highest" and members else sum(members, Decimal("0.00"))
        points[code] = before if cap is None else min(before, cap)
        if within is None:
            points[code] = points[code].quantize(CENT, ROUND_HALF_UP)
        return ExplainedSum(
            authority, code, title, within, combine, before, cap, subtract, points[code]
        )

    for code, group in version.inner_first():
        yield one(code, group.title, group.parent, group.combine, group.cap, False)
    for code, section in version.sections.items():
        yield one(code, section.title, None, "sum", section.cap, section.subtract)


def _check_against_published(found: Explanation, scores: Mapping[str, Any]) -> Iterator[str]:
    """Where the published points are not what the published facts and tables give."""
    for line in found.lines:
        before = line.points if line.correction is None else line.correction.before
        if before != line.earned:
            yield f"{line.title}：按规则应为 {line.earned} 分，发布的是 {before} 分"
    sections = [one for one in found.sums if one.within is None]
    for one in sections:
        published = (
            found.district_points
            if one.authority != CITY
            else scores[points_column_name(CITY, one.code)]
        )
        if published != one.points:
            yield f"{one.title}：各项合计应为 {one.points} 分，发布的是 {published} 分"
    common = sum(
        (-one.points if one.subtract else one.points for one in sections if one.authority == CITY),
        Decimal(0),
    )
    if (common, common + found.district_points) != (found.common, found.total):
        yield f"总分：各部分合计应为 {common + found.district_points} 分，发布的是 {found.total} 分"


def _corrected_facts(facts: Mapping[str, Any], names: Titles) -> list[Correction]:
    found = []
    for one in facts["corrections"] or ():
        prefix, _, fact = one["target"].partition(":")
        if prefix == "fact":
            value = one["value"] == 1 if names.facts[fact].unit == "yes_no" else one["value"]
            found.append(
                Correction(
                    one["case_id"], names.title(fact), None, format_value(fact, value, names)
                )
            )
    return found
