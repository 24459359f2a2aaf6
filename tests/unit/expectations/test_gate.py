"""The gate passes what the declaration allows, blocks everything else, and reveals no values."""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest

from expectations import gate
from expectations.gate import validate_delivery
from expectations.month import Month
from expectations.refusals import NOTED_CODES, may_be_emptied
from expectations.source_loader import load_sources
from expectations.source_model import Bounds, Source
from transforms.engine.session import Session

SOURCES = load_sources()
RECEIVED = Month.parse("2021-10")
ROWS = 1000
TYPES = {
    "id": "BIGINT",
    "date": "DATE",
    "month": "INTEGER",
    "amount": "DECIMAL(12,2)",
    "integer": "INTEGER",
    "yes_no": "BOOLEAN",
}
# one valid row of each source, as SQL over the record number i; columns not named are null
VALID = {
    "registry": {
        "resident_id": "33020319900101000 + i",
        "residence_district": "'330203'",
        "registered_on": "DATE '2019-01-01'",
        "permit_issued_on": "DATE '2021-01-01'",
        "permit_valid_to": "DATE '2022-01-01'",
        "status": "'resident'",
    },
    "social_security": {
        "resident_id": "33020319900101000 + i",
        "insurance": "'pension'",
        "month": str(RECEIVED.ordinal),
        "district": "'330203'",
        "base": "0",
        "kind": "'paid'",
        "posted_on": "DATE '2021-10-31'",
    },
    "volunteer": {
        "event_id": "'E' || i",
        "resident_id": "33020319900101000 + i",
        "kind": "'service'",
        "on_date": "DATE '2021-10-01'",
        "quantity": "24",
        "status": "'valid'",
    },
    "corrections": {
        "case_id": "'C' || i",
        "resident_id": "33020319900101000 + i",
        "target": "'330211:100%'",
        "decision": "'upheld'",
        "value": "1",
        "valid_from": "DATE '2022-01-01'",
        "decided_on": "DATE '2021-10-01'",
    },
    "children": {
        "child_id": "33020320150101000 + i // 2",
        "guardian_id": "33020319900101000 + i",
        "enrolled": "'none'",
    },
}
PLANTED = "33020319770707"  # the beginning of every planted ID
STAGED = "part INTEGER, record BIGINT, reasons VARCHAR[], defects VARCHAR[], raw VARCHAR"
MARKS = "superseded BOOLEAN, other_person BOOLEAN"


@pytest.fixture
def connection() -> Iterator[Session]:
    with duckdb.connect(config={"threads": 2}) as opened:
        yield Session(opened)


def verdict(
    connection: Session,
    folder: Path,
    name: str,
    change: str = "",
    rows: int = ROWS,
    limit: float = 0.02,
) -> list[str]:
    """Stage valid rows of a source, change them by one statement, and judge them."""
    columns = {
        column: TYPES.get(declared.type, "VARCHAR")
        for column, declared in SOURCES[name].columns.items()
    }
    values = [f"{VALID[name].get(column, 'NULL')}::{kind}" for column, kind in columns.items()]
    typed = ", ".join(f'"{column}" {kind}' for column, kind in columns.items())
    connection.execute(f"CREATE OR REPLACE TABLE rows ({STAGED}, {MARKS}, {typed})")
    connection.execute(
        f"INSERT INTO rows SELECT 0, i, NULL, NULL, NULL, false, false, {', '.join(values)} FROM range({rows}) AS t(i)"
    )
    if change:
        connection.execute(change)
    connection.execute(f"COPY rows TO '{folder}/staged.parquet' (FORMAT parquet)")
    connection.execute(
        f"CREATE OR REPLACE VIEW staged AS FROM read_parquet('{folder}/staged.parquet')"
    )
    return validate_delivery(connection, "staged", SOURCES[name], RECEIVED, limit)


@pytest.mark.slow
@pytest.mark.parametrize("name", VALID)
def test_valid_rows_pass(connection: Session, tmp_path: Path, name: str) -> None:
    assert verdict(connection, tmp_path, name) == []


def test_an_address_code_may_begin_with_0(connection: Session, tmp_path: Path) -> None:
    change = "UPDATE rows SET resident_id = resident_id % 10000000000000000 WHERE record = 3"
    assert verdict(connection, tmp_path, "registry", change) == []


@pytest.mark.parametrize(
    ("limit", "rows", "most"), [(0.35, 180, 63), (0.29, 300, 87), (0.02, 5000, 100)]
)
def test_refused_rows_up_to_the_limit_pass(
    limit: float, rows: int, most: int, connection: Session, tmp_path: Path
) -> None:
    assert verdict(connection, tmp_path, "volunteer", refused(most), rows, limit) == []
    assert len(verdict(connection, tmp_path, "volunteer", refused(most + 1), rows, limit)) == 1


