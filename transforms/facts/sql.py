"""Facts as SQL: one row per resident with what is known of them on the scoring date.

Compiled from the sources' declarations, with one scan of each source.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from expectations.fact_model import YEAR_UNITS
from expectations.source_loader import find_spine
from expectations.source_model import Fact, Source
from transforms.clean.national_id import to_text_sql
from transforms.engine.sql import matches_sql, sorted_list_sql
from transforms.engine.statements import Statement
from transforms.expressions.kinds import Kind, build_fact_kinds
from transforms.expressions.language import parse_expression
from transforms.facts import month_bitmaps
from transforms.facts.derived import order_derived_facts
from transforms.facts.measures import (
    FACT_TYPES,
    aggregate_sql,
    any_filter_sql,
    covered_months_sql,
    equals_sql,
    fact_sql,
    filter_sql,
    rows_sql,
    weighted_sql,
)
from transforms.facts.pseudonyms import pseudonym_sql
from transforms.facts.quotas import within_quota_sql
from transforms.outputs import RESIDENT_ORDER


def latest_row_statements(source: Source) -> list[Statement]:
    """Return the queries of `latest_<source>`: of a key received in several months the last row.

    With `within_quota` where there is a quota; a table then, for that takes a sort and is read more
    than once (docs/developing/decisions/0014-small-optimisations.md).
    """
    name, rows, inputs, statements = source.source, f"clean_{source.source}", [], []
    if source.delivery == "increment" and source.key:
        key = ", ".join(source.key)
        superseded = f"""
WITH repeated AS (SELECT {key} FROM {rows} GROUP BY {key} HAVING count(*) > 1)
SELECT {key}, received FROM {rows} SEMI JOIN repeated USING ({key})
QUALIFY row_number() OVER (PARTITION BY {key} ORDER BY received DESC) > 1"""
        statements.append(Statement(f"superseded_{name}", superseded, (rows,)))
        rows = f"{rows} ANTI JOIN superseded_{name} USING ({key}, received)"
        inputs.append(f"superseded_{name}")
    inputs.append(f"clean_{name}")
    if source.quota:
        sql = within_quota_sql(source, source.quota, rows)
        statement = Statement(f"latest_{name}", sql, (*inputs, source.quota.table))
    else:
        statement = Statement(f"latest_{name}", f"SELECT * FROM {rows}", tuple(inputs), "view")
    return [*statements, statement]


def counted_rows_statement(source: Source) -> Statement:
    """Return the query of `counted_<source>`: latest rows, not taken back, within their quota."""
    name = source.source
    conditions = [equals_sql(source.standing)] if source.standing else []
    conditions += ["within_quota"] if source.quota else []
    where = f"\nWHERE {' AND '.join(conditions)}" if conditions else ""
    sql = f"SELECT {source.person} AS person, * FROM latest_{name}{where}"
    return Statement(f"counted_{name}", sql, (f"latest_{name}",), "view")


def residents_statement(source: Source) -> Statement:
    """Return the query of `residents`: one row per person scored, and the district that scores."""
    assert source.spine
    spine, rows = source.spine, f"counted_{source.source}"
    sql = f"""SELECT person, {spine.district} AS district
FROM {rows} WHERE {equals_sql(spine.where)}"""
    return Statement("residents", sql, (rows,))


def source_statements(source: Source, sources: Mapping[str, Source]) -> list[Statement]:
    """Return the queries of a source's facts, one row per person; those over months are others."""
    keyed = {n: f for n, f in source.facts.items() if f.measure in ("sum_by_year", "sum_by_key")}
    statements = [
        Statement(f"listed_{name}", _summed_by_key(source, name, fact), _inputs(source, [fact]))
        for name, fact in keyed.items()
    ]
    once = {n: f for n, f in source.facts.items() if f.once_per and n not in keyed}
    statements += [
        Statement(f"once_{name}", _once(source, name, fact), _inputs(source, [fact]))
        for name, fact in once.items()
    ]
    covered = {n: f for n, f in source.facts.items() if f.measure == "covered_months"}
    statements += [
        Statement(
            f"covered_{name}",
            covered_months_sql(sources, source, fact, name),
            tuple(dict.fromkeys(f"counted_{s.source or source.source}" for s in fact.every_spell)),
        )
        for name, fact in covered.items()
    ]
    others = {*keyed, *once, *covered, *month_bitmaps.list_month_facts(source)}
    plain = {n: f for n, f in source.facts.items() if f.measure and n not in others}
    if plain and not source.spine:
        name = f"facts_{source.source}"
        statements.append(Statement(name, _grouped(source, plain), _inputs(source, plain.values())))
    return statements


def _once(source: Source, name: str, fact: Fact) -> str:
    """One fact over rows of which those of one act are one."""
    value = "count(*)" if fact.measure == "count" else f"sum({weighted_sql(source, fact)})"
    return f"SELECT person, {value} AS {name}\nFROM {rows_sql(source, fact)}\nGROUP BY person"


