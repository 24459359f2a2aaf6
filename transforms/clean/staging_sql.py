"""The staging pass: one statement types every value, normalises IDs, lists each row's reasons."""

from __future__ import annotations

from collections.abc import Mapping

from expectations.source_model import Column, Source
from transforms.clean import national_id
from transforms.clean.types import (
    CONTROL_CHARACTERS,
    ValidationContext,
    born_sql,
    explain_bad_value_sql,
    find_violations,
    is_placeholder_sql,
    is_stand_in_sql,
    parse_exact,
    parse_typed,
    trim_sql,
    unwrap_sql,
)

Violations = Mapping[str, list[tuple[str, str]]]


def valid_rows_sql(
    source: Source, relation: str, texts: Mapping[str, str], part: int, context: ValidationContext
) -> str:
    """Return the SELECT of the rows that are clean as they are: columns, `part`, `record`.

    Every value has its usual spelling, and nothing is wrong with it. The other rows, few of nearly
    all deliveries, are read again by `reread_rows_sql`. The condition is one expression: the engine
    would push parts of it below the typing, and type every value twice.
    """
    raw = ", ".join(f"{texts.get(name, 'NULL')} AS r_{name}" for name in source.columns)
    read = ", ".join(
        f"{parse_exact(column, f'r_{name}', context)} AS v_{name}, "
        f"{f'r_{name}' if column.type == 'id' else 'CAST(NULL AS VARCHAR)'} AS t_{name}"
        for name, column in source.columns.items()
    )
    columns = ", ".join(f"v_{name} AS {name}" for name in source.columns)
    usual = [f"(v_{name} IS NOT NULL OR coalesce(r_{name}, '') = '')" for name in source.columns]
    stand_in = [is_stand_in_sql(f"v_{name}") for name in _stand_in_columns(source)]
    violations = [
        condition
        for name in source.columns
        for _, condition in find_violations(source, name, context)
    ]
    wrong = " OR ".join(f"({condition})" for condition in [*stand_in, *violations]) or "false"
    return f"""
WITH delivered AS (SELECT record, {raw} FROM {relation}),
read AS (SELECT *, {read} FROM delivered),
dated AS (SELECT *, {born_sql(source, context)} AS born FROM read)
SELECT {columns}, {part} AS part, record
FROM dated WHERE ({" AND ".join(usual)} AND ({wrong}) IS NOT TRUE) IS TRUE"""


def reread_rows_sql(
    source: Source, relation: str, texts: Mapping[str, str], part: int, context: ValidationContext
) -> str:
    """Return the SELECT of delivered rows with `reasons`, `defects` and `raw`.

    `reasons` is null for a row that is kept, else a list of `column:code`. `defects` lists the
    values that became null, or were changed, in the row. `raw` is the delivered text as JSON
    where there are reasons or defects.
    """
    columns = ", ".join(f"{_final(name, source.columns)} AS {name}" for name in source.columns)
    fields = ", ".join(f"{name} := r_{name}" for name in source.columns)
    return f"""{_validated(source, relation, texts, context)}
SELECT {columns}, {part} AS part, record,
    CASE WHEN refused THEN {_list_reasons(source, _rejecting_rules(source, context))} END
        AS reasons,
    CASE WHEN emptied THEN {_list_defects(source)} END AS defects,
    CASE WHEN refused OR emptied THEN CAST(to_json(struct_pack({fields})) AS VARCHAR) END AS raw
FROM judged"""


