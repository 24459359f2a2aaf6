"""The facts of the policies come from rows of their own sources: one person each, worked out by hand."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from expectations.month import Month
from expectations.source_loader import load_sources
from expectations.source_model import Source
from tests.acceptance.policies.catalogue import POLICIES
from tests.acceptance.policies.policy import AcceptancePolicy
from tests.parity.reference.facts import compute_facts
from tests.parity.reference.national_id import compute_check_character
from tests.parity.reference.values import Row, clean_extract
from tests.parity.reference.worlds import DISTRICTS
from tests.support.clean_files import ARROW_TYPES, stored, write_reference
from tests.support.fact_tables import build_fact_table, is_same_fact
from transforms.engine.session import EngineSettings, open_engine
from transforms.facts.build import FactInputs, MonthParams

BORN = "33020319800229001"  # 29 February 1980
PERSON = BORN + compute_check_character(BORN)
Rows = Mapping[str, Sequence[Mapping[str, str]]]
CORRECTIONS = {
    "corrections": load_sources()["corrections"]
}  # every city has objections; here nobody objects
APPLICANT = {"residence_district": DISTRICTS[0], "status": "resident"}

SHANGHAI: Rows = {
    "applications": [
        {
            **APPLICANT,
            "spouse_local": "是",
            "married_on": "2012-12-31",
            "tax_per_year": "99999.99",
            "local_staff": "9",
        }
    ],
    "qualifications": [
        {"certificate_no": "1", "level": "本科学历和学士学位"},
        {"certificate_no": "2", "level": "大专"},
        {"certificate_no": "3", "level": "中级职称"},
    ],
    "insurance": [
        {"month": "2018-11", "paid_on": "2018-11-20", "band": "from_200"},
        {"month": "2018-12", "paid_on": "2018-12-20", "band": "from_80"},
        {
            "month": "2014-12",
            "paid_on": "2014-12-31",
            "band": "from_300",
        },  # a day too old for the last 48 months
        {"month": "2015-01", "paid_on": "2015-01-01", "band": "below_80"},
    ],
    "jobs": [
        {"contract_no": "1", "kind": "public_service", "started_on": "2013-12-31"},
        {
            "contract_no": "2",
            "kind": "suburb",
            "started_on": "2010-01-01",
            "ended_on": "2018-12-30",
        },
    ],
    "records": [
        {"record_no": "1", "kind": "honour", "level": "general", "on_date": "2001-01-01"},
        {"record_no": "2", "kind": "detention", "on_date": "2014-01-01"},
        {"record_no": "3", "kind": "detention", "on_date": "2013-12-31"},
    ],
}
FOSHAN: Rows = {
    "applications": [
        {
            **APPLICANT,
            "owns_home": "否",
            "unmarried": "是",
            "permit_since": "2011-12-31",
            "fund_months": "7",
        }
    ],
    "qualifications": [
        {"certificate_no": "1", "level": "硕士"},
        {"certificate_no": "2", "level": "初级职称"},
    ],
    "insurance": [
        {"insurance": "养老", "place": "here", "month": "2016-11"},
        {"insurance": "养老", "place": "elsewhere", "month": "2016-11"},
        {"insurance": "养老", "place": "elsewhere", "month": "2016-10"},
        {"insurance": "医疗", "place": "here", "month": "2016-12"},
    ],
    "deeds": [
        {
            "record_no": "1",
            "kind": "honour",
            "level": "county",
            "place": "here",
            "on_date": "2012-01-01",
        },
        {"record_no": "2", "kind": "honour", "level": "county", "on_date": "2011-12-31"},
        {
            "record_no": "3",
            "kind": "contest",
            "level": "nation",
            "prize": "prize_2",
            "on_date": "2015-05-01",
        },
        {"record_no": "4", "kind": "service", "quantity": "49.5", "on_date": "2016-05-01"},
        {"record_no": "5", "kind": "service", "quantity": "0.5", "on_date": "2016-06-01"},
        {"record_no": "6", "kind": "detention", "on_date": "2014-01-01"},
    ],
}
CANADA: Rows = {
    "profiles": [
        {
            **APPLICANT,
            "education": "硕士",
            "canadian_months": "11",
            "foreign_months": "36",
            "certificate": "是",
            "job_offer": "无",
        }
    ],
    "languages": [
        *(
            {"language": "english", "rank": "first", "ability": ability, "clb": clb}
            for ability, clb in zip(
                ("reading", "writing", "listening", "speaking"),
                ("clb_9", "clb_7", "clb_10", "clb_8"),
                strict=True,
            )
        ),
    ],
}
CHILD = "33020320170504001"
HONG_KONG: Rows = {
    "applications": [{**APPLICANT, "manager": "是", "first_born": "否"}],
    "children": [{"child_id": CHILD + compute_check_character(CHILD)}],
}
WELWYN: Rows = {"register": [{**APPLICANT, "band": "B", "priority_on": "2014-02-28"}]}
BEIJING: Rows = {
    # on 31 December 2025 a month that has not begun on the 1st of January 2016 is the 120th
    "applications": [
        {
            **APPLICANT,
            "first_insured_on": "2016-01-01",
            "owns_since": "2025-12-31",
            "rents_since": "2015-12-31",
            "degree": "硕士",
        }
    ],
    "taxes": [
        {"receipt": "1", "paid_on": "2022-12-31", "amount": "1"},
        {"receipt": "2", "paid_on": "2023-01-01", "amount": "100000"},
    ],
    # of the five calendar years 2021 to 2025
    "offences": [
        {"case_id": str(number), "kind": "行政拘留", "decided_on": day}
        for number, day in enumerate(("2020-12-31", "2021-01-01", "2025-12-31", "2026-01-01"))
    ],
}
ROWS = {
    "shanghai": SHANGHAI,
    "foshan": FOSHAN,
    "express_entry": CANADA,
    "hong_kong": HONG_KONG,
    "welwyn_hatfield": WELWYN,
    "beijing": BEIJING,
}
KNOWN: dict[str, dict[str, Any]] = {
    "shanghai": {
        "age": 38, "marriage_months": 72, "degree": "bachelor", "skill": "level_2", "insured_months": 4,
        "paid_80_48m": 2, "paid_200_48m": 1, "paid_100_12m": 1, "public_service_months": 60, "suburb_months": 0,
        "honour_level": "general", "local_staff": 9, "detentions_60m": 1, "crimes_60m": 0, "startup_talent": False,
    },
    "foshan": {
        "age": 36, "owns_home": False, "unmarried": True, "permit_months": 60, "fund_months": 7, "degree": "bachelor",
        "skill": "level_3", "pension_months": 2, "pension_months_here": 1, "medical_months_here": 1, "injury_months": 0,
        "honours_county": 1, "honours_county_here": 1, "contest_nation_2": 1, "contest_nation_1": 0,
        "service_hours_60m": 50, "detentions_36m": 1,
    },
    "express_entry": {
        "age": 45, "education": "master", "canadian_months": 11, "foreign_months": 36, "certificate": True, "sibling": False,
        "first_reading": "clb_9", "second_reading": None, "weakest_first": "clb_7", "weakest_english": "clb_7",
        "weakest_french": "none", "job_offer": "none",
    },
    "hong_kong": {"manager": True, "first_born": False, "alumni": False, "applying_primary_one": 1},
    "welwyn_hatfield": {"registered": True, "band": "b", "priority_on": dt.date(2014, 2, 28)},
    "beijing": {
        "age": 45, "insured_months": 119, "owned_months": 0, "rented_months": 120, "degree": "master", "honour": False,
        "detentions_5y": 2, "tax_offences_5y": 0,
    },
}  # fmt: skip


def cleaned(
    sources: Mapping[str, Source], rows: Rows, month: Month
) -> dict[str, list[tuple[Month, Row]]]:
    """Everything received in one month, every row valid."""
    found: dict[str, list[tuple[Month, Row]]] = {}
    for name, source in sources.items():
        extract = clean_extract(
            source, [{source.person: PERSON, **row} for row in rows.get(name, ())], month, DISTRICTS
        )
        assert not extract.refused and not extract.superseded, name
        found[name] = [(month, row) for row in extract.clean]
    return found


def write_clean_folders(
    folder: Path, sources: Mapping[str, Source], clean: Mapping[str, Sequence[tuple[Month, Row]]]
) -> dict[str, list[Path]]:
    """Write the rows as cleaning does; return the folders by source."""
    folders = {}
    for name, received in clean.items():
        arrays = {
            column: pa.array(
                [stored(row[column], declared.type) for _, row in received],
                ARROW_TYPES.get(declared.type, pa.string()),
            )
            for column, declared in sources[name].columns.items()
        }
        places = {
            "part": pa.array([0] * len(received)),
            "record": pa.array(range(1, len(received) + 1)),
        }
        target = folder / name / f"received={received[0][0]}" if received else folder / name
        target.mkdir(parents=True)
        pq.write_table(pa.table({**arrays, **places}), target / "rows.parquet")
        folders[name] = [target] if received else []
    return folders


@pytest.mark.proves("points-61")
@pytest.mark.parametrize("policy", POLICIES, ids=lambda policy: policy.name)
def test_facts_follow_from_the_rows_of_the_policys_own_sources(
    policy: AcceptancePolicy, tmp_path: Path
) -> None:
    sources = {**policy.sources, **CORRECTIONS}
    month = Month.of(policy.as_of)
    clean = cleaned(sources, ROWS[policy.name], month)
    (plain,) = compute_facts(sources, clean, month, {}).values()
    with open_engine(EngineSettings("500MB", 1), tmp_path / "spill") as engine:
        reference = write_reference(tmp_path / "reference", {})
        folders = write_clean_folders(tmp_path / "clean", sources, clean)
        inputs = FactInputs(sources, folders, reference, [])
        build_fact_table(engine, inputs, MonthParams(month, b"key"), tmp_path)
    (compiled,) = pq.read_table(tmp_path / "facts").to_pylist()
    known = KNOWN[policy.name]
    assert {name: plain[name] for name in known} == known
    differing = [name for name in policy.facts if not is_same_fact(plain[name], compiled[name])]
    assert differing == []
