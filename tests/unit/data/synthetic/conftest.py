"""A synthetic city without faults, and one with listed faults; tests only read them."""

from __future__ import annotations

from collections.abc import Iterator

import duckdb
import pytest

from tests.support.generated_city import FIRST, RESIDENTS, SECOND, Cleaned, make
from transforms.engine.session import EngineSettings, open_engine


@pytest.fixture(scope="session")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[duckdb.DuckDBPyConnection]:
    with open_engine(EngineSettings(memory="1GB"), tmp_path_factory.mktemp("spill")) as connection:
        yield connection


@pytest.fixture(scope="session")
def city(tmp_path_factory: pytest.TempPathFactory, engine: duckdb.DuckDBPyConnection) -> Cleaned:
    return Cleaned(
        engine, make(tmp_path_factory.mktemp("city") / "inbox", RESIDENTS, [FIRST, SECOND])
    )


@pytest.fixture(scope="session")
def city_with_faults(
    tmp_path_factory: pytest.TempPathFactory, engine: duckdb.DuckDBPyConnection
) -> Cleaned:
    inbox = make(
        tmp_path_factory.mktemp("city_with_faults") / "inbox",
        RESIDENTS,
        [FIRST, SECOND],
        faults=True,
    )
    return Cleaned(engine, inbox)
