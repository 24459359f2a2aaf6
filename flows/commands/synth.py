"""`jifen synth`: synthetic extracts."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from data.synthetic.write import ExtractPlan, generate_extracts
from expectations.month import Month
from expectations.source_loader import load_sources
from flows.cli.progress import show_progress
from flows.settings import Settings


def write_extracts(
    settings: Settings,
    residents: int,
    months: Sequence[Month],
    out: Path,
    report_progress: Callable[[str], None],
    *,
    seed: int = 0,
    faults: bool = False,
) -> None:
    """Write synthetic extracts of these months under `out`."""
    spill = settings.paths.root / "tmp" / "synth"
    try:
        with show_progress("合成部门数据"):
            generate_extracts(
                ExtractPlan(
                    residents,
                    list(months),
                    sources=load_sources(),
                    reference=settings.paths.reference,
                    seed=seed,
                    faults=faults,
                ),
                out,
                settings=settings.engine_settings,
                spill=spill,
                progress=report_progress,
            )
    finally:
        shutil.rmtree(spill, ignore_errors=True)
