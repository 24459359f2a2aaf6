"""Held months: kept back by the drift check, published unchanged once an operator accepts them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from expectations.errors import ExitCode, JifenError
from flows.city_time import city_now
from flows.pipeline.context import RunContext, RunOptions
from flows.pipeline.fingerprints import (
    CODE_PATHS,
    build_fingerprint,
    code_fingerprint,
    list_received,
)
from flows.storage.held_months import save_hold
from flows.storage.records import HeldMonth
from flows.storage.revisions import find_published, list_published_months

SHOWN = 12  # reasons that the error itself lists; the report has all


def restore_options(run: RunContext, held: HeldMonth | None) -> RunOptions:
    """Return the operator's options with what they said when the month was published or held.

    That is what may be missing; and, if it is accepted as it was held, how it was built (a held
    backfill is accepted by `jifen run`). What they say now goes before it.
    """
    options = run.given
    published = find_published(run.root, run.month)
    missing = published.manifest.missing if published else {}
    allowed = {name: str(noted["reason"]) for name, noted in missing.items()}
    if held and options.accept:
        allowed |= held.allowed_missing
        options = replace(
            options,
            send_reminders=options.send_reminders or held.send_reminders,
            is_last_of_run=held.is_last_of_run,
        )
    return replace(options, allowed_missing={**allowed, **options.allowed_missing})


def find_changed_inputs(run: RunContext) -> list[str]:
    """Return what has changed since the month was held: `--accept` was not meant for that."""
    if run.held is None or run.held.build == build_fingerprint(run):
        return []
    return list(_differences(run.held.inputs, _name_inputs(run))) or ["运行选项"]


def hold_if_drifted(run: RunContext) -> None:
    """Keep back a month that has drifted too far, unless the operator accepts it.

    Raises:
        JifenError: Exit 14, it is held.
    """
    options, reasons = run.options, list(run.hold_reasons)
    if options.accept and not reasons:
        run.report_progress("没有超出限度的变化，不需要核准")
    if not reasons:
        return
    if options.accept and run.is_accepted:
        month, count = str(run.month), len(reasons)
        run.root.access_log("accept", month=month, reason=options.accept, findings=count)
        return
    page = (run.build.revision / "report" / "index.html").read_text(encoding="utf-8")
    report = str(run.write_report(page))
    held = HeldMonth(
        build=build_fingerprint(run),
        allowed_missing=dict(options.allowed_missing),
        send_reminders=options.send_reminders,
        is_last_of_run=options.is_last_of_run,
        inputs=_name_inputs(run),
        hold_reasons=reasons,
        report=report,
        held_at=city_now(),
    )
    save_hold(run.root, run.month, held)
    raise _held_error(run, report)


def _held_error(run: RunContext, report: str) -> JifenError:
    reasons = run.hold_reasons
    shown = [f"  {reason}" for reason in reasons[:SHOWN]]
    if len(reasons) > SHOWN:
        shown.append(f"  共 {len(reasons)} 项，其余见报告")
    again = ""
    if run.options.accept:
        again = f"（待核以后有变化，已重新计算：{'；'.join(run.changed_inputs)}）"
    what = f"{run.month} 待核：已算好，未发布，与上月相差超出限度{again}"
    command = f"jifen run --month {run.month} --accept 原因"
    return JifenError(
        ExitCode.HELD,
        "\n".join([what, *shown]),
        where=report,
        hint=f"看报告；数据有误的请部门重新交付后再运行，属实的用 {command} 发布",
    )


def _name_inputs(run: RunContext) -> dict[str, dict[str, Any]]:
    """Return what the build depends on, by what people call it."""
    project, month = run.project, run.month
    published = [find_published(run.root, other) for other in list_published_months(run.root)]
    deliveries = {
        f"{item['source']} {item['month']}": item["content"] for item in list_received(run)
    }
    return {
        "交付": deliveries,
        "缺报说明": {name: str(one.missing) for name, one in run.inputs.items() if one.missing},
        "积分表": {name: version.hash for name, version in project.in_force(month).items()},
        "服务": {name: version.hash for name, version in project.services_in_force(month).items()},
        "参考表": dict(project.reference.hashes),
        "声明": {"来源、提醒和其他版本": project.declarations_hash},
        "程序": {"jifen": code_fingerprint(*CODE_PATHS)},
        "已发布的月份": {str(one.month): one.number for one in published if one},
    }


def _differences(
    before: Mapping[str, Mapping[str, Any]], current: Mapping[str, Mapping[str, Any]]
) -> Iterator[str]:
    """Yield one phrase per group of inputs that is not the same any more."""
    for group, now in current.items():
        was = before.get(group, {})
        names = sorted(name for name in {*was, *now} if was.get(name) != now.get(name))
        if names:
            yield f"{group}（{'、'.join(names)}）"
