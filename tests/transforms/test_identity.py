"""IDs in SQL: the check character of every number, against the standard's own way and against another library."""

from __future__ import annotations

import random

import duckdb
from stdnum.cn import ric

from tests.reference import identity as reference
from transforms.clean.identity import check_character, id_text


def test_check_characters_are_those_of_the_standard() -> None:
    dice = random.Random(11)
    numbers = [int("11010519491231002"), *(10**k for k in range(17)), *(10**k - 1 for k in range(1, 18))]
    numbers += [dice.randrange(10**17) for _ in range(2_000)]
    with duckdb.connect() as connection:
        rows = connection.execute(
            f"SELECT {check_character('person')}, {id_text('person')} FROM (SELECT unnest($numbers) AS person)",
            {"numbers": numbers},
        ).fetchall()
    digits = [f"{number:017d}" for number in numbers]
    assert [character for character, _ in rows] == [reference.check_character(first) for first in digits]
    assert [character for character, _ in rows] == [ric.calc_check_digit(text) for _, text in rows]
    assert [text for _, text in rows] == [first + character for first, (character, _) in zip(digits, rows, strict=True)]
    assert rows[0][0] == "X"  # the standard's own example
