"""`jifen diff`: two published months or revisions, named as people name them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

from rich.console import Console

from expectations.errors import ExitCode, JifenError
from expectations.month import Month
from flows.commands.explain import find_revision, load_declared_sources, load_published_rules
from flows.settings import Settings
from flows.storage.publish import Revision, list_revisions
from flows.storage.root import Root, open_root
from reports.diff import compare_revisions, format_tables
from reports.titles import collect_item_titles
from transforms.engine.session import open_engine


def show_difference(
    settings: Settings,
    before: str,
    after: str,
    report_progress: Callable[[str], None],
    *,
    as_json: bool,
) -> None:
    """Tell what changed from one revision to another. JifenError 2 when a name is none or nothing is published by it."""
    root = open_root(settings)
    then, now = find_named_revision(root, before), find_named_revision(root, after)
    with open_engine(settings.engine_settings, root.tmp / "spill") as session:
        found = compare_revisions(session, (then.path, then.manifest), (now.path, now.manifest))
    if as_json:
        report_progress(json.dumps(found, ensure_ascii=False, indent=1))
        return
    sources = load_declared_sources(settings)
    old, new = load_published_rules(then, sources), load_published_rules(now, sources)
    items = {
        **collect_item_titles(old.tables, old.districts),
        **collect_item_titles(new.tables, new.districts),
    }
    console = Console(markup=False, emoji=False, highlight=False)  # a title may hold [brackets]
    for part in format_tables(found, items, new.districts):
        console.print(part)


def find_named_revision(root: Root, name: str) -> Revision:
    """`2024-03`: the revision in force; `2024-03/r1`: that one, in force or replaced. Error: exit 2."""
    match = re.fullmatch(r"([0-9]{4}-[0-9]{2})(?:/r([1-9][0-9]*))?", name)
    try:
        month = Month.parse(match[1]) if match else None
    except ValueError:
        month = None
    if match is None or month is None:
        raise JifenError(
            ExitCode.USAGE, f"{name!r} 不是月份或版本", hint="写成 2021-10 或 2021-10/r1"
        )
    if match[2] is None:
        return find_revision(root, month)
    known = {revision.number: revision for revision in list_revisions(root, month)}
    if int(match[2]) not in known:
        listed = "、".join(f"{month}/r{number}" for number in known) or "无"
        raise JifenError(ExitCode.USAGE, f"没有 {name} 这一版", hint=f"已有的版本：{listed}")
    return known[int(match[2])]
