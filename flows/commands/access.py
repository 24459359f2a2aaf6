"""`jifen access`: who has looked at a person, and where their data went; itself logged."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from expectations.reference_tables import load_reference
from expectations.source_model import Source
from flows.commands.lookup import Person, PersonQuery, find_person, log_lookup, require_purpose
from flows.destinations.contents import PORTAL
from flows.project import load_declared_sources
from flows.settings import Settings
from flows.storage.access_log import AccessEntry
from flows.storage.revisions import (
    Revision,
    find_clean_folders,
    find_revision,
    list_revisions,
    read_revision,
)
from flows.storage.root import Root, open_root
from reports.explain.records import has_returned_rows, list_returned_districts
from reports.packages.objections import FOLDER as CASES
from reports.packages.objections import has_assigned_case
from reports.statements.read import RevisionFiles, find_own_statement, find_person_district
from transforms.clean.returns import RETURNS
from transforms.engine.session import Session, open_engine
from transforms.outputs import RETURNED_ROWS, SCORES, find_table_file
from transforms.reminders.outcomes import UNKNOWN_REMINDERS

LOOKUPS = {"explain": "查看积分解释", "statement": "打印积分单", "access": "查询访问记录"}
GENERAL = ("simulate", "sql", "project")
"""Actions on everybody's pseudonymous data."""
UNCHAINED = "写于有校验以前，无法核对"


@dataclass(frozen=True)
class Lookup:
    """One time that somebody looked at the person."""

    at: str
    by: str
    account: str
    action: str
    month: str
    purpose: str
    case: str
    records: bool
    verifiable: bool

    def describe(self) -> str:
        """Return it as a line."""
        who = self.by if self.account in ("", self.by) else f"{self.by}（{self.account}）"
        what = f"{LOOKUPS[self.action]}{'及依据数据' if self.records else ''}"
        why = f"用途：{self.purpose}" if self.purpose else "未写用途"
        case = f"办件编号：{self.case}" if self.case else ""
        note = "" if self.verifiable else f"（{UNCHAINED}）"
        return "  ".join(filter(None, [self.at, who, what, self.month, why, case])) + note


@dataclass(frozen=True)
class Outflow:
    """A file with data of the person that was made for somebody, or handed over to them."""

    at: str
    revision: str
    what: str
    recipient: str
    by: str

    def describe(self) -> str:
        """Return it as a line."""
        by = f"经手：{self.by}" if self.by else ""
        return "  ".join(filter(None, [self.at, self.revision, self.what, self.recipient, by]))


@dataclass(frozen=True)
class _Search:
    """Where traces of the person are looked for."""

    session: Session
    root: Root
    sources: Mapping[str, Source]
    districts: Mapping[str, str]
    person: Person
    entries: Sequence[AccessEntry]


@dataclass(frozen=True)
class Accesses:
    """What the root knows of accesses to a person.

    Attributes:
        lookups: The times that somebody looked at the person.
        outflows: The files that were made for somebody, or handed over.
        general: Uses of everybody's pseudonymous data, by action: whom they showed is not known.
        chained: Lines of the access log that can be verified.
        unchained: Those that cannot.
        damage: What is wrong with the log.
    """

    lookups: list[Lookup]
    outflows: list[Outflow]
    general: dict[str, int]
    chained: int
    unchained: int
    damage: list[str] = field(default_factory=list)


def report_accesses(
    settings: Settings,
    query: PersonQuery,
    report_progress: Callable[[str], None],
    *,
    as_json: bool,
) -> None:
    """Report who has looked at a person, when and why, and for whom files with their data were made.

    Args:
        settings: The settings of the project.
        query: Who, and why it is asked.
        report_progress: Takes each line of the answer.
        as_json: Whether the answer is JSON instead of lines.

    Raises:
        JifenError: Exit 2, what is given is no ID, nothing is published, or the operator may not
            ask.
    """
    root = open_root(settings)
    require_purpose(settings, root, query.reason)
    month = find_revision(root, None).month
    districts = {
        code: name for code, name, *_ in load_reference(settings.paths.reference).rows["districts"]
    }
    sources = load_declared_sources(settings)
    with open_engine(settings.engine_settings, root.tmp / "spill") as session:
        person = find_person(session, root, query, month)
        log = root.open_access_log()
        entries, state = log.read_entries(), log.check()
        log_lookup(root, "access", person, query)
        search = _Search(session, root, sources, districts, person, entries)
        found = Accesses(
            [_to_lookup(one) for one in entries if _is_about(one, person)],
            sorted(_find_outflows(search), key=lambda one: one.at),
            dict(Counter(_list_general(entries))),
            state.chained,
            state.unchained,
            list(state.damage),
        )
    if as_json:
        report_progress(json.dumps(asdict(found), ensure_ascii=False, indent=1))
    else:
        for line in _format_lines(found):
            report_progress(line)


def _is_about(entry: AccessEntry, person: Person) -> bool:
    values = entry.values
    known = person.resident_keys.values()
    return values.get("resident_key") in known and values.get("action") in LOOKUPS


def _list_general(entries: Sequence[AccessEntry]) -> Iterator[str]:
    """Yield the actions on everybody's pseudonymous data."""
    for entry in entries:
        action = str(entry.values.get("action"))
        if action in GENERAL:
            yield action


def _to_lookup(entry: AccessEntry) -> Lookup:
    text = {name: str(value) for name, value in entry.values.items()}
    return Lookup(
        text.get("at", ""),
        entry.who,
        text.get("account", ""),
        text["action"],
        text.get("month", ""),
        text.get("purpose", ""),
        text.get("case", ""),
        text.get("records") == "yes",
        entry.is_chained,
    )


