"""Fixtures for all tests: the process as it was before each, an engine, a root, a browser, servers."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
import pytest
from hypothesis import is_hypothesis_test, settings

from flows.storage.records import MonthFacts
from flows.storage.root import Root
from tests.support.browser import Browser, open_browser
from tests.support.delivering import publish_twice
from tests.support.held_city import first_month
from tests.support.records import month_facts
from tests.support.servers import postgres, s3, s3_server, sftp, sftp_server  # noqa: F401 - fixtures
from tests.support.services_town import Town
from tests.support.synthetic_city import build_synthetic_city
from tests.support.troubles import Counter, Death
from tests.support.world import World
from transforms.engine.session import EngineSettings, open_engine

settings.register_profile("tests", settings(), deadline=None)  # a busy machine is no fault
settings.load_profile("tests")

Build = Callable[..., Path]
KillAt = Callable[[int, Callable[[], object]], bool]

# folder below tests/ -> marker of all its tests
KINDS = {
    "unit": "unit",
    "spec": "spec",
    "parity": "parity",
    "pipeline": "pipeline",
    "cli": "cli",
    "integrations": "integration",
    "engines": "engine",
    "faults": "fault",
    "acceptance": "acceptance",
    "benchmarks": "benchmark",
    "architecture": "architecture",
}
HERE = Path(__file__).parent
ONE_WHOLE_MONTH = HERE / "acceptance" / "test_published_case.py"
BETWEEN_EDITS = (
    *(HERE / kind for kind in ("unit", "spec", "architecture")),
    ONE_WHOLE_MONTH,
)
"""What `make test` runs, but for tests marked `slow`."""


def is_between_edits(path: Path) -> bool:
    """Return whether a test file, or the files of a folder, are among what `make test` runs."""
    return any(path.is_relative_to(one) or one.is_relative_to(path) for one in BETWEEN_EDITS)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave the other files unread where only the essential tests are wanted: that takes longer."""
    only = config.option.markexpr == "essential"
    return True if only and not is_between_edits(collection_path) else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test with its kind, by folder, and `essential` where `make test` runs it."""
    for item in items:
        item.add_marker(KINDS[item.path.relative_to(HERE).parts[0]])
        if is_hypothesis_test(getattr(item, "function", None)):
            item.add_marker("generative")
        if is_between_edits(item.path) and not item.get_closest_marker("slow"):
            item.add_marker("essential")


@pytest.fixture(autouse=True)
def umask_as_before() -> Iterator[None]:
    """`Root.prepare` closes the process; the next test starts from where this one did."""
    with umask_of_machine():
        yield


@contextmanager
def umask_of_machine() -> Iterator[None]:
    before = os.umask(0o022)
    yield
    os.umask(before)


@pytest.fixture(scope="session")
def synthetic_city(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Two published months of a generated city with planted faults; read only."""
    with umask_of_machine():
        return build_synthetic_city(tmp_path_factory.mktemp("synthetic_city"))


@pytest.fixture(scope="session")
def october_town(tmp_path_factory: pytest.TempPathFactory) -> World:
    """The town of `held_city` with October published; read only, tests copy it."""
    with umask_of_machine():
        return first_month(tmp_path_factory.mktemp("october_town") / "town")


@pytest.fixture(scope="session")
def october_twice(october_town: World, tmp_path_factory: pytest.TempPathFactory) -> World:
    """The same town with a second revision of October; read only, tests copy it."""
    with umask_of_machine():
        return publish_twice(october_town, tmp_path_factory.mktemp("october_twice") / "town")


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[duckdb.DuckDBPyConnection]:
    """For statements on tables of their own, or temporary ones made anew."""
    with open_engine(EngineSettings("500MB"), tmp_path_factory.mktemp("spill")) as connection:
        yield connection


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    with open_engine(EngineSettings("1GB"), tmp_path / "spill") as opened:
        yield opened


@pytest.fixture
def town(tmp_path: Path) -> Town:
    return Town(tmp_path)


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Root:
    monkeypatch.delenv("JIFEN_KEY_FILE", raising=False)
    made = Root(tmp_path / "var", tmp_path / "var" / "inbox")
    made.prepare()
    return made


@pytest.fixture
def build(root: Root) -> Build:
    """`build("name", shift=0)`: a small finished build folder; two residents, one of them in no district table."""

    def make(name: str, shift: int = 0) -> Path:
        folder = root.tmp / "build" / name
        for inner in (
            "scores",
            "facts",
            "open/residents",
            "restricted/identities",
            "reminders",
            "exports/330211",
            "report",
            "sql",
        ):
            (folder / inner).mkdir(parents=True)
        rows = f"('ab', 60.5 + {shift}, 10, 20, 50.5 + {shift}, 7, 57.5 + {shift}), ('cd', 5, 0, 10, -5, NULL, -5)"
        with open_engine(EngineSettings("200MB", 1), root.tmp / "spill") as connection:
            connection.execute(
                f"""COPY (SELECT col0 AS resident_key, col1::DECIMAL(7,2) AS base_points,
                    col2::DECIMAL(7,2) AS bonus_points, col3::DECIMAL(7,2) AS deduction_points,
                    col4::DECIMAL(7,2) AS common_points, col5::DECIMAL(7,2) AS district_points,
                    col6::DECIMAL(7,2) AS total_points FROM (VALUES {rows}))
                TO '{folder}/scores/part-0.parquet'"""
            )
        for file in (
            "facts/a.parquet",
            "restricted/identities/a.parquet",
            "reminders/a.parquet",
            "exports/330211/x.csv",
        ):
            (folder / file).write_text(f"{file} {shift}")
        (folder / "report" / "index.html").write_text("<p>积分</p>")
        (folder / "sql" / "points.sql").write_text("SELECT 1")
        return folder

    return make


@pytest.fixture
def facts() -> MonthFacts:
    """What the monthly flow knows of such a build."""
    return month_facts()


@pytest.fixture
def kill_at(tmp_path: Path) -> KillAt:
    """`kill_at(n, work)`: do the work in a child that SIGKILLs itself before its n-th event on disk; was it killed?

    What an event is: `tests/support/troubles.py`.
    """

    def run(event: int, work: Callable[[], object]) -> bool:
        child = os.fork()
        if child == 0:
            Counter(Death(event), tmp_path)
            try:
                work()
            finally:
                os._exit(0)
        _, status = os.waitpid(child, 0)
        return os.WIFSIGNALED(status)

    return run


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with open_browser(tmp_path_factory.mktemp("browser")) as opened:
        yield opened
