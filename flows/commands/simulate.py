"""`jifen simulate`: a draft policy against a published month, for everyone.

It writes a page and the differences, and publishes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from expectations.errors import ExitCode, JifenError
from expectations.month import Month
from expectations.source_model import Fact
from flows.city_time import city_now
from flows.commands.draft_facts import (
    build_draft_facts,
    describe_draft_facts,
    load_draft_facts,
    refuse_undelivered,
    remove_draft_facts,
)
from flows.project import load_declared_sources
from flows.settings import Settings
from flows.storage.files import hash_file, write_atomically
from flows.storage.rekeys import refuse_during_rekey
from flows.storage.removals import require_identified
from flows.storage.revisions import Revision, find_clean_folders, find_revision
from flows.storage.root import Root, open_root
from reports.published_rules import PublishedRules, load_published_rules
from reports.simulation import (
    SimulationContext,
    describe_effect,
    measure_total_effect,
    render_simulation_page,
)
from reports.titles import SUMS, collect_item_titles
from transforms.comparison.simulation import Draft, ScoredMonth, simulate_draft
from transforms.engine.parquet import read_folder_sql
from transforms.engine.session import Session, open_engine
from transforms.expressions.language import split_tokens
from transforms.points.load import load_tables
from transforms.points.models import CITY, PointsTable, PointsVersion
from transforms.services.eligibility_sql import select_services_of
from transforms.services.load import load_services, select_services_in_force
from transforms.services.models import Service, ServiceVersion
from transforms.services.namespace import build_service_names, list_points_columns_on

DRAFT_CONTENTS = ("points", "services")
AnyVersion = PointsVersion | ServiceVersion


def simulate_policy(
    settings: Settings,
    policy: Path,
    month: Month | None,
    out: Path | None,
    report_progress: Callable[[str], None],
) -> None:
    """Score a published month again with the draft in `policy`, and write what differs.

    Args:
        settings: The settings of the project.
        policy: The draft: a folder with points/ or services/ or both; what it does not hold is
            taken from the published month.
        month: The month scored again; None is the newest published.
        out: The folder for the results; None is a new one among the root's runs.
        report_progress: Takes each line of the answer.

    Raises:
        JifenError: Exit 2, there is no draft, the month is not published, or `out` is no place for
            results; exit 10, the draft has mistakes.
    """
    root = open_root(settings)
    revision = find_revision(root, month)
    require_identified(root, root.key(), revision)
    refuse_during_rekey(root)
    rules = load_published_rules(
        revision.path / "policy", revision.month.last_day, load_declared_sources(settings)
    )
    if not any((policy / part).is_dir() for part in DRAFT_CONTENTS):
        raise JifenError(
            ExitCode.USAGE,
            "草案目录中没有 points/ 或 services/",
            where=str(policy),
            hint="核对 --policy",
        )
    target = _empty_folder(
        root, out or root.runs / f"simulate-{revision.month}-{city_now().replace(':', '')}"
    )
    with open_engine(settings.engine_settings, root.tmp / "spill") as session:
        facts = _published_facts(session, revision, rules)
        measured = load_draft_facts(settings, policy)
        if measured is not None:
            facts = {**facts, **measured.changed}
        tables, services = _load_draft(policy, revision, rules, facts)
        new = _new_versions(rules, tables, services)
        draft = _draft(rules, tables, services, facts, new)
        root.access_log("simulate", month=str(revision.month), revision=revision.number)
        published = ScoredMonth(
            revision.path,
            revision.month,
            facts,
            revision.manifest.corrected,
            list(select_services_of(rules.services_in_force, "child")),
        )
        scored = published
        if measured is not None:
            refuse_undelivered(
                measured,
                _list_used_facts(draft),
                policy,
                find_clean_folders(root.clean, revision),
            )
            report_progress("按已保存的合格数据重新计算指标数据")
            table = build_draft_facts(
                session, root, revision, measured, revision.manifest.corrected
            )
            scored = replace(published, fact_table=table)
        try:
            simulate_draft(session, scored, draft, target)
        finally:
            remove_draft_facts(root, revision)
        frame = SimulationContext(
            month=f"{revision.month} 修订版 r{revision.number}",
            districts=rules.districts,
            items={
                **collect_item_titles(rules.tables, rules.districts),
                **collect_item_titles(tables, rules.districts),
            },
            sums=frozenset({*SUMS, *rules.version(CITY).sections, *draft.tables[CITY].sections}),
            services={service.service: service.title for service in (*rules.services, *services)},
            tried=[
                *_tried(rules, tables, services, draft),
                *_not_in_force(tables, services, draft, new),
                *(describe_draft_facts(measured, rules.names.facts) if measured else ()),
                *_left_out(policy, revision),
                *_not_simulated(draft, {service.service: service.title for service in services}),
            ],
        )
        page = render_simulation_page(session, revision.path, target, frame)
        effect = measure_total_effect(session, target)
    write_atomically(target / "index.html", page.encode())
    for line in frame.tried:
        report_progress(line)
    report_progress(describe_effect(effect, revision.manifest.residents))
    report_progress(f"网页：{target / 'index.html'}")
    report_progress(
        f"逐人差异：{target / 'points'}" + (f"、{target / 'services'}" if draft.services else "")
    )


def _empty_folder(root: Root, folder: Path) -> Path:
    """Return the folder for the results: new or empty, and none that the pipeline uses.

    Raises:
        JifenError: Exit 2, it is another.
    """
    place = folder.resolve()
    if place.is_relative_to(root.path.resolve()) and not place.is_relative_to(root.runs.resolve()):
        raise JifenError(
            ExitCode.USAGE,
            "模拟结果不能放在根目录的这个位置",
            where=str(folder),
            hint="换一个 --out",
        )
    if place.exists() and (not place.is_dir() or any(place.iterdir())):
        raise JifenError(
            ExitCode.USAGE, "结果目录不是空的", where=str(folder), hint="换一个 --out，或先清空它"
        )
    place.mkdir(parents=True, exist_ok=True)
    return place


def _published_facts(
    session: Session, revision: Revision, rules: PublishedRules
) -> dict[str, Fact]:
    """The declared facts that the revision holds: a draft can use no others."""
    columns = {
        name
        for table in ("facts", "restricted/facts")
        for name, *_ in session.execute(
            f"DESCRIBE FROM {read_folder_sql(revision.path / table)}"
        ).fetchall()
    }
    return {name: fact for name, fact in rules.names.facts.items() if name in columns}


def _load_draft(
    policy: Path, revision: Revision, rules: PublishedRules, facts: Mapping[str, Fact]
) -> tuple[dict[str, PointsTable], list[Service]]:
    """Return the draft's points tables and services; where it has none, the revision's."""
    tables = dict(rules.tables)
    if (policy / "points").is_dir():
        missing = [name for name in tables if not (policy / "points" / f"{name}.yaml").exists()]
        if missing:
            what = f"草案的 points/ 中缺少 {'、'.join(missing)} 的积分表"
            hint = "先把现行的 points/ 整个复制到草案目录，再改其中要改的文件"
            raise JifenError(ExitCode.DECLARATIONS, what, where=str(policy / "points"), hint=hint)
        _refuse_new_districts(policy / "points", revision, rules.districts)
        tables = {
            table.authority: table
            for table in load_tables(policy / "points", facts, rules.districts)
        }
    folder = (policy if (policy / "services").is_dir() else revision.path / "policy") / "services"
    there = folder.is_dir() and (revision.path / "eligibility").is_dir()
    return tables, load_services(folder, facts, tables, rules.districts) if there else []


def _refuse_new_districts(points: Path, revision: Revision, districts: Mapping[str, str]) -> None:
    """Refuse points tables of districts that the published month does not have.

    Raises:
        JifenError: Exit 10, there are some.
    """
    codes = sorted(path.stem for path in points.glob(f"{'[0-9]' * 6}.yaml"))
    new = [code for code in codes if code not in districts]
    if new:
        what = f"草案中有 {'、'.join(new)} 的积分表，{revision.month} 发布时还没有这个区县"
        hint = (
            "从有这个区县的月份起模拟：先把区县写入 districts.csv，运行并发布一个月；"
            "只试其他改动的，从草案中移走它的积分表"
        )
        raise JifenError(ExitCode.DECLARATIONS, what, where=str(points), hint=hint)


def _list_used_facts(draft: Draft) -> set[str]:
    """Return what the draft's indicators and services name."""
    used = {
        fact
        for version in draft.tables.values()
        for indicator in version.indicators.values()
        for fact in indicator.facts
    }
    texts: list[str] = []
    for version in draft.tables.values():
        for indicator in version.indicators.values():
            texts += [indicator.when or "", indicator.unless or "", indicator.at_most or ""]
        for found in (*version.groups.values(), *version.sections.values()):
            texts += [found.when or "", found.unless or ""]
    for service in draft.services.values():
        texts += [*(one.when for one in service.conditions), service.points.score]
        texts += [service.amount.monthly] if service.amount else []
        texts += [one.when for one in service.points.multipliers if one.when]
    return used | {word for text in texts for word in split_tokens(text)}


