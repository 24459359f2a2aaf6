"""The statements beside a month: they are portable, and the month can be computed again from them alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.replay import (
    count_differences,
    list_published_tables,
    read_statements,
    replay_month,
)
from tests.support.synthetic_city import MONTHS
from tests.support.world import World
from transforms.engine.parquet import read_parquet_sql
from transforms.engine.portable import find_unportable
from transforms.engine.session import EngineSettings, open_engine


@pytest.mark.parametrize("month", MONTHS)
def test_every_published_statement_is_of_the_closed_list(synthetic_city: World, month: str) -> None:
    groups = read_statements(synthetic_city.revision(month).path)
    statements = [one for group in groups.values() for one in group]
    assert len(statements) > 40
    refused = {one.name: list(map(str, find_unportable(one.sql))) for one in statements}
    assert {name: found for name, found in refused.items() if found} == {}


@pytest.mark.parametrize("month", MONTHS)
def test_a_month_can_be_computed_again_from_its_folder_alone(
    synthetic_city: World, month: str, tmp_path: Path
) -> None:
    """All cells of all tables that the statements make; the compiler is not called."""
    with open_engine(EngineSettings("1GB"), tmp_path / "spill") as session:
        replay_month(session, synthetic_city, month)
        tables = list_published_tables(synthetic_city.revision(month).path)
        cells = 0
        for name, files in tables.items():
            published = f"FROM {read_parquet_sql(*files)}"
            _, compared, differ = count_differences(session, published, f"FROM {name}")
            assert differ == 0, name
            cells += compared
        assert len(tables) >= 12 and cells > 5_000
