"""What arrives: files of every kind are read whole, or refused with a reason that quotes nobody."""

from __future__ import annotations

import datetime as dt
import gzip
import zipfile
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from expectations.errors import ExitCode, JifenError
from expectations.month import Month
from expectations.source_model import Source
from tests.support.world import SOURCES, national_id, no_key_twice, read_rows
from transforms.clean.delivery import CleaningJob, RowCounts, clean_delivery

PERSON = national_id("33020319900101001")
HEADER = "patent_no,resident_id,kind,granted_on,status\n"
ROW = f"P1,{PERSON},design,2020-01-05,valid\n"


def clean(
    connection: duckdb.DuckDBPyConnection,
    folder: Path,
    path: Path,
    source: Source = SOURCES["patents"],
    encoding: str | None = "utf-8",
) -> tuple[RowCounts, list[dict[str, object]]]:
    job = CleaningJob(
        source, Month.parse("2021-10"), 1, (path,), encoding, frozenset({"330203"}), "inputs"
    )
    account = clean_delivery(
        connection, job, folder / "root", folder / "work", no_key_twice(connection, job.source)
    )
    return account, read_rows(job.folder(folder / "root", "clean"))


def refused(
    connection: duckdb.DuckDBPyConnection, folder: Path, content: bytes, name: str = "patents.csv"
) -> JifenError:
    path = folder / name
    path.write_bytes(content)
    with pytest.raises(JifenError) as caught:
        clean(connection, folder, path)
    assert PERSON not in str(caught.value)
    assert caught.value.__cause__ is None
    return caught.value


@pytest.mark.proves("sources-22")
@pytest.mark.parametrize(
    ("what", "content"),
    [
        ("nothing", b""),
        (
            "a quote that never closes",
            (HEADER + f'P1,"{PERSON},design,2020-01-05,valid\n' + ROW * 50).encode(),
        ),
        (
            "a row with a value too many",
            (HEADER + ROW + f"P2,{PERSON},design,2020-01-05,valid,more\n").encode(),
        ),
        ("a row cut off", (HEADER + ROW + f"P2,{PERSON},des").encode()),
        (
            "another encoding",
            (HEADER + f"专利,{PERSON},design,2020-01-05,valid\n").encode("gb18030"),
        ),
        (
            "another encoding in the header",
            "专利号,resident_id,kind,granted_on,status\n".encode("gb18030"),
        ),
        ("UTF-16 where only UTF-8 is accepted", (HEADER + ROW).encode("utf-16")),
        (
            "text after a closing quote",
            (HEADER + f'"P1"x,{PERSON},design,2020-01-05,valid\n').encode(),
        ),
        (
            "two lone quotes that swallow a line",
            (
                HEADER
                + f'"P1,{PERSON},design,2020-01-05,valid\n'
                + f'P2",{PERSON},design,2020-01-05,valid\n'
            ).encode(),
        ),
    ],
)
def test_an_invalid_csv_ends_the_run(
    connection: duckdb.DuckDBPyConnection, tmp_path: Path, what: str, content: bytes
) -> None:
    assert refused(connection, tmp_path, content).code == ExitCode.EXTRACT, what