def _find_outflows(search: _Search) -> Iterator[Outflow]:
    for month, number, folder in search.root.revision_folders():
        revision = read_revision(month, number, folder)
        district = _find_district(search, revision)
        packages = _list_packages(search, revision, district)
        yield from _find_packages(search, revision, packages)
        for entry in search.entries:
            if _is_of(entry, revision, "deliver"):
                yield from _find_delivery(search, revision, (district, packages), entry)


def _find_district(search: _Search, revision: Revision) -> str | None:
    """Return the district that the person is scored in in a revision.

    Where its tables were removed with an older key their statement says it, and where that is
    removed, too, the revision that was made of it.
    """
    session, person = search.session, search.person
    if find_table_file(revision.path, SCORES).exists():
        return find_person_district(session, revision.path, person.key_in(revision))
    files = RevisionFiles(revision.path, revision.number, None)
    if own := find_own_statement(session, files, person.resident_id):
        return own.row.district
    later = list_revisions(search.root, revision.month)[revision.number :]
    renewed = next((one for one in later if revision.name in one.manifest.renewed_from), None)
    return _find_district(search, renewed) if renewed else None


def _is_of(entry: AccessEntry, revision: Revision, action: str) -> bool:
    """Return whether an entry notes this action for a revision."""
    noted = tuple(entry.values.get(name) for name in ("action", "month", "revision"))
    return noted == (action, str(revision.month), revision.number)


def _list_packages(search: _Search, revision: Revision, district: str | None) -> Mapping[str, str]:
    """Return what has data of the person in the packages of districts, by district.

    The package of their own; of another one, the rows that it delivered and has to mend.
    """
    found = {}
    for name, source in search.sources.items():
        for file in _list_return_files(search, revision, name) if source.from_districts else ():
            if file.is_file():
                number = search.person.number
                for code in list_returned_districts(search.session, source, file, number):
                    found[code, f"exports/{code}/returns"] = "区县导出包（退回清单）"
    if district:
        found[district, f"exports/{district}/"] = "区县导出包"
    files = revision.manifest.files
    return {
        code: what
        for (code, place), what in found.items()
        if any(name.startswith(place) for name in files)
    }


def _list_return_files(search: _Search, revision: Revision, source: str) -> Iterator[Path]:
    """Yield the files of returns of what came of a source in the month."""
    for folder in find_clean_folders(search.root.quarantine, revision).get(source, ()):
        if folder.parent.name == f"received={revision.month}":
            yield folder / RETURNS
    if search.sources[source].outcomes:
        yield revision.path / RETURNED_ROWS / UNKNOWN_REMINDERS


def _find_packages(
    search: _Search, revision: Revision, packages: Mapping[str, str]
) -> Iterator[Outflow]:
    """Yield the packages that have data of the person."""
    makers = [one.who for one in search.entries if _is_of(one, revision, "export")]
    for district, what in packages.items():
        yield Outflow(
            revision.manifest.published_at,
            revision.name,
            what,
            f"为{_name_district(search, district)}制作",
            makers[-1] if makers else "",
        )


def _find_delivery(
    search: _Search,
    revision: Revision,
    places: tuple[str | None, Mapping[str, str]],
    entry: AccessEntry,
) -> Iterator[Outflow]:
    """Yield the delivery of an entry, if data of the person were in it.

    `places`: the person's district, and what has their data in packages, by district.
    """
    district, packages = places
    destination, at = str(entry.values["destination"]), str(entry.values["at"])
    if destination == PORTAL and district:
        yield Outflow(at, revision.name, "个人积分单", "送交门户（portal）", entry.who)
    elif destination in packages:
        to = f"送交{_name_district(search, destination)}"
        yield Outflow(at, revision.name, packages[destination], to, entry.who)
    elif destination in search.sources:
        to = f"送交{search.sources[destination].department}"
        for what in _find_returns(search, revision, destination):
            yield Outflow(at, revision.name, what, to, entry.who)
        folder, department = revision.path / CASES, search.sources[destination].department
        if has_assigned_case(search.session, folder, search.person.number, department):
            yield Outflow(at, revision.name, "异议办理单", to, entry.who)


def _find_returns(search: _Search, revision: Revision, source: str) -> Iterator[str]:
    """Yield the list of the month's own delivery of a source, if it had rows of the person.

    Once the rows are removed by rule, nobody can say whether it had.
    """
    declared, number = search.sources[source], search.person.number
    for folder in find_clean_folders(search.root.quarantine, revision).get(source, ()):
        file = folder / RETURNS
        if folder.parent.name != f"received={revision.month}":
            continue
        if not folder.is_dir():
            yield "退回清单（数据已按规定清理，不能确定其中有无此人）"
        elif file.is_file() and has_returned_rows(search.session, declared, file, number):
            yield "退回清单"


def _name_district(search: _Search, code: str) -> str:
    return f"{search.districts.get(code, '')}（{code}）"


def _format_lines(found: Accesses) -> Iterator[str]:
    if found.damage:
        yield f"访问记录有 {len(found.damage)} 处异常，以下可能不全；运行 jifen verify 查看"
    yield f"查询此人的记录：{len(found.lookups)} 条"
    yield from (f"  {one.describe()}" for one in found.lookups)
    yield f"含有此人数据的文件：{len(found.outflows)} 次制作或送交"
    yield from (f"  {one.describe()}" for one in found.outflows)
    if found.general:
        uses = "、".join(f"{action} {count} 次" for action, count in sorted(found.general.items()))
        yield f"另有对全部人员匿名数据的使用（{uses}）：不显示身份，不能对应到个人"
    if found.unchained:
        yield f"访问记录中有 {found.unchained} 条{UNCHAINED}"
