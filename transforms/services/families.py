"""Services of children: a child has a row of its own, by the points of its guardians.

`guardians` has one row per child and guardian of whom all conditions hold, from `scored` district
by district; `children` combines them, whatever districts they live in; `families` keeps whose
points counted. A child is named by its pseudonym, made as a resident's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from transforms.engine.sql import sql_literal
from transforms.engine.statements import Statement
from transforms.expressions.kinds import DATE, NUMBER, TEXT, Kind
from transforms.expressions.language import parse_expression
from transforms.facts.pseudonyms import pseudonym_sql
from transforms.points.rule_sql import number_sql
from transforms.services.eligibility_sql import (
    KEY,
    SCORE,
    SHORT,
    amount_sql,
    condition_sql,
    format_sql,
    guard_sql,
    rank_class_sql,
    rank_key_sql,
    score_sql,
    short_of_sql,
)
from transforms.services.models import Guardians, RankKey, ServiceVersion
from transforms.services.namespace import CHILD_BORN_ON, CHILD_LEVEL, RANK_SCORE

WHOLE = "score"
"""The part of a family's points that is all of them."""
_EXACT = "DECIMAL(30, 12)"
_CHILD_NAMES = {CHILD_BORN_ON: DATE, CHILD_LEVEL: TEXT}


def is_of_family(key: RankKey, names: Mapping[str, Kind]) -> bool:
    """Return whether a key names the child's score and points alone, and no fact of a guardian."""
    known = {**names, **_CHILD_NAMES, RANK_SCORE: NUMBER}
    named = parse_expression(key.text, known).names
    return all(name == RANK_SCORE or name.endswith("_points") for name in named)


def list_family_points(version: ServiceVersion, names: Mapping[str, Kind]) -> list[str]:
    """Return the points columns that are combined for a service of children, in order."""
    guardians = version.guardians
    assert guardians
    texts = [] if guardians.is_picked else [version.points.score]
    known = {**names, **_CHILD_NAMES, RANK_SCORE: NUMBER}
    keys = version.rank.by if version.rank else []
    texts += [key.text for key in keys if is_of_family(key, names)]
    named = {name for text in texts for name in parse_expression(text, known).names}
    return sorted((named - {RANK_SCORE}) | guardians.parts.keys())


def guardians_statement(
    services: Mapping[str, ServiceVersion],
    names: Mapping[str, Kind],
    keys: int,
    stages: int = 1,
) -> Statement:
    """Return `guardians`: one row per service of children, child and guardian who counts.

    Columns: service, child_key, child_id, child_born_on, child_level, guardian_key, district (the
    guardian's), score, chosen, amount, class, key_1, ..., and the points that are combined. Reads
    `scored`. Parameters: $as_of, $outer and $inner. `keys`: how many keys there are for the ranks
    of all services. `stages`: how many keys the root has.
    """
    columns = sorted({name for one in services.values() for name in list_family_points(one, names)})
    selects = [
        _guardians_sql(code, version, names, (keys, columns), stages)
        for code, version in sorted(services.items())
    ]
    return Statement("guardians", format_sql("\nUNION ALL\n".join(selects)), ("scored",))


def _guardians_sql(
    code: str,
    version: ServiceVersion,
    names: Mapping[str, Kind],
    width: tuple[int, list[str]],
    stages: int,
) -> str:
    """The guardians of one service; `width`: how many keys, and which points columns there are."""
    guardians, (keys, columns) = version.guardians, width
    assert guardians
    known, own = {**names, **_CHILD_NAMES}, list_family_points(version, names)
    rank = version.rank
    chosen = condition_sql(guardians.chosen, known) if guardians.chosen else "TRUE"
    found = [
        f"CAST(NULL AS {KEY})" if is_of_family(key, names) else rank_key_sql(key, known, "NULL")
        for key in (rank.by if rank else ())
    ]
    found += [f"CAST(NULL AS {KEY})"] * (keys - len(found))
    listed = [f"{key} AS key_{number}" for number, key in enumerate(found, 1)]
    listed += [
        f"CAST({f'COALESCE({name}, 0)' if name in own else 'NULL'} AS {SHORT}) AS {name}"
        for name in columns
    ]
    number = rank_class_sql(rank, known) if rank else "CAST(NULL AS INTEGER)"
    where = [guard_sql(version, names)]
    if guardians.levels:
        where.append(f"{CHILD_LEVEL} IN ({', '.join(map(sql_literal, guardians.levels))})")
    born = " || '-' || ".join(
        f"SUBSTRING(child_id, {first}, {length})" for first, length in ((7, 4), (11, 2), (13, 2))
    )
    return f"""
        SELECT {sql_literal(code)} AS service, {pseudonym_sql("child_id", stages)} AS child_key, child_id,
            {CHILD_BORN_ON}, {CHILD_LEVEL}, resident_key AS guardian_key, district,
            CAST({score_sql(version, names)} AS {_EXACT}) AS score,
            COALESCE({chosen}, FALSE) AS chosen, {amount_sql(version, names)} AS amount,
            {", ".join([f"{number} AS class", *listed])}
        FROM (
            SELECT *, CAST({born} AS DATE) AS {CHILD_BORN_ON}
            FROM (
                SELECT *, one.child AS child_id, one.level AS {CHILD_LEVEL}
                FROM (SELECT *, UNNEST({guardians.children}) AS one FROM scored) AS unnested
            ) AS named
        ) AS pairs
        WHERE {" AND ".join(where)}"""


