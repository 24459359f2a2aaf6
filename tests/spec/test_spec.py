"""The manual is true: every case on both engines, one message per mistake, the committed page."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from expectations.source_loader import BUILTIN_SOURCES
from expectations.yaml_document import YamlDocument
from tests.spec import extracts, services
from tests.spec.chapters import (
    FACTS,
    HERE,
    Case,
    is_points_column,
    list_chapters,
    load_case_tables,
    parse_expected_points,
    parse_residents,
)
from tests.spec.manual import PAGE, render_manual
from tests.spec.mistakes import MistakeCase, ValidDeclaration, list_valid_declarations
from tests.support.both_engines import score_by_reference, score_by_sql
from tests.support.services_town import DATA, KNOWN
from transforms.points.rules import Rule
from transforms.services.examples import check_service_examples

CASES = [case for chapter in list_chapters() for case in chapter.cases]
MISTAKES = [mistake for valid in list_valid_declarations() for mistake in valid.mistakes]


def of(kind: str) -> pytest.MarkDecorator:
    """For every case of a kind."""
    return pytest.mark.parametrize(
        "case", [c for c in CASES if c.kind == kind], ids=lambda case: case.name
    )


@pytest.mark.promise("points-41", "`cap` bounds an indicator (04_each)")
@pytest.mark.promise(
    "points-50",
    "A district adds an indicator of its own, and cannot touch the city's (16_districts)",
)
@pytest.mark.proves(
    "points-3",
    "points-5",
    "points-23",
    "points-31",
    "points-34",
    "points-37",
    "points-42",
    "points-43",
    "points-45",
    "points-46",
)
@of("points")
def test_both_engines_give_the_points_that_the_manual_shows(
    case: Case, engine: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    assert case.rows and all(map(is_points_column, case.rows[0]))
    policy, people = load_case_tables(case, tmp_path), parse_residents(case.rows)
    wanted = [parse_expected_points(row) for row in case.rows]
    assert all(wanted), "a table without points proves nothing"
    for scored in (
        score_by_sql(engine, policy, FACTS, people),
        score_by_reference(policy, FACTS, people),
    ):
        shown = [{name: row[name] for name in wanted[0]} for row in scored]
        assert shown == wanted


@pytest.mark.promises(
    {
        "points-115": "Threshold: one number, or by district, every open district covered (23_thresholds)",
        "points-116": (
            "Expressions: comparison, and/or/not, in, is null, arithmetic, dates plus days "
            "(22_service_conditions)"
        ),
        "points-119": (
            "Null is neither true nor false, nor its `not`; only `is null` sees it "
            "(22_service_conditions)"
        ),
        "points-121": "Other sums than the total may be asked for (23_thresholds)",
        "points-122": "Dated versions, as_in, none before the first (25_service_versions)",
        "points-129": "points_short = threshold - total, also below zero (21_service)",
    }
)
@pytest.mark.proves("points-117", "points-127", "points-128", "points-130", "points-142")
@of("services")
def test_both_engines_decide_who_qualifies_as_the_manual_shows(
    case: Case, engine: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    assert all(map(services.is_service_column, case.rows[0]))
    found, _ = services.load_declared(case, tmp_path)
    wanted = [services.parse_expected_outcome(row) for row in case.rows]
    for row, expecting, given in zip(
        case.rows, wanted, services.decide_outcomes(engine, found, case.rows), strict=True
    ):
        assert given == (expecting, expecting), row
    if "examples" in str(case.data):
        assert check_service_examples(engine, tmp_path / "services", found, KNOWN) == []


@of("families")
def test_both_engines_take_the_points_of_the_guardians_that_the_manual_shows(
    case: Case, engine: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    assert all(map(services.is_service_column, case.rows[0]))
    found, _ = services.load_declared(case, tmp_path)
    given = services.decide_families(engine, found, case.rows)
    for row, both in zip(case.rows, given, strict=True):
        wanted = {name: row[name] for name in services.FAMILY_OUTCOMES}
        assert both == (wanted, wanted), row
    if "examples" in case.data:
        assert check_service_examples(engine, tmp_path / "services", found, KNOWN) == []


@of("ranks")
def test_both_engines_rank_people_as_the_manual_shows(
    case: Case, engine: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    assert all(map(services.is_service_column, case.rows[0]))
    found, _ = services.load_declared(case, tmp_path)
    given = services.rank_outcomes(engine, found, case.rows)
    for row, both in zip(case.rows, given, strict=True):
        wanted = services.parse_expected_rank(row)
        assert both == (wanted, wanted), row


@pytest.mark.slow
@pytest.mark.promises(
    {
        "points-152": "One per kind, resident, cycle; sent once, ever (28_sent_once)",
        "points-153": "`repeat: N months` sends again (28_sent_once)",
        "points-159": (
            "permit_endorsement: valid to from tomorrow to day 45; cycle and due the date "
            "(27_reminders)"
        ),
        "points-160": "permit_application: never issued, 6 months; once (27_reminders)",
        "points-161": (
            "insurance_gap: gap 2 or 3, run 6; per last month (27_reminders, 28_sent_once)"
        ),
        "points-162": (
            "school_enrolment: each child due of the eligible; per child and year "
            "(30_school_calendar)"
        ),
        "points-163": (
            "school window of the residence district opens in 60 days, not yet closed "
            "(30_school_calendar)"
        ),
        "points-164": "rent_subsidy: the eligible, once a calendar year (29_service_reminders)",
        "points-166": (
            "Newly: not eligible in M-1 as published; nothing without M-1 (29_service_reminders)"
        ),
        "points-167": "due_on: closes_on, the permit's date, or none (30_school_calendar)",
        "points-170": "A sentence from the template, surname only (张**), no ID (31_texts)",
    }
)
@pytest.mark.proves("points-156")
@of("reminders")
def test_both_engines_remind_whom_the_manual_shows(case: Case, tmp_path: Path) -> None:
    assert all(map(services.is_service_column, case.rows[0]))
    for rows, listed, plain in services.build_lists(
        case, case.reference(tmp_path / "reference"), tmp_path
    ):
        assert listed == plain
        said = [
            {"run": row["run"], **services.summarise_list(row, who, listed)} for row, who in rows
        ]
        assert said == [
            {name: row[name] for name in ("run", *services.REMINDER_OUTCOMES) if name in row}
            for row, _ in rows
        ]
        assert {one["resident_id"] for one in listed} <= {who.resident_id for _, who in rows}


@pytest.mark.promises(
    {
        "points-64": "Corrections of facts come before derived facts and points (17_corrections)",
        "points-77": "market_rent: newest row for that district and community up to M (24_amounts)",
        "points-90": "children_due and its two counts (26_children_due)",
        "points-143": "The rent is the newest row up to M for district and community (24_amounts)",
        "points-148": (
            "Enrolment year: of the next 31 August on or after the scoring date (26_children_due)"
        ),
        "points-149": "Primary: turns 6 by then, enrolled none or kindergarten (26_children_due)",
        "points-150": "Junior middle: enrolled primary, turns 12 by then (26_children_due)",
    }
)
@pytest.mark.proves("points-54")
@of("extracts")
def test_both_engines_know_of_people_what_the_manual_shows(case: Case, tmp_path: Path) -> None:
    assert all(extracts.is_extract_column(case, name) for name in case.rows[0])
    for row, *both in extracts.compute_known(
        case, case.reference(tmp_path / "reference"), tmp_path
    ):
        wanted = extracts.parse_expected_facts(case, row)
        assert wanted, "a table that expects nothing proves nothing"
        for found in both:
            assert {name: found[name] for name in wanted} == wanted, row


@pytest.mark.proves("points-159", "points-160")
def test_the_manual_shows_the_declared_reminders_of_the_city() -> None:
    """The edges are those of the declarations in force, not of look-alikes."""
    own = {path.stem: YamlDocument(path).data for path in (DATA / "reminders").glob("*.yaml")}
    own |= {
        path.stem: YamlDocument(path).data["reminder"]
        for path in (DATA / "services").glob("*.yaml")
    }
    shown = set()
    for case in (case for case in CASES if case.kind == "reminders"):
        given = case.data
        name, reminder = (
            (given["kind"], given) if "who" in given else (given.get("service"), given["reminder"])
        )
        if name in own:
            shown.add(name)
            assert reminder.items() <= own[name].items(), case.name
    further = {"job_service", "cross_province", "legal_aid", "homecoming"}
    assert shown == further | {
        *("permit_endorsement", "permit_application", "insurance_gap"),
        *("rent_subsidy", "recuperation", "school_enrolment"),
    }


def test_the_manual_shows_facts_as_their_source_declares_them() -> None:
    for case in (case for case in CASES if "facts" in case.data):
        declared = YamlDocument(BUILTIN_SOURCES / f"{case.data['source']}.yaml").data["facts"]
        for name, fact in case.data["facts"].items():
            assert fact.items() <= declared[name].items(), case.name


@pytest.mark.promise("points-40", "Every rule form has a manual chapter and a generator")
def test_every_rule_form_has_a_chapter_that_uses_it(tmp_path: Path) -> None:
    by_subject = {chapter.subject: chapter for chapter in list_chapters()}
    assert set(Rule.model_fields) <= by_subject.keys()
    for form in Rule.model_fields:
        assert by_subject[form].cases
        for case in by_subject[form].cases:
            (table,) = load_case_tables(case, tmp_path)
            assert form in {line.rule.form for line in table.versions[0].indicators.values()}, (
                case.name
            )


def test_nothing_in_a_chapter_is_left_unread() -> None:
    read = {case.fragment for case in CASES}
    read |= {
        valid.folder / f"{name}.yaml"
        for valid in list_valid_declarations()
        for name in ("valid", "mistakes")
    }
    read.add(HERE / "20_cannot" / "forms.yaml")  # read by test_forms.py
    assert set(HERE.glob("*/*.yaml")) == read


@pytest.mark.parametrize("valid", list_valid_declarations(), ids=lambda valid: valid.folder.name)
def test_a_declaration_without_mistakes_is_accepted(
    valid: ValidDeclaration, engine: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    assert valid.refused(valid.text, tmp_path, engine) == []


@pytest.mark.promise("points-114", "Districts: all or a list of known codes (32_service_mistakes)")
@pytest.mark.promise(
    "points-171", "The text cannot name an ID, an address, an unknown name (32_service_mistakes)"
)
@pytest.mark.proves("points-14", "points-115", "points-118", "points-120")
@pytest.mark.parametrize(
    "mistake", MISTAKES, ids=lambda mistake: f"{mistake.valid.folder.name}/{mistake.title}"
)
def test_each_mistake_gives_one_message_with_key_and_suggestion(
    mistake: MistakeCase, engine: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    found = mistake.valid.refused(mistake.text, tmp_path, engine)
    assert len(found) == 1, [str(problem) for problem in found]
    assert found[0].found and found[0].expected and found[0].key


@pytest.mark.proves("outputs-38")
def test_all_mistakes_of_a_table_are_reported_at_once(
    engine: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    titles = {"重复的键", "区间重叠", "不认识的等级", "没有写明算法", "日期不存在", "values 写错"}
    valid = list_valid_declarations()[0]
    text = valid.text
    for mistake in (one for one in valid.mistakes if one.title in titles):
        text = text.replace(mistake.was, mistake.becomes, 1)
    assert len(valid.refused(text, tmp_path, engine)) == len(titles)


@pytest.mark.promise("points-22", "What cannot be said stands in the manual, chapters 20 and 34")
def test_the_committed_manual_is_what_the_chapters_generate(
    engine: duckdb.DuckDBPyConnection,
) -> None:
    assert PAGE.read_text(encoding="utf-8") == render_manual(engine), "run `make docs`"
