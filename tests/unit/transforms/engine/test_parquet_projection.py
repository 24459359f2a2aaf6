"""Columns copied out of a Parquet file, against what three readers see in the original."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from transforms.engine.parquet import PARQUET
from transforms.engine.parquet_projection import copy_columns
from transforms.engine.sql import sql_literal

ROWS = 300_000
COLUMNS = {
    "number": "range",
    "few": "(range % 7)::VARCHAR",
    "many": "md5(range::VARCHAR)",
    "level": "(CASE range % 3 WHEN 0 THEN 'a' WHEN 1 THEN 'b' END)::ENUM('a', 'b')",
    "day": "CASE WHEN range % 5 > 0 THEN DATE '2024-01-01' + (range % 900)::INTEGER END",
    "amount": "(range % 1000 / 10)::DECIMAL(12, 2)",
    "yes": "range % 2 = 0",
    "nothing": "NULL::INTEGER",
    "listed": "CASE range % 4 WHEN 0 THEN NULL WHEN 1 THEN [] ELSE [{'key': 'k' || range % 9, 'points': range / 2.0}] END",
    "pair": "{'a': range % 3, 'b': [range % 11]}",
}
# The engine looks for the Bloom filter of a column behind a nested one in the wrong place: so not behind those.
WANTED = {
    "few": "few",
    "many": "key",
    "level": "level",
    "listed": "entries",
    "nothing": "nothing",
    "pair": "pair",
}


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Everything that facts are made of, in several row groups."""
    path = tmp_path_factory.mktemp("original") / "wide.parquet"
    columns = ", ".join(f"{sql} AS {name}" for name, sql in COLUMNS.items())
    duckdb.sql(f"COPY (SELECT {columns} FROM range({ROWS})) TO {sql_literal(path)} ({PARQUET})")
    assert pq.read_metadata(path).num_row_groups > 1
    return path


def renamed(original: Path) -> str:
    return f"SELECT {', '.join(f'{column} AS {name}' for column, name in WANTED.items())} FROM {sql_literal(original)}"


def test_every_reader_sees_the_columns_under_their_new_names(
    original: Path, tmp_path: Path
) -> None:
    made = tmp_path / "new" / "some.parquet"
    copy_columns([original], made, WANTED)
    rows = "SELECT count(*), sum(CAST(hash(one) AS HUGEINT)) FROM ({}) AS one"
    wanted, seen = renamed(original), f"FROM {sql_literal(made)}"
    assert duckdb.sql(rows.format(wanted)).fetchall() == duckdb.sql(rows.format(seen)).fetchall()
    assert duckdb.sql(f"DESCRIBE {wanted}").fetchall() == duckdb.sql(f"DESCRIBE {seen}").fetchall()
    whole = pq.read_table(original, columns=list(WANTED)).select(list(WANTED))
    assert pq.read_table(made).equals(whole.rename_columns(list(WANTED.values())))


def test_row_groups_statistics_and_bloom_filters_come_along(original: Path, tmp_path: Path) -> None:
    made = tmp_path / "some.parquet"
    copy_columns([original], made, WANTED)

    def told(path: Path) -> list[tuple[object, ...]]:
        columns = "row_group_id, num_values, stats_min_value, stats_max_value, stats_null_count, compression, encodings"
        sizes = "total_compressed_size, bloom_filter_length"
        top = "split_part(path_in_schema, ',', 1)"
        rows = duckdb.sql(
            f"SELECT {top}, {columns}, {sizes} FROM parquet_metadata({sql_literal(path)}) ORDER BY ALL"
        )
        return rows.fetchall()

    new = {name: column for column, name in WANTED.items()}
    assert sorted((new[str(name)], *rest) for name, *rest in told(made)) == sorted(
        row for row in told(original) if row[0] in WANTED
    )
    probe = (
        f"SELECT bloom_filter_excludes FROM parquet_bloom_probe({sql_literal(made)}, 'few', {{}})"
    )
    assert all(excluded for (excluded,) in duckdb.sql(probe.format("'none'")).fetchall())
    assert not any(excluded for (excluded,) in duckdb.sql(probe.format("'3'")).fetchall())
    groups = [pq.read_metadata(made).row_group(number) for number in range(2)]
    assert all(
        g.total_byte_size == sum(g.column(i).total_uncompressed_size for i in range(g.num_columns))
        for g in groups
    )


def test_all_columns_are_the_whole_file(original: Path, tmp_path: Path) -> None:
    """What is told of the file is read and written without a loss, down to the bytes."""
    copy_columns([original], tmp_path / "all.parquet", {name: name for name in COLUMNS})
    copy_columns(
        [tmp_path / "all.parquet"], tmp_path / "again.parquet", {name: name for name in COLUMNS}
    )
    assert (tmp_path / "all.parquet").read_bytes() == (tmp_path / "again.parquet").read_bytes()
    assert pq.read_metadata(tmp_path / "all.parquet").schema == pq.read_metadata(original).schema


def test_files_that_are_alike_become_one_in_their_order(original: Path, tmp_path: Path) -> None:
    copy_columns([original], tmp_path / "one.parquet", WANTED)
    copy_columns([original, original], tmp_path / "two.parquet", WANTED)
    one, two = pq.ParquetFile(tmp_path / "one.parquet"), pq.ParquetFile(tmp_path / "two.parquet")
    assert (two.metadata.num_rows, two.num_row_groups) == (2 * ROWS, 2 * one.num_row_groups)
    table = one.read()
    assert two.read().equals(pa.concat_tables([table, table]))
    seen = duckdb.sql(
        f"SELECT few, key, entries FROM {sql_literal(tmp_path / 'two.parquet')} OFFSET {ROWS}"
    ).fetchall()
    assert (
        seen
        == duckdb.sql(
            f"SELECT few, key, entries FROM {sql_literal(tmp_path / 'one.parquet')}"
        ).fetchall()
    )


def test_what_another_writer_tells_of_its_pages_is_left_behind(tmp_path: Path) -> None:
    """An index of pages holds places in the file that it came from."""
    table = pa.table({"a": list(range(10_000)), "b": [str(n) for n in range(10_000)]})
    sorting = [pq.SortingColumn(0)]
    pq.write_table(table, tmp_path / "wide.parquet", write_page_index=True, sorting_columns=sorting)
    copy_columns([tmp_path / "wide.parquet"], tmp_path / "b.parquet", {"b": "text"})
    assert (
        pq.read_table(tmp_path / "b.parquet").column("text").to_pylist()
        == table.column("b").to_pylist()
    )
    group = pq.read_metadata(tmp_path / "b.parquet").row_group(0)
    assert (
        not group.sorting_columns
        and not group.column(0).has_column_index
        and not group.column(0).has_offset_index
    )


def test_a_column_that_is_not_there_and_a_file_that_is_none(original: Path, tmp_path: Path) -> None:
    with pytest.raises(KeyError):
        copy_columns([original], tmp_path / "some.parquet", {"unknown": "unknown"})
    (tmp_path / "none.parquet").write_bytes(b"no such thing, but long enough")
    with pytest.raises(ValueError, match="Parquet"):
        copy_columns([tmp_path / "none.parquet"], tmp_path / "some.parquet", {"a": "a"})