def test_a_csv_without_a_header_misses_its_columns(
    connection: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    assert refused(connection, tmp_path, ROW.encode()).code == ExitCode.GATE


@pytest.mark.proves("sources-68")
def test_a_truncated_parquet_and_a_foreign_file_end_the_run(
    connection: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    whole = tmp_path / "whole.parquet"
    columns = {name: [PERSON] * 5000 for name in SOURCES["patents"].columns}
    pq.write_table(pa.table(columns), whole)
    assert (
        refused(connection, tmp_path, whole.read_bytes()[:-30], "patents.parquet").code
        == ExitCode.EXTRACT
    )
    assert (
        refused(connection, tmp_path, b"PK\x03\x04 not parquet", "patents.parquet").code
        == ExitCode.EXTRACT
    )
    damaged = bytearray(whole.read_bytes())
    damaged[40:400] = bytes(360)
    assert refused(connection, tmp_path, bytes(damaged), "patents.parquet").code == ExitCode.EXTRACT


@pytest.mark.promise("sources-20", "UTF-8 with or without BOM, any line end")
@pytest.mark.parametrize("ends", ["\n", "\r\n", "\r"])
def test_every_line_ending_and_a_bom_are_read(
    connection: duckdb.DuckDBPyConnection, tmp_path: Path, ends: str
) -> None:
    path = tmp_path / "patents.csv"
    path.write_bytes(("\ufeff" + (HEADER + ROW).replace("\n", ends)).encode())
    account, _ = clean(connection, tmp_path, path)
    assert (account.received, account.clean) == (1, 1)


@pytest.mark.parametrize("encoding", ["utf-8", "gb18030", "utf-16"])
def test_a_bom_before_a_quoted_header_changes_no_value(
    connection: duckdb.DuckDBPyConnection, tmp_path: Path, encoding: str
) -> None:
    path = tmp_path / "patents.csv"
    header = '"' + HEADER.strip().replace(",", '","') + '"\n'
    mark = "" if encoding == "utf-16" else "\ufeff"  # that one writes its own
    path.write_bytes((mark + header + ROW.replace("P1", "007")).encode(encoding))
    _, (row,) = clean(connection, tmp_path, path, encoding=encoding)
    assert row["patent_no"] == "007"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "gb18030"])
@pytest.mark.parametrize("name", ["patents.csv", "patents.TSV", "patents.csv.gz", "patents.zip"])
def test_every_encoding_and_wrapping_gives_the_same_rows(
    connection: duckdb.DuckDBPyConnection, tmp_path: Path, encoding: str, name: str
) -> None:
    text = "专利统计表\n专利号（编号）," + HEADER.partition(",")[2] + ROW.replace("P1", "甲乙丙")
    if ".tsv" in name.lower():
        text = text.replace(",", "\t")
    content, path = text.encode(encoding), tmp_path / name
    if name.endswith(".gz"):
        content = gzip.compress(content)
    if name.endswith(".zip"):
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("表.csv", content)
    else:
        path.write_bytes(content)
    account, (row,) = clean(connection, tmp_path, path, encoding=None)
    assert (row["patent_no"], account.clean) == ("甲乙丙", 1)
    assert account.encodings == [encoding.removesuffix("-sig")]


