"""One delivery: staged, judged by the gate, split into clean, quarantine and defects, counted."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from expectations.causes import describe_refusals
from expectations.errors import ExitCode, JifenError
from expectations.month import Month
from expectations.source_model import Source
from transforms.clean.accounts import ACCOUNT, RowCounts, read_last_account
from transforms.clean.data_file import DataFile, OpenPart
from transforms.clean.examples import find_examples
from transforms.clean.headers import unreadable_error
from transforms.clean.parquet_reader import is_readable_parquet
from transforms.clean.readers import explain_read_failure, open_part, prepare_file
from transforms.clean.returns import (
    RETURNS,
    DeliveredPart,
    count_values,
    fingerprint_rows,
    list_delivered_parts,
    list_refused_cases,
    write_returns,
)
from transforms.clean.staging_sql import reread_rows_sql, valid_rows_sql
from transforms.clean.types import ValidationContext
from transforms.engine.parquet import (
    INTERMEDIATE_PARQUET,
    PARQUET,
    list_files_sql,
    read_folder_sql,
    read_parquet_sql,
)
from transforms.engine.session import EngineError, Session
from transforms.engine.sql import sql_literal

OUTPUT_KINDS = ("quarantine", "defects", "clean")
"""The kinds of rows, in the order in which they are put in place: what is clean is done."""
REREAD = "reread"
"""The folder of rows that are not clean as they are, until they are split."""
Judge = Callable[[str], list[str]]
"""The gate: a staged relation to what blocks it, empty when it passes."""


@dataclass(frozen=True)
class CleaningJob:
    """A delivery to be cleaned.

    Attributes:
        source: The source that delivered it.
        received: The month that it was delivered for.
        number: Its number among those of its source and month.
        parts: The raw parts, in order.
        allowed_encoding: The only encoding of text files that is accepted; None for any.
        districts: The codes that a district may have.
        inputs: The fingerprint of what the cleaning depends on.
        known_encodings: Of the parts that are text files and were read before, in order.
    """

    source: Source
    received: Month
    number: int
    parts: tuple[Path, ...]
    allowed_encoding: str | None
    districts: frozenset[str]
    inputs: str
    known_encodings: tuple[str, ...] = ()

    def folder(self, root: Path, kind: str) -> Path:
        """Where the delivery's rows of a kind (clean, quarantine, defects) are."""
        return root / kind / self.source.source / f"received={self.received}" / f"d{self.number}"

    @property
    def delivered_parts(self) -> list[DeliveredPart]:
        """The parts' names, with the district that delivered each."""
        return list_delivered_parts(self.parts, self.districts)


def read_account(job: CleaningJob, root: Path) -> RowCounts | None:
    """Return the account of a delivery already cleaned from the same inputs, else None."""
    account = read_last_account(job.folder(root, "clean"))
    return account if account and account.inputs == job.inputs else None


def clean_delivery(
    session: Session, job: CleaningJob, root: Path, work: Path, judge: Judge
) -> RowCounts:
    """Clean a delivery under `work`, then move it into place, the clean folder last.

    Raises:
        JifenError: Exit 11 or 12, the delivery cannot be used.
    """
    done = read_account(job, root)
    if done:
        return done
    place = f"raw/{job.received}/{job.source.source}/d{job.number}"
    shutil.rmtree(work, ignore_errors=True)
    for kind in (*OUTPUT_KINDS, REREAD):
        (work / kind).mkdir(parents=True)
    try:
        files = _stage(session, job, work)
    except JifenError as error:  # it names the file alone
        where = "/".join(filter(None, (place, error.where)))
        raise JifenError(error.code, error.message, where=where, hint=error.hint) from None
    failures = judge("staged")
    if failures and _mark_superseded(
        session, job.source
    ):  # most deliveries have no key twice: the gate has counted
        failures = judge("staged")
    if failures:
        write_returns(session, job.source, job.delivered_parts, work / "quarantine" / RETURNS)
        _install(work / "quarantine", job.folder(root, "quarantine"))
        examples = find_examples(session, job.source)
        causes = describe_refusals(job.source, _tally(session, "reasons"), examples)
        raise JifenError(
            ExitCode.GATE,
            f"{job.source.title}（{job.source.source}）{job.received} 未通过检查："
            + "；".join(failures)
            + "".join(f"\n  {cause}" for cause in causes),
            where=place,
            hint="请部门核对后重新提供，放入收件目录再运行；原始交付已保留",
        )
    account = _split_rows(session, job, work, files)
    (work / "clean" / ACCOUNT).write_text(
        json.dumps(asdict(account), ensure_ascii=False, indent=1), encoding="utf-8"
    )
    for kind in OUTPUT_KINDS:
        _install(work / kind, job.folder(root, kind))
    shutil.rmtree(work)
    return account


