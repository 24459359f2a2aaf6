"""Statements delivered into a real PostgreSQL table: replaced in one transaction, read by others meanwhile."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from expectations.errors import ExitCode, JifenError
from flows.address_settings import DestinationSettings
from flows.connections import postgres as postgres_server
from flows.destinations import table_delivery
from flows.destinations.contents import list_destinations
from tests.support.delivering import (
    OCTOBER,
    arrived,
    deliver,
    receipts,
    with_destinations,
)
from tests.support.held_city import PEOPLE, copied
from tests.support.servers import Line, Postgres, line_to
from tests.support.world import World, read_rows

MONTH = str(OCTOBER)


def in_table(server: Postgres, port: int | None = None, **given: Any) -> DestinationSettings:
    values = {"table": "app.statements", "plain": True, **given}
    return DestinationSettings(address=server.uri(port=port), **values)


@pytest.fixture
def town(october_twice: World, tmp_path: Path, postgres: Postgres) -> World:
    town = copied(october_twice, tmp_path / "town")
    postgres.execute("DROP SCHEMA IF EXISTS app CASCADE", "CREATE SCHEMA app")
    town.settings = with_destinations(town.settings, portal=in_table(postgres))
    return town


@pytest.fixture
def line(town: World, postgres: Postgres) -> Iterator[Line]:
    """The town's database behind a line."""
    with line_to(postgres.port) as line:
        town.settings = with_destinations(town.settings, portal=in_table(postgres, line.port))
        yield line


def ask(server: Postgres, query: str) -> list[tuple[Any, ...]]:
    with (
        postgres_server.postgresql.connect(server.uri()) as connection,
        connection.cursor() as cursor,
    ):
        cursor.execute(query)
        return list(cursor.fetchall())


def revisions(server: Postgres) -> list[tuple[Any, ...]]:
    """Revision and rows of the statements, and the revision of the words."""
    query = """SELECT s.revision, count(*), min(t.revision)
        FROM app.statements s JOIN app.statements_texts t USING (month) GROUP BY 1"""
    return ask(server, query)


def test_every_statement_arrives_with_the_words_for_it(town: World, postgres: Postgres) -> None:
    outcome = deliver(town)["portal"]
    assert outcome.error is None and outcome.rows == len(PEOPLE)
    assert revisions(postgres) == [(1, len(PEOPLE), 1)]
    rows = ask(
        postgres,
        "SELECT resident_id, total_points, lines -> 0 ->> 'code', jsonb_typeof(lines -> 0 -> 'points')"
        " FROM app.statements ORDER BY resident_id",
    )
    folder = town.root.months / MONTH / "r1" / "restricted" / "statements"
    published = sorted(read_rows(folder, "*.parquet"), key=lambda row: row["resident_id"])
    assert [(row[0], Decimal(row[1])) for row in rows] == [
        (row["resident_id"], row["total_points"]) for row in published
    ]
    assert {row[2:] for row in rows} == {(published[0]["lines"][0]["code"], "string")}
    [(title,)] = ask(postgres, "SELECT jsonb_typeof(texts) FROM app.statements_texts")
    assert title == "object"


def test_what_is_there_is_not_sent_again_and_what_was_removed_is(
    town: World, postgres: Postgres
) -> None:
    assert arrived(deliver(town))
    again = deliver(town)["portal"]
    assert (again.sent, again.rows, again.error) == (0, 0, None)
    postgres.execute("DELETE FROM app.statements WHERE district = '330203'")
    assert deliver(town)["portal"].rows == len(PEOPLE)
    assert revisions(postgres) == [(1, len(PEOPLE), 1)]


def test_a_newer_revision_replaces_the_month_and_leaves_the_others(
    town: World, postgres: Postgres
) -> None:
    assert arrived(deliver(town))
    postgres.execute(
        "INSERT INTO app.statements (month, resident_id, revision) VALUES ('2021-09-01', 'x', 7)"
    )
    outcome = deliver(town, 2)["portal"]
    assert outcome.replaces == "r1" and revisions(postgres) == [(2, len(PEOPLE), 2)]
    assert ask(postgres, "SELECT revision FROM app.statements WHERE month = '2021-09-01'") == [(7,)]
    states = [(one.revision, one.state) for one in receipts(town, "portal")]
    assert states == [(1, "replaced"), (2, "delivered")]


