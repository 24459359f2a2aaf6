"""District batches hold all districts in order, and no more people than allowed."""

from __future__ import annotations

from pathlib import Path

import duckdb
from hypothesis import given
from hypothesis import strategies as st

from transforms.engine.partitioning import Partitioning, in_districts_sql, spill_by_district
from transforms.engine.statements import Statement, filter_inputs

PEOPLE = 5_500_000
DISTRICTS = ["330203", "330205", "330206", "330211", "330212"]


@given(st.dictionaries(st.sampled_from(DISTRICTS), st.integers(0, 2 * PEOPLE)))
def test_batches_keep_the_order_of_districts_and_are_filled_up(people: dict[str, int]) -> None:
    found = Partitioning(people=PEOPLE).plan_district_batches(people)
    if sum(people.values()) <= PEOPLE:
        assert found == [[]]
        return
    assert [district for batch in found for district in batch] == sorted(people)
    sizes = [sum(people[district] for district in batch) for batch in found]
    assert all(size <= PEOPLE or len(batch) == 1 for size, batch in zip(sizes, found, strict=True))
    nexts = zip(sizes[:-1], found[1:], strict=True)
    assert all(size + people[following[0]] > PEOPLE for size, following in nexts)


def test_a_reference_city_is_one_batch() -> None:
    assert Partitioning(people=PEOPLE).plan_district_batches(
        dict.fromkeys(DISTRICTS, 1_020_000)
    ) == [[]]


def test_a_spilled_table_is_read_by_batch(
    engine: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    engine.execute(
        "CREATE OR REPLACE TEMP TABLE residents AS SELECT i AS person, (330203 + i % 3)::VARCHAR AS district FROM range(9000) r(i)"
    )
    engine.execute(
        "CREATE TEMP TABLE found AS SELECT i * 2 AS person, i AS fact FROM range(9000) r(i)"
    )
    rows = Statement("known", "SELECT found.*, district FROM found JOIN residents USING (person)")
    wanted = engine.execute(
        f"SELECT person, fact FROM ({rows.sql}) WHERE district IN ('330203', '330205') ORDER BY ALL"
    ).fetchall()
    spill_by_district(engine, rows, {}, tmp_path)
    batch = filter_inputs(
        Statement("batch", "SELECT person, fact FROM known ORDER BY ALL", ("known",)),
        {"known": in_districts_sql("district", ["330203", "330205"])},
    )
    assert engine.fetch(batch) == wanted and len(wanted) == 3000


def test_rows_of_unregistered_people_are_not_spilled(
    engine: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    engine.execute(
        "CREATE OR REPLACE TEMP TABLE residents AS SELECT 1 AS person, '330203' AS district"
    )
    engine.execute("CREATE TEMP TABLE facts_of_strangers AS SELECT 2 AS person, 3 AS fact")
    rows = "SELECT facts_of_strangers.*, district FROM facts_of_strangers JOIN residents USING (person)"
    spill_by_district(engine, Statement("facts_of_strangers", rows), {}, tmp_path)
    assert engine.fetch_rows("FROM facts_of_strangers") == []