def _versions(
    tables: Mapping[str, PointsTable], services: Sequence[Service]
) -> Iterator[tuple[str, AnyVersion]]:
    """Every version with the authority or the service that it belongs to."""
    for authority, table in tables.items():
        yield from ((authority, version) for version in table.versions)
    for service in services:
        yield from ((service.service, version) for version in service.versions)


def _new_versions(
    rules: PublishedRules, tables: Mapping[str, PointsTable], services: Sequence[Service]
) -> list[tuple[str, AnyVersion]]:
    """The versions of the draft that are not as the published month knows them."""
    known = {(name, version.hash) for name, version in _versions(rules.tables, rules.services)}
    return [
        (name, version)
        for name, version in _versions(tables, services)
        if (name, version.hash) not in known
    ]


def _draft(
    rules: PublishedRules,
    tables: Mapping[str, PointsTable],
    services: Sequence[Service],
    facts: Mapping[str, Fact],
    new: Sequence[tuple[str, AnyVersion]],
) -> Draft:
    """Return what holds on the scoring date, or on the later day the last new version begins.

    Everything is of one day: tables and services of different days have other sections and other
    thresholds.
    """
    day = max([rules.as_of, *(version.begins for _, version in new)])
    in_force = {authority: table.in_force(day) for authority, table in tables.items()}
    kinds = build_service_names(facts, list_points_columns_on(tables, day), rules.districts)
    return Draft(day, in_force, select_services_in_force(services, day), kinds)