def refused(rows: int) -> str:
    return f"UPDATE rows SET reasons = ['bad_id'], raw = '{PLANTED}1234', resident_id = NULL WHERE record < {rows}"


BROKEN = [
    ("volunteer", refused(21), "退回的行不得超过 2.00%（且多于 20 行）：1,000 行中有 21 行"),
    ("volunteer", "ALTER TABLE rows DROP district", "声明的列须齐全：缺少 district"),
    ("volunteer", "UPDATE rows SET kind = NULL WHERE record = 3", "类别：必填：1,000 行中有 1 行"),
    (
        "volunteer",
        "UPDATE rows SET kind = 'gift' WHERE record < 3",
        "类别：须在声明的取值之内：1,000 行中有 3 行",
    ),
    (
        "volunteer",
        "UPDATE rows SET quantity = 24.01 WHERE record = 3",
        "数量：须在按类别声明的范围之内",
    ),
    (
        "volunteer",
        "UPDATE rows SET quantity = 0 WHERE record = 3",
        "数量：须在按类别声明的范围之内",
    ),
    (
        "volunteer",
        "UPDATE rows SET quantity = 250, kind = 'blood' WHERE record = 3",
        "数量：须在按类别声明的范围之内",
    ),
    (
        "volunteer",
        "UPDATE rows SET on_date = DATE '2021-11-01' WHERE record = 3",
        "日期：不得晚于收到月份的最后一天",
    ),
    (
        "volunteer",
        "UPDATE rows SET event_id = 'E4' WHERE record = 3",
        "活动编号：合格且未被取代的行不得重复",
    ),
    (
        "children",
        "UPDATE rows SET child_id = 33020320150101000, guardian_id = 33020319900101000 WHERE record < 2",
        "子女身份号码、监护人身份号码：合格且未被取代的行不得重复",
    ),
    (
        "social_security",
        "UPDATE rows SET base = -0.01 WHERE record = 3",
        "缴费基数：须在声明的范围之内",
    ),
    (
        "social_security",
        f"UPDATE rows SET month = {RECEIVED.ordinal + 13} WHERE record = 3",
        "缴费月份：不得晚于 2022-10",
    ),
    (
        "registry",
        "UPDATE rows SET permit_valid_to = DATE '2020-12-31' WHERE record = 3",
        "不得早于对应的起始列",
    ),
    (
        "registry",
        "UPDATE rows SET registered_on = NULL WHERE record <= 500",
        "首次登记日期：空值不得超过 50.00%",
    ),
    (
        "registry",
        "UPDATE rows SET resident_id = 1 WHERE record = 3",
        "公民身份号码：须为 17 位数字",
    ),
    ("registry", "DELETE FROM rows", "全量数据不得为空：共 0 行"),
    ("corrections", "UPDATE rows SET value = NULL WHERE record = 3", "更正值：满足条件时必填"),
]


@pytest.mark.promise("sources-73", "null shares, sets outside the declaration: exit 12")
@pytest.mark.promise("outputs-24", "Gate: pass or block, on the staged rows in DuckDB")
@pytest.mark.parametrize(("name", "change", "sentence"), BROKEN)
def test_each_kind_of_mistake_blocks_and_is_named(
    connection: Session, tmp_path: Path, name: str, change: str, sentence: str
) -> None:
    judged = verdict(connection, tmp_path, name, change)
    assert any(sentence in failure for failure in judged), judged


ALLOWED = [
    ("volunteer", refused(20)),
    ("volunteer", "UPDATE rows SET quantity = 400, kind = 'blood' WHERE record < 50"),
    ("volunteer", "UPDATE rows SET event_id = 'E4', superseded = true WHERE record = 3"),
    ("volunteer", f"{refused(1)}; UPDATE rows SET kind = 'gift', quantity = -1 WHERE record = 0"),
    ("social_security", f"UPDATE rows SET month = {RECEIVED.ordinal + 12} WHERE record = 3"),
    ("social_security", "DELETE FROM rows"),
    ("registry", "UPDATE rows SET registered_on = NULL WHERE record < 500"),
    ("registry", "UPDATE rows SET permit_valid_to = NULL WHERE record = 3"),
    ("corrections", "UPDATE rows SET value = NULL, decision = 'rejected' WHERE record = 3"),
]


