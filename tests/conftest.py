"""For every room: the machine as it was before each test, and an engine."""

from __future__ import annotations

import os
from collections.abc import Iterator

import duckdb
import pytest

from transforms.engine.session import EngineSettings, open_engine


@pytest.fixture(autouse=True)
def umask_as_before() -> Iterator[None]:
    """`Root.prepare` closes the process; the next test starts from where this one did."""
    before = os.umask(0o022)
    yield
    os.umask(before)


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[duckdb.DuckDBPyConnection]:
    """For statements on tables of their own, or temporary ones made anew."""
    with open_engine(EngineSettings("500MB"), tmp_path_factory.mktemp("spill")) as connection:
        yield connection
