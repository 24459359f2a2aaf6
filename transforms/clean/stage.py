"""The staging pass: one statement types every value, normalises every ID, and lists each row's reasons."""

from __future__ import annotations

from collections.abc import Mapping

from expectations.source import Column, Source
from transforms.clean import identity
from transforms.clean.values import Reception, as_it_stands, misfits, trimmed, typed

Misfits = Mapping[str, list[tuple[str, str]]]


def staging_sql(source: Source, relation: str, texts: Mapping[str, str], part: int, reception: Reception) -> str:
    """SELECT one row per delivered row of a part: `part`, `record`, the typed columns, `reasons`, `defects`, `raw`.

    `reasons` is null for a sound row, else a list of `column:code`; `defects` lists the values that became null in
    columns declared `on_bad: null`; `raw` is the delivered text as JSON where there are reasons or defects.
    """
    columns = source.columns
    found = {name: misfits(name, column, reception) for name, column in columns.items()}
    refusing = {name: found[name] for name, column in columns.items() if column.on_bad == "refuse"}
    slips = {name: column for name, column in columns.items() if column.on_bad == "null"}
    raw = ", ".join(f"{texts.get(name, 'NULL')} AS r_{name}" for name in columns)
    read = ", ".join(f"{as_it_stands(column, f'r_{name}', reception)} AS f_{name}" for name, column in columns.items())
    text = ", ".join(f"{_text(name, column)} AS t_{name}" for name, column in columns.items())
    value = ", ".join(
        f"coalesce(f_{name}, {typed(column, f't_{name}', reception)}) AS v_{name}" for name, column in columns.items()
    )
    conditions = [condition for listed in refusing.values() for _, condition in listed]
    final = ", ".join(f"{_final(name, columns)} AS {name}" for name in columns)
    fields = ", ".join(f"{name} := r_{name}" for name in columns)
    return f"""
WITH delivered AS (SELECT record, {raw} FROM {relation}),
read AS (SELECT *, {read} FROM delivered),
texts AS (SELECT *, {text} FROM read),
typed AS (SELECT *, {value} FROM texts),
kept AS (SELECT * {_replaced(slips, found)} FROM typed),
judged AS (
    SELECT *, {" OR ".join(f"({condition})" for condition in conditions) or "false"} AS refused,
        {_out_of_order(slips)} AS disordered
    FROM kept
)
SELECT {part} AS part, record, {final},
    CASE WHEN refused THEN {_list(refusing)} END AS reasons,
    CASE WHEN {_any_slip(slips)} THEN {_slip_list(slips)} END AS defects,
    CASE WHEN refused OR {_any_slip(slips)} THEN CAST(to_json(struct_pack({fields})) AS VARCHAR) END AS raw
FROM judged"""


def _text(name: str, column: Column) -> str:
    """The text put in order of a value that cannot be read as it stands; most can. An ID's text is judged in any case."""
    if column.type == "id":
        return f"CASE WHEN f_{name} IS NULL THEN nullif({identity.normalised(f'r_{name}')}, '') ELSE r_{name} END"
    return f"CASE WHEN f_{name} IS NULL THEN {trimmed(f'r_{name}')} END"


def _own(name: str, found: Misfits) -> list[tuple[str, str]]:
    return [(code, condition) for code, condition in found[name] if code != "too_early"]


def _replaced(slips: Mapping[str, Column], found: Misfits) -> str:
    """Null the bad values of `on_bad: null` columns and remember why (`s_<name>`), before any order is looked at."""
    judged = {name: _own(name, found) for name in slips if _own(name, found)}
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


def _out_of_order(slips: Mapping[str, Column]) -> str:
    return " OR ".join(f"coalesce(v_{name} < v_{other}, false)" for name, other in _ordered(slips)) or "false"


def _final(name: str, columns: Mapping[str, Column]) -> str:
    """Two dates in the wrong order cannot both be right, nobody knows which is: both become null."""
    pairs = [
        f"v_{later} < v_{earlier}"
        for later, column in columns.items()
        if column.on_bad == "null" and (earlier := column.not_before) and name in (later, earlier)
    ]
    return f"CASE WHEN ({' OR '.join(pairs)}) IS NOT TRUE THEN v_{name} END" if pairs else f"v_{name}"


def _list(found: Misfits) -> str:
    reasons = [
        f"CASE WHEN {condition} THEN {_reason(name, code)} END"
        for name, listed in found.items()
        for code, condition in listed
    ]
    return f"list_filter([{', '.join(reasons)}], lambda reason: reason IS NOT NULL)"


def _slipping(slips: Mapping[str, Column]) -> list[str]:
    return [name for name, column in slips.items() if column.type != "text"]


def _any_slip(slips: Mapping[str, Column]) -> str:
    return " OR ".join([f"s_{name} IS NOT NULL" for name in _slipping(slips)] + ["disordered"])


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
