"""A share of the generated office: a month with accidents is right, stopped, or says what happened.

All of it: tests.faults.long. Every case has its number, which makes it again.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator

import pytest

from tests.faults.office import ACCIDENTS, plan_case
from tests.faults.office_town import OfficeTown

CASES = range(40)
WHOLE = (0, 6)
"""Cases whose month is computed and published whole, though its clean rows are those of before."""


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OfficeTown]:
    before = os.umask(0o022)
    yield OfficeTown(tmp_path_factory.mktemp("office"))
    os.umask(before)


def test_a_month_with_accidents_is_right_or_stopped_or_names_them(town: OfficeTown) -> None:
    outcomes = [town.attempt(number, whole=number in WHOLE) for number in CASES]
    assert [str(one) for one in outcomes if one.kind == "wrong"] == []
    kinds = Counter(one.kind for one in outcomes)
    assert kinds["equal"] > 5 and kinds["stopped"] > 10


def test_the_same_number_is_the_same_case() -> None:
    assert [plan_case(number) for number in CASES] == [plan_case(number) for number in CASES]
    drawn = {one.name for number in range(2000) for one in plan_case(number)}
    assert drawn == set(ACCIDENTS)
