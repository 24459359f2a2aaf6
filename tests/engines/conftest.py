"""Apache Spark and Sail, started once for the tests of a file's process."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.spark_engines import SparkSession, start_engine


@pytest.fixture(scope="session")
def sail(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkSession]:
    with start_engine("sail", tmp_path_factory.mktemp("sail") / "log.txt") as session:
        yield session


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkSession]:
    with start_engine("spark", tmp_path_factory.mktemp("spark") / "log.txt") as session:
        yield session


@pytest.fixture(scope="session", params=["sail", "spark"])
def other_engine(request: pytest.FixtureRequest) -> SparkSession:
    """Each of the two engines."""
    session: SparkSession = request.getfixturevalue(request.param)
    return session
