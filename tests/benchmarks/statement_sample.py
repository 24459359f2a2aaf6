"""Compare the statements of a sample of a published month's residents with the plain reference.

    python -m tests.benchmarks.statement_sample --config jifen.toml --month 2024-04 [--people 100000]

The sample are residents evenly by their keys. Of each: the services open to them, which of their
conditions do not hold, what is short and the amount, as the reference decides them; of every
indicator the points by rule as the reference gives them, and the points as published in `scores`.
Only numbers of differences are printed.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from expectations.month import Month
from flows.project import Project, load_project
from flows.settings import load_settings
from flows.storage.revisions import find_published
from flows.storage.root import open_root
from tests.support.statement_reference import Row, StatementReference
from transforms.engine.parquet import read_folder_sql
from transforms.engine.session import open_engine

TABLES = ("facts", "restricted/facts", "restricted/identities", "scores")


def read_sample(revision: Path, people: int, project: Project, spill: Path) -> Iterator[list[Row]]:
    """Yield of each resident of a sample the rows of statement, facts (in one) and scores."""
    statements = read_folder_sql(revision / "restricted" / "statements")
    with open_engine(project.settings.engine_settings, spill) as session:
        for name in TABLES:
            view = name.replace("/", "_")
            session.execute(f"CREATE VIEW {view} AS FROM {read_folder_sql(revision / name)}")
        total = int(session.scalar("SELECT count(*) FROM scores"))
        session.execute(
            "CREATE TEMP TABLE sample AS SELECT resident_key, resident_id"
            " FROM restricted_identities ORDER BY hash(resident_key)"
            f" LIMIT {min(people, total)}"
        )
        joined = " ".join(
            f"JOIN {name.replace('/', '_')} USING (resident_key)"
            for name in ("facts", "restricted/facts", "scores")
        )
        query = f"""SELECT statement, facts, restricted_facts, scores
            FROM sample JOIN (SELECT one AS statement, resident_id FROM {statements} AS one)
                USING (resident_id) {joined}"""
        for batch in session.read_batches(query, 5_000):
            for row in batch.to_pylist():
                known = {**row["restricted_facts"], **row["facts"]}
                known["resident_id"] = row["statement"]["resident_id"]
                yield [row["statement"], known, row["scores"]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--month", type=Month.parse, required=True)
    parser.add_argument("--people", type=int, default=100_000)
    given = parser.parse_args()
    settings = load_settings(given.config)
    root, project = open_root(settings), load_project(settings)
    revision = find_published(root, given.month)
    assert revision
    reference = StatementReference(project, given.month)
    compared, differing = 0, Counter[str]()
    for statement, known, scores in read_sample(
        revision.path, given.people, project, root.tmp / "spill"
    ):
        compared += 1
        differing.update(set(reference.find_differences(statement, known, scores)))
    print(f"{compared:,} residents, {sum(differing.values()):,} differences {dict(differing)}")


if __name__ == "__main__":
    main()