@dataclass(frozen=True)
class Inspection:
    """What becomes of a delivery that is only looked at.

    Attributes:
        files: How each file was read.
        counts: Where its rows would go.
        failures: What the gate has against it.
    """

    files: list[DataFile]
    counts: RowCounts
    failures: list[str]


def inspect_delivery(session: Session, job: CleaningJob, work: Path, judge: Judge) -> Inspection:
    """Clean a delivery under `work`, whether or not it passes, and keep nothing of it.

    Raises:
        JifenError: Exit 11 or 12, it cannot be read.
    """
    for kind in (*OUTPUT_KINDS, REREAD):
        (work / kind).mkdir(parents=True)
    files = _stage(session, job, work)
    failures = judge("staged")
    if _mark_superseded(session, job.source) and failures:
        failures = judge("staged")
    return Inspection(files, _split_rows(session, job, work, files), failures)


def find_staged_rows(work: Path) -> str | None:
    """Return the relation of all rows staged under `work`; None before there are any.

    Rows are as they are when clean, with `reasons`, `defects`, `raw` and whether they were reread.
    """
    valid, reread = (sorted((work / kind).glob("*.parquet")) for kind in ("clean", REREAD))
    if not valid:
        return None
    nothing = ", ".join(
        f"CAST(NULL AS {kind}) AS {name}"
        for name, kind in (("reasons", "VARCHAR[]"), ("defects", "VARCHAR[]"), ("raw", "VARCHAR"))
    )
    rows = f"SELECT *, {nothing}, false AS reread FROM {read_parquet_sql(*valid)}"
    if reread:
        rows += f" UNION ALL SELECT *, true AS reread FROM {read_parquet_sql(*reread)}"
    return f"({rows})"


def _stage(session: Session, job: CleaningJob, work: Path) -> list[DataFile]:
    """Write the rows that are clean as they are, and all others to a folder of their own.

    Returns the files as they were read. The view `staged` has all rows, one per delivered row; none
    is `superseded` yet.
    """
    files = []
    known_encodings = dict(enumerate(job.known_encodings))
    for index, path in enumerate(job.parts):
        unpacked = work / "unpacked"
        known, allowed = known_encodings.get(index, ""), job.allowed_encoding
        file = prepare_file(job.source, path, unpacked, allowed=allowed, known=known)
        unanswered = _stage_file(session, job, index, file, work)
        shutil.rmtree(unpacked, ignore_errors=True)
        files.append(replace(file, unanswered=unanswered))
    session.execute(f"CREATE OR REPLACE VIEW staged_parts AS FROM {find_staged_rows(work)}")
    _view_staged(session, "false", "false")
    return files


def _view_staged(session: Session, superseded: str, other_person: str) -> None:
    """Create the view `staged`, with SQL that is true of superseded rows.

    `other_person`: that is true of those that a row about another person replaces.
    """
    session.execute(f"""
        CREATE OR REPLACE VIEW staged AS
        SELECT *, {superseded} AS superseded, {other_person} AS other_person FROM staged_parts""")


