"""Facts: what is known of each resident on the scoring date. Compiled from the sources' declarations, one scan per source."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from expectations.source_loader import find_spine
from expectations.source_model import Fact, Source
from transforms.clean.national_id import to_text_sql
from transforms.engine.partitioning import in_districts_sql, select_batch
from transforms.engine.sql import enum_type
from transforms.engine.statements import Statement, create_table_statement
from transforms.expressions.language import Kind, build_fact_kinds, parse_expression
from transforms.facts import month_bitmaps
from transforms.facts.measures import (
    FACT_TYPES,
    aggregate_sql,
    any_filter_sql,
    equals_sql,
    fact_sql,
    filter_sql,
    weighted_sql,
)


def residents_statement(source: Source, districts: Iterable[str]) -> Statement:
    """`residents`: one row per person scored, with the district that scores them, one of `districts`."""
    assert source.spine
    spine = source.spine
    district = f"CAST({spine.district} AS {enum_type(sorted(districts))}) AS district"
    rows = f"SELECT person, {district} FROM rows_{source.source} WHERE {equals_sql(spine.where)}"
    return create_table_statement(Statement("residents", rows))


def _registered(source: Source, stretch: Sequence[str]) -> str:
    """What the registry itself says of each of the residents, with the pseudonym: 128 bits, of HMAC-SHA256 of the ID (RFC 2104).

    Its two padded keys are bound as $outer and $inner. Whoever is in `known` (person, resident_key, district) has theirs from
    there: nearly everyone has been scored the month before, and to look it up takes a quarter of the work
    (docs/developing/decisions/0006-hmac-pseudonyms.md). Of a stretch only those are looked up who have not moved into it.
    """
    assert source.spine
    spine = source.spine
    pseudonym = f"left(sha256($outer || unhex(sha256($inner || CAST({to_text_sql('person')} AS BLOB)))), 32)"
    measures = "".join(
        f",\n        {aggregate_sql(source, fact)} AS {name}"
        for name, fact in source.facts.items()
        if fact.measure
    )
    return f"""SELECT person, coalesce(known.resident_key, CAST({pseudonym} AS UUID)) AS resident_key,
        {spine.district} AS district, {spine.name} AS name, {spine.phone} AS phone, {spine.community} AS community{measures}
    FROM rows_{source.source}
    LEFT JOIN (SELECT person, resident_key FROM known WHERE {in_districts_sql("district", stretch)}) AS known USING (person)
    WHERE {equals_sql(spine.where)} AND {in_districts_sql(spine.district, stretch)}"""


def counted_rows_statement(source: Source) -> Statement:
    """`rows_<source>`: the rows that count: of a key received more than once the last; not taken back; within quota."""
    name, person = source.source, source.person
    conditions = [equals_sql(source.standing)] * bool(source.standing) + ["within_quota"] * bool(
        source.quota
    )
    where = f"\nWHERE {' AND '.join(conditions)}" if conditions else ""
    view = f"CREATE OR REPLACE TEMP VIEW rows_{name} AS\nSELECT {person} AS person, * FROM last_{name}{where}"
    return Statement(f"rows_{name}", view)


def source_statements(source: Source) -> list[Statement]:
    """Queries over `rows_<source>`, of one row per person, named as their tables; month facts are made apart."""
    keyed = {n: f for n, f in source.facts.items() if f.measure in ("sum_by_year", "sum_by_key")}
    steps = [Statement(f"listed_{n}", _summed_by_key(source, n, f)) for n, f in keyed.items()]
    apart = {*keyed, *month_bitmaps.list_month_facts(source)}
    plain = {n: f for n, f in source.facts.items() if f.measure and n not in apart}
    if plain and not source.spine:
        steps.append(Statement(f"facts_{source.source}", _grouped(source, plain)))
    return steps


def _grouped(source: Source, facts: Mapping[str, Fact]) -> str:
    """Rows that no fact is measured over are not grouped: whom nothing else is known of needs no row to be joined."""
    picks = _picks(facts)
    columns = [
        f"{aggregate_sql(source, fact)} AS {name}" for name, fact in facts.items() if not fact.pick
    ]
    for where, (order, columns_needed, names) in picks.items():
        fields = ", ".join(
            f"'{column}': {column}" for column in dict.fromkeys([*order, *columns_needed])
        )
        columns.append(
            f"max({{{fields}}}) FILTER (WHERE {where}) AS {names[0]}_pick"
        )  # the first fields decide
    body = ",\n    ".join(columns)
    counted = any_filter_sql(source, facts.values())
    inner = (
        f"SELECT person,\n    {body}\nFROM rows_{source.source}\nWHERE {counted}\nGROUP BY person"
    )
    taken = [
        f"{names[0]}_pick.{facts[n].of} AS {n}" for _, _, names in picks.values() for n in names
    ]
    if taken:
        hidden = ", ".join(f"{names[0]}_pick" for _, _, names in picks.values())
        inner = f"SELECT * EXCLUDE ({hidden}),\n    {', '.join(taken)}\nFROM (\n{inner}\n)"
    return inner


def _picks(facts: Mapping[str, Fact]) -> dict[str, tuple[list[str], list[str], list[str]]]:
    """Facts of one and the same picked row: condition -> (order, columns needed, facts). The row is found once."""
    picks: dict[str, tuple[list[str], list[str], list[str]]] = {}
    for name, fact in facts.items():
        if fact.pick:
            where = filter_sql(fact)
            _, columns, names = picks.setdefault(where, (fact.pick, [], []))
            if fact.of not in columns:
                columns.append(str(fact.of))
            names.append(name)
    return picks


def _summed_by_key(source: Source, name: str, fact: Fact) -> str:
    """One row per person: a list of (key, sum), sorted by key."""
    if fact.measure == "sum_by_year":
        key, field, unit = f"CAST(year({fact.keys[0]}) AS INTEGER)", "year", "hours"
    else:
        key, field, unit = " || ':' || ".join(fact.keys), "key", "points"
    kind = FACT_TYPES[fact.unit]
    return f"""WITH summed AS (
    SELECT person, {key} AS key, CAST(sum({weighted_sql(fact)}) AS DECIMAL(12,2)) AS total
    FROM rows_{source.source} WHERE {filter_sql(fact)} GROUP BY ALL
)
SELECT person, CAST(list({{'{field}': key, '{unit}': total}} ORDER BY key) AS {kind}) AS {name}
FROM summed GROUP BY person"""


def _table(source: Source, name: str, fact: Fact) -> str:
    if source.spine:
        return "registered"
    if fact.measure in month_bitmaps.MEASURES:
        return f"months_{source.source}"
    return (
        f"listed_{name}"
        if fact.measure in ("sum_by_year", "sum_by_key")
        else f"facts_{source.source}"
    )


def list_joined_tables(sources: Mapping[str, Source]) -> list[str]:
    """Every per-person table that the fact statement joins to the residents."""
    tables: dict[str, None] = {}
    for source in sources.values():
        for name, fact in source.facts.items():
            if fact.measure:
                tables[_table(source, name, fact)] = None
    return [table for table in tables if table != "registered"]


def facts_sql(
    sources: Mapping[str, Source], corrected: Collection[str], stretch: Sequence[str] = ()
) -> str:
    """The statement that makes the fact table's rows: one per resident, in no order, with `person` for the ID.

    Reads the registry, `known` and the per-person tables, of a stretch (districts) what they hold of its people. `corrected`:
    the facts that corrections of this month replace; their values stand in `corrected_facts` (person, one column per fact).
    Corrections come before what is derived.
    """
    everything = {
        name: (source, fact) for source in sources.values() for name, fact in source.facts.items()
    }
    kinds = build_fact_kinds({name: fact for name, (_, fact) in everything.items()})
    corrected_now = [name for name in everything if name in corrected]

    def mended(name: str, value: str) -> str:
        return f"coalesce(corrected_facts.{name}, {value})" if name in corrected_now else value

    measured = ",\n    ".join(
        f"{mended(name, fact_sql(source, fact, f'{_table(source, name, fact)}.{name}'))} AS {name}"
        for name, (source, fact) in everything.items()
        if fact.measure
    )
    tables = {table: select_batch(table, stretch) for table in list_joined_tables(sources)}
    if corrected_now:
        tables["corrected_facts"] = "corrected_facts"
    joins = "\n".join(
        f"LEFT JOIN {rows} AS {table} ON {table}.person = registered.person"
        for table, rows in tables.items()
    )
    carried = [name for name in corrected_now if not everything[name][1].measure]
    kept = "".join(f",\n    corrected_facts.{name} AS corrected_{name}" for name in carried)
    looked_up, found = _lookups(everything, carried)
    derived = ",\n    ".join(
        f"{_carried(name, _derived(fact, kinds), carried)} AS {name}"
        for name, (_, fact) in everything.items()
        if fact.derive
    )
    order = ", ".join(
        [
            "person",
            "resident_key",
            "district",
            *everything,
            "corrections",
            "name",
            "phone",
            "community",
        ]
    )
    return f"""