def _inputs(source: Source, facts: Collection[Fact]) -> tuple[str, ...]:
    """The rows of a source, and the reference tables that its facts look into."""
    measured = [source.facts[name] for fact in facts for name in fact.levels.values()]
    listed = [fact.listed.table for fact in (*facts, *measured) if fact.listed]
    return (f"counted_{source.source}", *dict.fromkeys(listed))


def _grouped(source: Source, facts: Mapping[str, Fact]) -> str:
    """Facts of a source, grouped by person. Rows that no fact is measured over are left out."""
    picks = _picks(source, facts)
    columns = [
        f"{aggregate_sql(source, fact)} AS {name}" for name, fact in facts.items() if not fact.pick
    ]
    for where, (order, needed, names) in picks.items():
        fields = ", ".join(f"'{column}': {column}" for column in dict.fromkeys([*order, *needed]))
        # the greatest struct is that of the row wanted: its first fields decide
        columns.append(f"max({{{fields}}}) FILTER (WHERE {where}) AS {names[0]}_pick")
    body = ",\n    ".join(columns)
    counted = any_filter_sql(source, facts.values())
    rows = f"counted_{source.source}\nWHERE {counted}"
    inner = f"SELECT person,\n    {body}\nFROM {rows}\nGROUP BY person"
    if not picks:
        return inner
    taken = {
        name: f"{names[0]}_pick.{facts[name].of}"
        for _, _, names in picks.values()
        for name in names
    }
    outer = ",\n    ".join(
        f"{taken[name]} AS {name}" if name in taken else name
        for name in sorted(facts, key=lambda name: name in taken)
    )
    return f"SELECT person,\n    {outer}\nFROM (\n{inner}\n)"


def _picks(
    source: Source, facts: Mapping[str, Fact]
) -> dict[str, tuple[list[str], list[str], list[str]]]:
    """Facts of the same picked row: condition -> (order, columns needed, facts)."""
    picks: dict[str, tuple[list[str], list[str], list[str]]] = {}
    for name, fact in facts.items():
        if fact.pick:
            where = filter_sql(source, fact)
            _, columns, names = picks.setdefault(where, (fact.pick, [], []))
            if fact.of not in columns:
                columns.append(str(fact.of))
            names.append(name)
    return picks


def _summed_by_key(source: Source, name: str, fact: Fact) -> str:
    """One row per person: a list of (key, sum), sorted by key."""
    if fact.measure == "sum_by_year":
        key, field, unit = f"CAST(year({fact.keys[0]}) AS INTEGER)", "year", YEAR_UNITS[fact.unit]
    else:
        key, field, unit = " || ':' || ".join(fact.keys), "key", "points"
    rows = rows_sql(source, fact)
    entries = sorted_list_sql(f"{{'{field}': key, '{unit}': total}}")
    return f"""WITH summed AS (
    SELECT person, {key} AS key, CAST(coalesce(sum({weighted_sql(source, fact)}), 0) AS DECIMAL(12,2)) AS total
    FROM {rows} GROUP BY person, {key}
)
SELECT person, CAST({entries} AS {FACT_TYPES[fact.unit]}) AS {name}
FROM summed GROUP BY person"""


def _table(source: Source, name: str, fact: Fact) -> str:
    """The relation of the fact statement that a fact's column comes from."""
    if fact.measure == "covered_months":
        return f"covered_{name}"
    if source.spine:
        return "spine"
    if fact.measure in month_bitmaps.MEASURES:
        return f"months_{source.source}"
    if fact.measure in ("sum_by_year", "sum_by_key"):
        return f"listed_{name}"
    if fact.once_per:
        return f"once_{name}"
    return f"facts_{source.source}"


def list_person_tables(sources: Mapping[str, Source]) -> list[str]:
    """Return the tables with one row per person that the fact statement joins to the registry."""
    tables = (
        _table(source, name, fact)
        for source in sources.values()
        for name, fact in source.facts.items()
        if fact.measure
    )
    return [table for table in dict.fromkeys(tables) if table != "spine"]


