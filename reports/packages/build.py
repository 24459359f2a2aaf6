"""The districts' packages: each gets its own people of the month, identified, and nobody else's."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from expectations.errors import ExitCode, JifenError
from expectations.month import Month
from expectations.reference_tables import Reference
from reports.packages.csv_cells import ListColumn, write_csv
from reports.packages.encryption import check_recipient, open_for_delivery, package_file_name
from reports.packages.lists import (
    REMINDERS,
    PackageTitles,
    eligibility_list_columns,
    eligibility_rows_sql,
    people_rows_sql,
    reminder_rows_sql,
    reminder_sheet,
    score_list_columns,
    withdrawn_rows_sql,
)
from reports.packages.summary import Movement, count_movements, render_summary_page
from reports.packages.xlsx import XLSX_ROWS, list_parts, write_workbook
from transforms import outputs
from transforms.comparison.changes import Moved
from transforms.engine.parquet import PARQUET
from transforms.engine.session import Session, map_concurrently
from transforms.engine.sql import sql_literal
from transforms.reminders.build import find_withdrawn_file

CSV_ROWS = 500_000
CONTENTS = "contents.json"


@dataclass(frozen=True)
class District:
    """A district of districts.csv: code, Chinese name, age public key (empty: its package is not encrypted)."""

    code: str
    name: str
    recipient: str


@dataclass
class Package:
    """One district's folder in the making, and the rows of each file written so far."""

    folder: Path
    district: District
    rows: dict[str, int] = field(default_factory=dict)

    def write(self, name: str, rows: int, make: Callable[[Path], object]) -> None:
        """Have a file made at the path given to `make`, encrypted on the way when the district has a key."""
        path = self.folder / name
        with open_for_delivery(path, self.district.recipient) as target:
            make(target)
        self.rows[package_file_name(path, self.district.recipient).name] = rows

    def seal(self, month: Month, number: int) -> None:
        """Write contents.json, encrypted with the rest, and manifest.json, which is always readable.

        The contents say of every file how many rows it has; the manifest only which files there are
        and their SHA-256 as they lie in the folder: numbers of people are the district's.
        """
        about = {
            "month": str(month),
            "revision": number,
            "district": self.district.code,
            "name": self.district.name,
        }
        rows = dict(sorted(self.rows.items()))
        records = {name: _file_record(self.folder / name) for name in rows}
        contents = {name: {"rows": rows[name], **records[name]} for name in rows}
        text = _to_json({**about, "files": contents})
        self.write(CONTENTS, 0, lambda target: target.write_text(text, encoding="utf-8"))
        names = sorted(self.rows)
        hashes = {name: {"sha256": _file_record(self.folder / name)["sha256"]} for name in names}
        manifest = _to_json({**about, "files": hashes})
        (self.folder / "manifest.json").write_text(manifest, encoding="utf-8")


@dataclass(frozen=True)
class RecipientWorkbooks:
    """Workbooks that the revision has, `<recipient>.xlsx`: a package has those of its district.

    Attributes:
        name: What the first is called in a package.
        folder: Where they lie.
        rows: Their rows by recipient, a department or a district by its name.
    """

    name: str
    folder: Path
    rows: Mapping[str, int]

    def put_into(self, package: Package) -> None:
        """Copy the workbooks of a package's district into it, if there are any."""
        recipient = package.district.name
        rows = self.rows.get(recipient, 0)
        own = list_parts(recipient, ".xlsx", rows, XLSX_ROWS) if rows else []
        names = list_parts(self.name.removesuffix(".xlsx"), ".xlsx", rows, XLSX_ROWS)
        for (file, span), (name, _) in zip(own, names, strict=False):
            content = (self.folder / file).read_bytes()
            package.write(name, len(span), partial(_write_bytes, content))


@dataclass(frozen=True)
class PackageContents:
    """What the packages of a revision are about.

    Attributes:
        month: The month scored.
        number: The revision's number, once it is published.
        policy: Titles of indicators, services and reminders.
        moved: People by the district that they lived in a month before and the one they live in
            now; None when the month before is not published.
        workbooks: What a district has to mend and to decide, where there is any.
    """

    month: Month
    number: int
    policy: PackageTitles
    moved: Sequence[Moved] | None
    workbooks: Sequence[RecipientWorkbooks] = ()


