"""Two months of one person's social-security postings, with reversals and payments ahead."""

from __future__ import annotations

from tests.support.world import national_id

PERSON = national_id("33020619800101001")
RESIDENT = {"resident_id": PERSON, "status": "resident", "residence_district": "330206"}


def posting(month: str, posted_on: str, kind: str = "paid", employer: str = "E1") -> dict[str, str]:
    return {
        "resident_id": PERSON, "insurance": "pension", "month": month, "district": "330206", "employer_id": employer,
        "kind": kind, "posted_on": posted_on,
    }  # fmt: skip


# January to September, April taken back in June; November and the next March paid ahead; one long ago.
OCTOBER = [
    *(posting(f"2021-0{month}", f"2021-0{month}-20") for month in range(1, 10)),
    posting("2021-04", "2021-06-01", "reversed"),
    posting("2021-11", "2021-10-20"),
    posting("2022-03", "2021-10-20"),
    posting("1995-07", "1995-07-20"),
]
# October; April paid again by another employer; September taken back; July taken back too early to count.
NOVEMBER = [
    posting("2021-10", "2021-11-20"),
    posting("2021-04", "2021-11-20", employer="E2"),
    posting("2021-09", "2021-11-21", "reversed"),
    posting("2021-07", "2021-07-01", "reversed"),
]
