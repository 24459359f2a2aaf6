"""The points of one person, line by line: evidence, rule, what limited it, clause.

Everything comes from the person's statement and from the words that all statements of the month
share; nothing is computed here that the scoring statement has not computed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from reports.explain.model import (
    Correction,
    ExplainedIndicator,
    ExplainedSum,
    Explanation,
    ObjectionState,
    ScoreChange,
    ServiceState,
)
from reports.explain.values import put_value
from reports.statements.model import (
    ChildLine,
    IndicatorText,
    Line,
    RankLine,
    ServiceLine,
    ServiceText,
    StatementRow,
    StatementTexts,
    Sum,
    SumText,
)
from transforms.facts.corrections import FACT_PREFIX
from transforms.points.columns import points_column_name, strip_points_suffix
from transforms.points.models import CITY
from transforms.templates import fill_template, format_number, mask_name


def explain_row(
    row: StatementRow, texts: StatementTexts, published: Mapping[str, Any] | None = None
) -> Explanation:
    """Return the explanation of a statement.

    Args:
        row: The person's row.
        texts: The words of its month.
        published: The person's row of `scores`: its sums are what holds, and where it says other
            points than the statement, `discrepancies` has it.
    """
    scores = published or {}
    words = {one.code: one for one in texts.indicators}
    sums = {one.code: one for one in texts.sums}
    here = (CITY, row.district)
    return Explanation(
        name=mask_name(row.name),
        district=row.district,
        district_name=texts.districts.get(row.district, row.district),
        versions=[
            version.model_dump(by_alias=True)
            for version in texts.versions
            if version.authority in here
        ],
        lines=[_explain_line(line, words[line.code], row, texts) for line in row.lines],
        sums=[_explain_sum(one, sums[one.code]) for one in row.sums],
        common=scores.get("common_points", row.common_points),
        district_points=scores.get("district_points", row.district_points),
        total=scores.get("total_points", row.total_points),
        corrected_facts=list(_corrected_facts(row, texts)),
        compared_with=texts.compared_with,
        changes=_explain_changes(row, texts),
        services=list(_explain_services(row, texts)),
        discrepancies=list(_check_against_published(row, texts, scores)),
        open_objections=list(_explain_objections(row, texts)),
    )


def _bare(code: str) -> str:
    """The code without the district before it."""
    return code.rpartition(":")[2]


def _decimal(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)


def _explain_line(
    line: Line, words: IndicatorText, row: StatementRow, texts: StatementTexts
) -> ExplainedIndicator:
    cap = _decimal(words.cap)
    before = line.rule_points if cap is None else min(line.rule_points, cap)
    before = Decimal("0.00") if line.closed_by else before.quantize(Decimal("0.01"))
    return ExplainedIndicator(
        authority=words.authority,
        code=_bare(line.code),
        title=words.title,
        parent=_bare(words.parent),
        evidence=_fill_evidence(words, row.facts, texts),
        rule=words.rule,
        basis=words.basis,
        values=words.values,
        rule_points=line.rule_points,
        closed_by=words.guards[line.closed_by] if line.closed_by else None,
        cap=cap,
        correction=Correction(line.case_id, words.title, before, line.points)
        if line.case_id is not None
        else None,
        points=line.points,
    )


def _fill_evidence(words: IndicatorText, facts: Mapping[str, Any], texts: StatementTexts) -> str:
    """Return the evidence line with this person's facts in it.

    A line without any says whether its yes/no fact holds.
    """
    own = words.fact or ""
    text = fill_template(
        words.evidence,
        lambda name: put_value(own if name == "value" else name, facts, texts),
    )
    is_named = "{" in words.evidence
    if is_named or own not in texts.facts or texts.facts[own].form != "yes_no":
        return text
    if facts.get(own) is None:
        return text
    return fill_template(
        texts.sentences["yes_or_no"],
        lambda name: text if name == "evidence" else put_value(own, facts, texts),
    )


def _explain_sum(one: Sum, words: SumText) -> ExplainedSum:
    return ExplainedSum(
        authority=words.authority,
        code=_bare(one.code),
        title=words.title,
        parent=None if words.parent is None else _bare(words.parent),
        combine=words.combine,
        before_cap=one.before_cap,
        cap=_decimal(words.cap),
        subtract=words.subtract,
        points=one.points,
    )


def _corrected_facts(row: StatementRow, texts: StatementTexts) -> Iterator[Correction]:
    for one in row.facts["corrected"]:
        fact = one["fact"]
        after = put_value(
            fact, {fact: _corrected_value(one["value"], texts.facts[fact].form)}, texts
        )
        yield Correction(one["case_id"], texts.facts[fact].title, None, after)


def _corrected_value(value: str, form: str) -> Any:
    return Decimal(value) == 1 if form == "yes_no" else value


def _explain_changes(row: StatementRow, texts: StatementTexts) -> list[ScoreChange]:
    """Return what moved, in the order of the titles."""
    order = {code: place for place, code in enumerate(texts.items)}
    after = {line.code: line.points for line in row.lines}
    after |= {one.code: one.points for one in row.sums}
    after |= {
        "common": row.common_points,
        "district": row.district_points,
        "total": row.total_points,
    }
    moved = sorted(row.change.moved if row.change else [], key=lambda one: order[one.code])
    return [
        ScoreChange(_item(one.code), texts.items[one.code], one.before, after.get(one.code))
        for one in moved
    ]


def _item(code: str) -> str:
    """The name that a points column has in `changes`."""
    authority, _, bare = code.rpartition(":")
    return strip_points_suffix(points_column_name(authority or CITY, bare))


def _explain_services(row: StatementRow, texts: StatementTexts) -> Iterator[ServiceState]:
    """Yield every service in force: reached, or every sentence of what is lacking."""
    lines = {line.code: line for line in row.services}
    places = {one.code: one for one in row.ranks}
    for words in texts.services:
        children = [one for one in row.children if one.code == words.code]
        yield from (_explain_child(one, words, texts) for one in children)
        if children:
            continue
        line, place = lines.get(words.code), places.get(words.code)
        lacking = (
            [texts.sentences["not_open"]]
            if line is None
            else list(_lacking(line, words, row.district, texts))
        )
        yield ServiceState(
            words.code,
            words.title,
            not lacking,
            lacking,
            None if line is None else line.monthly_amount,
            score=None if line is None else line.score,
            rank_class=None if place is None else place.rank_class,
            rank=None if place is None else place.rank,
            notes=_describe_place(line.score, place, words, texts) if line and place else [],
        )


def _explain_child(line: ChildLine, words: ServiceText, texts: StatementTexts) -> ServiceState:
    day = line.born_on
    born = {"year": day.year, "month": day.month, "day": day.day}
    values = {
        "title": words.title,
        "born_on": fill_template(texts.values["date"], lambda name: str(born[name])),
    }
    return ServiceState(
        words.code,
        fill_template(texts.sentences["child"], values.__getitem__),
        line.reached,
        list(_lacking_points(line.points_short, words, line.district, texts)),
        line.monthly_amount,
        score=line.score,
        rank_class=line.rank_class,
        rank=line.rank,
        child_born_on=day,
        notes=[
            *_describe_place(line.score, line, words, texts),
            _describe_guardians(line, words, texts),
        ],
    )


def _describe_place(
    score: Decimal, place: RankLine | ChildLine, words: ServiceText, texts: StatementTexts
) -> list[str]:
    """Return what the service counts, and the place where it is ranked."""
    values = {"score": str(score)}
    said = [fill_template(texts.sentences["score"], values.__getitem__)]
    if place.rank is None or words.ranked is None:
        return said
    values = {
        "rank": str(place.rank),
        "rank_class": place.rank_class or "",
        "among": texts.values[words.ranked],
    }
    sentence = "rank" if place.rank_class is None else "rank_in_class"
    return [*said, fill_template(texts.sentences[sentence], values.__getitem__)]


def _describe_guardians(line: ChildLine, words: ServiceText, texts: StatementTexts) -> str:
    """Return whose points count for a child."""
    if words.guardians == "parts":
        parts = [texts.items[strip_points_suffix(one)] for one in line.counted]
        said = texts.values["separator"].join(parts) or texts.values["none"]
        return fill_template(texts.sentences["child_parts"], lambda name: said)
    if words.guardians == "sum" and line.guardians > 1:
        return texts.sentences["child_sum"]
    return texts.sentences["child_own" if line.counted else "child_other"]


def _lacking(
    line: ServiceLine, words: ServiceText, district: str, texts: StatementTexts
) -> Iterator[str]:
    yield from (words.conditions[number - 1] for number in line.unmet)
    if words.guardians is None:
        yield from _lacking_points(line.points_short, words, district, texts)
    elif not line.unmet:
        yield texts.sentences["no_child"]


def _lacking_points(
    short: Decimal, words: ServiceText, district: str, texts: StatementTexts
) -> Iterator[str]:
    if short > 0:
        threshold = words.threshold.get(district, words.threshold.get("default", ""))
        values = {"threshold": threshold, "short": format_number(short)}
        yield fill_template(texts.sentences["points_lacking"], values.__getitem__)


def _explain_objections(row: StatementRow, texts: StatementTexts) -> Iterator[ObjectionState]:
    titles = {one.code: one.title for one in texts.indicators}
    titles |= {f"{FACT_PREFIX}{name}": one.title for name, one in texts.facts.items()}
    for one in row.open_objections:
        title = titles.get(one.target, one.target)
        yield ObjectionState(one.case_id, one.target, title, one.due_on)


def _check_against_published(
    row: StatementRow, texts: StatementTexts, published: Mapping[str, Any]
) -> Iterator[str]:
    """Yield the points columns that are not what the statement says."""
    computed = {f"{_item(one.code)}_points": one.points for one in row.lines}
    computed |= {f"{_item(one.code)}_points": one.points for one in row.sums}
    computed |= {
        "common_points": row.common_points,
        "district_points": row.district_points,
        "total_points": row.total_points,
    }
    titles = {f"{_item(code)}_points": title for code, title in texts.items.items()}
    for column, points in published.items():
        if column in computed and points != computed[column]:
            title = titles.get(column, column)
            yield f"{title}：按规则应为 {computed[column]} 分，发布的是 {points} 分"
