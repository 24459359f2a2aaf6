"""Peers run on a published month and come to its facts and points: the yardstick still measures."""

from __future__ import annotations

from pathlib import Path

import pytest

from expectations.month import Month
from tests.benchmarks.peers.__main__ import TABLES, run
from tests.benchmarks.peers.agree import compare
from tests.support.spark_engines import require_engine
from tests.support.synthetic_city import deliver_synthetic
from tests.support.world import World

MONTH, RESIDENTS = Month.parse("2024-04"), 300
WIDTHS = {"facts": 42, "awards": 1, "scores": 22}
"""How many columns are compared, or more."""


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The root of a generated city with both months published."""
    world = World(tmp_path_factory.mktemp("peers"), threads=2)
    deliver_synthetic(world, world.root.tmp, RESIDENTS)
    for month in (MONTH - 1, MONTH):
        world.run(str(month))
    return world.root.path


@pytest.mark.parametrize("peer", TABLES)
def test_a_peer_comes_to_the_same_facts_and_points(peer: str, city: Path, tmp_path: Path) -> None:
    if peer == "sail":
        require_engine(peer)
    code, *_ = run(peer, city, MONTH, tmp_path / peer)
    assert code == 0
    for table in TABLES[peer]:
        found = compare(city, MONTH, tmp_path / peer, table)
        assert found.compared and not found.differing, (table, found.columns)
        assert found.width >= WIDTHS[table]
