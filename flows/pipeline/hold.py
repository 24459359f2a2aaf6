"""Held months: kept back by the drift check, published unchanged once an operator accepts them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from expectations.errors import ExitCode, JifenError
from flows.city_time import city_now
from flows.pipeline.context import RunContext
from flows.pipeline.fingerprints import (
    CODE_PATHS,
    build_fingerprint,
    code_fingerprint,
    list_received,
)
from flows.storage.files import to_canonical_json, write_atomically
from flows.storage.held_months import HeldMonth, _hold_file, load_hold
from flows.storage.revisions import find_published, list_published_months

SHOWN = 12  # reasons that the error itself tells; the report has all


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
    write_atomically(_hold_file(run.root, str(run.month)), to_canonical_json(vars(held)))
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


def clear_hold(run: RunContext) -> None:
    """The month has been published: it is held no more."""
    _hold_file(run.root, str(run.month)).unlink(missing_ok=True)


def _inputs(run: RunContext) -> dict[str, dict[str, Any]]:
    """What the build depends on, by what people call it."""
    project, month = run.project, run.month
    others = [find_published(run.root, other) for other in list_published_months(run.root)]
    return {
        "交付": {
            f"{item['source']} {item['month']}": item["content"] for item in list_received(run)
        },
        "缺报说明": {
            name: str(served.missing) for name, served in run.served.items() if served.missing
        },
        "积分表": {name: version.hash for name, version in project.in_force(month).items()},
        "服务": {name: version.hash for name, version in project.services_in_force(month).items()},
        "参考表": dict(project.reference.hashes),
        "声明": {"来源、提醒和其他版本": project.declarations_hash},
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
