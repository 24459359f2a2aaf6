"""Held months: finished, kept back by the drift check, and published as they are once an operator accepts them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from expectations.errors import ExitCode, JifenError
from flows.city_time import city_now
from flows.cli.options import parse_reason
from flows.pipeline.context import HeldMonth, RunContext, build_fingerprint, list_received
from flows.pipeline.report import build_report_names, find_previous_month
from flows.project import CODE_PATHS, code_fingerprint, split_city
from flows.settings import Drift
from flows.storage.files import to_canonical_json, write_atomically
from flows.storage.manifest import build_manifest
from flows.storage.revisions import find_published, list_published_months
from flows.storage.root import Root
from reports.run_report.drift_text import describe_changes
from transforms.comparison import drift
from transforms.comparison.drift import ComparedItems, Limit, Limits
from transforms.comparison.metrics import compute_metrics, hash_schema
from transforms.engine.parquet import read_folder_sql
from transforms.points.columns import list_scored_indicators, strip_points_suffix

SHOWN = 12  # reasons that the error itself tells; the report has all


def parse_accept_reason(given: str | None) -> str | None:
    """Why an operator accepts a held month. JifenError 2: none, or one with a number like an ID or a phone."""
    return None if given is None else parse_reason("--accept", given, "--accept 原因")


def restore_hold(run: RunContext) -> None:
    """Take up what the operator said when this month was published or held: what may be missing, and if it is accepted as
    it was held, how it was built (a held backfill is accepted by `jifen run`). What they say now goes before it."""
    run.held = load_hold(run.root, str(run.month))
    published = find_published(run.root, run.month)
    missing = published.manifest.get("missing", {}) if published else {}
    said = {name: noted["reason"] for name, noted in missing.items()}
    if run.held and run.accept:
        run.send, run.last = run.send or run.held.send, run.held.last
        said |= run.held.allowed
    run.allowed = {**said, **run.allowed}


def detect_changed_inputs(run: RunContext) -> None:
    """See what has changed since the month was held: then `--accept` was not meant for what is built now."""
    if run.held is None or run.held.build == build_fingerprint(run):
        return
    run.outdated = list(_differences(run.held.inputs, _inputs(run))) or ["运行选项"]
    if run.accept:
        run.report_progress(f"待核以后有变化，重新计算：{'；'.join(run.outdated)}")


def check_drift(run: RunContext) -> dict[str, Any]:
    """Measure the month, and compare it with the month before as published."""
    run.making.step("figures", lambda: _compute_metrics(run))
    before = find_previous_month(run)
    if before:
        city, districts = split_city(run.house.in_force(run.month))
        compared = ComparedItems(
            {name: source.delivery for name, source in run.house.sources.items()},
            {
                strip_points_suffix(line.column): line.authority
                for line in list_scored_indicators(city, districts)
            },
        )
        limits = _limits(run.house.settings.drift)
        run.changes = drift.find_changes(before.manifest, build_manifest(run), compared, limits)
    run.reasons = describe_changes(drift.find_blocking(run.changes), build_report_names(run))
    return {"compared": len(run.changes), "held": len(run.reasons)}


def _compute_metrics(run: RunContext) -> dict[str, Any]:
    """What the manifest keeps of the tables: their figures, and table -> version of its columns."""
    tables = ("scores", "facts", "eligibility", "changes")
    paying = [
        code for code, version in run.house.services_in_force(run.month).items() if version.amount
    ]
    with run.engine() as session:
        for name in tables:
            session.execute(
                f"CREATE TEMP VIEW {name} AS FROM {read_folder_sql(run.making.revision / name)}"
            )
        session.execute(f"CREATE TEMP VIEW known AS FROM {read_folder_sql(run.making.wide)}")
        lookups = [fact.lookup for fact in run.house.facts.values() if fact.lookup]
        looked_up = sorted({name for lookup in lookups for name in lookup.match.values()})
        return {
            "figures": compute_metrics(session, paying, looked_up),
            "schema": {name: hash_schema(session, name) for name in tables},
        }


def hold_if_drifted(run: RunContext) -> None:
    """Keep back a month that has drifted too far, unless the operator accepts it. JifenError 14: it is held."""
    if run.accept and not run.reasons:
        run.report_progress("没有超出限度的变化，不需要核准")
    if not run.reasons:
        return
    if run.accept and run.accepted:
        run.root.access_log(
            "accept", month=str(run.month), reason=run.accept, findings=len(run.reasons)
        )
        return
    page = (run.making.revision / "report" / "index.html").read_text(encoding="utf-8")
    report = str(run.keep_page(page))
    inputs, allowed = _inputs(run), dict(run.allowed)
    held = HeldMonth(
        build_fingerprint(run), allowed, run.send, run.last, inputs, run.reasons, report, city_now()
    )
    write_atomically(_file(run.root, str(run.month)), to_canonical_json(vars(held)))
    shown = [f"  {reason}" for reason in run.reasons[:SHOWN]]
    if len(run.reasons) > SHOWN:
        shown.append(f"  共 {len(run.reasons)} 项，其余见报告")
    again = f"（待核以后有变化，已重新计算：{'；'.join(run.outdated)}）" if run.accept else ""
    raise JifenError(
        ExitCode.HELD,
        "\n".join([f"{run.month} 待核：已算好，未发布，与上月相差超出限度{again}", *shown]),
        where=report,
        hint=f"看报告；数据有误的请部门重新交付后再运行，属实的用 jifen run --month {run.month} --accept 原因 发布",
    )


def load_hold(root: Root, month: str) -> HeldMonth | None:
    """What is known of a month that was held and has not been published since."""
    try:
        return HeldMonth(**json.loads(_file(root, month).read_bytes()))
    except FileNotFoundError:
        return None
    except (ValueError, TypeError):
        hint = "删去这个文件后重新运行该月"
        raise JifenError(
            ExitCode.DAMAGE, "待核记录已损坏", where=str(_file(root, month)), hint=hint
        ) from None


def clear_hold(run: RunContext) -> None:
    """The month has been published: it is held no more."""
    _file(run.root, str(run.month)).unlink(missing_ok=True)


def _file(root: Root, month: str) -> Path:
    return root.runs / f"held-{month}.json"


def _limits(given: Drift) -> Limits:
    return Limits(
        residents=Limit(given.residents, given.residents_min),
        rows=Limit(given.rows, given.rows_min),
        mean_points=Limit(given.mean_points, given.mean_points_min),
        eligible=Limit(given.eligible, given.eligible_min),
    )


def _inputs(run: RunContext) -> dict[str, dict[str, Any]]:
    """What the build depends on, by what people call it."""
    house, month = run.house, run.month
    others = [find_published(run.root, other) for other in list_published_months(run.root)]
    return {
        "交付": {
            f"{item['source']} {item['month']}": item["content"] for item in list_received(run)
        },
        "缺数说明": {
            name: str(served.missing) for name, served in run.served.items() if served.missing
        },
        "积分表": {name: version.hash for name, version in house.in_force(month).items()},
        "服务": {name: version.hash for name, version in house.services_in_force(month).items()},
        "参考表": dict(house.reference.hashes),
        "声明": {"来源、提醒和其他版本": house.declarations_hash},
        "程序": {"jifen": code_fingerprint(*CODE_PATHS)},
        "已发布的月份": {str(revision.month): revision.number for revision in others if revision},
    }


def _differences(
    then: Mapping[str, Mapping[str, Any]], today: Mapping[str, Mapping[str, Any]]
) -> Iterator[str]:
    """One phrase per group of inputs that is not the same any more."""
    for group, current in today.items():
        was = then.get(group, {})
        names = sorted(name for name in {*was, *current} if was.get(name) != current.get(name))
        if names:
            yield f"{group}（{'、'.join(names)}）"
