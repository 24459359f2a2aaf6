"""How the engine joins a month's few reversals with hundreds of millions of postings: the few are hashed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from expectations.month import Month
from expectations.source_loader import load_sources
from tests.support.clean_files import write_reference
from tests.support.fact_tables import build_fact_table
from transforms.engine.session import EngineSettings, Session, open_engine
from transforms.facts import build


def test_the_history_of_postings_is_streamed_past_the_reversals(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The engine takes the reversals of a month for fewer than they are, and would hash all else."""
    written, run_partitioned = {}, build.run_partitioned

    def record(session: Session, statement: Any, *rest: Any) -> str:
        written[statement.name] = session.scalar("SELECT current_setting('disabled_optimizers')")
        return run_partitioned(session, statement, *rest)

    monkeypatch.setattr(build, "run_partitioned", record)
    reference = write_reference(tmp_path / "reference", {})
    inputs = build.FactInputs(load_sources(), {}, reference, [])
    with open_engine(EngineSettings("500MB", 1), tmp_path / "spill") as session:
        build_fact_table(
            session, inputs, build.MonthParams(Month.parse("2024-04"), b"key"), tmp_path
        )
        assert not session.scalar("SELECT current_setting('disabled_optimizers')")
    assert written == dict.fromkeys(
        ("month_bitmaps_social_security", "disputed_postings_social_security"),
        "build_side_probe_side",
    )
