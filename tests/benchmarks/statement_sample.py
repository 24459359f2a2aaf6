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
from typing import Any

from expectations.month import Month
from flows.project import Project, load_project, split_city
from flows.settings import load_settings
from flows.storage.revisions import find_published
from flows.storage.root import open_root
from tests.parity.reference.expressions import is_condition_met
from tests.parity.reference.points import compute_point_details
from tests.parity.reference.services import ScoredResident, decide_services
from transforms.engine.parquet import read_folder_sql
from transforms.engine.session import open_engine
from transforms.points.models import CITY

Row = dict[str, Any]
BY_KEY = ("awards", "service_hours_by_year")
"""Facts that are mappings in the reference."""
TABLES = ("facts", "restricted/facts", "restricted/identities", "scores")


class Reference:
    """What the plain reference says of a month's residents."""

    def __init__(self, project: Project, month: Month) -> None:
        self.as_of, self.services = month.last_day, project.services
        self.in_force = project.services_in_force(month)
        self.city, self.districts = split_city(project.in_force(month))

    def find_differences(self, statement: Row, known: Row, scores: Row) -> Iterator[str]:
        """Yield in a word or two what of a statement is not what the reference says."""
        points = {name: value for name, value in scores.items() if name.endswith("_points")}
        resident = ScoredResident(
            known["resident_id"], known["district"], None, None, known, points
        )
        yield from self._compare_services(statement, resident)
        yield from self._compare_lines(statement, known, scores)

    def _compare_services(self, statement: Row, resident: ScoredResident) -> Iterator[str]:
        found = {one["code"]: one for one in statement["services"]}
        open_here = [code for code, one in self.in_force.items() if one.open_in(resident.district)]
        if list(found) != open_here:
            yield "services open"
        facts = resident.known(self.as_of)
        decided = {
            one["service"]: one for one in decide_services(resident, self.services, self.as_of)
        }
        for code, one in found.items():
            conditions = enumerate(self.in_force[code].conditions, 1)
            unmet = [number for number, c in conditions if not is_condition_met(c.when, facts)]
            if one["unmet"] != unmet:
                yield f"{code}: conditions"
            if (code in decided) == bool(unmet):
                yield f"{code}: decided"
            wanted = decided.get(code)
            if wanted and one["points_short"] != wanted["points_short"]:
                yield f"{code}: points short"
            if one["monthly_amount"] != (wanted["monthly_amount"] if wanted else None):
                yield f"{code}: amount"

    def _compare_lines(self, statement: Row, known: Row, scores: Row) -> Iterator[str]:
        district = known["district"]
        facts = known | {
            name: dict(tuple(entry.values()) for entry in known[name] or ()) for name in BY_KEY
        }
        versions = {CITY: self.city, **{k: v for k, v in self.districts.items() if k == district}}
        for authority in versions:
            details = compute_point_details(authority, versions, facts, district, self.as_of)
            prefix = "" if authority == CITY else f"d{authority}_"
            for line in statement["lines"]:
                owner, _, code = line["code"].rpartition(":")
                if (owner or CITY) != authority:
                    continue
                if line["rule_points"] != details[f"{prefix}{code}_by_rule"]:
                    yield f"{line['code']}: points by rule"
                if line["points"] != scores[f"{prefix}{code}_points"]:
                    yield f"{line['code']}: points"


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
    reference = Reference(project, given.month)
    compared, differing = 0, Counter[str]()
    for statement, known, scores in read_sample(
        revision.path, given.people, project, root.tmp / "spill"
    ):
        compared += 1
        differing.update(set(reference.find_differences(statement, known, scores)))
    print(f"{compared:,} residents, {sum(differing.values()):,} differences {dict(differing)}")


if __name__ == "__main__":
    main()
