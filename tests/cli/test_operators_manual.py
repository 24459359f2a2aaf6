"""What the operators' manual lists is what there is: every setting, every source."""

from __future__ import annotations

import csv
import re
import subprocess
import sys
from pathlib import Path

import duckdb

from expectations.errors import ExitCode
from expectations.reference_tables import TABLES
from expectations.source_loader import load_sources
from flows.project import PROJECT_FOLDER
from flows.settings import load_settings
from reports.packages.lists import REMINDERS, eligibility_list_columns, score_list_columns
from tests.support.packages import POLICY

FAILURES = "guides/operators/when-it-fails"
DELIVERIES = {"全量": "snapshot", "增量": "increment"}


def page(name: str) -> str:
    return (PROJECT_FOLDER / "docs" / f"{name}.md").read_text(encoding="utf-8")


def test_the_example_of_the_settings_page_can_be_read(tmp_path: Path) -> None:
    (block,) = re.findall(r"```toml\n(.*?)```", page("reference/settings"), re.DOTALL)
    file = tmp_path / "jifen.toml"
    file.write_text(block, encoding="utf-8")
    settings = load_settings(file)
    assert settings.paths.root == tmp_path / "var"


def test_the_sources_of_the_manual_are_the_declared_ones() -> None:
    sources = load_sources()
    rows = [
        line.strip("| ").split(" | ")
        for line in page("guides/operators/monthly-run").splitlines()
        if line.count("|") == 6
    ]
    listed = {row[0]: row[1:] for row in rows if row[0] in sources}
    assert listed.keys() == sources.keys()
    for name, (title, department, delivery, lacking) in listed.items():
        source = sources[name]
        assert (title, department, DELIVERIES[delivery]) == (
            source.title,
            source.department,
            source.delivery,
        )
        carried = re.search(r"最多 (\d+) 个月", lacking)
        assert (int(carried[1]) if carried else 0) == source.carry_forward


def test_the_manual_says_what_to_do_about_every_exit_code() -> None:
    table = page(FAILURES).split("\n## 按退出码处置\n")[1].split("\n## ")[0]
    for text in (table, page("reference/exit-codes")):
        assert sorted(map(int, re.findall(r"^\| (\d+) \|", text, re.MULTILINE))) == sorted(ExitCode)


def test_the_rows_refused_become_the_table_that_the_manual_promises(tmp_path: Path) -> None:
    (script,) = re.findall(
        r"/usr/local/jifen/bin/python - <<'END'\n(.*?)\nEND\n", page(FAILURES), re.DOTALL
    )
    folder = tmp_path / "var" / "quarantine" / "education" / "received=2024-04" / "d1" / "returns"
    folder.mkdir(parents=True)
    row = {
        "source": "education", "file": "education.csv", "record": "7", "kind": "refused",
        "column": "级别；类别", "reason": "级别：缺少；类别：缺少", "wanted": "必填", "delivered": '{"a": 1}',
    }  # fmt: skip
    values = ", ".join(f"'{value}' AS \"{name}\"" for name, value in row.items())
    duckdb.sql(f"COPY (SELECT {values}) TO '{folder / 'rows.parquet'}' (FORMAT parquet)")
    subprocess.run([sys.executable, "-c", script], cwd=tmp_path, check=True)
    written = (tmp_path / "退回.csv").read_bytes()
    assert written.startswith(b"\xef\xbb\xbf")  # or Excel shows no Chinese
    lines = list(csv.reader(written.decode("utf-8-sig").splitlines()))
    assert lines == [
        ["文件", "记录序号", "列", "原因", "应有的写法", "原文"],
        [row[n] for n in ("file", "record", "column", "reason", "wanted", "delivered")],
    ]


def test_the_policy_writers_manual_lists_every_reference_table_with_its_columns() -> None:
    text = page("guides/policy-writers")
    for name, (_, columns) in TABLES.items():
        assert f"| `{name}.csv` | {', '.join(columns)} |" in text


def test_the_columns_of_ids_that_the_districts_page_names_are_those_of_the_lists() -> None:
    text = page("guides/districts").replace("\n", "")
    lists = {
        "scores": score_list_columns(POLICY, "330212"),
        "eligibility": eligibility_list_columns(POLICY),
        "reminders": REMINDERS,
    }
    for name, columns in lists.items():
        letter = "ABCDEFGHIJ"[[column.name for column in columns].index("resident_id")]
        assert re.search(rf"`{name}\.csv` 的(?:身份号码)?在 {letter} 列", text), name
