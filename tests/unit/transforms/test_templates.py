"""Texts filled in by Python and by the engine are the same."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from transforms.templates import (
    fill_template,
    fill_template_sql,
    format_date,
    format_date_sql,
    format_number,
    format_number_sql,
    list_names,
    mask_name,
    mask_name_sql,
)

NAMES = st.one_of(
    st.none(), st.sampled_from(["欧阳", "欧阳锋", "王", "王五", "'"]), st.text(max_size=4)
)
CENTS = st.integers(min_value=-(10**11), max_value=10**11).map(lambda n: Decimal(n) / 100)


@pytest.fixture(scope="module")
def connection() -> duckdb.DuckDBPyConnection:
    return duckdb.connect()


def answer(connection: duckdb.DuckDBPyConnection, sql: str, *values: object) -> object:
    given_values = ", ".join(f"${place} AS v{place}" for place in range(1, len(values) + 1))
    return connection.execute(f"SELECT {sql} FROM (SELECT {given_values})", values).fetchall()[0][0]


@given(CENTS)
def test_numbers_are_written_alike(connection: duckdb.DuckDBPyConnection, value: Decimal) -> None:
    assert answer(connection, format_number_sql("v1"), value) == format_number(value)


@given(st.dates(), st.sampled_from(["date", "month"]))
def test_dates_are_written_alike(
    connection: duckdb.DuckDBPyConnection, value: dt.date, unit: str
) -> None:
    assert answer(connection, format_date_sql("v1", unit), value) == format_date(value, unit)


@given(NAMES)
def test_names_are_masked_alike(connection: duckdb.DuckDBPyConnection, name: str | None) -> None:
    masked = mask_name(name)
    assert answer(connection, mask_name_sql("CAST(v1 AS VARCHAR)"), name) == masked
    assert not name or len(name) == 1 or "*" in name or name not in masked


@given(
    st.text(st.characters(codec="utf-8", exclude_characters="{}\0"), max_size=20),
    NAMES.filter(bool),
)
def test_texts_are_filled_in_alike(
    connection: duckdb.DuckDBPyConnection, words: str, value: str
) -> None:
    text = f"{words}{{a}}{{{{{words}}}}}{{b}}"
    assert list_names(text) == ["a", "b"]
    in_python = fill_template(text, {"a": value, "b": "乙"}.__getitem__)
    sql = fill_template_sql(text, {"a": "v1", "b": "'乙'"}.__getitem__)
    assert in_python == f"{words}{value}{{{words}}}乙"
    assert answer(connection, sql, value) == in_python


@pytest.mark.parametrize("text", ["{a:d}", "{a!r}", "{}", "{a b}", "{a", "}", "{a.b}", "{0}"])
def test_only_plain_names_are_allowed_in_braces(text: str) -> None:
    with pytest.raises(ValueError):
        list_names(text)
