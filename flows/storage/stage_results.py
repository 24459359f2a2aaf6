"""What the finished stages of a build counted: `done.json`."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from flows.storage.records import Record
from transforms.outputs import DistrictCount


class FactsResult(Record):
    """What making the fact table counted.

    Attributes:
        residents: People scored.
        unmatched: Rows of people who are not in the registry, by source.
        over_quota: Rows that a quota left out, by source.
        unknown_keys: Award entries with codes that no district's table has, by source.
        corrected: Indicators that corrections apply to.
        corrections_without_target: Corrections whose target or value is not valid.
        ineffective_corrections: These by number and target.
        altered_state: What is wrong with the incremental state before, so that it was not taken.
    """

    residents: int
    unmatched: dict[str, int]
    over_quota: dict[str, int]
    unknown_keys: dict[str, int]
    corrected: list[str]
    corrections_without_target: int
    ineffective_corrections: list[str] = []
    altered_state: str | None = None


class PointsResult(Record):
    """What scoring counted.

    Attributes:
        scored: Residents with points.
    """

    scored: int


class ServicesResult(Record):
    """What deciding on services counted.

    Attributes:
        eligible: People who qualify, by service.
        monthly_amounts: Yuan a month that they are entitled to, by service.
    """

    eligible: dict[str, int]
    monthly_amounts: dict[str, str]


class OpenLayerResult(Record):
    """What writing the open layer measured.

    Attributes:
        tables: View -> its figures (`transforms.open_layer.OpenFigures`).
    """

    tables: dict[str, dict[str, Any]]


class ChangesResult(Record):
    """What comparing with the previous month counted.

    Attributes:
        changes: Points columns that changed, over all residents.
        moved: District before, district now, people: of those who came, left or moved.
        compared_with: The revision compared with, `2024-02/r1`; None for a first month.
    """

    changes: int
    moved: list[tuple[str | None, str | None, int]]
    compared_with: str | None


class StatementsResult(Record):
    """What writing the statements counted.

    Attributes:
        statements: Rows written.
        statement_schema: The version of rows and texts.
        cases: Target -> how many are `open`, of these `due` in the month after and `overdue`; decided
            by what came this month: `upheld`, `rejected`, of these `late`.
        overdue_cases: The overdue cases by number.
        unknown_calendars: Years whose official calendar is not known yet.
        cases_by_district: District, state, cases, people: `open` or `overdue`, and what was decided
            this month.
        assigned: Open cases by who answers for them: a department, or a district by its name.
    """

    statements: int
    statement_schema: int
    cases: dict[str, dict[str, int]] = {}
    overdue_cases: list[str] = []
    unknown_calendars: list[int] = []
    cases_by_district: list[DistrictCount] = []
    assigned: dict[str, int] = {}


class RemindersResult(Record):
    """What the reminder list counted.

    Attributes:
        allowed: Whether new reminders could be added.
        reminders: Reminders listed, by kind.
        reminders_added: Those of them that no earlier list had, by kind.
        reminders_withdrawn: Those of the replaced revision that are not true any more, by kind.
        reminders_again: Those added that an earlier list had, by what came of them then.
        outcomes: What the month's delivery reports of reminders, by outcome.
        outcomes_by_district: District, outcome, reports, people: of lists of the last twelve months.
        reminders_exhausted: Reminders that were sent three times in vain.
        wrong_numbers: People whose wrong phone number the registry still has.
        unknown_reminders: Rows of the month's delivery about reminders that no list has.
        named_unknown_reminders: The first of these, by the beginning of their numbers.
    """

    allowed: bool = Field(validation_alias="told", serialization_alias="told")
    reminders: dict[str, int]
    reminders_added: dict[str, int]
    reminders_withdrawn: dict[str, int] = {}
    reminders_again: dict[str, int] = {}
    outcomes: dict[str, int] = {}
    outcomes_by_district: list[DistrictCount] = []
    reminders_exhausted: int = 0
    wrong_numbers: int = 0
    unknown_reminders: int = 0
    named_unknown_reminders: list[str] = []


class PackagesResult(Record):
    """What the districts' packages counted.

    Attributes:
        exports: Packages (`districts`), and their rows by kind.
        returns: Rows and values to mend, by department, and by district of what districts deliver.
    """

    exports: dict[str, int]
    returns: dict[str, int] = {}


class MetricsResult(Record):
    """What the drift check measures.

    Attributes:
        figures: Its measures, by name.
        table_schemas: The version of every table's columns, by table.
    """

    figures: dict[str, Any]
    table_schemas: dict[str, str] = Field(validation_alias="schema", serialization_alias="schema")


class StageResults(Record):
    """`done.json`: what the finished stages of a build counted."""

    facts: FactsResult | None = None
    points: PointsResult | None = None
    services: ServicesResult | None = None
    open_layer: OpenLayerResult | None = None
    changes: ChangesResult | None = None
    statements: StatementsResult | None = None
    reminders: RemindersResult | None = None
    exports: PackagesResult | None = None
    metrics: MetricsResult | None = None