def _validated(
    source: Source, relation: str, texts: Mapping[str, str], context: ValidationContext
) -> str:
    """Return WITH `judged`: of every row the texts (`r_<name>`) and the typed values (`v_<name>`).

    `refused` is true of a refused row, `emptied` if a value became null or was changed. `n_<name>`
    is the code of what was noted of a value in any column (a placeholder, a stand-in date, control
    characters), `s_<name>` that of a bad value in a column that may be emptied.
    """
    columns, nullable = source.columns, _nullable_columns(source)
    raw = ", ".join(f"{texts.get(name, 'NULL')} AS r_{name}" for name in columns)
    read = ", ".join(
        f"{parse_exact(column, f'r_{name}', context)} AS f_{name}"
        for name, column in columns.items()
    )
    text = ", ".join(f"{_trimmed(name, column)} AS t_{name}" for name, column in columns.items())
    noted = ", ".join(f"{_note(name, source)} AS n_{name}" for name in columns)
    without = ", ".join(
        f"CASE WHEN n_{name} = 'placeholder' THEN NULL ELSE t_{name} END AS t_{name}"
        for name in columns
    )
    value = ", ".join(
        f"coalesce(f_{name}, {parse_typed(column, f't_{name}', context)}) AS v_{name}"
        for name, column in columns.items()
    )
    conditions = [
        condition
        for listed in _rejecting_rules(source, context).values()
        for _, condition in listed
    ]
    return f"""
WITH delivered AS (SELECT record, {raw} FROM {relation}),
read AS (SELECT *, {read} FROM delivered),
trimmed AS (SELECT *, {text} FROM read),
noted AS (SELECT *, {noted} FROM trimmed),
texts AS (SELECT * REPLACE ({without}) FROM noted),
typed AS (SELECT *, {value} FROM texts),
dated AS (SELECT * {_empty_stand_ins(source)}, {born_sql(source, context)} AS born FROM typed),
kept AS (SELECT * {_replaced(source, nullable, context)} FROM dated),
judged AS (
    SELECT *, {" OR ".join(f"({condition})" for condition in conditions) or "false"} AS refused,
        {_has_nulled_value(source)} AS emptied
    FROM kept
)"""


def _note(name: str, source: Source) -> str:
    """SQL of the code of what is noted of a text; null for nearly all."""
    text = f"t_{name}"
    placeholder = f"WHEN f_{name} IS NULL AND {is_placeholder_sql(text)} THEN 'placeholder'"
    if source.columns[name].type != "text" or name in source.key:
        return f"CASE {placeholder} END"
    control = f"regexp_matches({text}, '{CONTROL_CHARACTERS}')"
    return f"CASE {placeholder} WHEN {text} IS NOT NULL AND {control} THEN 'cleaned' END"


def _stand_in_columns(source: Source) -> list[str]:
    """The date columns in which a stand-in date is read as empty; a required date is refused."""
    return [n for n, c in source.columns.items() if c.type == "date" and not c.required]


def _empty_stand_ins(source: Source) -> str:
    names = _stand_in_columns(source)
    if not names:
        return ""
    replaced = ", ".join(
        f"CASE WHEN {is_stand_in_sql(f'v_{name}')} THEN NULL ELSE v_{name} END AS v_{name}, "
        f"CASE WHEN {is_stand_in_sql(f'v_{name}')} THEN NULL ELSE t_{name} END AS t_{name}, "
        f"CASE WHEN {is_stand_in_sql(f'v_{name}')} THEN 'stand_in' ELSE n_{name} END AS n_{name}"
        for name in names
    )
    return f"REPLACE ({replaced})"


def _rejecting_rules(source: Source, context: ValidationContext) -> Violations:
    """Return what makes a row be refused, by column."""
    return {
        name: find_violations(source, name, context)
        for name, column in source.columns.items()
        if column.on_bad == "refuse"
    }


def _nullable_columns(source: Source) -> dict[str, Column]:
    """Return the columns in which a bad value becomes null, and its row is kept."""
    return {name: column for name, column in source.columns.items() if column.on_bad == "null"}


def _trimmed(name: str, column: Column) -> str:
    """SQL of the text of a value in an unusual spelling; an ID's text is judged in any case."""
    if column.type == "id":
        normalised = f"nullif({national_id.normalise_sql(_unwrapped(name))}, '')"
        return f"CASE WHEN f_{name} IS NULL THEN {normalised} ELSE r_{name} END"
    return f"CASE WHEN f_{name} IS NULL THEN {_unwrapped(name)} END"


