"""Numbers too large to count with end the month in a sentence that names them; what no fact can be replaces nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from expectations.errors import ExitCode, JifenError
from tests.support.world import World, national_id

PERSON = national_id("33020319850101101")
RESIDENT = {
    "resident_id": PERSON, "name": "例甲", "residence_district": "330203", "registered_on": "2019-01-15",
    "status": "resident",
}  # fmt: skip
JOB = {
    "resident_id": PERSON,
    "employer_id": "E",
    "occupation": "O",
    "started_on": "2020-01-01",
    "jobs_created": "999999999",
}


def correction(target: str, value: str) -> dict[str, str]:
    case = {
        "case_id": "C1",
        "resident_id": PERSON,
        "target": target,
        "decision": "upheld",
        "value": value,
    }
    return {**case, "valid_from": "2021-10-01", "decided_on": "2021-10-01"}


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (
            {"employment": [{**JOB, "contract_id": str(n)} for n in range(3)]},
            "（jobs_created）最大 2,999,999,997",
        ),
        (
            {"corrections": [correction("fact:penalties_24m", "20211031")]},
            "（penalties_24m）最大 20,211,031",
        ),
    ],
    ids=["a sum", "points of a correction"],
)
def test_a_number_too_large_to_count_with_is_named(
    rows: dict[str, list[dict[str, str]]], message: str, tmp_path: Path
) -> None:
    world = World(tmp_path, only=("registry", *rows))
    world.deliver("2021-10", registry=[RESIDENT], **rows)
    with pytest.raises(JifenError) as caught:
        world.run("2021-10")
    assert (
        caught.value.code == ExitCode.GATE
        and message in caught.value.message
        and PERSON[:17] not in str(caught.value)
    )


def test_a_correction_to_what_no_fact_can_be_is_counted_as_one_without_target(
    tmp_path: Path,
) -> None:
    world = World(tmp_path, only=("registry", "corrections"))
    world.deliver(
        "2021-10",
        registry=[RESIDENT],
        corrections=[correction("fact:residence_months", "9999999999")],
    )
    world.run("2021-10")
    assert world.revision("2021-10").manifest.corrections_without_target == 1
    assert world.table("2021-10", "facts")[0]["residence_months"] == 33
