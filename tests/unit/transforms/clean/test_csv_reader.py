"""CSV is RFC 4180: what a strict writer wrote is read back, what no strict writer writes is refused."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from transforms.clean import csv_reader
from transforms.clean.csv_reader import CsvError, CsvLayout, CsvReader, parse_head, read_head

WIDTH = 4
HEADER = "a,b,c,d\n"
# Of fewer than three commas: more of them beside a line end look like swallowed lines.
VALUES = st.text('xy,"\r\n\t 中', max_size=6).filter(lambda text: text.count(",") < WIDTH - 1)
ROWS = st.lists(st.lists(VALUES, min_size=WIDTH, max_size=WIDTH).filter(any), max_size=12)


def read(path: Path, encoding: str = "utf-8", delimiter: str = ",") -> list[list[str]]:
    records, ends = parse_head(read_head(path, encoding), delimiter)
    reader = CsvReader(path, CsvLayout(encoding, delimiter, len(records[0]), ends[0]))
    return [list(row.values()) for batch in reader.read_batches() for row in batch.to_pylist()]


def error_of(path: Path, text: str) -> str:
    path.write_text(text, encoding="utf-8", newline="")
    with pytest.raises(CsvError) as caught:
        read(path)
    return str(caught.value)


@pytest.mark.slow
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=ROWS,
    style=st.sampled_from(
        [(csv.QUOTE_ALL, "\n"), (csv.QUOTE_ALL, "\r\n"), (csv.QUOTE_MINIMAL, "\r\n")]
    ),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "gb18030"]),
    block=st.sampled_from([1, 7, 64, 1 << 22]),
)
def test_what_a_strict_writer_wrote_is_read_back(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    rows: list[list[str]],
    style: tuple[int, str],
    encoding: str,
    block: int,
) -> None:
    monkeypatch.setattr(csv_reader, "_BLOCK", block)
    text = io.StringIO()
    writer = csv.writer(text, quoting=style[0], lineterminator=style[1])
    writer.writerows([["a", "b", "c", "d"], *rows])
    path = tmp_path / "table.csv"
    path.write_bytes(text.getvalue().encode(encoding))
    assert read(path, encoding.removesuffix("-sig")) == rows


@pytest.mark.parametrize(
    ("what", "text", "message"),
    [
        ("text after a closing quote", '1,"2"x,3,4\n', "第 2 行的引号闭合以后还有文字"),
        ("a quote in a value without quotes", '1,2"x,3,4\n', "第 2 行的值没有加引号"),
        ("a quote escaped by a backslash", '1,"北\\"区",3,4\n', "第 2 行的引号闭合以后还有文字"),
        ("blanks before an opening quote", '1, "2",3,4\n', "第 2 行的值没有加引号"),
        ("a quote that never closes", '1,"2,3,4\n5,6,7,8\n', "第 2 行的引号没有闭合"),
        ("a lone quote, closed lines later", '1,"2,3,4\n5,"6,7,8\n', "第 2 行（到第 3 行）"),
        ("two lone quotes that swallow a line", '1,"2,3,4\n5,6",7,8\n', "吞掉了其间各行"),
        ("a value too many", "1,2,3,4\n1,2,3,4,5\n", "第 3 行应有 4 列，实有 5 列"),
        ("a value too few", "1,2,3,4\n\n1,2,3\n", "第 4 行应有 4 列，实有 3 列"),
        ("an unescaped comma", '1,"2",3,4,x\n', "第 2 行应有 4 列，实有 5 列"),
    ],
)
@pytest.mark.parametrize("block", [1, 1 << 22])
def test_what_no_strict_writer_writes_is_refused_with_its_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str, text: str, message: str, block: int
) -> None:
    monkeypatch.setattr(csv_reader, "_BLOCK", block)
    assert message in error_of(tmp_path / "table.csv", HEADER + text), what


def test_an_id_between_delimiters_shows_that_lines_were_swallowed(tmp_path: Path) -> None:
    text = HEADER + '1,"x,330203199001010010,3,4\n5,6,7,8,9\ny",7,8\n'
    assert "第 2 行的引号到第 4 行才闭合" in error_of(tmp_path / "table.csv", text)


def test_records_without_any_value_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text(HEADER + "1,2,3,4\n,,,\n\n5,,,\n,,,\n", encoding="utf-8")
    assert read(path) == [["1", "2", "3", "4"], ["5", "", "", ""]]


def test_a_record_larger_than_the_limit_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(csv_reader, "MAX_RECORD", 100)
    monkeypatch.setattr(csv_reader, "_BLOCK", 16)
    assert "超过 32 MB" in error_of(tmp_path / "table.csv", f"{HEADER}{'x' * 500},2,3,4\n")


def test_a_record_cut_off_within_a_character_is_refused_without_a_trace(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Found by the generated office: pyarrow printed a traceback of its own."""
    path = tmp_path / "table.csv"
    path.write_bytes(f"{HEADER}1,2,3,4\n1,北城小区".encode()[:-1])
    with pytest.raises(UnicodeDecodeError):
        read(path)
    assert capfd.readouterr().err == ""
