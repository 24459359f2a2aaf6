"""Extracts in a real PostgreSQL: streamed, kept as texts in a fixed order, read only, in bounded memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from expectations.errors import ExitCode, JifenError
from expectations.month import Month
from flows.connections import postgres as postgres_server
from flows.extract.pull import pull_up_to
from flows.settings import Settings, SourceSettings
from flows.storage.deliveries import Delivery, list_deliveries, record_row_count
from flows.storage.root import Root
from tests.support.pulling import settings_of
from tests.support.servers import Postgres

OCTOBER, NOVEMBER, DECEMBER = Month.parse("2021-10"), Month.parse("2021-11"), Month.parse("2021-12")
ROWS = int(os.environ.get("JIFEN_PULL_ROWS", 200_000))


@pytest.fixture
def database(postgres: Postgres) -> Iterator[Postgres]:
    postgres.execute(
        "DROP SCHEMA IF EXISTS out CASCADE",
        "CREATE SCHEMA out",
        "GRANT USAGE ON SCHEMA out TO reader",
    )
    postgres.execute("ALTER DEFAULT PRIVILEGES IN SCHEMA out GRANT SELECT ON TABLES TO reader")
    yield postgres


@pytest.fixture(autouse=True)
def password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JIFEN_CREDIT_PASSWORD", "s3cret/@:")


def settings(root: Root, database: Postgres, **asked: str) -> Settings:
    given = SourceSettings(origin=database.uri("reader"), **(asked or {"table": "out.c_{month}"}))
    return settings_of(root, credit=given)


def pull(root: Root, database: Postgres, month: Month = OCTOBER, **asked: str) -> list[Delivery]:
    return pull_up_to(root, settings(root, database, **asked), ["credit"], month)


def refused(root: Root, database: Postgres, **asked: str) -> JifenError:
    with pytest.raises(JifenError) as caught:
        pull(root, database, **asked)
    assert caught.value.code == ExitCode.EXTRACT and "s3cret" not in str(caught.value)
    assert caught.value.__cause__ is None
    return caught.value


@pytest.mark.promise("sources-46", "typed SQL values too")
def test_every_type_arrives_as_the_text_that_a_file_would_hold(
    root: Root, database: Postgres
) -> None:
    database.execute(
        """CREATE TABLE out."c_2021-10" AS SELECT 'P1'::varchar(9) AS text, 'x'::char(3) AS padded, 7::bigint AS whole,
        1000.5000::numeric(18,4) AS amount, -3::numeric AS bare, 0.10::numeric AS share, 2.5::float8 AS float,
        DATE '2021-10-05' AS day, TIMESTAMP '2021-10-05' AS midnight, TIMESTAMP '2021-10-05 08:30' AS later, true AS yes,
        NULL::text AS nothing, 'a'::"char" AS letter, '00000000-0000-0000-0000-00000000000a'::uuid AS id"""
    )
    [delivery] = pull(root, database)
    assert [part.name for part in delivery.parts] == ["credit.parquet"]
    table = pq.read_table(delivery.parts[0])
    assert table.column_names == sorted(table.column_names)
    assert table.to_pylist() == [
        {
            "text": "P1",
            "padded": "x  ",
            "whole": "7",
            "amount": "1000.5",
            "bare": "-3",
            "share": "0.1",
            "float": "2.5",
            "day": "2021-10-05",
            "midnight": "2021-10-05",
            "later": "2021-10-05 08:30:00",
            "yes": "true",
            "nothing": None,
            "letter": "a",
            "id": "00000000-0000-0000-0000-00000000000a",
        }
    ]


def test_the_receipt_says_what_was_asked_of_whom_without_user_or_password(
    root: Root, database: Postgres
) -> None:
    database.execute('CREATE TABLE out."c_2021-10" AS SELECT 1 AS a')
    [delivery] = pull(root, database)
    receipt = (delivery.folder / "receipt.json").read_text()
    assert json.loads(receipt)["origin"] == (
        f'postgresql://127.0.0.1:{database.port}/postgres SELECT * FROM "out"."c_2021-10"'
    )
    assert "s3cret" not in receipt and "reader" not in receipt


def test_the_same_rows_are_the_same_delivery_whatever_their_order_and_that_of_the_columns(
    root: Root, database: Postgres
) -> None:
    rows = "SELECT i AS a, (i * 7919 % 1000)::text AS b, NULLIF(i % 3, 0) AS c FROM generate_series(1, 5000) i"
    database.execute(f'CREATE TABLE out."c_2021-10" AS {rows}')
    [first] = pull(root, database)
    database.execute(
        'DROP TABLE out."c_2021-10"',
        f'CREATE TABLE out."c_2021-10" AS SELECT c, b, a FROM ({rows}) t ORDER BY b',
    )
    assert pull(root, database) == []
    database.execute('UPDATE out."c_2021-10" SET c = 9 WHERE a = 1')
    [second] = pull(root, database)
    assert second.number == 2 and second.content != first.content
    table = pq.read_table(second.parts[0]).to_pylist()
    assert table == sorted(
        table, key=lambda row: [(value is not None, value or "") for value in row.values()]
    )


@pytest.mark.promise("sources-15", "PostgreSQL: a table or a query with `{month}`")
def test_a_query_is_asked_with_the_month_and_can_write_nothing(
    root: Root, database: Postgres
) -> None:
    database.execute(
        "CREATE TABLE out.all AS SELECT m AS month, i AS a FROM unnest(ARRAY['2021-10', '2021-11']) m, generate_series(1, 3) i",
        "GRANT INSERT, DELETE ON out.all TO reader",
    )
    query = "SELECT * FROM out.all WHERE month = '{month}';"
    [delivery] = pull(root, database, NOVEMBER, query=query)
    assert {row["month"] for row in pq.read_table(delivery.parts[0]).to_pylist()} == {"2021-11"}
    error = refused(
        root,
        database,
        query="WITH gone AS (DELETE FROM out.all RETURNING *) SELECT '{month}', * FROM gone",
    )
    assert "SQLSTATE" in error.message
    [again] = pull(root, database, OCTOBER, query=query)
    assert len(pq.read_table(again.parts[0])) == 3


@pytest.mark.proves("sources-15")
def test_a_month_whose_table_is_not_there_has_not_come_and_one_without_rows_has(
    root: Root, database: Postgres
) -> None:
    assert pull(root, database) == []
    database.execute('CREATE TABLE out."c_2021-10" (a int, b text)')
    [delivery] = pull(root, database)
    assert pq.read_table(delivery.parts[0]).column_names == ["a", "b"]


def test_an_older_month_that_has_come_with_rows_is_not_asked_for_again_an_empty_one_is(
    root: Root, database: Postgres
) -> None:
    database.execute(
        'CREATE TABLE out."c_2021-10" AS SELECT 1 AS a',
        'CREATE TABLE out."c_2021-11" (a int)',
        'CREATE TABLE out."c_2021-12" AS SELECT 3 AS a',
    )
    given = settings(root, database)
    for month, rows in ((OCTOBER, 1), (NOVEMBER, 0)):
        [delivery] = pull_up_to(root, given, ["credit"], month)
        record_row_count(delivery, rows)
    database.execute('UPDATE out."c_2021-10" SET a = 2', 'INSERT INTO out."c_2021-11" VALUES (2)')
    new = pull_up_to(root, given, ["credit"], DECEMBER)
    assert [(str(found.month), found.number) for found in new] == [("2021-11", 2), ("2021-12", 1)]
    [changed] = pull_up_to(root, given, ["credit"], OCTOBER)  # the operator runs that month itself
    assert (str(changed.month), changed.number) == ("2021-10", 2)


def test_database_errors_are_reported_without_quoting_the_database(
    root: Root, database: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    database.execute("CREATE TABLE out.\"c_2021-10\" AS SELECT '33020319900101001X'::text AS a")
    database.execute(
        "CREATE SCHEMA IF NOT EXISTS closed",
        'CREATE TABLE IF NOT EXISTS closed."c_2021-10" (a int)',
    )
    assert "没有权限" in refused(root, database, table="closed.c_{month}").message
    for query in (
        "SELEC '{month}'",
        'SELECT nothing FROM out."c_{month}"',
        'SELECT a::int FROM out."c_{month}"',
    ):
        error = refused(root, database, query=query)
        assert (
            "SQLSTATE" in error.message and "33020319900101001X" not in f"{error}{error.__cause__}"
        )
    assert "重名" in refused(root, database, query='SELECT a, a FROM out."c_{month}"').message
    monkeypatch.setenv("JIFEN_CREDIT_PASSWORD", "wr0ng")
    assert "拒绝登录" in refused(root, database).message


@pytest.mark.promise("sources-16", "the table is streamed, never whole in memory")
def test_many_postings_are_pulled_in_bounded_memory(
    root: Root, database: Postgres, tmp_path: Path
) -> None:
    """JIFEN_PULL_ROWS=2000000 for the size of half a month."""
    database.execute(
        f"""CREATE TABLE out."c_2021-10" AS SELECT (330203199001010000 + i::bigint * 7919 % {ROWS})::text AS resident_id,
        'pension' AS insurance, '2021-10' AS month, '330203' AS district, 'E' || i % 50000 AS employer_id,
        (4000 + i % 9000)::numeric(12,2) AS base, 'paid' AS kind, DATE '2021-10-15' AS posted_on
        FROM generate_series(1, {ROWS}) i"""
    )
    (tmp_path / "jifen.toml").write_text(
        f'[paths]\nroot = "{root.path}"\n[sources.credit]\norigin = "{database.uri("reader")}"\ntable = "out.c_{{month}}"\n'
    )
    code = """
