"""The borders of the house: which room may know which library, and which room may know which other."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.imports import PROJECT, imported

ROOMS = ("flows", "reports", "transforms", "expectations", "data")
MAY_KNOW = {
    "flows": {"flows", "reports", "transforms", "expectations", "data"},
    "reports": {"reports", "transforms", "expectations"},
    "transforms": {"transforms", "expectations"},
    "expectations": {"expectations"},
    "data": {"data", "expectations", "transforms"},
}


def modules(room: str) -> Iterator[Path]:
    yield from sorted((PROJECT / room).rglob("*.py"))


@pytest.mark.promise("outputs-62", "Each room knows only the rooms below it")
@pytest.mark.parametrize("room", ROOMS)
def test_a_room_knows_only_the_rooms_below_it(room: str) -> None:
    strangers = {
        (path.name, name)
        for path in modules(room)
        for name in imported(path)
        if name.split(".")[0] in set(ROOMS) - MAY_KNOW[room]
    }
    assert not strangers


@pytest.mark.promise(
    "outputs-55", "Only `flows/` knows Prefect, only `expectations/` Great Expectations"
)
@pytest.mark.parametrize(
    ("library", "allowed"),
    [
        ("prefect", {"flows/orchestration/flow.py", "flows/orchestration/server.py"}),
        ("great_expectations", {"expectations/gx_adapter.py", "expectations/suite.py"}),
        ("duckdb", {"transforms/engine/session.py"}),
    ],
)
def test_a_framework_stays_behind_its_door(library: str, allowed: set[str]) -> None:
    users = {
        str(path.relative_to(PROJECT))
        for room in ROOMS
        for path in modules(room)
        if any(name.split(".")[0] == library for name in imported(path))
    }
    assert users == allowed


@pytest.mark.proves("outputs-57")
def test_no_room_knows_a_library_of_data_frames() -> None:
    """SQL is the engine's language; what passes between steps are paths and counts."""
    users = {
        (path.name, name)
        for room in ROOMS
        for path in modules(room)
        for name in imported(path)
        if name.split(".")[0] in ("pandas", "polars", "numpy")
    }
    fetched = {
        path.name
        for room in ROOMS
        for path in modules(room)
        if re.search(r"\.(df|fetchdf|pl)\(", path.read_text("utf-8"))
    }
    assert (users, fetched) == (set(), set())


@pytest.mark.promise("outputs-56", "One module opens DuckDB")
def test_one_module_opens_duckdb() -> None:
    openers = {
        str(path.relative_to(PROJECT))
        for room in ROOMS
        for path in modules(room)
        if re.search(r"duckdb\.connect|duckdb\.sql|duckdb\.query", path.read_text(encoding="utf-8"))
    }
    assert openers == {"transforms/engine/session.py"}


def test_modules_stay_short_enough_to_read() -> None:
    long = {
        str(path.relative_to(PROJECT)): lines
        for room in (*ROOMS, "tests")
        for path in modules(room)
        if (lines := len(path.read_text(encoding="utf-8").splitlines())) > 400
    }
    assert not long
