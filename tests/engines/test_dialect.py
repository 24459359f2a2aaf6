"""Every construct of the closed list means the same to DuckDB, Apache Spark and Sail, and every rule is needed."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from pathlib import Path
from unicodedata import ucd_3_2_0

import pyarrow as pa
import pytest

from tests.support.probes import EXPRESSIONS, NEEDED_BY_SAIL, OF_RULES, QUERIES, TYPED_SAMPLES
from tests.support.replay import count_differences, read_made, widen_integers
from tests.support.spark_engines import EngineRefusedError, SparkSession
from transforms.engine.parquet import copy_sql, read_parquet_sql
from transforms.engine.session import EngineSettings, Session, open_engine
from transforms.engine.spark_dialect import RULES, Rule, to_spark_sql
from transforms.facts.pseudonyms import hmac_params

VALUES = {"as_of": dt.date(2024, 2, 29), **hmac_params(b"a key of this test")}
RULES_BY_NAME = {rule.__name__: rule for rule in RULES}


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Session, Path]]:
    folder = tmp_path_factory.mktemp("samples")
    with open_engine(EngineSettings("500MB"), folder / "spill") as session:
        session.execute(f"CREATE TABLE samples AS {TYPED_SAMPLES}")
        session.execute(copy_sql("FROM samples", folder / "samples.parquet"))
        yield session, folder


def differences(
    samples: tuple[Session, Path],
    engine: SparkSession,
    query: str,
    rules: Sequence[Rule] = RULES,
) -> int:
    """Return how many rows of a query only one of DuckDB and an engine has."""
    session, folder = samples
    engine.view_files("samples", [folder / "samples.parquet"])
    used = {name: value for name, value in VALUES.items() if f"${name}" in query}
    session.execute(f"CREATE OR REPLACE TABLE expected AS {query}", used or None)
    made = engine.write(to_spark_sql(query, used, rules), folder / "made")
    both = ("FROM expected", read_made(made, "FROM expected"))
    rows, _, differ = count_differences(session, *(widen_integers(session, one) for one in both))
    assert rows or "WHERE false" in query
    return differ


def test_expressions_have_the_same_values(
    samples: tuple[Session, Path], other_engine: SparkSession
) -> None:
    """All in one query, for a query of its own takes Spark a second; if it differs, one by one."""
    listed = ",\n".join(f"{sql} AS {name}" for name, sql in EXPRESSIONS.items())
    if differences(samples, other_engine, f"SELECT id,\n{listed}\nFROM samples"):
        different = [
            name
            for name, sql in EXPRESSIONS.items()
            if differences(samples, other_engine, f"SELECT id, {sql} AS value FROM samples")
        ]
        assert different == []
        raise AssertionError("the expressions differ together, and none does alone")


@pytest.mark.parametrize("name", QUERIES)
def test_queries_have_the_same_rows(
    samples: tuple[Session, Path], other_engine: SparkSession, name: str
) -> None:
    assert differences(samples, other_engine, QUERIES[name]) == 0


def test_every_rule_has_a_query_that_needs_it() -> None:
    assert OF_RULES.keys() == RULES_BY_NAME.keys()


@pytest.mark.parametrize("name", RULES_BY_NAME)
def test_queries_that_a_rule_rewrites_have_the_same_rows(
    samples: tuple[Session, Path], other_engine: SparkSession, name: str
) -> None:
    assert differences(samples, other_engine, OF_RULES[name]) == 0


@pytest.mark.parametrize("name", RULES_BY_NAME)
def test_a_rule_switched_off_is_seen(
    samples: tuple[Session, Path], request: pytest.FixtureRequest, name: str
) -> None:
    """The negative control: without the rule, values differ or the engine refuses the query."""
    engine = request.getfixturevalue("sail" if name in NEEDED_BY_SAIL else "spark")
    others = [rule for rule in RULES if rule.__name__ != name]
    try:
        differ = differences(samples, engine, OF_RULES[name], others)
    except EngineRefusedError:
        differ = -1
    assert differ != 0


def test_every_character_is_read_alike(
    samples: tuple[Session, Path], other_engine: SparkSession
) -> None:
    """Small letters, spaces that are trimmed, length. Not of letters newer than an engine's Unicode."""
    session, folder = samples
    codes = [n for n in range(1, 0x110000) if ucd_3_2_0.category(chr(n)) not in ("Cn", "Cs")]
    session.register("given", pa.table({"code": codes}))
    rows = "SELECT code, chr(CAST(code AS INTEGER)) AS c FROM given"
    session.execute(copy_sql(rows, folder / "characters.parquet"))
    session.execute(
        f"CREATE OR REPLACE VIEW characters AS FROM {read_parquet_sql(folder / 'characters.parquet')}"
    )
    other_engine.view_files("characters", [folder / "characters.parquet"])
    query = (
        "SELECT code, lower(c) AS small, trim(c || 'x') AS trimmed, length(c) AS many,"
        " left(c || 'x', 1) AS first FROM characters"
    )
    assert differences(samples, other_engine, query) == 0
