"""One delivery: staged, judged by the gate, split into clean, quarantine and defects, counted."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from expectations.errors import ExitCode, JifenError
from expectations.month import Month
from expectations.source_model import Source
from transforms.clean.headers import unreadable_error
from transforms.clean.readers import (
    OpenPart,
    explain_read_failure,
    is_readable_parquet,
    open_part,
)
from transforms.clean.staging_sql import reread_rows_sql, valid_rows_sql
from transforms.clean.types import ValidationContext
from transforms.engine.parquet import (
    INTERMEDIATE_PARQUET,
    PARQUET,
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
        encoding: The encoding of CSV parts.
        districts: The codes that a district may have.
        inputs: The fingerprint of what the cleaning depends on.
    """

    source: Source
    received: Month
    number: int
    parts: tuple[Path, ...]
    encoding: str
    districts: frozenset[str]
    inputs: str

    def folder(self, root: Path, kind: str) -> Path:
        """Where the delivery's rows of a kind (clean, quarantine, defects) are."""
        return root / kind / self.source.source / f"received={self.received}" / f"d{self.number}"

    @property
    def names(self) -> list[str]:
        """The parts' names below the folder that holds them all: file names may repeat."""
        folder = os.path.commonpath([part.parent for part in self.parts])
        return [part.relative_to(folder).as_posix() for part in self.parts]


@dataclass(frozen=True)
class RowCounts:
    """Where a delivery's rows went: received = clean + quarantined + superseded."""

    source: str
    month: str
    number: int
    received: int
    clean: int
    quarantined: int
    superseded: int
    reasons: dict[str, int]
    defects: dict[str, int]
    undeclared: list[str]
    inputs: str
    ignored_sheets: int = 0


def read_account(job: CleaningJob, root: Path) -> RowCounts | None:
    """The account of a delivery already cleaned from the same inputs, else None."""
    try:
        account = RowCounts(
            **json.loads((job.folder(root, "clean") / "account.json").read_text(encoding="utf-8"))
        )
    except (FileNotFoundError, ValueError, TypeError):
        return None
    return account if account.inputs == job.inputs else None


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
    shutil.rmtree(work, ignore_errors=True)
    for kind in (*OUTPUT_KINDS, REREAD):
        (work / kind).mkdir(parents=True)
    undeclared, sheets = _stage(session, job, work)
    failures = judge("staged")
    if failures and _mark_superseded(
        session, job.source
    ):  # most deliveries have no key twice: the gate has counted
        failures = judge("staged")
    if failures:
        raise JifenError(
            ExitCode.GATE,
            f"{job.source.title}（{job.source.source}）{job.received} 未通过检查："
            + "；".join(failures),
            where=f"raw/{job.received}/{job.source.source}/d{job.number}",
            hint="请部门核对后重新提供，放入收件目录再运行；原始交付已保留",
        )
    account = replace(_split_rows(session, job, work, undeclared), ignored_sheets=sheets)
    (work / "clean" / "account.json").write_text(
        json.dumps(asdict(account), ensure_ascii=False, indent=1), encoding="utf-8"
    )
    for kind in OUTPUT_KINDS:
        _install(work / kind, job.folder(root, kind))
    shutil.rmtree(work)
    return account


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


def _stage(session: Session, job: CleaningJob, work: Path) -> tuple[list[str], int]:
    """Write the rows that are clean as they are, and all others to a folder of their own.

    Returns the columns that nobody declared, and how many sheets of workbooks were ignored.

    The view `staged` has both, one row per delivered row; none is `superseded` yet.
    """
    undeclared: set[str] = set()
    ignored_sheets = 0
    for index, path in enumerate(job.parts):
        part = _stage_part(session, job, index, path, work)
        undeclared.update(part.undeclared)
        ignored_sheets += len(part.ignored_sheets)
    session.execute(f"CREATE OR REPLACE VIEW staged_parts AS FROM {find_staged_rows(work)}")
    _view_staged(session, "false")
    return sorted(undeclared), ignored_sheets


def _view_staged(session: Session, superseded: str) -> None:
    """Create the view `staged`; `superseded`: SQL that is true of superseded rows."""
    session.execute(
        f"CREATE OR REPLACE VIEW staged AS SELECT *, {superseded} AS superseded FROM staged_parts"
    )


