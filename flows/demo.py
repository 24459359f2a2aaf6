"""Synthetic months: `jifen synth`, and `jifen demo`, which also runs them and shows where to look."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from data.synth.extracts import make_extracts
from expectations.declarations import load_sources
from expectations.month import Month
from flows.explaining import rules_of
from flows.house import House, load_house
from flows.progress import live_line
from flows.publish import Revision, published
from flows.root import Root, open_root
from flows.running import run_months
from flows.settings import Paths, Policy, Settings
from reports.explain import explain, find_row
from reports.explain_text import as_lines
from transforms.engine import open_engine, parquet_in, scalar

DEMO_MONTHS = Month.span(Month.parse("2024-03"), Month.parse("2024-04"))


def synthesise(
    settings: Settings,
    residents: int,
    months: Sequence[Month],
    out: Path,
    tell: Callable[[str], None],
    *,
    seed: int = 0,
    faults: bool = False,
) -> None:
    """Write synthetic extracts of these months under `out`."""
    spill = settings.paths.root / "tmp" / "synth"
    try:
        with live_line("合成部门数据"):
            make_extracts(
                residents,
                list(months),
                out,
                seed=seed,
                faults=faults,
                settings=settings.engine_settings,
                spill=spill,
                progress=tell,
                sources=load_sources(),
                reference=settings.paths.reference,
            )
    finally:
        shutil.rmtree(spill, ignore_errors=True)


def run_demo(residents: int, root: Path, tell: Callable[[str], None]) -> None:
    """Two synthetic months, scored and published in a root of their own, and a look at what came out."""
    place = root.resolve()
    settings = Settings(paths=Paths(root=place, inbox=place / "inbox"), policy=Policy(allow_illustrative=True))
    tell(f"合成 {residents:,} 人两个月的部门数据（不是真人）")
    synthesise(settings, residents, DEMO_MONTHS, settings.paths.inbox, tell)
    run_months(settings, DEMO_MONTHS, {}, tell)
    house, opened = load_house(settings), open_root(settings)
    revision = published(opened, DEMO_MONTHS[-1])
    assert revision is not None
    for line in look_around(settings, house, opened, revision):
        tell(line)


def look_around(settings: Settings, house: House, root: Root, revision: Revision) -> list[str]:
    """Where the results are, the points of one person line by line, and one question answered."""
    rules = rules_of(revision, house.sources)
    scores = parquet_in(revision.path / "scores")
    with open_engine(settings.engine_settings, root.tmp / "spill") as connection:
        key = scalar(connection, f"SELECT resident_key FROM {scores} ORDER BY total_points DESC, resident_key LIMIT 1")
        row = find_row(connection, revision.path, key)
        assert row is not None
        explained = explain(connection, rules, revision.path, revision.manifest, row)
        districts = connection.execute(
            f"SELECT district, count(*), round(avg(total_points), 1) FROM {scores} GROUP BY 1 ORDER BY 1"
        ).fetchall()
    told = ["\n积分最高的一位，逐项说明（jifen explain）："]
    told += [f"  {line}" for line in as_lines(explained, f"{revision.month} 第 {revision.number} 版")]
    told += ["\n各区县人数和平均总分（SELECT district, count(*), avg(total_points) FROM latest_scores GROUP BY 1）："]
    told += [f"  {house.reference.districts[code]}  {count:>7,}  {mean:>6}" for code, count, mean in districts]
    told += [
        "\n看这里：",
        f"  运行报告      {revision.path / 'report' / 'index.html'}",
        f"  区县导出      {revision.path / 'exports' / '330212'}",
        f"  分析目录      {root.catalogue}（任何 DuckDB 客户端以只读方式打开）",
        f"  计分语句      {revision.path / 'sql'}",
        f"  问题数据      {root.quarantine}",
    ]
    return told