@pytest.mark.proves("sources-72")
@pytest.mark.parametrize(("name", "change"), ALLOWED)
def test_the_bounds_themselves_pass(
    connection: Session, tmp_path: Path, name: str, change: str
) -> None:
    assert verdict(connection, tmp_path, name, change) == []


def test_shares_do_not_block_a_small_extract(connection: Session, tmp_path: Path) -> None:
    nulled = "UPDATE rows SET registered_on = NULL"
    assert verdict(connection, tmp_path, "volunteer", refused(12), rows=25) == []
    assert verdict(connection, tmp_path, "registry", nulled, rows=20) == []
    assert len(verdict(connection, tmp_path, "registry", nulled, rows=21)) == 1


@pytest.mark.parametrize("name", VALID)
@pytest.mark.parametrize(("rows", "most"), [(6, 5), (10, 9), (20, 19)])
def test_a_small_extract_with_hardly_a_valid_row_is_blocked(
    name: str, rows: int, most: int, connection: Session, tmp_path: Path
) -> None:
    [failure] = verdict(connection, tmp_path, name, mostly_refused(most + 1), rows)
    assert failure == f"退回的行不得超过 99%（且多于 5 行）：{rows} 行中有 {most + 1} 行"
    assert verdict(connection, tmp_path, name, mostly_refused(most), rows) == []


@pytest.mark.parametrize("name", VALID)
@pytest.mark.parametrize("rows", [1, 5])
def test_a_few_refused_rows_block_no_delivery(
    name: str, rows: int, connection: Session, tmp_path: Path
) -> None:
    assert verdict(connection, tmp_path, name, mostly_refused(rows), rows) == []


def mostly_refused(rows: int) -> str:
    return f"UPDATE rows SET reasons = ['bad_id'] WHERE record < {rows}"


EMPTIED = [
    (name, column)
    for name, source in SOURCES.items()
    for column in source.columns
    if may_be_emptied(column, source)
]


def stage_plain(connection: Session, name: str, rows: int) -> None:
    """Make `staged` of rows that break nothing but the bounds: the values do not matter."""
    kinds = {
        column: TYPES.get(declared.type, "VARCHAR")
        for column, declared in SOURCES[name].columns.items()
    }
    typed = ", ".join(f'NULL::{kind} AS "{column}"' for column, kind in kinds.items())
    connection.execute(f"""
        CREATE OR REPLACE TABLE staged AS
        SELECT 0 AS part, i AS record, NULL::VARCHAR[] AS reasons, NULL::VARCHAR[] AS defects,
            NULL::VARCHAR AS raw, false AS superseded, false AS other_person, {typed}
        FROM range({rows}) AS t(i)""")


def bounds_broken(connection: Session, name: str, source: Source | None = None) -> list[str]:
    judged = validate_delivery(connection, "staged", source or SOURCES[name], RECEIVED, 0.02)
    return [one for one in judged if "舍去的值" in one or "占位值" in one or "另一个人" in one]


@pytest.mark.parametrize(("name", "column"), EMPTIED)
def test_emptied_values_of_every_column_are_bounded(
    name: str, column: str, connection: Session
) -> None:
    title, code = SOURCES[name].columns[column].title, f"{column}:bad_value"
    stage_plain(connection, name, 10_000)
    connection.execute(f"UPDATE staged SET defects = ['{code}'] WHERE record < 20")
    assert bounds_broken(connection, name) == []  # every value of the column, but few
    connection.execute(f"UPDATE staged SET defects = ['{code}'] WHERE record < 21")
    what = f"{title}：舍去的值不得超过 2.00%（且多于 20 个）"
    assert bounds_broken(connection, name) == [f"{what}：21 行中有 21 行"]
    kind = TYPES.get(SOURCES[name].columns[column].type, "VARCHAR")
    some = {"DATE": "DATE '2020-01-01'", "VARCHAR": "'x'", "BIGINT": "33020319900101001"}[kind]
    connection.execute(f'UPDATE staged SET "{column}" = {some} WHERE record >= 21')
    assert bounds_broken(connection, name) == []


@pytest.mark.parametrize("code", NOTED_CODES)
def test_placeholders_are_no_emptied_values(code: str, connection: Session) -> None:
    stage_plain(connection, "registry", 100)
    connection.execute(f"UPDATE staged SET defects = ['permit_issued_on:{code}']")
    assert bounds_broken(connection, "registry") == []
    bounded = SOURCES["registry"].model_copy(update={"bounds": Bounds(placeholders=Decimal("0.1"))})
    broken = bounds_broken(connection, "registry", bounded)
    if code == "cleaned":
        assert broken == []
    else:
        what = "居住证签发日期：占位值不得超过 10.00%（且多于 20 个）"
        assert broken == [f"{what}：100 行中有 100 行"]


