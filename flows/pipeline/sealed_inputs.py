"""Clean rows as they were written: compared with their seals before a month is made of them."""

from __future__ import annotations

import shutil

from expectations.errors import ExitCode, JifenError
from expectations.findings import Finding, FindingKind
from flows.pipeline.context import RunContext
from flows.pipeline.fingerprints import build_cleaning_job
from flows.storage.deliveries import Delivery
from flows.storage.incremental_state import PreviousState
from flows.storage.seals import seal_of_delivery
from transforms.clean.accounts import ACCOUNT, RowCounts
from transforms.clean.delivery import read_account
from transforms.facts.month_bitmaps import has_month_facts_only


def find_known_account(
    run: RunContext, delivery: Delivery
) -> tuple[RowCounts | None, Finding | None]:
    """Return the account of a delivery that is clean, as it was written; and what was altered.

    What somebody has altered since is removed, and cleaned from the raw delivery anew. The rows
    themselves are compared before facts are made of them.

    Raises:
        JifenError: Exit 15, a link is in the place of a folder.
    """
    job = build_cleaning_job(run.project, delivery)
    known, folder = read_account(job, run.root.path), job.folder(run.root.path, "clean")
    seal = seal_of_delivery(run.root, folder)
    if seal.is_behind_link:
        hint = "查明原因，把链接换回文件夹后再运行"
        raise JifenError(ExitCode.DAMAGE, "工作文件夹是链接", where=seal.place, hint=hint)
    if known is None:
        return None, None
    damage = seal.find_damage(run.key, compares=lambda name: name == ACCOUNT)
    if damage is None:
        return known, None
    sealed_before = seal.file.exists()  # an older program wrote none
    shutil.rmtree(folder)
    if not sealed_before:
        return None, None
    where, month = folder.relative_to(run.root.path).as_posix(), str(delivery.month)
    detail = f"{where}：{damage}"
    return None, Finding(FindingKind.WORKING_FILES, delivery.source, month, count=1, detail=detail)


def compare_clean_rows(run: RunContext, taken: PreviousState) -> None:
    """Compare the clean rows that facts are made of with what was written when they were cleaned.

    Not those that only the incremental state was made of; `jifen verify` compares all.

    Raises:
        JifenError: Exit 15, a file was altered.
    """
    for name, used in run.inputs.items():
        continued = name in taken.folders and has_month_facts_only(run.project.sources[name])
        for delivery in used.deliveries:
            if continued and delivery.month < run.month:
                continue
            job = build_cleaning_job(run.project, delivery)
            seal = seal_of_delivery(run.root, job.folder(run.root.path, "clean"))
            damage = seal.find_damage(run.key)
            if damage:
                what = (
                    f"{job.source.title}（{name}）{delivery.month} 清洗后的数据被改动过：{damage}"
                )
                hint = "查明原因，移走这个文件夹后再运行：由原始交付重新清洗"
                raise JifenError(ExitCode.DAMAGE, what, where=seal.place, hint=hint)
