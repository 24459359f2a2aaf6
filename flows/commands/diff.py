"""`jifen diff`: two published months or revisions, named as people name them."""

from __future__ import annotations

import json
from collections.abc import Callable

from rich.console import Console

from flows.project import load_declared_sources
from flows.settings import Settings
from flows.storage.rekeys import refuse_during_rekey, require_pseudonymous
from flows.storage.revisions import find_named_revision
from flows.storage.root import open_root
from reports.diff import compare_revisions, format_tables
from reports.published_rules import load_published_rules
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
    """Report what changed from one revision to another.

    Raises:
        JifenError: Exit 2, a name is no revision's, or nothing is published under it.
    """
    root = open_root(settings)
    then, now = find_named_revision(root, before), find_named_revision(root, after)
    refuse_during_rekey(root)
    for one in (then, now):
        require_pseudonymous(root, one)
    with open_engine(settings.engine_settings, root.tmp / "spill") as session:
        found = compare_revisions(
            session, (then.path, then.manifest.to_values()), (now.path, now.manifest.to_values())
        )
    if as_json:
        report_progress(json.dumps(found, ensure_ascii=False, indent=1))
        return
    sources = load_declared_sources(settings)
    old, new = (
        load_published_rules(one.path / "policy", one.month.last_day, sources)
        for one in (then, now)
    )
    items = {
        **collect_item_titles(old.tables, old.districts),
        **collect_item_titles(new.tables, new.districts),
    }
    console = Console(markup=False, emoji=False, highlight=False)  # a title may hold [brackets]
    for part in format_tables(found, items, new.districts):
        console.print(part)