def _unwrapped(name: str) -> str:
    """SQL of a delivered text without white space and signs of spreadsheets at its ends."""
    return trim_sql(unwrap_sql(trim_sql(f"r_{name}")))


def _replaced(source: Source, nullable: Mapping[str, Column], context: ValidationContext) -> str:
    """Null the bad values of `on_bad: null` columns and remember why (`s_<name>`).

    Before any order of dates is looked at: a value that nobody believes says nothing of another.
    """
    judged = {
        name: own
        for name in nullable
        if (own := [v for v in find_violations(source, name, context) if v[0] != "too_early"])
    }
    if not judged:
        return ""
    replaced = ", ".join(
        f"CASE WHEN ({_any_of(listed)}) IS NOT TRUE THEN v_{name} END AS v_{name}"
        for name, listed in judged.items()
    )
    remembered = ", ".join(
        f"CASE {_first_reason(source, name, listed)} END AS s_{name}"
        for name, listed in judged.items()
    )
    return f"REPLACE ({replaced}), {remembered}"


def _any_of(listed: list[tuple[str, str]]) -> str:
    return " OR ".join(condition for _, condition in listed)


def _first_reason(source: Source, name: str, listed: list[tuple[str, str]]) -> str:
    return " ".join(
        f"WHEN {condition} THEN {_reason(source, name, code)}" for code, condition in listed
    )


def _ordered(source: Source) -> list[tuple[str, str]]:
    """Return each date that may be emptied for its order, with the one it must not precede."""
    return [
        (name, column.not_before)
        for name, column in _nullable_columns(source).items()
        if column.not_before
    ]


def _final(name: str, columns: Mapping[str, Column]) -> str:
    """Return SQL of a value; two dates in the wrong order are both null: either may be wrong."""
    pairs = [
        f"v_{later} < v_{earlier}"
        for later, column in columns.items()
        if column.on_bad == "null" and (earlier := column.not_before) and name in (later, earlier)
    ]
    if not pairs:
        return f"v_{name}"
    return f"CASE WHEN ({' OR '.join(pairs)}) IS NOT TRUE THEN v_{name} END"


def _list_reasons(source: Source, found: Violations) -> str:
    reasons = [
        f"CASE WHEN {condition} THEN {_reason(source, name, code)} END"
        for name, listed in found.items()
        for code, condition in listed
    ]
    return _without_nulls(reasons)


def _has_nulled_value(source: Source) -> str:
    disordered = [f"coalesce(v_{name} < v_{other}, false)" for name, other in _ordered(source)]
    emptied = [f"s_{name} IS NOT NULL" for name in _nullable_columns(source)]
    noted = [f"n_{name} IS NOT NULL" for name in source.columns]
    return " OR ".join([*emptied, *noted, *disordered])


def _list_defects(source: Source) -> str:
    emptied = [f"s_{name}" for name in _nullable_columns(source)]
    noted = [f"'{name}:' || n_{name}" for name in source.columns]
    order = [
        f"CASE WHEN v_{name} < v_{other} THEN '{column}:too_early' END"
        for name, other in _ordered(source)
        for column in (name, other)
    ]
    return _without_nulls([*emptied, *noted, *order])


def _without_nulls(texts: list[str]) -> str:
    return f"list_filter([{', '.join(texts)}], lambda reason: reason IS NOT NULL)"


def _reason(source: Source, name: str, code: str) -> str:
    """Return SQL of `column:code`; an unreadable value has a code of its own per known way."""
    column = source.columns[name]
    if code == "bad_value" or (code == "bad_id" and column.type == "id"):
        return f"'{name}:' || {explain_bad_value_sql(column, f't_{name}')}"
    return f"'{name}:{code}'"
