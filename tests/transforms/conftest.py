"""An engine of a test's own, and a town."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from tests.transforms.services_town import Town
from transforms.engine.session import EngineSettings, open_engine


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    with open_engine(EngineSettings("1GB"), tmp_path / "spill") as opened:
        yield opened


@pytest.fixture
def town(tmp_path: Path) -> Town:
    return Town(tmp_path)
