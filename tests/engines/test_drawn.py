"""Drawn declarations over drawn people: the compiled statements say the same on Sail as on DuckDB.

DuckDB against the plain reference is for `tests/parity/`; what is drawn here is drawn there.
"""

from __future__ import annotations

import random
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from expectations.month import Month
from expectations.reference_tables import TABLES
from expectations.source_model import Source
from tests.parity.reference.fact_forms import draw_facts
from tests.parity.reference.policies import DrawnPolicy, draw_policies
from tests.parity.reference.strategies import MONTHS, PATIENCE, SEEDS, draw_worlds, with_examples
from tests.parity.reference.values import clean_extract
from tests.parity.reference.worlds import DISTRICTS, World, make_world
from tests.parity.test_fact_forms import make_sources
from tests.parity.test_facts import SOURCES, Clean, clean_rows
from tests.parity.test_points import FACTS, RESIDENTS, Resident, relation
from tests.parity.test_ranks import AS_OF, draw_child_service, draw_families, draw_service
from tests.support.clean_files import write_clean, write_reference
from tests.support.fact_tables import build_fact_table
from tests.support.ranked_town import write_town
from tests.support.replay import count_differences, read_made
from tests.support.spark_engines import SparkSession, copy_to_engine, run_statement
from transforms.engine.parquet import read_folder_sql
from transforms.engine.session import EngineSettings, Session, open_engine
from transforms.engine.statements import Statement
from transforms.facts.build import FactInputs, MonthParams
from transforms.points.compile import points_sql

pytestmark = pytest.mark.timeout(PATIENCE)
SMALL = EngineSettings("500MB")


def find_differing_rows(
    session: Session, sail: SparkSession, statements: Iterable[Statement], values: Mapping[str, Any]
) -> dict[str, int]:
    """Run statements on Sail; return by name of those that DuckDB has, too, how many rows differ.

    DuckDB's rows are relations `expected_<name>`.
    """
    relations = {name for (name,) in session.fetch_rows("SELECT view_name FROM duckdb_views()")}
    relations |= {name for (name,) in session.fetch_rows("SELECT table_name FROM duckdb_tables()")}
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        for statement in statements:
            files = run_statement(sail, statement, values, Path(folder))
            if f"expected_{statement.name}" in relations:
                expected = f"FROM expected_{statement.name}"
                made = read_made(files, expected)
                rows, _, differ = count_differences(session, expected, made)
                assert rows
                found[statement.name] = differ
    return found


def compare_points(
    sail: SparkSession, policy: DrawnPolicy, month: Month, residents: list[Resident]
) -> int:
    """Return how many rows of scores differ."""
    targets = {target for one in residents for target in one.corrections if target[:5] != "fact:"}
    sql = points_sql(policy.city, policy.districts, FACTS, corrected=targets)
    values = {"month": month.first_day, "as_of": month.last_day}
    with tempfile.TemporaryDirectory() as folder, open_engine(SMALL, Path(folder)) as session:
        session.register("facts", relation(residents))
        copy_to_engine(session, sail, "facts", Path(folder))
        session.execute(f"CREATE TABLE expected_scores AS {sql}", values)
        scores = Statement("scores", sql, ("facts",), "file")
        return find_differing_rows(session, sail, [scores], values)["scores"]


def test_drawn_policies_give_the_same_points(sail: SparkSession) -> None:
    @with_examples(12)
    @given(
        draw_policies(FACTS),
        st.sampled_from(MONTHS),
        st.lists(SEEDS, min_size=RESIDENTS, max_size=RESIDENTS),
    )
    def check(policy: DrawnPolicy, month: Month, seeds: list[int]) -> None:
        residents = [Resident(Random(seed), policy, month.last_day) for seed in seeds]
        assert compare_points(sail, policy, month, residents) == 0

    check()


def compare_facts(
    sail: SparkSession, sources: Mapping[str, Source], world: World, clean: Clean
) -> int:
    """Return how many rows of the fact table differ."""
    params = MonthParams(world.month, b"key")
    with tempfile.TemporaryDirectory() as name, open_engine(SMALL, Path(name) / "spill") as session:
        folder = Path(name)
        reference = write_reference(folder / "reference", world.tables)
        inputs = FactInputs(
            sources, write_clean(folder / "clean", clean, sources), reference, ["education"]
        )
        made = build_fact_table(session, inputs, params, folder)
        facts = read_folder_sql(folder / "facts")
        session.execute(f"CREATE VIEW expected_facts AS FROM {facts}")
        for relation_name in (*TABLES, *(f"clean_{source}" for source in sources)):
            copy_to_engine(session, sail, relation_name, folder / "inputs")
        values = {**params.to_values(), "state_month": ""}
        return find_differing_rows(session, sail, made.statements, values)["facts"]


@pytest.mark.parametrize("month", MONTHS[:4], ids=str)
def test_people_with_faults_have_the_same_facts(sail: SparkSession, month: Month) -> None:
    @with_examples(1)
    @given(draw_worlds(SOURCES, 50, months=[month]))
    def check(world: World) -> None:
        assert compare_facts(sail, SOURCES, world, clean_rows(world)) == 0

    check()


@pytest.mark.parametrize("month", MONTHS[4:], ids=str)
def test_drawn_forms_of_facts_have_the_same_values(sail: SparkSession, month: Month) -> None:
    @with_examples(2)
    @given(draw_facts(4), SEEDS)
    def check(facts: dict[str, dict[str, Any]], seed: int) -> None:
        sources = make_sources(facts, {"month": 2, "day": 28} if seed % 2 else "first_of_month")
        world = make_world(sources, month, [0, *range(seed, seed + 40)])
        clean = {
            name: [
                (received, row)
                for received, raw in extracts.items()
                for row in clean_extract(sources[name], raw, received, DISTRICTS).clean
            ]
            for name, extracts in world.extracts.items()
        }
        assert compare_facts(sail, sources, world, clean) == 0

    check()


def test_drawn_ranks_and_children_have_the_same_rows(sail: SparkSession) -> None:
    @with_examples(6)
    @given(SEEDS)
    def check(seed: int) -> None:
        generator = random.Random(seed)
        services = [draw_child_service(code, generator) for code in ("first", "second")]
        services.append(draw_service("third", generator))
        with tempfile.TemporaryDirectory() as name, open_engine(SMALL, Path(name)) as session:
            folder = Path(name)
            written = write_town(session, draw_families(36, seed), services, AS_OF, folder)
            session.execute("CREATE VIEW scored AS FROM town")
            copy_to_engine(session, sail, "scored", folder)
            for table, relation_sql in written.tables.items():
                session.execute(f"CREATE VIEW expected_{table} AS FROM {relation_sql}")
            differ = find_differing_rows(session, sail, written.statements, written.values)
            assert differ == dict.fromkeys(written.tables, 0)

    check()
