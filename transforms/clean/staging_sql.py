"""The staging pass: one statement types every value, normalises every ID, and lists each row's reasons."""

from __future__ import annotations

from collections.abc import Mapping

from expectations.source_model import Column, Source
from transforms.clean import national_id
from transforms.clean.types import (
    ValidationContext,
    find_violations,
    parse_exact,
    parse_typed,
    trim_sql,
)

Misfits = Mapping[str, list[tuple[str, str]]]


def valid_rows_sql(
    source: Source, relation: str, texts: Mapping[str, str], part: int, reception: ValidationContext
) -> str:
    """SELECT the delivered rows of a part that have no fault, as clean rows: the typed columns, `part`, `record`."""
    columns = ", ".join(f"v_{name} AS {name}" for name in source.columns)
    judged = _validated(source, relation, texts, reception)
    return f"{judged}\nSELECT {columns}, {part} AS part, record\nFROM judged WHERE (refused OR slipped) IS NOT TRUE"


def invalid_rows_sql(
    source: Source, relation: str, texts: Mapping[str, str], part: int, reception: ValidationContext
) -> str:
    """SELECT delivered rows of a part as `sound_sql` does, whatever is wrong with them, and with `reasons`, `defects`, `raw`.

    `reasons` is null for a row that is kept, else a list of `column:code`; `defects` lists the values that became null in
    columns declared `on_bad: null`; `raw` is the delivered text as JSON where there are reasons or defects.
    """
    columns = ", ".join(f"{_final(name, source.columns)} AS {name}" for name in source.columns)
    fields = ", ".join(f"{name} := r_{name}" for name in source.columns)
    return f"""{_validated(source, relation, texts, reception)}
SELECT {columns}, {part} AS part, record,
    CASE WHEN refused THEN {_list(_rejecting_rules(source, reception))} END AS reasons,
    CASE WHEN slipped THEN {_slip_list(_nullable_columns(source))} END AS defects,
    CASE WHEN refused OR slipped THEN CAST(to_json(struct_pack({fields})) AS VARCHAR) END AS raw
FROM judged"""


def _validated(
    source: Source, relation: str, texts: Mapping[str, str], reception: ValidationContext
) -> str:
    """WITH `judged`: of every row the delivered texts (`r_<name>`), the typed values (`v_<name>`), `refused`, `slipped`."""
    columns, slips = source.columns, _nullable_columns(source)
    raw = ", ".join(f"{texts.get(name, 'NULL')} AS r_{name}" for name in columns)
    read = ", ".join(
        f"{parse_exact(column, f'r_{name}', reception)} AS f_{name}"
        for name, column in columns.items()
    )
    text = ", ".join(f"{_text(name, column)} AS t_{name}" for name, column in columns.items())
    value = ", ".join(
        f"coalesce(f_{name}, {parse_typed(column, f't_{name}', reception)}) AS v_{name}"
        for name, column in columns.items()
    )
    conditions = [
        condition
        for listed in _rejecting_rules(source, reception).values()
        for _, condition in listed
    ]
    return f"""
WITH delivered AS (SELECT record, {raw} FROM {relation}),
read AS (SELECT *, {read} FROM delivered),
texts AS (SELECT *, {text} FROM read),
typed AS (SELECT *, {value} FROM texts),
kept AS (SELECT * {_replaced(slips, reception)} FROM typed),
judged AS (
    SELECT *, {" OR ".join(f"({condition})" for condition in conditions) or "false"} AS refused,
        {_has_nulled_value(slips)} AS slipped
    FROM kept
)"""


def _rejecting_rules(source: Source, reception: ValidationContext) -> Misfits:
    """What makes a row be refused, by column."""
    return {
        n: find_violations(n, column, reception)
        for n, column in source.columns.items()
        if column.on_bad == "refuse"
    }


def _nullable_columns(source: Source) -> dict[str, Column]:
    """The columns in which a bad value becomes null, and its row is kept."""
    return {name: column for name, column in source.columns.items() if column.on_bad == "null"}


def _text(name: str, column: Column) -> str:
    """The text put in order of a value that cannot be read as it stands; most can. An ID's text is judged in any case."""
    if column.type == "id":
        return f"CASE WHEN f_{name} IS NULL THEN nullif({national_id.normalise_sql(f'r_{name}')}, '') ELSE r_{name} END"
    return f"CASE WHEN f_{name} IS NULL THEN {trim_sql(f'r_{name}')} END"


def _own(name: str, column: Column, reception: ValidationContext) -> list[tuple[str, str]]:
    return [
        (code, condition)
        for code, condition in find_violations(name, column, reception)
        if code != "too_early"
    ]


def _replaced(slips: Mapping[str, Column], reception: ValidationContext) -> str:
    """Null the bad values of `on_bad: null` columns and remember why (`s_<name>`), before any order is looked at."""
    judged = {name: own for name, column in slips.items() if (own := _own(name, column, reception))}
    if not judged:
        return ""
    replaced = ", ".join(
        f"CASE WHEN ({' OR '.join(condition for _, condition in listed)}) IS NOT TRUE THEN v_{name} END AS v_{name}"
        for name, listed in judged.items()
    )
    remembered = ", ".join(
        f"CASE {' '.join(f'WHEN {condition} THEN {_reason(name, code)}' for code, condition in listed)} END AS s_{name}"
        for name, listed in judged.items()
    )
    return f"REPLACE ({replaced}), {remembered}"


def _ordered(slips: Mapping[str, Column]) -> list[tuple[str, str]]:
    return [(name, column.not_before) for name, column in slips.items() if column.not_before]


def _final(name: str, columns: Mapping[str, Column]) -> str:
    """Two dates in the wrong order cannot both be right, nobody knows which is: both become null."""
    pairs = [
        f"v_{later} < v_{earlier}"
        for later, column in columns.items()
        if column.on_bad == "null" and (earlier := column.not_before) and name in (later, earlier)
    ]
    return (
        f"CASE WHEN ({' OR '.join(pairs)}) IS NOT TRUE THEN v_{name} END" if pairs else f"v_{name}"
    )


def _list(found: Misfits) -> str:
    reasons = [
        f"CASE WHEN {condition} THEN {_reason(name, code)} END"
        for name, listed in found.items()
        for code, condition in listed
    ]
    return f"list_filter([{', '.join(reasons)}], lambda reason: reason IS NOT NULL)"


def _slipping(slips: Mapping[str, Column]) -> list[str]:
    return [name for name, column in slips.items() if column.type != "text"]


def _has_nulled_value(slips: Mapping[str, Column]) -> str:
    disordered = [f"coalesce(v_{name} < v_{other}, false)" for name, other in _ordered(slips)]
    return (
        " OR ".join([*(f"s_{name} IS NOT NULL" for name in _slipping(slips)), *disordered])
        or "false"
    )


def _slip_list(slips: Mapping[str, Column]) -> str:
    own = [f"s_{name}" for name in _slipping(slips)]
    order = [
        f"CASE WHEN v_{name} < v_{other} THEN {_reason(column, 'too_early')} END"
        for name, other in _ordered(slips)
        for column in (name, other)
    ]
    return f"list_filter([{', '.join([*own, *order])}], lambda reason: reason IS NOT NULL)"


def _reason(name: str, code: str) -> str:
    return f"'{name}:{code}'"
