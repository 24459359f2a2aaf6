"""What the operators' manual lists is what there is: every setting, every source."""

from __future__ import annotations

import csv
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import duckdb
from pydantic import BaseModel

from expectations.errors import ExitCode
from expectations.source_loader import load_sources
from flows.project import PROJECT_FOLDER
from flows.settings import Settings, load_settings

MANUAL = (PROJECT_FOLDER / "docs" / "guides" / "operators" / "README.md").read_text(
    encoding="utf-8"
)
DELIVERIES = {"全量": "snapshot", "增量": "increment"}


def test_the_settings_of_the_manual_are_all_settings_and_can_be_read(tmp_path: Path) -> None:
    (block,) = re.findall(r"```toml\n(.*?)```", MANUAL.split("\n## 设置\n")[1], re.DOTALL)
    file = tmp_path / "jifen.toml"
    file.write_text(block, encoding="utf-8")
    load_settings(file)
    listed = tomllib.loads(block)
    assert listed.keys() == Settings.model_fields.keys()
    for part in ("paths", "engine", "policy", "gate", "drift", "exports"):
        model = Settings.model_fields[part].annotation
        assert isinstance(model, type) and issubclass(model, BaseModel)
        assert listed[part].keys() == model.model_fields.keys(), part


def test_the_sources_of_the_manual_are_the_declared_ones() -> None:
    sources = load_sources()
    rows = [line.strip("| ").split(" | ") for line in MANUAL.splitlines() if line.count("|") == 6]
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
    table = MANUAL.split("\n## 退出码要求你做什么\n")[1].split("\n## ")[0]
    assert sorted(map(int, re.findall(r"^\| (\d+) \|", table, re.MULTILINE))) == sorted(ExitCode)


def test_the_rows_refused_become_the_table_that_the_manual_promises(tmp_path: Path) -> None:
    (script,) = re.findall(
        r"/usr/local/jifen/bin/python - <<'END'\n(.*?)\nEND\n", MANUAL, re.DOTALL
    )
    folder = tmp_path / "var" / "quarantine" / "education" / "received=2024-04" / "d1"
    folder.mkdir(parents=True)
    row = "SELECT 'education.csv' AS file, 7 AS record, ['level:missing', 'kind:missing'] AS reasons, '{\"a\": 1}' AS raw"
    duckdb.sql(f"COPY ({row}) TO '{folder / 'rows.parquet'}' (FORMAT parquet)")
    subprocess.run([sys.executable, "-c", script], cwd=tmp_path, check=True)
    written = (tmp_path / "退回.csv").read_bytes()
    assert written.startswith(b"\xef\xbb\xbf")  # or Excel shows no Chinese
    lines = list(csv.reader(written.decode("utf-8-sig").splitlines()))
    assert lines == [
        ["文件", "记录序号", "原因", "原文"],
        ["education.csv", "7", "level:missing；kind:missing", '{"a": 1}'],
    ]