import resource, sys, time
from pathlib import Path
from expectations.month import Month
from flows.extract.postgres import Database
from flows.extract.pull import pull_up_to
from flows.storage.root import open_root
from flows.settings import load_settings
settings = load_settings(Path(sys.argv[1]))
before, started = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.perf_counter()
[delivery] = pull_up_to(open_root(settings), settings, ["credit"], Month.parse("2021-10"))
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024, round(time.perf_counter() - started, 1))
"""
    child = [sys.executable, "-c", code, str(tmp_path / "jifen.toml")]
    grown, seconds = subprocess.run(
        child, capture_output=True, text=True, check=True
    ).stdout.split()
    [delivery] = list_deliveries(root, "credit")
    print(
        f"{ROWS:,} rows: {grown} MiB more at the peak, {seconds} s, {delivery.receipt.parts[0].bytes:,} bytes"
    )
    assert pq.read_metadata(delivery.parts[0]).num_rows == ROWS
    assert int(grown) < 900
    assert not (root.tmp / "sort" / "credit").exists()


def test_why_it_is_refused_does_not_depend_on_the_databases_language(
    root: Root, database: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The driver's words are put into another language: only SQLSTATE is left to go by."""

    def in_chinese(error: BaseException) -> BaseException:
        error.args = ('IO: [libpq] 致命错误:  用户 "reader" Password 认证失败',)
        return error

    connect = postgres_server.postgresql.connect

    def connect_in_chinese(*given: object, **more: object) -> object:
        try:
            return connect(*given, **more)
        except postgres_server.postgresql.Error as error:
            raise in_chinese(error) from None

    monkeypatch.setattr(postgres_server.postgresql, "connect", connect_in_chinese)
    monkeypatch.setenv("JIFEN_CREDIT_PASSWORD", "wr0ng")
    assert "拒绝登录" in refused(root, database).message
    monkeypatch.setenv("JIFEN_CREDIT_PASSWORD", "s3cret/@:")
    for address in (
        database.uri("reader").removesuffix("postgres") + "no_such_database",
        database.uri("nobody_there"),
    ):
        given = settings_of(root, credit=SourceSettings(origin=address, table="out.c_{month}"))
        with pytest.raises(JifenError) as caught:
            pull_up_to(root, given, ["credit"], OCTOBER)
        assert caught.value.__cause__ is None and "拒绝登录" in caught.value.message


def test_options_and_blanks_in_an_address_reach_the_database(
    root: Root, database: Postgres
) -> None:
    address = (
        f"{database.uri('reader')}?options=-c%20search_path%3Dout%20-c%20TimeZone%3DEtc%2FGMT%2B3"
    )
    query = "SELECT current_setting('search_path') AS path, current_setting('TimeZone') AS zone, '{month}' AS month -- comment"
    given = settings_of(root, credit=SourceSettings(origin=address, query=query))
    [delivery] = pull_up_to(root, given, ["credit"], OCTOBER)
    [row] = pq.read_table(delivery.parts[0]).to_pylist()
    assert (row["path"], row["zone"]) == ("out", "Etc/GMT+3")
