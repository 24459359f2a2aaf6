"""`jifen project`: a copy of the exact tables for one project, with pseudonyms of its own."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from expectations.errors import ExitCode, JifenError
from expectations.month import Month
from flows.commands.lookup import Reason, require_purpose
from flows.settings import Settings
from flows.storage.keys import derive_key
from flows.storage.rekeys import refuse_during_rekey
from flows.storage.revisions import Revision, find_published, list_published_months
from flows.storage.root import Root, open_root
from transforms.engine.parquet import read_parquet_sql
from transforms.engine.session import Session, open_engine
from transforms.engine.statements import Statement
from transforms.facts.pseudonyms import hmac_params, pseudonym_sql
from transforms.outputs import OUTPUTS, Output, Readers

EXACT_OUTPUTS = tuple(one for one in OUTPUTS if one.readers is Readers.EXACT)
NAME = r"[a-z][a-z0-9_-]{2,63}"


@dataclass(frozen=True)
class ProjectCopy:
    """What a project gets.

    Attributes:
        name: Its name; the pseudonyms depend on it and on the root's key.
        months: The months; None: all that are published.
        folder: Where the copy is written; None: `projects/<name>` of the root.
        reason: Why, for the access log.
    """

    name: str
    months: Sequence[Month] | None
    folder: Path | None
    reason: Reason


def copy_for_project(
    settings: Settings, copy: ProjectCopy, report_progress: Callable[[str], None]
) -> Path:
    """Write the exact tables of published months with the project's own pseudonyms.

    The same person has the same pseudonym in all tables and months of a project, another one in
    every other project; rows are in the order of the new pseudonyms. Asked again, months are added.

    Returns:
        The folder: `<table>/<month>.parquet`.

    Raises:
        JifenError: Exit 2, the name is none, none of the months is published, or who asks may not.
    """
    if not re.fullmatch(NAME, copy.name):
        hint = "用小写字母开头的 3 至 64 个小写字母、数字、- 或 _，例如 jifen project housing-2026"
        raise JifenError(ExitCode.USAGE, "项目名称不合要求", hint=hint)
    root = open_root(settings)
    require_purpose(settings, root, copy.reason)
    refuse_during_rekey(root)
    revisions = _choose_revisions(root, copy.months)
    folder = copy.folder or root.path / "projects" / copy.name
    params = hmac_params(derive_key(root.key(), f"project {copy.name}"))
    names = ", ".join(one.name for one in revisions)
    given = copy.reason.list_given()
    root.access_log("project", project=copy.name, revisions=names, **given)
    with open_engine(settings.engine_settings, root.tmp / "spill") as session:
        for revision in revisions:
            report_progress(f"项目 {copy.name}：{revision.name}")
            for output in EXACT_OUTPUTS:
                _write_copy(session, output, revision, folder, params)
    return folder


def _choose_revisions(root: Root, months: Sequence[Month] | None) -> list[Revision]:
    chosen = [month for month in list_published_months(root) if months is None or month in months]
    revisions = [one for month in chosen if (one := find_published(root, month))]
    if not revisions:
        raise JifenError(ExitCode.USAGE, "没有已发布的月份可复制", hint="用 jifen status 查看月份")
    return revisions


def _write_copy(
    session: Session,
    output: Output,
    revision: Revision,
    folder: Path,
    params: dict[str, bytes],
) -> None:
    """Write a table of a month; nothing where the revision has none."""
    files = sorted((revision.path / output.folder).glob("*.parquet"))
    if not files:
        return
    own = pseudonym_sql("resident_key")
    order = ", ".join(output.order or ("district", "resident_key"))
    sql = f"FROM (SELECT * REPLACE ({own} AS resident_key) FROM copied) ORDER BY {order}"
    statement = Statement(f"project_{output.folder}", sql, ("copied",), "file")
    target = folder / output.folder / f"{revision.month}.parquet"
    session.write(statement, target, params, {"copied": read_parquet_sql(*files)})