def _stage_file(session: Session, job: CleaningJob, index: int, file: DataFile, work: Path) -> int:
    """Type one raw part: all of it, and again the few rows with an unusual spelling or a fault.

    So valid rows are written once, as they stay
    (docs/developing/decisions/0010-valid-rows-written-once.md). Returns how many rows of a form
    nobody filled in: these alone are not staged.
    """
    valid, reread = (work / kind / f"{index:05d}.parquet" for kind in ("clean", REREAD))
    part = _write_rows(session, job, index, file, valid)
    rows = session.scalar(f"SELECT count(*) FROM {read_parquet_sql(valid)}")
    if rows < part.rows:
        session.execute(f"""
            CREATE OR REPLACE TABLE reread AS
            SELECT range AS record
            FROM range(1, {part.last + 1}) ANTI JOIN {read_parquet_sql(valid)} ON record = range""")
        _write_rows(session, job, index, file, reread, among="reread")
        rows += session.scalar(f"SELECT count(*) FROM {read_parquet_sql(reread)}")
    if rows != part.rows and not job.source.form:
        raise RuntimeError(f"{part.rows} rows were delivered, {rows} staged")
    return part.rows - int(rows)


def _write_rows(
    session: Session,
    job: CleaningJob,
    index: int,
    file: DataFile,
    target: Path,
    among: str | None = None,
) -> OpenPart:
    """Write the rows of a raw part that are clean as they are, or those `among` a table of records.

    The engine's errors quote values: they are mapped, never passed on.
    """
    part = open_part(session, job.source, file, among)
    select, form = (reread_rows_sql, INTERMEDIATE_PARQUET) if among else (valid_rows_sql, PARQUET)
    statement = select(
        job.source, part.relation, part.texts, index, ValidationContext(job.received, job.districts)
    )
    try:
        session.execute(f"COPY ({statement}) TO {sql_literal(target)} ({form})")
    except EngineError:
        if part.failure:
            raise explain_read_failure(job.source, file.name, part.failure[0]) from None
        if not part.stream and not is_readable_parquet(file.path):
            raise unreadable_error(job.source, file.name, "文件内容损坏") from None
        raise
    finally:
        if part.stream:
            session.unregister(part.stream)
    return part


def _mark_superseded(session: Session, source: Source) -> bool:
    """Mark the valid rows that a better row of their key replaces; return whether there are any.

    They are marked in `staged` and in a table (part, record, other_person). Few keys occur twice:
    these are found by one grouping, and only their rows are sorted.
    """
    if not source.key:
        return False
    key = ", ".join(source.key)
    best = ", ".join(
        [f"{source.prefer} DESC NULLS LAST"] * bool(source.prefer) + ["part DESC", "record DESC"]
    )
    read = dict.fromkeys([*source.key, source.person, *filter(None, [source.prefer])])
    session.execute(f"""
        CREATE OR REPLACE TABLE superseded AS
        WITH valid AS (
            SELECT {", ".join(read)}, part, record FROM staged_parts WHERE reasons IS NULL
        ),
        doubled AS (SELECT {key} FROM valid GROUP BY ALL HAVING count(*) > 1),
        ranked AS (
            SELECT part, record, row_number() OVER best_first AS place,
                {source.person} <> first_value({source.person}) OVER best_first AS other_person
            FROM valid SEMI JOIN doubled USING ({key})
            WINDOW best_first AS (PARTITION BY {key} ORDER BY {best})
        )
        SELECT part, record, other_person FROM ranked WHERE place > 1""")
    superseded = "(part, record) IN (SELECT (part, record) FROM superseded"
    _view_staged(session, f"{superseded})", f"{superseded} WHERE other_person)")
    return bool(session.scalar("SELECT count(*) FROM superseded"))