WITH registered AS (
    {_registered(find_spine(sources), stretch)}
),
measured AS (
    SELECT registered.person, resident_key, district, registered.name, phone, community,
    held_corrections.corrections,
    {measured}{kept}
    FROM registered
    {joins}
    LEFT JOIN held_corrections ON held_corrections.person = registered.person
),
looked_up AS (
    SELECT measured.*{looked_up}
    FROM measured{found}
),
derived AS (
    SELECT *,
    {derived or "true AS nothing_derived"}
    FROM looked_up
)
SELECT {order}
FROM derived"""


def list_fact_table_columns(facts: Mapping[str, Fact]) -> list[str]:
    """The fact table's columns as SQL over rows of `facts_sql`. Written once they are in order: as they are there, they move lighter."""
    return [
        "CAST($first_day AS DATE) AS month",
        "replace(CAST(resident_key AS VARCHAR), '-', '') AS resident_key",
        "district",
        *facts,
        "corrections",
        f"{to_text_sql('person')} AS resident_id",
        "name",
        "phone",
        "community",
        *(_without_free_text(name) for name, fact in facts.items() if fact.unit == "points_by_key"),
    ]


def public_column(name: str) -> str:
    """The column of points by key without the entries whose key is a department's own text: these are not published."""
    return f"{name}_coded"


