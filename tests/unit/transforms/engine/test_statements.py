"""The error of a failed statement names the statement and does not quote values."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from expectations.errors import ExitCode, JifenError, to_user_error
from tests.support.world import national_id
from transforms.engine.session import EngineSettings, open_engine
from transforms.engine.statements import Statement

PERSON = national_id("33020319850101101")
QUOTES = f"SELECT CAST(resident_id AS DATE) AS day FROM (SELECT '{PERSON}' AS resident_id)"


def catch_error(fail: Callable[[duckdb.DuckDBPyConnection], object], folder: Path) -> JifenError:
    """Return the error shown to the operator when an engine error quotes an ID."""
    with (
        open_engine(EngineSettings("500MB", 1), folder) as connection,
        pytest.raises(duckdb.Error) as met,
    ):
        fail(connection)
    assert PERSON in str(met.value)
    return to_user_error(met.value)


def test_an_error_names_the_step_and_nobody(tmp_path: Path) -> None:
    error = catch_error(
        lambda connection: connection.create_table(Statement("facts_education", QUOTES)),
        tmp_path,
    )
    assert (error.code, error.where) == (ExitCode.OTHER, "语句 facts_education")
    assert PERSON not in str(error)


def test_an_error_in_a_published_table_names_the_table(tmp_path: Path) -> None:
    error = catch_error(
        lambda connection: connection.write(
            Statement("scores", QUOTES), tmp_path / "scores.parquet"
        ),
        tmp_path,
    )
    assert error.where == "语句 scores"
    assert PERSON not in str(error)


def test_an_error_outside_a_statement_has_no_place() -> None:
    error = ValueError(PERSON)
    error.add_note(f"seen with {PERSON}")
    assert to_user_error(error).where == ""
