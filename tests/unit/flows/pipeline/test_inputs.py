"""Selection of the input set of a month, and the deliveries that are missing."""

from __future__ import annotations

from pathlib import Path

import pytest

from expectations.errors import ExitCode
from expectations.month import Month
from flows.pipeline.inputs import InputSet, find_missing_error, select_inputs
from flows.storage.deliveries import Delivery
from tests.support.world import SOURCES


def received(*months: str, source: str = "housing", content: str = "") -> list[Delivery]:
    parsed = [Month.parse(month) for month in months]
    return [Delivery(source, month, 1, Path(), content or str(month), (), {}) for month in parsed]


def select(
    kind: str, carry: int, had: list[Delivery], month: str, source: str = "housing", **allowed: str
) -> InputSet:
    declared = SOURCES[source].model_copy(update={"delivery": kind, "carry_forward": carry})
    return select_inputs(declared, had, Month.parse(month), allowed)


def months(inputs: InputSet) -> list[str]:
    return [str(delivery.month) for delivery in inputs.deliveries]


def missing(
    kind: str, carry: int, had: list[Delivery], month: str, source: str = "housing", **allowed: str
) -> str:
    chosen = select(kind, carry, had, month, source, **allowed)
    error = find_missing_error(SOURCES[source], chosen, Month.parse(month))
    assert error is not None
    assert error.code == ExitCode.EXTRACT
    return str(error)


@pytest.mark.promises(
    {
        "sources-25": "a snapshot replaces, an increment adds",
        "points-54": "Facts as of the month's last day, from extracts received up to it",
        "outputs-35": "Only extracts received up to the month count",
        "outputs-67": "A snapshot replaces, an increment adds",
    }
)
def test_snapshots_use_one_month_increments_all_earlier_months() -> None:
    had = received("2021-08", "2021-09", "2021-10", "2021-11")
    assert months(select("snapshot", 0, had, "2021-10")) == ["2021-10"]
    assert months(select("increment", 0, had, "2021-10")) == ["2021-08", "2021-09", "2021-10"]


@pytest.mark.promise("sources-33", "a month missing since the first delivery refuses the run")
def test_a_missing_month_names_source_months_and_the_way_out() -> None:
    had = received("2021-07", "2021-09")
    message = missing("increment", 0, had, "2021-10")
    assert (
        f"{SOURCES['housing'].title}（housing）缺少 2021-08、2021-10 的数据" in message
        and "--allow-missing housing=" in message
    )
    assert "2021-10" not in missing("increment", 0, had, "2021-09")
    assert months(select("increment", 0, had, "2021-07")) == ["2021-07"]


def test_an_allowed_gap_is_recorded_with_its_reason() -> None:
    inputs = select("increment", 0, received("2021-07", "2021-09"), "2021-10", housing="停机")
    assert months(inputs) == ["2021-07", "2021-09"]
    assert [str(month) for month in inputs.missing] == [
        "2021-08",
        "2021-10",
    ] and inputs.reason == "停机"
    whole = select("increment", 0, received("2021-10"), "2021-10", housing="停机")
    assert (whole.missing, whole.reason) == ((), None)


@pytest.mark.promise("sources-34", "carry_forward N: the newest of the N months before serves")
def test_a_snapshot_is_carried_forward_only_as_declared() -> None:
    had = received("2021-06", "2021-07")
    inputs = select("snapshot", 3, had, "2021-10")
    assert months(inputs) == ["2021-07"] and inputs.carried_from == Month.parse("2021-07")
    assert inputs.missing == ()
    assert "2021-11" in missing("snapshot", 3, had, "2021-11")
    assert select("snapshot", 3, received("2021-10"), "2021-10").carried_from is None
    assert "2021-08" in missing("increment", 3, had, "2021-08")


def test_an_allowed_gap_does_not_extend_carry_forward() -> None:
    inputs = select("snapshot", 1, received("2021-07"), "2021-10", housing="停机")
    assert inputs.deliveries == () and [str(month) for month in inputs.missing] == [
        "2021-09",
        "2021-10",
    ]


@pytest.mark.proves("sources-33")
def test_a_past_gap_counts_despite_a_current_snapshot() -> None:
    had = received("2021-07", "2021-10")
    assert "2021-08、2021-09" in missing("snapshot", 0, had, "2021-10")
    assert months(select("snapshot", 2, had, "2021-10")) == ["2021-10"]


def test_a_source_never_delivered_is_missing_unless_allowed() -> None:
    assert "patents" in missing("increment", 0, [], "2021-10", "patents")
    assert "patents" in missing("increment", 0, received("2021-11"), "2021-10", "patents")
    inputs = select("increment", 0, [], "2021-10", "patents", patents="尚未接入")
    assert inputs == InputSet((), None, (Month.parse("2021-10"),), "尚未接入")


@pytest.mark.promise("sources-37", "the registry is never carried")
def test_the_registry_is_never_carried_forward_nor_allowed_missing() -> None:
    had = received("2021-08", "2021-10", source="registry")
    assert "--allow-missing" not in missing(
        "snapshot", 3, had, "2021-09", "registry", registry="停机"
    )
    assert "registry" in missing("snapshot", 3, [], "2021-09", "registry", registry="停机")
    assert months(select("snapshot", 0, had, "2021-10", "registry", registry="停机")) == ["2021-10"]