@pytest.mark.parametrize(
    "name", [name for name, one in SOURCES.items() if one.key and one.person not in one.key]
)
def test_rows_that_another_person_replaces_are_bounded_in_every_source(
    name: str, connection: Session
) -> None:
    stage_plain(connection, name, 1000)
    marked = "UPDATE staged SET superseded = true, other_person = true WHERE record < "
    connection.execute(marked + "5")
    assert bounds_broken(connection, name) == []
    connection.execute(marked + "6")
    [failure] = bounds_broken(connection, name)
    assert failure.endswith(
        "被另一个人的同号记录取代的行不得超过 0.10%（且多于 5 行）：1,000 行中有 6 行"
    )


@pytest.mark.parametrize("name", VALID)
def test_bounds_are_those_that_the_source_declares(
    name: str, connection: Session, tmp_path: Path
) -> None:
    declared = Bounds(refused=Decimal("0.1"), refused_rows=2, refused_most=Decimal(1))
    source = SOURCES[name].model_copy(update={"bounds": declared})
    for most, rows in ((2, 3), (10, 100)):
        for count in (most, most + 1):
            verdict(connection, tmp_path, name, mostly_refused(count), rows)
            judged = validate_delivery(connection, "staged", source, RECEIVED, 0.02)
            assert len(judged) == (count > most)


@pytest.mark.promise("sources-150", "engine errors are mapped, never passed on")
def test_a_check_that_cannot_be_evaluated_blocks_and_quotes_nothing(
    connection: Session, tmp_path: Path
) -> None:
    verdict(connection, tmp_path, "volunteer", f"UPDATE rows SET raw = '{PLANTED}X'")
    connection.execute(
        "CREATE VIEW broken AS SELECT * REPLACE (CAST(raw AS DECIMAL(12,2)) AS quantity) FROM rows"
    )
    with pytest.raises(duckdb.ConversionException, match=PLANTED):
        connection.execute("SELECT sum(quantity) FROM broken")
    judged = validate_delivery(connection, "broken", SOURCES["volunteer"], RECEIVED, 0.02)
    assert any("项检查无法执行" in failure for failure in judged)
    assert PLANTED not in str(judged)


@pytest.mark.promise("sources-149", "gate results without values")
def test_no_value_of_any_row_is_reported(
    connection: Session,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """A marker is planted in every column, invalid where possible; no output contains it."""
    caplog.set_level(logging.DEBUG)
    change = f"""
        UPDATE rows SET resident_id = ({PLANTED}000 + record)::BIGINT, event_id = '{PLANTED}' || record % 7,
            kind = '{PLANTED}' || record, status = '{PLANTED}' || record, district = '{PLANTED}' || record,
            on_date = DATE '2077-07-07', quantity = 7707707.07, raw = '{PLANTED}' || record"""
    judged = verdict(connection, tmp_path, "volunteer", change)
    said = str(judged) + caplog.text + "".join(capfd.readouterr())
    assert len(judged) >= 4
    for value in (PLANTED, "2077-07-07", "7707707"):
        assert value not in said


def test_the_connection_stays_usable_and_other_connections_may_follow(
    connection: Session, tmp_path: Path
) -> None:
    verdict(connection, tmp_path, "volunteer")
    with duckdb.connect() as other:
        assert verdict(Session(other), tmp_path, "volunteer") == []
    assert verdict(connection, tmp_path, "volunteer") == []
    assert connection.execute("SELECT count(*) FROM rows").fetchone() == (ROWS,)


@pytest.mark.slow
@pytest.mark.promise("sources-113", "Great Expectations imported late, aside")
def test_great_expectations_is_imported_late_and_warms_up_aside() -> None:
    """In a process of its own: the gate does not import it, warming up does, and nothing is printed at the end."""
    program = (
        "import sys, expectations.gate as gate\n"
        "assert 'great_expectations' not in sys.modules\n"
        "gate.preload().join()\n"
        "assert 'great_expectations' in sys.modules\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")


def test_a_failed_preload_is_raised_by_the_first_validation(
    connection: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        raise NameError("the process is ending")

    printed: list[object] = []
    monkeypatch.setattr(threading, "excepthook", printed.append)
    monkeypatch.setattr(gate, "_create_source", fail)
    gate.preload().join()
    assert printed == []
    with pytest.raises(NameError):
        validate_delivery(connection, "staged", SOURCES["patents"], Month.parse("2021-10"), 0.02)
