"""A month's work must stay in proportion to its floor: both in CPU seconds, on the same files, on the same machine.

What is measured is the work on rows (stage, split, facts, points): the frameworks' start-up would hide it at this size.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import duckdb
import pytest

from expectations.month import Month
from flows.project import load_project, split_city
from flows.settings import Paths, Settings
from tests.benchmarks.floor import floor
from tests.support.fact_tables import build_fact_table
from tests.support.world import no_key_twice
from transforms.clean.delivery import CleaningJob, clean_delivery
from transforms.clean.national_id import to_text_sql
from transforms.engine.parquet import read_folder_sql
from transforms.engine.session import EngineSettings, open_engine
from transforms.engine.statements import Statement
from transforms.facts import build
from transforms.facts.build import FactInputs, MonthParams
from transforms.points.compile import points_sql

RESIDENTS, MONTHS = 100_000, 60
MONTH = Month.parse("2024-04")
AT_MOST = (
    4.2  # measured, idle and beside other work: 2.7 to 3.1; with the regression below 5.6 to 5.9
)

# Every day of the sixties and seventies has some 30 people, with running numbers.
PERSON = "330212 * 100000000000 + CAST(strftime(DATE '1960-01-01' + CAST(i % 7000 AS INTEGER), '%Y%m%d') AS BIGINT) * 1000 + i // 7000"


@pytest.fixture(scope="module")
def inbox(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Extracts of one month as departments write them: a registry, and three million postings unsorted by person."""
    folder = tmp_path_factory.mktemp("inbox")
    month = folder / str(MONTH)
    (month / "social_security").mkdir(parents=True)
    people = f"(SELECT i, {to_text_sql('person')} AS id FROM (SELECT i, {PERSON} AS person FROM range({RESIDENTS}) AS r(i)))"
    registry = f"""
        SELECT id AS resident_id, '王小明' AS name, '13800000000' AS phone, '330212' AS residence_district,
            '幸福小区' AS residence_community, '2015-03-01' AS registered_on, '2016-03-01' AS permit_issued_on,
            '2025-03-01' AS permit_valid_to, 'resident' AS status, '2024-01-01' AS updated_on
        FROM {people}"""
    paid = f"DATE '{MONTH.last_day}' - INTERVAL (m) MONTH"
    postings = f"""
        SELECT id AS resident_id, CASE WHEN i % 2 = 0 THEN 'pension' ELSE 'medical' END AS insurance,
            strftime({paid}, '%Y-%m') AS month, '330212' AS district, 'E' || (i % 5000) AS employer_id,
            '5000.00' AS base, CASE WHEN i % 300 = 0 AND m = 3 THEN 'reversed' ELSE 'paid' END AS kind,
            strftime(last_day({paid}), '%Y-%m-%d') AS posted_on
        FROM range({MONTHS}) AS r(m), {people} WHERE (i + m) % 2 = 0"""
    with duckdb.connect(config={"threads": 2}) as connection:
        connection.execute(f"COPY ({registry}) TO '{month}/registry.parquet'")
        connection.execute(f"COPY ({postings}) TO '{month}/social_security/part.parquet'")
    return folder


def cpu(work: Callable[[], object]) -> float:
    """CPU seconds of this process for some work: what else the machine does hardly matters."""
    started = time.process_time()
    work()
    return time.process_time() - started


def score(inbox: Path, root: Path) -> Path:
    """Stage, split, facts and points of the extracts, as a month does them; the revision."""
    project = load_project(Settings(paths=Paths(root=root, inbox=inbox)))
    folders: dict[str, list[Path]] = {}
    with open_engine(EngineSettings(), root / "spill") as connection:
        for name, part in {
            "registry": "registry.parquet",
            "social_security": "social_security/part.parquet",
        }.items():
            parts = (inbox / str(MONTH) / part,)
            job = CleaningJob(
                project.sources[name],
                MONTH,
                1,
                parts,
                "utf-8",
                frozenset(project.reference.districts),
                "",
            )
            account = clean_delivery(
                connection,
                job,
                root,
                root / "work",
                no_key_twice(connection, project.sources[name]),
            )
            assert account.clean == account.received
            folders[name] = [job.folder(root, "clean")]
        inputs = FactInputs(project.sources, folders, project.reference, [])
        revision = root / "revision"
        made = build_fact_table(connection, inputs, MonthParams(MONTH, b"k" * 32), root)
        assert made.residents == RESIDENTS
        sql = points_sql(*split_city(project.in_force(MONTH)), project.facts)
        day = {"month": MONTH.first_day, "as_of": MONTH.last_day}
        facts = {"facts": read_folder_sql(root / "facts")}
        target = revision / "scores" / "scores.parquet"
        connection.write(Statement("points", sql, ("facts",), "file"), target, day, facts)
    return revision


def ratios(inbox: Path, folder: Path) -> Iterator[float]:
    """The month's CPU seconds over its floor's: after one, two, three tries, of each the least."""
    months, floors = [], []
    for root in (folder / "1", folder / "2", folder / "3"):
        months.append(cpu(partial(score, inbox, root)))
        floors += [
            cpu(partial(floor, inbox, str(MONTH), root / "revision", root / name))
            for name in ("a", "b")
        ]
        yield min(months) / min(floors)


@pytest.mark.promise("sources-103", "a bench in the suite fails by ratio on a real regression")
@pytest.mark.promise("outputs-28", "Facts: one scan per source")
@pytest.mark.promise("outputs-59", "Set at a time: Python does not loop over residents")
def test_a_months_work_stays_in_proportion_to_its_floor(inbox: Path, tmp_path: Path) -> None:
    """More tries are for a machine that was disturbed: work that is too much is too much every time."""
    assert any(ratio <= AT_MOST for ratio in ratios(inbox, tmp_path))


@pytest.mark.proves("sources-103")
def test_postings_put_in_order_by_ids_as_text_are_noticed(
    inbox: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As one would write it at first: a person's newest posting of each month, and the month before it."""
    slow = """
        SELECT *, lag(month) OVER (PARTITION BY CAST(person AS VARCHAR) ORDER BY month) FROM counted_social_security
        QUALIFY row_number() OVER (PARTITION BY CAST(person AS VARCHAR), insurance, month ORDER BY posted_on DESC, kind DESC) = 1"""
    compiled = build.source_statements
    monkeypatch.setattr(
        build,
        "source_statements",
        lambda source, sources: [
            *compiled(source, sources),
            *([Statement("newest", slow)] if source.ledger else []),
        ],
    )
    assert min(ratios(inbox, tmp_path)) > AT_MOST