def test_a_known_encoding_is_kept_whatever_the_settings_accept(
    connection: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    path = tmp_path / "patents.csv"
    path.write_bytes((HEADER + ROW.replace("P1", "甲乙丙")).encode("gb18030"))
    job = CleaningJob(
        SOURCES["patents"], Month.parse("2021-10"), 1, (path,), "utf-8", frozenset(), "x"
    )
    judge = no_key_twice(connection, job.source)
    with pytest.raises(JifenError, match="编码是 gb18030，而设置只准许 utf-8"):
        clean_delivery(connection, job, tmp_path / "root", tmp_path / "work", judge)
    known = replace(job, known_encodings=("gb18030",))
    account = clean_delivery(connection, known, tmp_path / "root", tmp_path / "work", judge)
    assert (account.clean, account.encodings) == (1, ["gb18030"])


def test_rows_stay_in_order_where_some_are_superseded(
    connection: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    path = tmp_path / "patents.csv"
    numbers = [*range(40_000), *range(0, 40_000, 7)]
    path.write_text(HEADER + "".join(ROW.replace("P1", f"P{n}") for n in numbers), encoding="utf-8")
    account, rows = clean(connection, tmp_path, path)
    records = [row["record"] for row in rows]
    assert account.superseded == 5715 and records == sorted(records)


@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_a_header_with_a_stray_quote_is_refused(
    connection: duckdb.DuckDBPyConnection, tmp_path: Path, mark: str
) -> None:
    assert (
        refused(connection, tmp_path, (mark + HEADER.replace(",", '",', 1) + ROW).encode()).code
        == ExitCode.EXTRACT
    )


@pytest.mark.promise("sources-19", "CSV: header, quoted commas, quotes and newlines")
def test_quoted_commas_and_quotes_are_kept_keys_have_no_newline(
    connection: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    path = tmp_path / "patents.csv"
    path.write_text(
        HEADER
        + f'"P,""1""",{PERSON},design,20200105,valid\n'
        + f'"P2\n第二行",{PERSON},design,20200105,valid\n',
        encoding="utf-8",
    )
    account, (row,) = clean(connection, tmp_path, path)
    assert account.reasons == {"patent_no:control_character": 1}
    assert row["patent_no"] == 'P,"1"'
    assert row["granted_on"] == dt.date(2020, 1, 5)


def test_nul_bytes_and_huge_fields_are_ordinary_values(
    connection: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    path = tmp_path / "patents.csv"
    huge = "长" * 3_500_000
    path.write_text(
        HEADER
        + f"{huge},{PERSON},design,2020-01-05,valid\nP\0,{PERSON},des\0ign,2020-01-05,valid\n",
        encoding="utf-8",
    )
    account, (row,) = clean(connection, tmp_path, path)
    assert account.clean == 1
    assert account.reasons == {"kind:not_in_set": 1, "patent_no:control_character": 1}
    assert row["patent_no"] == huge


@pytest.mark.parametrize(
    ("written", "read", "reason"),
    [
        ('"=""P7"""', "P7", None),
        ("'P7", "P7", None),
        ("Ｐ７－１", "P7-1", None),
        ("甲１", "甲１", None),
        ("=B2&C2", None, "formula"),
        ("P\ufffd7", None, "lost_character"),
        ("P\u200d7", None, "control_character"),
        ("P\xad7", None, "control_character"),
    ],
)
def test_signs_of_spreadsheets_are_taken_off_and_what_is_lost_is_refused(
    connection: duckdb.DuckDBPyConnection,
    tmp_path: Path,
    written: str,
    read: str | None,
    reason: str | None,
) -> None:
    path = tmp_path / "patents.csv"
    path.write_text(HEADER + ROW.replace("P1", written), encoding="utf-8")
    account, rows = clean(connection, tmp_path, path)
    assert [row["patent_no"] for row in rows] == ([read] if read else [])
    assert account.reasons == ({f"patent_no:{reason}": 1} if reason else {})


@pytest.mark.parametrize(
    ("character", "kept"), [("\u200e", False), ("\u2060", False), ("\x9d", False), ("·", True)]
)
def test_characters_that_nobody_sees_are_taken_out_of_texts_and_counted(
    connection: duckdb.DuckDBPyConnection, tmp_path: Path, character: str, kept: bool
) -> None:
    source = SOURCES["housing"]
    values = [
        "R1",
        PERSON,
        "rented",
        "330203",
        f"北城{character}小区",
        "是",
        "2020-01-01",
        "",
        "800",
    ]
    path = tmp_path / "housing.csv"
    path.write_text(f"{','.join(source.columns)}\n{','.join(values)}\n", encoding="utf-8")
    account, (row,) = clean(connection, tmp_path, path, source)
    assert row["community"] == (f"北城{character}小区" if kept else "北城小区")
    assert account.defects == ({} if kept else {"community:cleaned": 1})


@pytest.mark.parametrize("ended", [True, False])
def test_missing_columns_values_and_the_last_line_end_are_counted(
    connection: duckdb.DuckDBPyConnection, tmp_path: Path, ended: bool
) -> None:
    source = SOURCES["housing"]
    names = [name for name in source.columns if name != "to_on"]
    rows = [["R1", PERSON, "rented", "330203", "", "是", "2020-01-01", "800"]]
    rows.append(["R2", PERSON, "rented", "330203", "北城小区", "是", "2020-01-01", ""])
    path = tmp_path / "housing.csv"
    text = "\n".join(map(",".join, [names, *rows]))
    path.write_text(f"{text}\n" if ended else text, encoding="utf-8")
    account, _ = clean(connection, tmp_path, path, source)
    assert account.missing_columns == ["to_on"]
    assert account.filled == {"community": 1, "to_on": 0, "monthly_rent": 1}
    assert account.unended == int(not ended)


@pytest.mark.promise("sources-7", "an undeclared column is ignored")
def test_a_column_nobody_declared_is_reported_and_ignored(
    connection: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    path = tmp_path / "patents.csv"
    path.write_text(
        HEADER.replace("status", " status ,remarks") + ROW.replace("valid", " valid　,x"),
        encoding="utf-8",
    )
    account, (row,) = clean(connection, tmp_path, path)
    assert account.undeclared == ["remarks"]
    assert row["status"] == "valid"
    assert "remarks" not in row


@pytest.mark.promise(
    "sources-45", "typed Parquet values are taken as such; timestamps at 00:00 only"
)
def test_typed_parquet_values_are_taken_as_such(
    connection: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    path = tmp_path / "housing.parquet"
    at_midnight, later = dt.datetime(2020, 1, 5), dt.datetime(2020, 1, 5, 8, 30)
    pq.write_table(
        pa.table(
            {
                "record_id": pa.array([1, 2, 3], pa.int64()),
                "resident_id": [PERSON] * 3,
                "tenure": pa.array(["rented"] * 3).dictionary_encode(),
                "district": pa.array([330203] * 3, pa.int32()),
                "registered": [True, False, True],
                "from_on": pa.array([at_midnight, at_midnight, later], pa.timestamp("us")),
                "to_on": pa.array([dt.date(2030, 1, 1), None, None], pa.date32()),
                "monthly_rent": pa.array(
                    [Decimal("1000.5000"), Decimal("1"), None], pa.decimal128(18, 4)
                ),
            }
        ),
        path,
    )
    account, rows = clean(connection, tmp_path, path, SOURCES["housing"])
    assert account.reasons == {"from_on:time_of_day": 1}
    assert [
        (row["record_id"], row["registered"], row["to_on"], row["monthly_rent"]) for row in rows
    ] == [
        ("1", True, dt.date(2030, 1, 1), Decimal("1000.50")),
        ("2", False, None, Decimal("1.00")),
    ]


@pytest.mark.promise("sources-40", "dates YYYY-MM-DD or YYYYMMDD, days that exist, nothing guessed")
@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("1e3", "bad_value"),
        ("2021-02-29", "bad_value"),
        ("0000-01-01", "bad_value"),
        ("2020/1-5", "bad_value"),
        ("05.01.2020", "day_first"),
        ("20/1/5", "short_year"),
        ("43835", "serial_number"),
        ("2020-01-05 08:30", "time_of_day"),
        ("2020-01-05 00:00:00+08", "time_zone"),
        ("4.3835E+4", "lost_digits"),
        ("1970-01-01", "stand_in"),
        ("1989-12-31", "before_birth"),
    ],
)
def test_an_invalid_date_is_refused_with_its_reason(
    connection: duckdb.DuckDBPyConnection, tmp_path: Path, text: str, code: str
) -> None:
    path = tmp_path / "patents.csv"
    path.write_text(HEADER + ROW.replace("2020-01-05", text), encoding="utf-8")
    account, _ = clean(connection, tmp_path, path)
    assert f"granted_on:{code}" in account.reasons


@pytest.mark.parametrize(
    "text",
    [
        *("2020/1/5", "2020-1-5", "2020.1.5", "2020年1月5日", "２０２０-01-05"),
        *("2020-01-05 00:00:00", "2020/1/5 0:00", "2020-01-05T00:00:00.000"),
    ],
)
def test_dates_with_the_year_first_are_accepted(
    connection: duckdb.DuckDBPyConnection, tmp_path: Path, text: str
) -> None:
    path = tmp_path / "patents.csv"
    path.write_text(HEADER + ROW.replace("2020-01-05", text), encoding="utf-8")
    _, (row,) = clean(connection, tmp_path, path)
    assert row["granted_on"] == dt.date(2020, 1, 5)


def table(*more: tuple[str, list[str]]) -> pa.Table:
    columns = [
        ("patent_no", ["P1", "P1"]),
        ("resident_id", [PERSON] * 2),
        ("kind", ["design", "invention"]),
    ]
    columns += [("granted_on", ["2020-01-05"] * 2), ("status", ["valid"] * 2), *more]
    return pa.Table.from_arrays(
        [pa.array(values) for _, values in columns], names=[name for name, _ in columns]
    )


def test_a_parquet_text_that_is_not_utf8_ends_the_run(
    connection: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    """The pages are whole, and are read as bytes before the engine looks at the texts."""
    patent_no = pa.array([b"P1", b"P\xff"], pa.binary()).view(pa.string())
    path = tmp_path / "patents.parquet"
    pq.write_table(table().set_column(0, "patent_no", patent_no), path)
    with pytest.raises(JifenError) as refused:
        clean(connection, tmp_path, path)
    assert refused.value.code == ExitCode.EXTRACT


@pytest.mark.proves("sources-7", "sources-70")
@pytest.mark.parametrize(
    ("title", "code", "message"),
    [
        ("kind", ExitCode.GATE, "出现两次"),
        ("file_row_number", ExitCode.EXTRACT, "file_row_number"),
        ("File_Row_Number", ExitCode.EXTRACT, "file_row_number"),
    ],
    ids=["twice", "the engine's own", "in other letters"],
)
def test_a_parquet_title_that_would_hide_another_ends_the_run(
    title: str, code: ExitCode, message: str, connection: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    pq.write_table(table((title, ["invention"] * 2)), tmp_path / "patents.parquet")
    with pytest.raises(JifenError) as caught:
        clean(connection, tmp_path, tmp_path / "patents.parquet")
    assert caught.value.code == code and message in caught.value.message


def test_the_name_of_a_part_is_not_a_pattern(
    connection: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    """Browsers call a second copy so: `part[1].parquet` is itself, and not `part1.parquet`."""
    parts = [tmp_path / f"part{name}.parquet" for name in ("1", "[1]", "*", "?")]
    for number, path in enumerate(parts):
        pq.write_table(
            table().set_column(0, "patent_no", pa.array([f"A{number}", f"B{number}"])), path
        )
    job = CleaningJob(
        SOURCES["patents"],
        Month.parse("2021-10"),
        1,
        tuple(parts),
        "utf-8",
        frozenset({"330203"}),
        "inputs",
    )
    account = clean_delivery(
        connection, job, tmp_path / "root", tmp_path / "work", no_key_twice(connection, job.source)
    )
    rows = read_rows(job.folder(tmp_path / "root", "clean"))
    assert {row["patent_no"] for row in rows} == {
        f"{letter}{number}" for letter in "AB" for number in range(4)
    }
    assert (account.received, account.clean) == (8, 8)


@pytest.mark.proves("sources-7")
def test_an_undeclared_parquet_column_called_record_is_ignored(
    connection: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    pq.write_table(table(("record", ["9", "1"]), ("c0", ["x", "x"])), tmp_path / "patents.parquet")
    account, (row,) = clean(connection, tmp_path, tmp_path / "patents.parquet")
    assert (row["kind"], row["record"], account.undeclared) == ("invention", 2, ["c0", "record"])


def test_a_parquet_page_with_a_wrong_checksum_ends_the_run(
    connection: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    options = {
        "compression": "none",
        "use_dictionary": False,
        "write_statistics": False,
        "write_page_checksum": True,
    }
    pq.write_table(table(), tmp_path / "patents.parquet", **options)
    whole = (tmp_path / "patents.parquet").read_bytes()
    for written, changed in ((b"design", b"desing"), (b"valid", b"inval")):
        assert written in whole
        error = refused(connection, tmp_path, whole.replace(written, changed), "patents.parquet")
        assert error.code == ExitCode.EXTRACT
    (tmp_path / "patents.parquet").write_bytes(whole)
    account, _ = clean(connection, tmp_path, tmp_path / "patents.parquet")
    assert account.clean == 1  # the key stands twice
