"""The city at a glance: `<root>/overview/index.html`, made again at each publication."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path

from expectations.errors import ExitCode, JifenError, to_user_error
from expectations.findings import Finding, FindingKind
from expectations.month import Month
from flows.city_time import city_now
from flows.project import Project
from flows.storage.files import write_atomically
from flows.storage.revisions import find_published, list_published_months
from flows.storage.root import Root
from reports.html.explored_charts import build_vega_script
from reports.overview.figures import read_figures
from reports.overview.page import OverviewInputs, OverviewNames, render_overview_page
from transforms.engine.session import open_engine
from transforms.objections.open_cases import CASE_TITLES
from transforms.outputs import METRICS, find_table_file


def write_overview(
    project: Project, root: Root, months: Sequence[Month] | None = None, out: Path | None = None
) -> Path:
    """Write the page of published months, and return where it is.

    Args:
        project: Names what the page shows.
        root: Whose months; the caller holds its lock unless `out` is given.
        months: Those to show, as far as they are published; by default all.
        out: The file to write; by default that of the root, which analysts may read.

    Raises:
        JifenError: Exit 2, none of these months is published; exit 1, the file cannot be written.
    """
    published = list_published_months(root)
    chosen = [month for month in published if months is None or month in months]
    revisions = [one for month in chosen if (one := find_published(root, month))]
    if not revisions:
        hint = "先运行 jifen run" if not published else f"已发布：{'、'.join(map(str, published))}"
        raise JifenError(ExitCode.USAGE, "这些月份都没有发布，没有可以汇总的", hint=hint)
    files = {str(one.month): find_table_file(one.path, METRICS) for one in revisions}
    with open_engine(project.settings.engine_settings, root.tmp / "spill") as session:
        figures = read_figures(
            session, {month: file for month, file in files.items() if file.is_file()}
        )
    names = OverviewNames(
        districts=project.reference.districts,
        services={service.service: service.title for service in project.services},
        counted={
            "reminders": project.reminder_titles(),
            "reminders_answered": _list_outcome_titles(project),
            "objection_cases": CASE_TITLES,
        },
        sources=project.sources,
    )
    manifests = {str(one.month): one.manifest.to_values() for one in revisions}
    given = OverviewInputs(figures, manifests, names, city_now())
    page = render_overview_page(given, _load_script(root)).encode()
    target = out or root.overview / "index.html"
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(target, page)
        if out is None:
            root.share(root.overview)
    except OSError as error:
        why = to_user_error(error).message
        raise JifenError(
            ExitCode.OTHER, f"数据驾驶舱写不进文件：{why}", where=str(target)
        ) from None
    return target


def _list_outcome_titles(project: Project) -> dict[str, str]:
    """Return the titles of what districts report of reminders, by value."""
    return {
        value: named[0] if named else value
        for source in project.sources.values()
        if source.outcomes
        for value, named in source.columns[source.outcomes.outcome].values.items()
    }


def _load_script(root: Root) -> str:
    """Return the charts' script, which takes seconds to make and is kept.

    It is kept for all roots in the user's cache (XDG_CACHE_HOME, or `.cache` at home); in the root
    where there is none that can be written, as in a service that may write to the root alone.
    """
    given = os.environ.get("XDG_CACHE_HOME", "")
    places = [root.tmp / "charts"]
    with suppress(RuntimeError):  # a user without a home
        places.insert(0, (Path(given) if given else Path("~/.cache").expanduser()) / "jifen")
    files = [place / f"vega-{version('vl-convert-python')}.js" for place in places]
    for file in files:
        with suppress(OSError):
            return file.read_text(encoding="utf-8")
    script = build_vega_script()
    for file in files:
        with suppress(OSError):
            file.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(file, script.encode())
            break
    return script


def renew_overview(project: Project, root: Root) -> list[Finding]:
    """Make the root's page again; return the finding that it could not be.

    What is published stays published whatever goes wrong here.
    """
    try:
        write_overview(project, root)
    except Exception as error:
        return [Finding(FindingKind.OVERVIEW_NOT_MADE, detail=to_user_error(error).message)]
    return []