def _split_rows(session: Session, job: CleaningJob, work: Path, files: list[DataFile]) -> RowCounts:
    """Write each kind of staged rows where it belongs, and leave out superseded ones.

    Of the reread rows those that are kept join the clean ones.
    """
    received, quarantined, replaced, reread, other_person = session.execute("""
        SELECT count(*), count(reasons), count(*) FILTER (superseded), count(*) FILTER (reread),
            count(*) FILTER (other_person)
        FROM staged""").fetchall()[0]
    write_returns(session, job.source, job.delivered_parts, work / "quarantine" / RETURNS)
    reasons, defects = (_tally(session, listed) for listed in ("reasons", "defects"))
    names = "[" + ", ".join(sql_literal(part.name) for part in job.delivered_parts) + "]"
    for kind, listed in (("quarantine", "reasons"), ("defects", "defects")):
        rows = f"""
            SELECT {sql_literal(job.source.source)} AS source,
                DATE '{job.received.first_day}' AS received,
                {job.number} AS delivery, ({names})[part + 1] AS file, record, {listed}, raw
            FROM staged WHERE {listed} IS NOT NULL ORDER BY part, record"""
        session.execute(f"COPY ({rows}) TO {sql_literal(work / kind / 'rows.parquet')} ({PARQUET})")
    clean = work / "clean"
    if reread > quarantined:
        columns = ", ".join([*job.source.columns, "part", "record"])
        kept = f"""
            SELECT {columns} FROM staged
            WHERE reread AND reasons IS NULL AND NOT superseded ORDER BY part, record"""
        session.execute(f"COPY ({kept}) TO {sql_literal(clean / 'reread.parquet')} ({PARQUET})")
    if replaced:
        _leave_out_superseded(session, clean)
    rows = read_folder_sql(clean)
    return RowCounts(
        source=job.source.source,
        month=str(job.received),
        number=job.number,
        received=received,
        clean=session.scalar(f"SELECT count(*) FROM {rows}"),
        quarantined=quarantined,
        superseded=replaced,
        reasons=reasons,
        defects=defects,
        undeclared=sorted({title for file in files for title in file.undeclared}),
        inputs=job.inputs,
        missing_columns=_list_missing(job.source, files),
        filled=_count_filled(session, job.source, clean),
        unended=sum(not file.is_ended for file in files),
        unanswered=sum(file.unanswered for file in files),
        ignored_sheets=sum(len(file.ignored_sheets) for file in files),
        encodings=[file.encoding for file in files],
        examples=find_examples(session, job.source) if reasons or defects else {},
        values=count_values(session, job.source, defects),
        other_person=other_person,
        refused_cases=list_refused_cases(session, job.source),
        fingerprint=fingerprint_rows(session, job.source, rows),
    )


def _list_missing(source: Source, files: Sequence[DataFile]) -> list[str]:
    """Return the declared columns that a file or sheet does not have, in their order.

    Of a form only those that are filled in are asked for, besides the required ones.
    """
    asked = [name for name in source.columns if not source.form or name in source.form.answers]
    missing = {name for file in files for name in file.list_missing(asked)}
    return [name for name in source.columns if name in missing]


def _count_filled(session: Session, source: Source, clean: Path) -> dict[str, int]:
    """Return how many values the columns that may be empty have, as the files' own counts say."""
    files = list_files_sql(*sorted(clean.glob("*.parquet")))
    rows = session.fetch_rows(f"""
        SELECT path_in_schema, sum(num_values - stats_null_count)
        FROM parquet_metadata({files}) GROUP BY ALL""")
    counts = {str(name): int(count or 0) for name, count in rows}
    return {n: counts.get(n, 0) for n, column in source.columns.items() if not column.required}


def _leave_out_superseded(session: Session, clean: Path) -> None:
    """Write those files of valid rows again in which some are superseded."""
    parts = session.execute("SELECT DISTINCT part FROM superseded ORDER BY part").fetchall()
    for (part,) in parts:
        file = clean / f"{part:05d}.parquet"
        without = file.with_suffix(".without")
        records = f"SELECT record FROM superseded WHERE part = {part}"
        rows = f"FROM {read_parquet_sql(file)} WHERE record NOT IN ({records}) ORDER BY record"
        session.execute(f"COPY ({rows}) TO {sql_literal(without)} ({PARQUET})")
        without.replace(file)


def _tally(session: Session, listed: str) -> dict[str, int]:
    """Return how often each `column:code` was found."""
    rows = session.execute(f"""
        SELECT unnest({listed}) AS reason, count(*) FROM staged WHERE {listed} IS NOT NULL
        GROUP BY 1 ORDER BY 1""").fetchall()
    return {str(reason): int(count) for reason, count in rows}


def _install(made: Path, place: Path) -> None:
    """Put a folder in its place; one made earlier from other inputs goes away."""
    place.parent.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(place, ignore_errors=True)
    made.rename(place)