def write_all_packages(
    session: Session,
    revision: Path,
    districts: Sequence[District],
    contents: PackageContents,
    report_progress: Callable[[str], None] = lambda name: None,
) -> dict[str, int]:
    """Write `exports/<code>/` of a revision for every district; return rows by kind, of all.

    Reads the outputs scores and identities, and eligibility and reminders where they are. A package
    that an interrupted run left is made again.
    """
    views = {
        "eligibility": outputs.ELIGIBILITY,
        "reminders": outputs.REMINDERS,
        "scored": outputs.SCORES,
        "identities": outputs.IDENTITIES,
        "families": outputs.FAMILIES,
    }
    for name, output in views.items():
        files = sorted((revision / output.folder).glob("*.parquet"))
        outputs.create_output_view(session, name, output, files)
    withdrawn = find_withdrawn_file(revision / outputs.REMINDERS.folder)
    files = [withdrawn] if withdrawn.exists() else []
    outputs.create_output_view(session, "withdrawn_reminders", outputs.REMINDERS, files)
    session.execute(
        "CREATE OR REPLACE VIEW standing_reminders AS"
        " FROM reminders ANTI JOIN withdrawn_reminders USING (reminder_id)"
    )
    movement = None if contents.moved is None else count_movements(contents.moved)
    folder = revision / "exports"
    shutil.rmtree(folder, ignore_errors=True)

    def write(own: Session, district: District) -> dict[str, int]:
        report_progress(district.code)
        package = Package(folder / district.code, district)
        package.folder.mkdir(parents=True)
        return _write_package(own, package, contents, movement)

    written = map_concurrently(session, districts, write)
    counts = {
        name: sum(rows[name] for rows in written)
        for name in ("residents", "eligibility", "reminders")
    }
    return {"districts": len(districts), **counts}


def list_package_districts(reference: Reference) -> list[District]:
    """Return everyone who gets a package: the rows of districts.csv."""
    rows = reference.rows["districts"]
    return [District(code, name, recipient) for code, name, _, recipient in rows]


def check_keys(districts: Sequence[District], required: bool) -> None:
    """Check the districts' public keys, before anything is written.

    Raises:
        JifenError: Exit 10, a key is wrong, or missing though required.
    """
    without = [
        f"{district.code} {district.name}" for district in districts if not district.recipient
    ]
    if required and without:
        raise JifenError(
            ExitCode.DECLARATIONS,
            f"要求加密导出，但以下区县没有公钥：{'、'.join(without)}",
            where="districts.csv recipient；jifen.toml [exports] require_encryption",
            hint="补上各区县的 age 公钥",
        )
    for district in districts:
        if district.recipient:
            check_recipient(district.recipient, district.name)


def _write_package(
    session: Session,
    package: Package,
    contents: PackageContents,
    movement: Mapping[str, Movement] | None,
) -> dict[str, int]:
    """All files of one district; rows of each list."""
    code, policy, month = package.district.code, contents.policy, contents.month
    tables: dict[str, tuple[str, list[ListColumn]]] = {
        "people": (
            people_rows_sql(policy, code, "scored", "identities"),
            score_list_columns(policy, code),
        ),
        "eligible": (
            eligibility_rows_sql(policy, code, "eligibility"),
            eligibility_list_columns(policy),
        ),
        "reminded": (reminder_rows_sql(policy, "standing_reminders"), REMINDERS),
        "withdrawn": (withdrawn_rows_sql(policy, code, "withdrawn_reminders"), REMINDERS),
    }
    rows = {}
    for table, (statement, _) in tables.items():
        session.execute(f"CREATE TEMP TABLE {table} AS {statement}")
        rows[table] = int(session.scalar(f"SELECT count(*) FROM {table}"))

    page = render_summary_page(
        session,
        package.district.name,
        policy,
        month,
        None if movement is None else movement.get(code, Movement()),
    )
    package.write(
        "summary.html", rows["people"], lambda target: target.write_text(page, encoding="utf-8")
    )

    def parquet(target: Path) -> None:
        select = f"SELECT {', '.join(column.name for column in tables['people'][1])} FROM people"
        session.execute(f"COPY ({select}) TO {sql_literal(target)} ({PARQUET}, USE_TMP_FILE false)")

    package.write("scores.parquet", rows["people"], parquet)
    sheet = reminder_sheet(package.district.name, month)
    for part, span in list_parts("reminders", ".xlsx", rows["reminded"], XLSX_ROWS):
        made = partial(write_workbook, session, "reminded", sheet, span)
        package.write(part, len(span), made)
    for table, name in (
        ("people", "scores"),
        ("eligible", "eligibility"),
        ("reminded", "reminders"),
        ("withdrawn", "withdrawn"),
    ):
        # only a month that was run again can withdraw anything
        empty = table == "withdrawn" and not rows[table]
        for part, span in [] if empty else list_parts(name, ".csv", rows[table], CSV_ROWS):
            package.write(
                part, len(span), partial(write_csv, session, table, tables[table][1], span)
            )
        session.execute(f"DROP TABLE {table}")  # another package may want the memory
    for workbooks in contents.workbooks:
        workbooks.put_into(package)
    package.seal(month, contents.number)
    return {
        "residents": rows["people"],
        "eligibility": rows["eligible"],
        "reminders": rows["reminded"],
    }


def _write_bytes(content: bytes, target: Path) -> None:
    target.write_bytes(content)


def _to_json(values: Mapping[str, Any]) -> str:
    return json.dumps(values, ensure_ascii=False, indent=1, sort_keys=True) + "\n"


def _file_record(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        return {
            "bytes": path.stat().st_size,
            "sha256": hashlib.file_digest(file, "sha256").hexdigest(),
        }