def test_a_reader_in_parallel_sees_the_old_or_the_new_rows_never_neither(
    town: World, postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert arrived(deliver(town))
    seen: list[list[tuple[Any, ...]]] = []
    ended = threading.Event()

    def read() -> None:
        while not ended.is_set():
            seen.append(revisions(postgres))

    move = table_delivery.TableDelivery._move

    def move_slowly(self: Any, *arguments: Any) -> None:
        move(self, *arguments)
        time.sleep(1)

    monkeypatch.setattr(table_delivery.TableDelivery, "_move", move_slowly)
    monkeypatch.setattr(table_delivery, "ROWS_AT_A_TIME", 7)
    reader = threading.Thread(target=read)
    reader.start()
    try:
        assert arrived(deliver(town, 2))
        time.sleep(0.3)
    finally:
        ended.set()
        reader.join()
    old, new = [(1, len(PEOPLE), 1)], [(2, len(PEOPLE), 2)]
    assert all(one in (old, new) for one in seen)
    assert seen.count(old) > 5 and seen[-1] == new


def test_killed_before_the_commit_nothing_has_changed(
    town: World, postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert arrived(deliver(town))
    move = table_delivery.TableDelivery._move

    def move_and_die(self: Any, *arguments: Any) -> None:
        move(self, *arguments)
        os.kill(os.getpid(), signal.SIGKILL)

    child = os.fork()
    if child == 0:
        monkeypatch.setattr(table_delivery.TableDelivery, "_move", move_and_die)
        try:
            deliver(town, 2)
        finally:
            os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status)
    assert revisions(postgres) == [(1, len(PEOPLE), 1)]
    assert arrived(deliver(town, 2))
    assert revisions(postgres) == [(2, len(PEOPLE), 2)]


@pytest.mark.parametrize("fault", ["refuses", "hangs", "is cut", "is cut midway"])
def test_a_fault_leaves_the_old_rows_and_the_next_try_finishes(
    town: World, line: Line, postgres: Postgres, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert arrived(deliver(town))
    if fault == "refuses":
        line.refuse()
    else:
        line.open(2000 if "midway" in fault else 0, hangs=fault == "hangs")
    with monkeypatch.context() as patch:
        patch.setattr(postgres_server, "PATIENCE_SECONDS", 3.0)
        error = deliver(town, 2)["portal"].error
    assert isinstance(error, JifenError) and error.code == ExitCode.OTHER
    assert isinstance(error.__cause__, (ConnectionError, TimeoutError))
    assert revisions(postgres) == [(1, len(PEOPLE), 1)]
    line.open()
    assert arrived(deliver(town, 2))
    assert revisions(postgres) == [(2, len(PEOPLE), 2)]


def test_no_right_to_write_is_reported_and_quotes_nobody(
    town: World, postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JIFEN_DELIVER_PORTAL_PASSWORD", "s3cret/@:")
    given = in_table(postgres).model_copy(update={"address": postgres.uri("reader")})
    town.settings = with_destinations(town.settings, portal=given)
    error = deliver(town)["portal"].error
    assert isinstance(error, JifenError) and error.__cause__ is None
    assert "权限" in error.message and "s3cret" not in str(error) and "reader" not in str(error)
    assert not any(person in str(error) for person in PEOPLE)


def test_rows_about_people_need_a_word_that_they_may_be_plain(
    town: World, postgres: Postgres
) -> None:
    town.settings = with_destinations(town.settings, portal=in_table(postgres, plain=False))
    with pytest.raises(JifenError) as caught:
        list_destinations(town.project)
    assert caught.value.code == ExitCode.DECLARATIONS
