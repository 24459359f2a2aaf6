"""Fact tables for tests: everything that is written lies below one folder."""

from __future__ import annotations

from pathlib import Path

from transforms.engine.partitioning import Partitioning
from transforms.engine.session import Session
from transforms.facts.build import FactInputs, FactTargets, MonthFacts, MonthParams, build_facts


def build_fact_table(
    session: Session,
    inputs: FactInputs,
    params: MonthParams,
    folder: Path,
    partitioning: Partitioning | None = None,
) -> MonthFacts:
    """Write `facts/`, `over_quota/` and `state/` below a folder."""
    targets = FactTargets(folder / "facts", folder / "over_quota", folder / "state")
    return build_facts(session, inputs, params, targets, partitioning)
