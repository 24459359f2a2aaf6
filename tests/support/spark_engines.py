"""Apache Spark and Sail for tests, each in a process of its own environment, over Spark Connect.

They are installed by `make spark` into `.venv-spark`, from requirements-spark.txt; nothing else
needs them. Where they are not, these tests are left out, but never in CI.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import pytest

from transforms.engine.parquet import copy_sql
from transforms.engine.session import Session
from transforms.engine.spark_dialect import SESSION_SETTINGS, to_spark_sql
from transforms.engine.statements import Statement

Engine = Literal["spark", "sail"]
PROJECT = Path(__file__).parents[2]
PYTHON = PROJECT / ".venv-spark" / "bin" / "python"
WORKER = Path(__file__).with_name("spark_worker.py")


class EngineRefusedError(Exception):
    """The engine did not run a statement: its own words."""


class SparkSession:
    """A session with one of the engines; relations are views, made of files or of queries."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self._read()
        self._request(set=dict(SESSION_SETTINGS))

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout
        line = self._process.stdout.readline()
        if not line:
            raise EngineRefusedError(f"the engine ended with {self._process.wait()}")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _request(self, **request: Any) -> Any:
        assert self._process.stdin
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        answer = self._read()
        if "error" in answer:
            raise EngineRefusedError(answer["error"])
        return answer["rows"]

    def view_files(self, name: str, files: Sequence[Path]) -> None:
        """Make a view of Parquet files."""
        self._request(view=name, files=list(map(str, files)))

    def view_query(self, name: str, sql: str) -> None:
        """Make a view of a query in Spark SQL."""
        self._request(view=name, sql=sql)

    def write(self, sql: str, folder: Path) -> list[Path]:
        """Write the rows of a query in Spark SQL to a new folder; return its Parquet files."""
        self._request(write=str(folder), sql=sql)
        return sorted(folder.glob("*.parquet"))

    def fetch_rows(self, sql: str) -> list[list[str]]:
        """Return the rows of a query in Spark SQL, each cell as Python writes it."""
        rows: list[list[str]] = self._request(sql=sql)
        return rows


def copy_to_engine(session: Session, engine: SparkSession, name: str, folder: Path) -> None:
    """Give an engine a relation of DuckDB's, as a file in a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{name}.parquet"
    session.execute(copy_sql(f"FROM {name}", file))
    engine.view_files(name, [file])


def run_statement(
    engine: SparkSession, statement: Statement, values: Mapping[str, Any], folder: Path
) -> list[Path]:
    """Run a statement in an engine, as a view of its name; return the files of one that is a file.

    Bitmaps of months are written, too: what reads them reads every word several times.
    """
    taken = {name: values[name] for name in statement.params}
    sql = to_spark_sql(statement.sql, taken)
    if statement.form == "file" or statement.name.startswith("month_bitmaps"):
        files = engine.write(sql, folder / statement.name)
        if files:
            engine.view_files(statement.name, files)
            return files
    engine.view_query(statement.name, sql)
    return []


def require_engine(engine: Engine) -> None:
    """Leave a test out where an engine is not installed; in CI, fail."""
    missing = [] if PYTHON.exists() else [".venv-spark: make spark"]
    if engine == "spark" and not shutil.which("java"):
        missing.append("Java: apt-get install openjdk-17-jre-headless")
    if missing and not os.environ.get("CI"):
        pytest.skip(f"{engine} is not installed: {', '.join(missing)}")
    assert not missing, missing


@contextmanager
def start_engine(engine: Engine, log: Path) -> Iterator[SparkSession]:
    """Start one of the engines; what it prints goes to a log."""
    require_engine(engine)
    environment = {
        **os.environ,
        "SPARK_LOCAL_IP": "127.0.0.1",
        "TZ": "UTC",
        "SPARK_TESTING": "1",  # on a free port, so that two of them can run
        # few rows and many statements: compiling them well takes longer than running them
        "JAVA_TOOL_OPTIONS": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
    }
    with log.open("w") as errors:
        process = subprocess.Popen(
            [str(PYTHON), str(WORKER), engine],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env=environment,
            cwd=log.parent,
        )
        try:
            yield SparkSession(process)
        finally:
            assert process.stdin
            process.stdin.close()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
