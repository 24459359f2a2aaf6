"""Histories of months across many words of the bitmaps: facts as counted one by one, at once and month by month."""

from __future__ import annotations

import random
from collections.abc import Iterable
from typing import Any

import pyarrow as pa
import pytest

from expectations.fact_model import Fact
from expectations.month import Month
from expectations.source_loader import load_sources
from expectations.source_model import Source
from expectations.window_model import Within
from transforms.engine.parquet import empty_relation_sql
from transforms.engine.session import Session
from transforms.engine.statements import Statement
from transforms.facts.month_bitmaps import empty_state, months_statement, state_statements

SOURCE = load_sources()["social_security"]
MONTH = Month.parse("2024-12")  # the next one begins a word
GAPS = (0, 1, 3, 24)
PEOPLE = 150
Posting = dict[str, Any]
Known = dict[str, int | None]


def make_source() -> Source:
    """Return the city's source with runs of every gap, of all months and of a window that ends within a word."""
    run = SOURCE.facts["pension_run_months"]
    facts: dict[str, Fact] = {
        name: SOURCE.facts[name]
        for name in ("pension_months", "medical_months", "pension_last_month", "pension_gap_months")
    }
    either = {"where": {"insurance": ["pension", "medical"]}}
    facts["either_months"] = SOURCE.facts["pension_months"].model_copy(update=either)
    facts |= {f"run_{gap}": run.model_copy(update={"gap": gap}) for gap in GAPS}
    within = Within.model_validate({"between": ["2001-03", "2019-12"]})
    facts |= {
        f"early_run_{gap}": run.model_copy(update={"gap": gap, "within": within}) for gap in GAPS
    }
    return SOURCE.model_copy(update={"facts": facts})


def draw_postings(person: int) -> list[Posting]:
    """Draw runs of months with breaks between them, some months taken back and some paid again."""
    drawn, postings = random.Random(person), []
    for insurance in ("pension", "medical"):
        month = Month.parse("1980-01").ordinal + drawn.choice([0, 59, 60, drawn.randrange(500)])
        while month <= MONTH.ordinal + 12:
            for _ in range(drawn.choice([1, 2, 12, 58, 59, 60, 61, 120])):
                kinds = [("paid", "E1")]
                if drawn.random() < 0.05:
                    kinds += [(drawn.choice(["reversed", "paid"]), drawn.choice(["E1", "E2"]))] * 2
                postings += [
                    {"person": person, "insurance": insurance, "month": month, "kind": kind}
                    | {"employer_id": employer, "posted_on": month + drawn.randrange(3)}
                    for kind, employer in kinds
                ]
                month += 1
            month += drawn.choice([1, 2, 3, 4, 24, 25, 59, 60, 61, 119, 120])
    return [one for one in postings if one["month"] <= MONTH.ordinal + 12]


def find_months(postings: Iterable[Posting], insurance: str) -> list[int]:
    """Return the months that some employer's newest posting holds, ascending."""
    newest: dict[tuple[int, str], tuple[int, bool]] = {}
    for one in postings:
        if one["insurance"] == insurance and one["month"] <= MONTH.ordinal:
            case = (one["month"], one["employer_id"])
            at = (one["posted_on"], one["kind"] == "reversed")
            newest[case] = max(newest.get(case, at), at)
    return sorted({month for (month, _), (_, is_reversed) in newest.items() if not is_reversed})


def count_run(months: list[int], gap: int) -> int:
    """Return how many months the run has that ends at the newest one."""
    run = months[-1:]
    for month in reversed(months[:-1]):
        if run[-1] - month > gap + 1:
            break
        run.append(month)
    return len(run)


def compute_plainly(postings: list[Posting]) -> Known:
    pension, medical = (find_months(postings, name) for name in ("pension", "medical"))
    first, last = Month.parse("2001-03").ordinal, Month.parse("2019-12").ordinal
    early = [month for month in pension if first <= month <= last]
    newest = pension[-1] if pension else None
    known: Known = {
        "pension_months": len(pension),
        "medical_months": len(medical),
        "either_months": len({*pension, *medical}),
        "pension_last_month": newest,
        "pension_gap_months": None if newest is None else MONTH.ordinal - newest,
    }
    known |= {f"run_{gap}": count_run(pension, gap) for gap in GAPS}
    return known | {f"early_run_{gap}": count_run(early, gap) for gap in GAPS}


def update_state(engine: Session, source: Source, month: str, rows: str) -> None:
    """Replace the state in the engine by that of a later month, from the rows received since."""
    engine.execute(f"CREATE OR REPLACE TEMP VIEW counted_{source.source} AS {rows}")
    for statement in state_statements(source):
        engine.create_table(statement, {"state_month": month})
    for table in empty_state(source):
        engine.execute(f"CREATE OR REPLACE TABLE previous_{table} AS FROM {table}")


@pytest.mark.parametrize("received", [[""], ["2019-12", "2022-05", ""]], ids=["at once", "thrice"])
def test_months_across_words_are_those_counted_one_by_one(
    connection: Session, received: list[str]
) -> None:
    source = make_source()
    postings = {person: draw_postings(person) for person in range(1, PEOPLE + 1)}
    everything = [one for of_person in postings.values() for one in of_person]
    connection.register("postings", pa.Table.from_pylist(everything))
    day = "DATE '1970-01-01' + CAST(posted_on AS INTEGER)"
    month = "printf('%04d-%02d', posted_on // 12, posted_on % 12 + 1)"
    typed = f"* REPLACE ({day} AS posted_on, CAST(month AS INTEGER) AS month)"
    rows = f"SELECT * FROM (SELECT {typed}, {month} AS received FROM postings)"
    for table, columns in empty_state(source).items():
        connection.execute(f"CREATE TABLE previous_{table} AS FROM {empty_relation_sql(columns)}")
    before = ""
    for until in received:
        some = f" WHERE received <= '{until}'" if until else ""
        update_state(connection, source, before, f"{rows}{some}")
        before = until
    known = Statement("known", months_statement(source).sql)
    query = f"FROM ({known.sql}) ORDER BY person"
    found = connection.fetch_dicts(query, {"month": MONTH.ordinal})
    assert len(found) == PEOPLE
    for row in found:
        person = row.pop("person")
        row |= {name: row[name] or 0 for name in row if "run" in name}  # as the fact table does
        assert row == compute_plainly(postings[person]), person