def children_statement(
    services: Mapping[str, ServiceVersion], names: Mapping[str, Kind], keys: int
) -> Statement:
    """Return `children`: one row per service of children and child, in the columns of candidates.

    The child's district is that of the guardian with the highest score of their own, of equal ones
    the smaller code. Reads `guardians` of all districts.
    """
    selects = [
        _children_sql(code, version, names, keys) for code, version in sorted(services.items())
    ]
    return Statement("children", format_sql("\nUNION ALL\n".join(selects)), ("guardians",))


def _children_sql(code: str, version: ServiceVersion, names: Mapping[str, Kind], keys: int) -> str:
    guardians = version.guardians
    assert guardians
    columns = list_family_points(version, names)
    combined = "".join(f",\n{_combine_sql(name, guardians)} AS {name}" for name in columns)
    best = "".join(
        f",\nMAX(CASE WHEN counted THEN key_{n} END) AS key_{n}" for n in range(1, keys + 1)
    )
    score = "best_score" if guardians.is_picked else score_sql(version, names)
    shown = f"CAST(FLOOR(family_score * 100) * 0.01 AS {SCORE})"
    ranked = version.rank.by if version.rank else []
    listed = ""
    for number in range(1, keys + 1):
        key = ranked[number - 1] if number <= len(ranked) else None
        of_family = key is not None and is_of_family(key, names)
        value = rank_key_sql(key, names, shown) if key and of_family else f"key_{number}"
        listed += f",\n{value} AS key_{number}"
    return f"""
        SELECT child_key AS resident_key, {sql_literal(code)} AS service, district,
            {short_of_sql(version, "family_score")} AS short, {shown} AS score, amount,
            class{listed}
        FROM (
            SELECT *, CAST({score} AS {_EXACT}) AS family_score
            FROM (
                SELECT child_key, MAX(best) AS best_score,
                    MIN(CASE WHEN chosen AND score = best THEN district END) AS district,
                    MAX(CASE WHEN counted THEN amount END) AS amount,
                    MIN(CASE WHEN counted THEN class END) AS class{best}{combined}
                FROM {_counted_sql(code, guardians)}
                GROUP BY child_key
            ) AS combined
        ) AS decided"""


def _counted_sql(code: str, guardians: Guardians) -> str:
    """The guardians of a service's children, with the best score, and whether each counts."""
    counted = "chosen AND score = best" if guardians.is_picked else "TRUE"
    return f"""(
                SELECT *, {counted} AS counted
                FROM (
                    SELECT *, MAX(CASE WHEN chosen THEN score END)
                        OVER (PARTITION BY child_key) AS best
                    FROM guardians WHERE service = {sql_literal(code)}
                ) AS compared
                WHERE best IS NOT NULL
            ) AS marked"""


def _combine_sql(column: str, guardians: Guardians) -> str:
    """A points column of a child: of the guardian who counts, or combined of all."""
    if guardians.is_picked:
        return f"MAX(CASE WHEN counted THEN {column} END)"
    mode = guardians.parts.get(column, "sum")
    total = f"CAST(SUM({column}) AS {SCORE})" if mode == "sum" else f"MAX({column})"
    cap = guardians.caps.get(column)
    return total if cap is None else f"LEAST({total}, {number_sql(cap)})"


def families_statement(services: Mapping[str, ServiceVersion]) -> Statement:
    """Return `families`: whose points counted, one row per child, service, guardian and part.

    A part is `score`, or a points column where they are combined column by column. Reads
    `guardians`. Parameter: $month.
    """
    selects = [
        select for code, version in sorted(services.items()) for select in _parts(code, version)
    ]
    everything = "\nUNION ALL\n".join(selects)
    return Statement(
        "families",
        format_sql(f"""
            SELECT CAST($month AS DATE) AS month, service, child_key, guardian_key, part, points,
                counted, district, child_id, {CHILD_BORN_ON}, {CHILD_LEVEL}
            FROM ({everything}) AS listed
            ORDER BY service, child_key, guardian_key, part"""),
        ("guardians",),
        "file",
    )


def _parts(code: str, version: ServiceVersion) -> Iterator[str]:
    guardians = version.guardians
    assert guardians
    shown = f"CAST(FLOOR(score * 100) * 0.01 AS {SCORE})"
    parts = {WHOLE: (shown, "counted")} if not guardians.parts else {}
    for column, mode in guardians.parts.items():
        highest = f"{column} = MAX({column}) OVER (PARTITION BY child_key)"
        parts[column] = (f"CAST({column} AS {SCORE})", "TRUE" if mode == "sum" else highest)
    for part, (points, counted) in parts.items():
        yield f"""
            SELECT service, child_key, guardian_key, {sql_literal(part)} AS part,
                {points} AS points, {counted} AS counted, district, child_id,
                {CHILD_BORN_ON}, {CHILD_LEVEL}
            FROM {_counted_sql(code, guardians)}"""
