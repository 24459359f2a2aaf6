"""Fact tables for tests: everything that is written lies below one folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

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
    targets = FactTargets(
        folder / "facts", folder / "over_quota", folder / "state", folder / "returns"
    )
    return build_facts(session, inputs, params, targets, partitioning)


def _plain(value: Any) -> Any:
    """A fact of the engine in the reference's shape: lists of structs as dicts and tuples."""
    if isinstance(value, list):
        entries = [tuple(entry.values()) for entry in value]
        return entries if entries and len(entries[0]) == 3 else dict(entries) if entries else []
    return value


def is_same_fact(reference: Any, engine: Any) -> bool:
    """Return whether the engine's value of a fact is the reference's."""
    return _plain(engine) == reference or (
        not engine and not reference and isinstance(engine, list)
    )
