"""Check characters of IDs in SQL, compared with the reference engine and with `stdnum`."""

from __future__ import annotations

import random

import duckdb
from stdnum.cn import ric

from tests.parity.reference import national_id as reference
from transforms.clean.national_id import check_character_sql, to_number_sql, to_text_sql


def test_check_characters_are_those_of_the_standard() -> None:
    generator = random.Random(11)
    numbers = [
        int("11010519491231002"),
        *(10**k for k in range(17)),
        *(10**k - 1 for k in range(1, 18)),
    ]
    numbers += [generator.randrange(10**17) for _ in range(2_000)]
    with duckdb.connect() as connection:
        rows = connection.execute(
            f"SELECT {check_character_sql('person')}, {to_text_sql('person')} FROM (SELECT unnest($numbers) AS person)",
            {"numbers": numbers},
        ).fetchall()
    digits = [f"{number:017d}" for number in numbers]
    assert [character for character, _ in rows] == [
        reference.compute_check_character(first) for first in digits
    ]
    assert [character for character, _ in rows] == [ric.calc_check_digit(text) for _, text in rows]
    assert [text for _, text in rows] == [
        first + character for first, (character, _) in zip(digits, rows, strict=True)
    ]
    assert rows[0][0] == "X"  # the standard's own example


def test_only_digits_make_a_number() -> None:
    """DuckDB also parses signs, blanks, exponents, other bases and digit separators."""
    valid = {
        "11010519491231002X": 11010519491231002,
        "330203199001010013": 33020319900101001,
        "0" * 18: 0,
    }
    valid |= {
        "030203199001010013": 3020319900101001,
        "330203900101001": 33020319900101001,
        "9" * 18: 10**17 - 1,
    }
    wrong = [
        "1e17", "000000000000001e17", "12345678901234567E", "12345678901234567E1", "0x1234567890ABCDEF", "0X1234567890ABCDEF",
        "0b1010101010101010", "1_3302031990010100", "330_20319900101001", " 33020319900101001", "33020319900101001 ",
        "+33020319900101001", "-33020319900101001", "-330203199001010013", "3302031990010100.1", "330203199001010013.0",
        "33020319900101001x", "3302031990010100130", "33020319900101001",
        "３３０２０３１９９００１０１００１３", "", "X" * 18, "33020319900101XX13",
    ]  # fmt: skip
    texts = [*valid, *wrong]
    with duckdb.connect() as connection:
        found = connection.execute(
            f"SELECT {to_number_sql('text')} FROM (SELECT unnest($texts) AS text)", {"texts": texts}
        ).fetchall()
    assert dict(zip(texts, (value for (value,) in found), strict=True)) == {
        **valid,
        **dict.fromkeys(wrong),
    }
