"""Facts of a draft: measured again from the clean rows that a published month was made from.

Only how rows are measured may be new. What a department delivers, and how it is cleaned, cannot be
tried: the rows that are kept were cleaned as the sources were declared then.
"""

from __future__ import annotations

import shutil
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from expectations.errors import DeclarationError, ExitCode, JifenError
from expectations.reference_tables import load_reference
from expectations.source_loader import collect_facts, read_sources
from expectations.source_model import Fact, Source
from flows.project import find_sources_folder
from flows.settings import Settings
from flows.storage.files import recreate_folder
from flows.storage.revisions import Revision, find_clean_folders
from flows.storage.root import Root
from transforms.engine.session import Session
from transforms.expressions.language import split_tokens
from transforms.facts.build import FactInputs, FactTargets, MonthParams, build_facts
from transforms.facts.derived import validate_derived_facts

_OF_FACTS = {"facts", "synthetic", "title", "department", "file_names"}
"""Keys of a source that decide nothing about its clean rows."""


@dataclass(frozen=True)
class DraftFacts:
    """The facts that a draft declares beside or in place of those in use.

    Attributes:
        sources: All sources, the draft's among them.
        changed: The facts that are new or measured otherwise, and those derived from them.
        added: The sources that nobody has delivered yet.
    """

    sources: Mapping[str, Source]
    changed: Mapping[str, Fact]
    added: Collection[str]

    @property
    def facts(self) -> dict[str, Fact]:
        """All facts by name."""
        return collect_facts(self.sources)


def load_draft_facts(settings: Settings, policy: Path) -> DraftFacts | None:
    """Return the facts of a draft's `sources/`; None if it has no such folder, or nothing new.

    Its files are added to the sources in use, or stand in place of those of the same name.

    Raises:
        DeclarationError: The draft's sources have mistakes.
        JifenError: Exit 10, the draft changes more of a source than its facts.
    """
    draft, folder = policy / "sources", find_sources_folder(settings)
    if not draft.is_dir() or draft.resolve() == folder.resolve():
        return None
    before = {one.source: one for one in read_sources(folder).items}
    sources = {one.source: one for one in read_sources(folder, draft).items}
    problems = validate_derived_facts(sources, folder, draft)
    if problems:
        raise DeclarationError(problems)
    for name, source in sources.items():
        if name in before:
            _refuse_other_changes(before[name], source, draft)
    known = collect_facts(before)
    changed = {
        name: fact for name, fact in collect_facts(sources).items() if known.get(name) != fact
    }
    found = DraftFacts(sources, changed, sources.keys() - before.keys())
    return found if changed else None


def _refuse_other_changes(before: Source, source: Source, draft: Path) -> None:
    """Raise JifenError 10 if a source differs in more than its facts and words."""
    keys = [
        name
        for name in Source.model_fields
        if name not in _OF_FACTS | {"columns"} and getattr(before, name) != getattr(source, name)
    ]
    keys += [
        f"columns.{name}"
        for name, column in source.columns.items()
        if name not in before.columns or before.columns[name] != column
    ]
    if keys:
        raise JifenError(
            ExitCode.DECLARATIONS,
            f"草案改了来源 {source.title} 的 {'、'.join(keys)}；已保存的数据是按原来的声明解析的，无法据此模拟",
            where=str(draft / f"{source.source}.yaml"),
            hint="模拟只能试指标数据（facts）；列和其他键先投入使用、收到数据后再试",
        )


def refuse_undelivered(
    draft: DraftFacts, used: Collection[str], policy: Path, published: Collection[str]
) -> None:
    """Check that the facts that a draft's rules use can be measured.

    Args:
        draft: The draft's facts.
        used: The facts that its points tables and services name.
        policy: The draft.
        published: The sources whose rows the month was made from.

    Raises:
        JifenError: Exit 10, some come from a source without rows.
    """
    used = _add_derived_from(used, draft.facts)
    for name in sorted(draft.added):
        facts = [one for one in draft.sources[name].facts if one in used]
        if facts and name not in published:
            raise JifenError(
                ExitCode.DECLARATIONS,
                f"来源 {draft.sources[name].title} 还没有收到过数据，草案用到的 {'、'.join(facts)} 无从计算",
                where=str(policy / "sources" / f"{name}.yaml"),
                hint="先投入使用这个来源并收到一个月的数据，再模拟用到它的规则",
            )


def _add_derived_from(used: Collection[str], facts: Mapping[str, Fact]) -> set[str]:
    """Return facts with those that they are derived from, and so on."""
    found, further = set(used), set(used)
    while further:
        texts = (facts[name].derive or "" for name in further if name in facts)
        named = {word for text in texts for word in split_tokens(text)}
        further = named & facts.keys() - found
        found |= further
    return found


def build_draft_facts(
    session: Session, root: Root, revision: Revision, draft: DraftFacts, targets: Collection[str]
) -> Path:
    """Measure all facts of a revision's residents again; return the folder of the fact table.

    The caller removes its parent. `targets`: the indicators that corrections may replace.

    Raises:
        JifenError: Exit 2, clean rows of the month are not kept any more.
    """
    folders = find_clean_folders(root.clean, revision)
    missing = [str(one.relative_to(root.path)) for one in _list(folders) if not one.is_dir()]
    if missing:
        raise JifenError(
            ExitCode.USAGE,
            f"这个月所用的数据已不全，无法重新计算指标数据：缺 {'、'.join(missing)}",
            where=str(root.clean),
            hint="重新运行这个月，或换一个月份模拟",
        )
    work = recreate_folder(root.tmp / f"simulate-{revision.month}")
    clean = {name: folders.get(name, []) for name in draft.sources}
    inputs = FactInputs(
        draft.sources, clean, load_reference(revision.path / "policy" / "reference"), targets
    )
    places = FactTargets(*(recreate_folder(work / name) for name in _PLACES))
    *former, key = root.keys()
    params = MonthParams(revision.month, key, tuple(former))
    build_facts(session, inputs, params, places)
    return places.table


_PLACES = ("table", "over_quota", "state", "returns")


def _list(folders: Mapping[str, list[Path]]) -> Iterator[Path]:
    for listed in folders.values():
        yield from listed


def remove_draft_facts(root: Root, revision: Revision) -> None:
    """Remove what `build_draft_facts` left."""
    shutil.rmtree(root.tmp / f"simulate-{revision.month}", ignore_errors=True)


def describe_draft_facts(draft: DraftFacts, published: Mapping[str, Fact]) -> Iterator[str]:
    """Yield which facts are new and which are measured otherwise, in a sentence."""
    kinds = {
        "新增": [one.title for name, one in draft.changed.items() if name not in published],
        "改动": [one.title for name, one in draft.changed.items() if name in published],
    }
    said = "；".join(f"{kind} {'、'.join(titles)}" for kind, titles in kinds.items() if titles)
    yield f"按已保存的合格数据重新计算了指标数据：{said}"
