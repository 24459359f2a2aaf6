"""Real tables, typed in without touching code: their points by hand, around every step, on both engines.

Each folder holds its own sources and points tables, and says in its files what was taken from where.
"""

from __future__ import annotations

from decimal import Decimal

import duckdb
import pytest

from tests.acceptance.policies.catalogue import POLICIES
from tests.acceptance.policies.policy import AcceptancePolicy
from tests.support.both_engines import score_by_reference, score_by_sql
from transforms.points.examples import check_examples

each_policy = pytest.mark.parametrize("policy", POLICIES, ids=lambda policy: policy.name)


@pytest.mark.promise(
    "points-21",
    "Real published tables (Shanghai, Foshan, Express Entry) can be written down without code",
)
@each_policy
def test_the_points_are_those_worked_out_by_hand(
    policy: AcceptancePolicy, engine: duckdb.DuckDBPyConnection
) -> None:
    compiled = score_by_sql(engine, policy.tables, policy.facts, policy.residents)
    for (given, wanted), row in zip(policy.cases, compiled, strict=True):
        found = {name: row[name] for name in wanted}
        assert found == {name: Decimal(str(points)) for name, points in wanted.items()}, given


@each_policy
def test_both_engines_agree_on_every_column(
    policy: AcceptancePolicy, engine: duckdb.DuckDBPyConnection
) -> None:
    compiled = score_by_sql(engine, policy.tables, policy.facts, policy.residents)
    plain = score_by_reference(policy.tables, policy.facts, policy.residents)
    for (given, _), row, wanted in zip(policy.cases, compiled, plain, strict=True):
        differing = {
            name for name in row.keys() | wanted.keys() if row.get(name) != wanted.get(name)
        }
        assert not differing, given


@pytest.mark.proves("points-21")
@each_policy
def test_every_indicator_is_tested_by_hand(policy: AcceptancePolicy) -> None:
    known = {name for _, wanted in policy.cases for name in wanted}
    indicators = {f"{code}_points" for code in policy.tables[0].versions[0].indicators}
    assert indicators <= known, "indicators whose points nobody worked out"


@each_policy
def test_the_examples_in_the_files_hold(
    policy: AcceptancePolicy, engine: duckdb.DuckDBPyConnection
) -> None:
    assert check_examples(engine, policy.points, policy.tables, policy.facts) == []
    assert [str(warning) for warning in policy.warnings] == []