def _stage_part(session: Session, job: CleaningJob, index: int, path: Path, work: Path) -> OpenPart:
    """Type one raw part: all of it, and again the few rows with an unusual spelling or a fault.

    So valid rows are written once, as they stay
    (docs/developing/decisions/0010-valid-rows-written-once.md).
    """
    valid, reread = (work / kind / f"{index:05d}.parquet" for kind in ("clean", REREAD))
    part = _write_rows(session, job, index, path, valid)
    rows = session.scalar(f"SELECT count(*) FROM {read_parquet_sql(valid)}")
    if rows < part.rows:
        session.execute(f"""
            CREATE OR REPLACE TABLE reread AS
            SELECT range AS record
            FROM range(1, {part.last + 1}) ANTI JOIN {read_parquet_sql(valid)} ON record = range""")
        _write_rows(session, job, index, path, reread, among="reread")
        rows += session.scalar(f"SELECT count(*) FROM {read_parquet_sql(reread)}")
    if rows != part.rows:
        raise RuntimeError(f"{part.rows} rows were delivered, {rows} staged")
    return part


def _write_rows(
    session: Session,
    job: CleaningJob,
    index: int,
    path: Path,
    target: Path,
    among: str | None = None,
) -> OpenPart:
    """Write the rows of a raw part that are clean as they are, or those `among` a table of records.

    The engine's errors quote values: they are mapped, never passed on.
    """
    part = open_part(session, job.source, path, job.encoding, among)
    select, form = (reread_rows_sql, INTERMEDIATE_PARQUET) if among else (valid_rows_sql, PARQUET)
    statement = select(
        job.source, part.relation, part.texts, index, ValidationContext(job.received, job.districts)
    )
    try:
        session.execute(f"COPY ({statement}) TO {sql_literal(target)} ({form})")
    except EngineError:
        if part.failure:
            raise explain_read_failure(job.source, path, part.failure[0], job.encoding) from None
        if not part.stream and not is_readable_parquet(path):
            raise unreadable_error(job.source, path, "文件内容损坏") from None
        raise
    finally:
        if part.stream:
            session.unregister(part.stream)
    return part


def _mark_superseded(session: Session, source: Source) -> bool:
    """Mark the valid rows that a better row of their key replaces; return whether there are any.

    They are marked in `staged` and in a table (part, record). Few keys occur twice: these are found
    by one grouping, and only their rows are sorted.
    """
    if not source.key:
        return False
    key = ", ".join(source.key)
    best = ", ".join(
        [f"{source.prefer} DESC NULLS LAST"] * bool(source.prefer) + ["part DESC", "record DESC"]
    )
    prefer = f", {source.prefer}" if source.prefer else ""
    session.execute(f"""
        CREATE OR REPLACE TABLE superseded AS
        WITH valid AS (
            SELECT {key}{prefer}, part, record FROM staged_parts WHERE reasons IS NULL
        ),
        doubled AS (SELECT {key} FROM valid GROUP BY ALL HAVING count(*) > 1),
        ranked AS (
            SELECT part, record, row_number() OVER (PARTITION BY {key} ORDER BY {best}) AS place
            FROM valid SEMI JOIN doubled USING ({key})
        )
        SELECT part, record FROM ranked WHERE place > 1""")
    _view_staged(session, "(part, record) IN (FROM superseded)")
    return bool(session.scalar("SELECT count(*) FROM superseded"))


def _split_rows(session: Session, job: CleaningJob, work: Path, undeclared: list[str]) -> RowCounts:
    """Write each kind of staged rows where it belongs, and leave out superseded ones.

    Of the reread rows those that are kept join the clean ones.
    """
    received, quarantined, replaced, reread = session.execute("""
        SELECT count(*), count(reasons), count(*) FILTER (superseded), count(*) FILTER (reread)
        FROM staged""").fetchall()[0]
    reasons, defects = (_tally(session, listed) for listed in ("reasons", "defects"))
    names = "[" + ", ".join(map(sql_literal, job.names)) + "]"
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
    return RowCounts(
        source=job.source.source,
        month=str(job.received),
        number=job.number,
        received=received,
        clean=session.scalar(f"SELECT count(*) FROM {read_folder_sql(clean)}"),
        quarantined=quarantined,
        superseded=replaced,
        reasons=reasons,
        defects=defects,
        undeclared=undeclared,
        inputs=job.inputs,
    )


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
