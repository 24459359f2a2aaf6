"""`jifen synth`: synthetic extracts."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from data.synthetic.write import ExtractPlan, generate_extracts
from expectations.month import Month
from expectations.source_loader import load_sources
from flows.pipeline.progress import ProgressSink
from flows.settings import Settings


@dataclass(frozen=True)
class SynthPlan:
    """What to make: residents, months, seed, and whether with planted faults."""

    residents: int
    months: Sequence[Month]
    seed: int = 0
    faults: bool = False


def write_extracts(
    settings: Settings, plan: SynthPlan, out: Path, report_progress: ProgressSink
) -> None:
    """Write synthetic extracts under `out`."""
    spill = settings.paths.root / "tmp" / "synth"
    try:
        generate_extracts(
            ExtractPlan(
                plan.residents,
                list(plan.months),
                sources=load_sources(),
                reference=settings.paths.reference,
                seed=plan.seed,
                faults=plan.faults,
            ),
            out,
            settings=settings.engine_settings,
            spill=spill,
            progress=report_progress,
        )
    finally:
        shutil.rmtree(spill, ignore_errors=True)