def joined_facts_statement(
    sources: Mapping[str, Source], corrected: Collection[str], stages: int = 1
) -> Statement:
    """Return the query of everybody's facts: one row per resident, in no order, ID as `person`.

    `corrected`: the facts that corrections of this month replace; their values are in
    `corrected_facts` (person, one column per fact). Corrections come before what is derived.
    """
    facts = {name: (source, f) for source in sources.values() for name, f in source.facts.items()}
    kinds = build_fact_kinds({name: fact for name, (_, fact) in facts.items()})
    replaced = [name for name in facts if name in corrected]
    measured = ",\n    ".join(
        f"{_measured(source, name, fact, replaced)} AS {name}"
        for name, (source, fact) in facts.items()
        if fact.measure
    )
    tables = list_person_tables(sources) + ["corrected_facts"] * bool(replaced)
    joins = "\n    ".join(
        f"LEFT JOIN {table} ON {table}.person = spine.person"
        for table in (*tables, "correction_lists")
    )
    carried = [name for name in replaced if not facts[name][1].measure]
    kept = "".join(f",\n    corrected_facts.{name} AS corrected_{name}" for name in carried)
    lookups, lookup_joins = _lookups(facts, carried)
    derived = "".join(
        f",\n    {_corrected(name, _derived(facts[name][1], kinds), carried)} AS {name}"
        for name in order_derived_facts({name: fact for name, (_, fact) in facts.items()})
    )
    spine = find_spine(sources)
    columns = ["person", "resident_key", "district", *facts, "corrections"]
    sql = f"""
WITH spine AS (
    {_spine_sql(spine, stages)}
),
measured AS (
    SELECT spine.person, spine.resident_key, spine.district, spine.name,
    spine.phone, spine.community, correction_lists.corrections,
    {measured}{kept}
    FROM spine
    {joins}
),
with_lookups AS (
    SELECT measured.*{lookups}
    FROM measured{lookup_joins}
),
derived AS (
    SELECT *{derived}
    FROM with_lookups
)
SELECT {", ".join([*columns, "name", "phone", "community"])}
FROM derived"""
    looked_up = [fact.lookup.table for _, fact in facts.values() if fact.lookup]
    inputs = dict.fromkeys([f"counted_{spine.source}", *tables, "correction_lists", *looked_up])
    return Statement("facts", sql, tuple(inputs), "file")


def facts_statement(
    sources: Mapping[str, Source], corrected: Collection[str], stages: int = 1
) -> Statement:
    """Return the query of the fact table: one row per resident, by district and resident_key.

    `stages`: how many keys the root has.
    """
    joined = joined_facts_statement(sources, corrected, stages)
    facts = {name: fact for source in sources.values() for name, fact in source.facts.items()}
    columns = ", ".join(list_fact_table_columns(facts))
    order = ", ".join(RESIDENT_ORDER)
    sql = f"SELECT {columns}\nFROM ({joined.sql}\n)\nORDER BY {order}"
    return Statement("facts", sql, joined.inputs, "file")


def list_fact_table_columns(facts: Mapping[str, Fact]) -> list[str]:
    """Return the columns of the fact table as SQL over `joined_facts_statement`.

    They are computed after the sort: rows move lighter without them.
    """
    return [
        "CAST($first_day AS DATE) AS month",
        "resident_key",
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
    """Return the fact table's column of points by key without a department's own texts as keys."""
    return f"{name}_coded"


def _spine_sql(source: Source, stages: int) -> str:
    """What the registry says of each resident, with their pseudonym."""
    assert source.spine
    spine = source.spine
    measures = "".join(
        f",\n        {aggregate_sql(source, fact)} AS {name}"
        for name, fact in source.facts.items()
        if fact.measure and fact.measure != "covered_months"
    )
    return f"""SELECT person, {pseudonym_sql(to_text_sql("person"), stages)} AS resident_key,
        {spine.district} AS district, {spine.name} AS name, {spine.phone} AS phone,
        {spine.community} AS community{measures}
    FROM counted_{source.source}
    WHERE {equals_sql(spine.where)}"""


def _measured(source: Source, name: str, fact: Fact, replaced: Collection[str]) -> str:
    value = fact_sql(source, fact, f"{_table(source, name, fact)}.{name}")
    return f"coalesce(corrected_facts.{name}, {value})" if name in replaced else value


def _without_free_text(name: str) -> str:
    code = matches_sql("entry.key", "[0-9]{6}:[a-z][a-z0-9_]*")
    return f"list_filter({name}, lambda entry: {code}) AS {public_column(name)}"


def _derived(fact: Fact, kinds: Mapping[str, Kind]) -> str:
    """Return what follows from other facts; a yes or no that they leave open is no."""
    value = parse_expression(str(fact.derive), kinds).sql(_parameter)
    return f"coalesce({value}, false)" if fact.unit == "yes_no" else value


def _parameter(name: str) -> str:
    return "$as_of" if name == "as_of" else name


def _corrected(name: str, value: str, carried: Collection[str]) -> str:
    return f"coalesce(corrected_{name}, {value})" if name in carried else value


def _lookups(facts: Mapping[str, tuple[Source, Fact]], carried: Collection[str]) -> tuple[str, str]:
    """Facts looked up in reference tables: their columns, and the joins that find them."""
    columns, joins = "", ""
    for name, (_, fact) in facts.items():
        if fact.lookup:
            look = fact.lookup
            keys = ", ".join(look.match)
            same = " AND ".join(
                f"found_{name}.{column} = measured.{other}" for column, other in look.match.items()
            )
            joins += f"""
    LEFT JOIN (
        SELECT {keys}, arg_max({look.value}, {look.newest}) AS value
        FROM {look.table} WHERE {look.newest} <= $month GROUP BY {keys}
    ) AS found_{name} ON {same}"""
            columns += f",\n    {_corrected(name, f'found_{name}.value', carried)} AS {name}"
    return columns, joins
