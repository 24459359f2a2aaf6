"""Promises about single values and rows, by hand: what is trimmed, taken, refused, superseded, and what stays text."""

from __future__ import annotations

import csv
import datetime as dt
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import duckdb
import pytest

from expectations.month import Month
from expectations.source_model import Source
from tests.support.world import SOURCES, national_id, no_key_twice, read_rows
from transforms.clean.delivery import CleaningJob, RowCounts, clean_delivery
from transforms.engine.session import EngineSettings, open_engine

PERSON = national_id("33020319900101001")
PATENT = {
    "patent_no": "P",
    "resident_id": PERSON,
    "kind": "design",
    "granted_on": "2020-01-05",
    "status": "valid",
}
# Unicode's White_Space, the byte order mark, the zero-width space
BLANKS = [
    *"\t\n\x0b\x0c\r \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000\ufeff\u200b",
    *map(chr, range(0x2000, 0x200B)),
]
NOT_BLANK = "\u180e\u2060\u200c\u00ad_"


class Town:
    """Cleans rows given as texts, in one part or several."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, folder: Path) -> None:
        self.connection, self.folder, self.number = connection, folder, 0

    def clean(
        self, name: str, *parts: Sequence[dict[str, str]], file: str = "{}.csv"
    ) -> tuple[RowCounts, list[Any]]:
        self.number += 1
        paths = []
        for index, rows in enumerate(parts):
            paths.append(self.folder / str(self.number) / file.format(index))
            paths[-1].parent.mkdir(parents=True, exist_ok=True)
            with paths[-1].open("w", encoding="utf-8", newline="") as text:
                table = csv.DictWriter(text, list(rows[0]), quoting=csv.QUOTE_ALL)
                table.writeheader()
                table.writerows(rows)
        job = CleaningJob(
            SOURCES[name],
            Month.parse("2021-10"),
            self.number,
            tuple(paths),
            "utf-8",
            frozenset({"330203"}),
            "x",
        )
        account = clean_delivery(
            self.connection,
            job,
            self.folder,
            self.folder / "work",
            no_key_twice(self.connection, job.source),
        )
        return account, self.rows("clean", job.source)

    def rows(self, kind: str, source: Source) -> list[dict[str, Any]]:
        return read_rows(
            self.folder / kind / source.source / "received=2021-10" / f"d{self.number}"
        )


@pytest.fixture
def town(connection: duckdb.DuckDBPyConnection, tmp_path: Path) -> Town:
    return Town(connection, tmp_path)


@pytest.mark.promise(
    "sources-38", "every Unicode white space, BOM and zero-width space is trimmed, nothing else"
)
@pytest.mark.promise("sources-39", "empty is null")
def test_every_white_space_is_trimmed_and_nothing_else_is(town: Town) -> None:
    spaced = [
        {
            **PATENT,
            "patent_no": f"{blank}P {n}{blank}{blank}",
            "resident_id": f"{blank}{PERSON[:6]}{blank}{PERSON[6:]}",
        }
        | {"status": f"{blank}valid{blank}"}
        for n, blank in enumerate(BLANKS)
    ]
    account, kept = town.clean("patents", spaced)
    assert [row["patent_no"] for row in kept] == [
        f"P {n}" for n in range(len(BLANKS))
    ] and account.reasons == {}
    account, _ = town.clean(
        "patents", [{**PATENT, "status": f"valid{other}"} for other in NOT_BLANK]
    )
    assert account.reasons == {"status:not_in_set": len(NOT_BLANK)}
    account, _ = town.clean("patents", [{**PATENT, "patent_no": "".join(BLANKS)}])
    assert account.reasons == {"patent_no:missing": 1}


ROWS = {
    "employment": {
        "contract_id": "E", "resident_id": PERSON, "employer_id": "1", "occupation": "1", "started_on": "2021-01-01",
    },
    "housing": {
        "record_id": "H", "resident_id": PERSON, "tenure": "rented", "district": "110101", "registered": "是",
        "from_on": "2020-01-01",
    },
    "social_security": {
        "resident_id": PERSON, "insurance": "pension", "month": "2021-10", "district": "330203", "kind": "paid",
        "posted_on": "2021-10-31",
    },
    "registry": {"resident_id": PERSON, "residence_district": "330203", "status": "resident"},
}  # fmt: skip
# column: what is taken and as what; what is refused
VALUES: dict[tuple[str, str], tuple[dict[str, Any], str]] = {
    ("employment", "jobs_created"): (
        {"0": 0, "012": 12, "999999999": 999999999, "1.0": 1, "3.00": 3},
        "1000000000 -1 1.5 1e2 三 ５",
    ),
    ("housing", "registered"): (
        {
            "true": True,
            "TRUE": True,
            "tRue": True,
            "是": True,
            "false": False,
            "False": False,
            "否": False,
        },
        "1 0 yes no t 真 有 NULL",
    ),
    ("housing", "from_on"): (
        {
            "2020-02-29": dt.date(2020, 2, 29),
            "20200229": dt.date(2020, 2, 29),
            "2020-2-9": dt.date(2020, 2, 9),
            "2020/02/29": dt.date(2020, 2, 29),
            "2020.02.29": dt.date(2020, 2, 29),
        },
        "2019-02-29 20190229 12020-2-29 0000-01-01 00000101 0001-01-01 1900-01-01 1989-12-31 "
        "infinity -infinity epoch",
    ),
    ("housing", "district"): (
        {"000000": "000000", "110101": "110101"},
        "11010 1101011 33020A 1e0005 1_0000 +11010 -11010 ３３０２０３ 海曙区",
    ),
    ("social_security", "month"): (
        {
            "2021-10": 2021 * 12 + 9,
            "202101": 2021 * 12,
            "2022-10": 2022 * 12 + 9,
            "2021-1": 2021 * 12,
            "2021/10": 2021 * 12 + 9,
            "2021年10月": 2021 * 12 + 9,
            "2021-10-01": 2021 * 12 + 9,
        },
        "2021-13 202113 2021-10-02 21-10 0000-01 000001 20211 12021-1 2022-11",
    ),
    ("registry", "residence_district"): ({"330203": "330203"}, "330204 330205 110101 海曙区 33020"),
}


@pytest.mark.promises(
    {
        "sources-41": "months YYYY-MM or YYYYMM",
        "sources-42": "numbers with two decimals at most, no 1e3, no rounding",
        "sources-43": "integers of nine digits at most",
        "sources-44": "true, false, 是, 否 in any case",
        "sources-47": "district: a code of districts.csv; area: any six digits",
        "sources-83": "a posting's month: at most 12 ahead, counts once it has come",
    }
)
@pytest.mark.parametrize(("source", "column"), VALUES)
def test_a_value_is_matched_whole_and_nothing_is_guessed(
    town: Town, source: str, column: str
) -> None:
    taken, refused = VALUES[source, column]
    key = (SOURCES[source].key or [None])[0]

    def rows(texts: Sequence[str]) -> list[dict[str, str]]:
        keys_by_source = {
            "registry": [national_id(f"33020319900101{n:03d}") for n in range(len(texts))]
        }
        keys = keys_by_source.get(source, [str(n) for n in range(len(texts))])
        return [
            {**ROWS[source], column: text, **({key: one} if key else {})}
            for text, one in zip(texts, keys, strict=True)
        ]

    account, kept = town.clean(source, rows(list(taken)))
    assert ([row[column] for row in kept], account.reasons) == (list(taken.values()), {})
    account, kept = town.clean(source, rows(refused.split()))
    assert (kept, account.quarantined) == ([], len(refused.split()))
    assert {reason.split(":")[0] for reason in account.reasons} == {column}


def born(day: str, area: str = "330203") -> str:
    return national_id(f"{area}{day}001")


@pytest.mark.promises(
    {
        "sources-49": "full width to half, white space out, x to X, 15 digits become 18",
        "sources-50": "18 ASCII characters, right check character",
        "sources-51": "birth date exists, from 1900 to the received month's last day",
        "sources-52": "address code free: abolished counties, 81, 82, 83",
    }
)
def test_ids_are_normalised_and_checked_except_their_address_code(town: Town) -> None:
    ends_in_x = next(
        one for n in range(1000) if (one := national_id(f"33020319900101{n:03d}"))[-1] == "X"
    )
    meant = {
        PERSON.translate({code: code + 0xFEE0 for code in range(0x21, 0x7F)}): PERSON,
        f" {PERSON[:6]}\u3000{PERSON[6:14]}\u200b {PERSON[14:]}": PERSON,
        ends_in_x.lower(): ends_in_x,
        ends_in_x[:17] + "ｘ": ends_in_x,
        PERSON[:6] + PERSON[8:17]: PERSON,  # 15 digits
        **{
            one: one
            for one in (
                born("19900101", "330204"),
                born("19900101", "810000"),
                born("19900101", "830000"),
            )
        },
        **{one: one for one in (born("19000101"), born("20211031"), born("20000229"))},
    }
    today = {**PATENT, "granted_on": "2021-10-31"}  # not before anybody's birth
    rows = [{**today, "patent_no": f"P{n}", "resident_id": text} for n, text in enumerate(meant)]
    account, kept = town.clean("patents", rows)
    assert account.reasons == {}
    assert [row["resident_id"] for row in kept] == [int(one[:17]) for one in meant.values()]
    wrong = [
        born("18991231"), born("20211101"), born("19000229"), born("20210230"), born("19901301"), PERSON[:17],
        PERSON[:17] + str((int(PERSON[17]) + 1) % 10), PERSON + "0", "X" + PERSON[1:], "330203900230001",
        PERSON.translate({code: code - 0x30 + 0x660 for code in range(0x30, 0x3A)}),
    ]  # fmt: skip
    account, kept = town.clean(
        "patents", [{**PATENT, "patent_no": str(n), "resident_id": w} for n, w in enumerate(wrong)]
    )
    assert (kept, account.reasons) == ([], {"resident_id:bad_id": len(wrong)})


@pytest.mark.promise("sources-6", "columns in any order; optional ones may be absent")
def test_columns_may_be_in_any_order_and_optional_ones_missing(town: Town) -> None:
    turned = dict(reversed(PATENT.items()))
    _, (row,) = town.clean("patents", [turned])
    assert (row["patent_no"], row["granted_on"]) == ("P", dt.date(2020, 1, 5))
    account, (row,) = town.clean("housing", [ROWS["housing"]])
    assert (row["monthly_rent"], row["community"], row["to_on"], account.undeclared) == (
        None,
        None,
        None,
        [],
    )


@pytest.mark.promises(
    {
        "sources-26": "the received month is that of the extract",
        "sources-55": "refused with all reasons, from a closed list",
        "sources-57": "kept with source, delivery, file, record number, raw text",
        "sources-59": "refused rows supersede nothing",
    }
)
def test_a_refused_row_is_quarantined_and_supersedes_nothing(town: Town) -> None:
    bad = {**PATENT, "kind": " gift ", "granted_on": "2021-11-01", "status": ""}
    account, kept = town.clean(
        "patents", [PATENT], [PATENT | {"kind": "invention"}, bad], file="{}/part.csv"
    )
    assert [row["kind"] for row in kept] == ["invention"]
    assert (account.received, account.clean, account.quarantined, account.superseded) == (
        3,
        1,
        1,
        1,
    )
    (row,) = town.rows("quarantine", SOURCES["patents"])
    assert (row["source"], row["received"], row["delivery"]) == ("patents", dt.date(2021, 10, 1), 1)
    assert (row["file"], row["record"]) == ("1/part.csv", 2)
    assert set(row["reasons"]) == {"kind:not_in_set", "granted_on:in_future", "status:missing"}
    assert '" gift "' in row["raw"] and PERSON in row["raw"]


@pytest.mark.promise("sources-62", "registry: newest updated_on first, null oldest")
def test_the_newest_update_of_a_person_wins(town: Town) -> None:
    def updated(*days: str) -> str:
        rows = [
            ROWS["registry"] | {"updated_on": day, "residence_community": f"{n}"}
            for n, day in enumerate(days)
        ]
        account, (row,) = town.clean("registry", rows)
        assert account.superseded == len(days) - 1
        return str(row["residence_community"])

    assert updated("2021-05-02", "2021-05-01", "") == "0"
    assert updated("", "2021-05-01", "2021-05-01") == "2"
    assert updated("", "") == "1"


@pytest.mark.promise("sources-58", "`on_bad: null`: value null, row stays, listed in defects/")
@pytest.mark.promise("sources-80", "permit dates in the wrong order: both null")
def test_invalid_optional_values_and_permit_dates_are_nulled(town: Town) -> None:
    invalid = {
        "registered_on": "1/1/2021",
        "updated_on": "2021-11-01",
        "permit_issued_on": "2021-05-02",
    }
    account, (row,) = town.clean(
        "registry", [ROWS["registry"] | invalid | {"permit_valid_to": "2021-05-01", "phone": "x"}]
    )
    assert [row[name] for name in (*invalid, "permit_valid_to", "phone")] == [
        None,
        None,
        None,
        None,
        "x",
    ]
    assert account.quarantined == 0 and account.defects == {
        "registered_on:day_first": 1,
        "updated_on:in_future": 1,
        "permit_issued_on:too_early": 1,
        "permit_valid_to:too_early": 1,
    }


@pytest.mark.promise("sources-153", "values never become SQL")
def test_sql_in_values_titles_and_file_names_is_text(town: Town) -> None:
    evil = "x'); DROP TABLE superseded; --\" $as_of {month}"
    rows = [
        PATENT | {"patent_no": evil, evil: evil},
        PATENT | {"patent_no": "x'", "status": evil, evil: "'"},
    ]
    account, (row,) = town.clean("patents", rows, file="o'{}\"; DROP TABLE superseded; --.csv")
    assert (row["patent_no"], account.undeclared, account.reasons) == (
        evil,
        [evil],
        {"status:not_in_set": 1},
    )


@pytest.mark.promise("sources-123", "memory low enough to spill, same bytes")
@pytest.mark.promise("sources-148", "no extension loads by itself")
def test_the_engine_loads_no_extension_and_spills_into_its_folder(tmp_path: Path) -> None:
    spill = tmp_path / "spill"
    with open_engine(EngineSettings("60MB", 1), spill) as connection:
        for setting in (
            "autoload_known_extensions",
            "autoinstall_known_extensions",
            "allow_community_extensions",
        ):
            assert connection.execute(f"SELECT current_setting('{setting}')").fetchall() == [
                (False,)
            ]
        connection.execute(
            "CREATE TABLE many AS SELECT hash(i) AS h, i::VARCHAR || 'some more text' AS t FROM range(2000000) r(i)"
        )
        ordered = connection.execute("SELECT h FROM many ORDER BY t DESC, h")
        assert ordered.fetchone() is not None
        assert any(file.stat().st_size for file in spill.iterdir())
