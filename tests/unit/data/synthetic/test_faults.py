"""A city with faults has exactly the faults that it lists; the list names nobody."""

from __future__ import annotations

from pathlib import Path

import pytest

from data.synthetic.faults import complete_id, respell_id
from tests.support.generated_city import SOURCES, Cleaned, table

pytestmark = pytest.mark.slow  # its city takes seconds

REASONS = {
    "bad_id",
    "day_first",
    "missing",
    "bad_value",
    "not_in_set",
    "out_of_range",
    "in_future",
    "too_early",
}


def place(row: dict[str, str]) -> tuple[str, str, str, int]:
    return row["month"], row["source"], Path(row["file"]).name, int(row["record"])


def test_exactly_the_planted_faults_are_refused_for_their_listed_reasons(
    city_with_faults: Cleaned,
) -> None:
    planted = table(city_with_faults.inbox / "planted.csv")
    wanted = {
        place(row): f"{row['column']}:{row['reason']}"
        for row in planted
        if row["kind"] == "refused"
    }
    refused = city_with_faults.refused()
    assert refused.keys() == wanted.keys()
    assert all(reason in refused[where] for where, reason in wanted.items())


def test_nulled_values_copies_and_odd_spellings_are_kept_as_listed(
    city_with_faults: Cleaned, city: Cleaned
) -> None:
    planted = table(city_with_faults.inbox / "planted.csv")
    kinds = {
        kind: {place(row) for row in planted if row["kind"] == kind}
        for kind in {row["kind"] for row in planted}
    }
    assert kinds.keys() == {"refused", "defect", "superseded", "unmatched", "accepted"}
    assert city_with_faults.find_nulled_values().keys() == kinds["defect"]
    for (name, month), account in city_with_faults.accounts.items():
        own = {
            kind: sum(where[:2] == (str(month), name) for where in places)
            for kind, places in kinds.items()
        }
        assert account.superseded == own["superseded"] == bool(SOURCES[name].key)
        assert account.clean == city.accounts[name, month].clean + own["unmatched"]


@pytest.mark.proves("sources-55")
def test_every_applicable_fault_is_planted_in_every_source(city_with_faults: Cleaned) -> None:
    planted = table(city_with_faults.inbox / "planted.csv")
    found = {(row["source"], row["column"], row["reason"]) for row in planted}
    for name, source in SOURCES.items():
        assert {(name, source.person, "bad_id"), (name, source.person, "missing")} <= found
        for title, column in source.columns.items():
            wanted = {"missing"} if column.required or column.required_when else set()
            wanted |= {"in_future"} if column.type == "date" and not column.future else set()
            wanted |= (
                {"bad_value"}
                if column.type in ("date", "month", "amount", "integer", "yes_no", "area")
                else set()
            )
            wanted |= {"not_in_set"} if column.type in ("set", "district") else set()
            wanted |= {"too_early"} if column.not_before else set()
            wanted |= {"out_of_range"} if column.check or column.type == "month" else set()
            assert {(name, title, reason) for reason in wanted} <= found
    assert {row["reason"] for row in planted} - {""} == REASONS


def test_the_list_of_faults_names_nobody(city_with_faults: Cleaned) -> None:
    listed = (city_with_faults.inbox / "planted.csv").read_text(encoding="utf-8")
    assert not any(
        field.isdigit() and len(field) > 4
        for line in listed.splitlines()
        for field in line.split(",")
    )
    assert (
        max(
            account.quarantined / account.received
            for account in city_with_faults.accounts.values()
            if account.received > 2000
        )
        < 0.02
    )
    assert all(
        account.quarantined <= max(20, 0.02 * account.received)
        for account in city_with_faults.accounts.values()
    )


@pytest.mark.proves("sources-49")
def test_odd_spellings_are_of_the_same_id() -> None:
    number = complete_id("34122619850101123")
    assert respell_id(number, "15 digits") == "341226850101123"
    assert respell_id("11010519491231002X", "lower-case x") == "11010519491231002x"
    assert respell_id(number, "lower-case x") is None
    assert str(respell_id(number, "inner blanks")).replace("\u3000", " ").replace(" ", "") == number