def _tried(
    rules: PublishedRules,
    tables: Mapping[str, PointsTable],
    services: Sequence[Service],
    draft: Draft,
) -> Iterator[str]:
    """What the draft changes, table by table, in sentences."""
    changed = [a for a, version in draft.tables.items() if version.hash != rules.version(a).hash]
    for authority in changed:
        old, new = rules.version(authority), draft.tables[authority]
        changes = {
            "新增的": [i.title for code, i in new.indicators.items() if code not in old.indicators],
            "取消的": [i.title for code, i in old.indicators.items() if code not in new.indicators],
            "改动的": [
                i.title for code, i in new.indicators.items() if old.indicators.get(code, i) != i
            ],
        }
        changed_titles = [
            f"{kind}指标：{'、'.join(each)}" for kind, each in changes.items() if each
        ]
        changed_titles = changed_titles or ["改动的指标：无（改动在分项、分组或上限）"]
        versions = f"{old.begins} 版 → 草案 {new.begins} 版"
        yield f"{tables[authority].title}：{versions}，{'；'.join(changed_titles)}"
    if not changed:
        yield "积分表与已发布的相同"
    in_force = {service.service: service.in_force(rules.as_of) for service in rules.services}
    titles = {service.service: service.title for service in (*rules.services, *services)}
    for code, version in draft.services.items():
        before = in_force.get(code)
        if before is None or before.hash != version.hash:
            yield f"{'' if before else '新的'}服务 {code} {titles[code]}：草案 {version.begins} 版"
    for code in in_force if draft.services else ():
        if in_force[code] and code not in draft.services:
            yield f"服务 {code} {titles[code]}：草案中没有，按取消计算"
    if draft.day > rules.as_of:
        yield f"试算 {draft.day} 生效的全部积分表和服务，数据仍是计分日 {rules.as_of} 的"


def _not_in_force(
    tables: Mapping[str, PointsTable],
    services: Sequence[Service],
    draft: Draft,
    new: Sequence[tuple[str, AnyVersion]],
) -> Iterator[str]:
    """Yield what is new in the draft, but replaced by another version on the day simulated."""
    titles = {name: table.title for name, table in tables.items()} | {
        s.service: s.title for s in services
    }
    in_force: dict[str, AnyVersion] = {**draft.services, **draft.tables}
    for name, version in new:
        if version.begins != in_force[name].begins:
            left_out = f"{titles[name]}：{version.begins} 版的改动不在模拟之内"
            yield f"{left_out}，{draft.day} 生效的是 {in_force[name].begins} 版"


def _not_simulated(draft: Draft, titles: Mapping[str, str]) -> Iterator[str]:
    """Yield what a simulation does not say of the draft's services."""
    children = select_services_of(draft.services, "child")
    if children:
        named = "、".join(titles[code] for code in children)
        yield f"按子女计的服务（{named}）不在模拟之内"
    if any(version.rank for version in draft.services.values()):
        yield "名次不在模拟之内，只模拟是否达标和差多少分"


def _left_out(policy: Path, revision: Revision) -> Iterator[str]:
    """Yield what the draft folder holds that is not simulated: facts are the published month's."""
    for path in sorted((policy / "reference").glob("*.csv")):
        used = revision.path / "policy" / "reference" / path.name
        if not used.exists() or hash_file(path) != hash_file(used):
            yield f"参考表 {path.name} 的改动不在模拟之内：数据仍是该月已发布的"
    for path in sorted((policy / "reminders").glob("*.yaml")):
        used = revision.path / "policy" / "reminders" / path.name
        if not used.exists() or hash_file(path) != hash_file(used):
            yield f"提醒 {path.stem} 的改动不在模拟之内：模拟不出提醒名单"