def _without_free_text(name: str) -> str:
    code = "regexp_full_match(entry.key, '[0-9]{6}:[a-z][a-z0-9_]*')"
    return f"list_filter({name}, lambda entry: {code}) AS {public_column(name)}"


def _derived(fact: Fact, kinds: Mapping[str, Kind]) -> str:
    """What follows from other facts. Yes or no: what cannot be told from them is no."""
    value = parse_expression(str(fact.derive), kinds).sql(_parameter)
    return f"coalesce({value}, false)" if fact.unit == "yes_no" else value


def _parameter(name: str) -> str:
    return "$as_of" if name == "as_of" else name


def _carried(name: str, value: str, carried: Collection[str]) -> str:
    return f"coalesce(corrected_{name}, {value})" if name in carried else value


def _lookups(
    everything: Mapping[str, tuple[Source, Fact]], carried: Collection[str]
) -> tuple[str, str]:
    columns, joins = "", ""
    for name, (_, fact) in everything.items():
        if fact.lookup:
            look = fact.lookup
            keys = ", ".join(look.match)
            joins += f"""
    LEFT JOIN (
        SELECT {keys}, arg_max({look.value}, {look.newest}) AS value
        FROM {look.table} WHERE {look.newest} <= $month GROUP BY {keys}
    ) AS found_{name} ON {" AND ".join(f"found_{name}.{column} = measured.{of}" for column, of in look.match.items())}"""
            columns += f",\n    {_carried(name, f'found_{name}.value', carried)} AS {name}"
    return columns, joins
