"""Held months: kept back by the drift check, published unchanged once an operator accepts them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from expectations.errors import ExitCode, JifenError
from expectations.month import Month
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
from flows.storage.root import Root

BUILD_DIGITS = 16  # of a build's fingerprint, in the access log
SHOWN = 12  # reasons that the error itself lists; the report has all


def restore_options(run: RunContext, held: HeldMonth | None) -> RunOptions:
    """Return the operator's options with what they said when the month was published or held.

    That is what may be missing or the same as before; and, if it is accepted as it was held, how it was built (a held
    backfill is accepted by `jifen run`). What they say now goes before it.
    """
    options = run.given
    published = find_published(run.root, run.month)
    manifest = published.manifest if published else None
    missing = manifest.missing if manifest else {}
    allowed = {name: str(noted["reason"]) for name, noted in missing.items()}
    same: dict[str, str] = {}
    if held and options.accept:
        allowed |= held.allowed_missing
        same = held.allowed_same
        options = replace(
            options,
            send_reminders=options.send_reminders or held.send_reminders,
            is_last_of_run=held.is_last_of_run,
        )
    return replace(
        options,
        allowed_missing={**allowed, **options.allowed_missing},
        allowed_same={**same, **options.allowed_same},
    )


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
    if options.accept and run.accepted_by:
        noted = {"reason": options.accept, "build": build_fingerprint(run)[:BUILD_DIGITS]}
        run.root.access_log("accept", month=str(run.month), findings=len(reasons), **noted)
        if run.is_accepted:
            return
    page = (run.build.revision / "report" / "index.html").read_text(encoding="utf-8")
    report = str(run.write_report(page))
    held = HeldMonth(
        build=build_fingerprint(run),
        allowed_missing=dict(options.allowed_missing),
        allowed_same=dict(options.allowed_same),
        send_reminders=options.send_reminders,
        is_last_of_run=options.is_last_of_run,
        inputs=_name_inputs(run),
        hold_reasons=reasons,
        report=report,
        held_at=city_now(),
    )
    save_hold(run.root, run.month, held)
    raise _held_error(run, report)


def list_acceptances(root: Root, month: Month, build: str) -> list[str]:
    """Return the accounts that have accepted a build of a month, by what the access log proves."""
    log, noted = root.open_access_log(), ("accept", str(month), build[:BUILD_DIGITS])
    found = (one.values for one in log.read_entries() if one.is_chained)
    accounts = (
        str(values["account"])
        for values in found
        if tuple(values.get(name) for name in ("action", "month", "build")) == noted
        and log.is_authentic(values)
    )
    return list(dict.fromkeys(accounts))


def _held_error(run: RunContext, report: str) -> JifenError:
    reasons = run.hold_reasons
    shown = [f"  {reason}" for reason in reasons[:SHOWN]]
    if len(reasons) > SHOWN:
        shown.append(f"  共 {len(reasons)} 项，其余见报告")
    again = ""
    if run.accepted_by:
        names = "、".join(map(run.root.operator.name_account, run.accepted_by))
        again = f"（已由{names}核准，还须另一人核准）"
    elif run.options.accept:
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
