"""Outcomes of reminders: who is reminded again, whose phone number is wrong, what was never sent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from expectations.month import Month
from expectations.refusals import may_name_record
from expectations.source_model import Outcomes, Source
from transforms.clean.returns import DeliveredPart, parts_district_sql, row_json_sql
from transforms.engine.session import Session
from transforms.engine.sql import sql_literal
from transforms.engine.statements import Statement
from transforms.facts.build import clean_rows_statement
from transforms.facts.pseudonyms import renew_number_sql
from transforms.facts.quotas import list_row_columns
from transforms.outputs import DistrictCount
from transforms.services.models import Service

MAX_ATTEMPTS = 3  # a person is reminded again at most twice
MONTHS_BACK = 12  # lists in which an unanswered reminder is looked for
MAX_NAMED = 20  # unknown reminders that are named one by one
WRONG_NUMBERS, UNKNOWN_REMINDERS = "wrong_numbers.parquet", "unknown_reminders.parquet"
UNANSWERED = "unanswered"
"""The last outcome of a reminder that nobody reported anything of."""
_SHOWN = 12  # characters of an unknown reminder's number


@dataclass(frozen=True)
class ReminderAnswers:
    """What districts reported of reminders.

    Attributes:
        source: The declaration.
        folders: The folders of clean rows.
        parts: The files of this month's delivery, in their order; none if there is none.
        stages: How many keys the root has; districts may report a number by an older one.
    """

    source: Source
    folders: Sequence[Path]
    parts: Sequence[DeliveredPart] = ()
    stages: int = 1

    @property
    def declared(self) -> Outcomes:
        """Which columns say what."""
        assert self.source.outcomes
        return self.source.outcomes

    @property
    def rows(self) -> str:
        """The relation of the outcomes received, whose reminders have the numbers of today."""
        return f"{'clean' if self.stages == 1 else 'renewed'}_{self.source.source}"

    def clean_statement(self) -> Statement:
        """Return the query of the outcomes received, a view of their files: it is not published."""
        return clean_rows_statement(self.source, self.folders)

    def statements(self) -> list[Statement]:
        """Return the queries of `answers`, `listed_before` and `pending`.

        They read `sent`, `kept` and the outcomes received (`clean_statement`), of which the first
        makes those with the numbers of today, where the root has several keys.

        `answers`: of every reminder with an outcome the newest one. `listed_before`: the last list of every
        reminder of the last twelve months. `pending`: those of them that may be sent again if they
        still hold, with the number of the attempt and the last outcome (null: none came). Without
        an outcome means that districts delivered outcomes after the list, and none of it.
        Parameters: $month, and those of `hmac_sql`.
        """
        asked = self.declared
        newest = f"({asked.date}, received, part, record)"
        answers = f"""
SELECT {asked.reminder} AS reminder_id, arg_max({asked.outcome}, {newest}) AS outcome,
    arg_max({asked.date}, {newest}) AS answered_on, arg_max(received, {newest}) AS received,
    bool_or({asked.outcome} IN {_texts(asked.ends)}) AS ended
FROM {self.rows} GROUP BY {asked.reminder}"""
        listed_before = f"""
SELECT reminder_id, max(month) AS month, any_value(kind) AS kind, any_value(service) AS service,
    any_value(resident_id) AS resident_id, arg_max(phone, (month, added_in)) AS phone,
    arg_max(coalesce(attempt, 1), (month, added_in)) AS attempt,
    arg_max(district, (month, added_in)) AS district
FROM sent
WHERE month < CAST($month AS DATE)
    AND month >= CAST($month AS DATE) - INTERVAL {MONTHS_BACK} MONTH
GROUP BY reminder_id"""
        pending = f"""
SELECT reminder_id, month, kind, service, resident_id, phone, district, last_outcome,
    attempt + 1 AS attempt,
    coalesce(last_outcome IN {_texts(asked.wrong_number)}, false) AS awaits_number
FROM (
    SELECT listed_before.*,
        CASE WHEN answers.received > left(CAST(listed_before.month AS VARCHAR), 7) THEN answers.outcome END
            AS last_outcome
    FROM listed_before LEFT JOIN answers ON answers.reminder_id = listed_before.reminder_id
    WHERE coalesce(NOT answers.ended, true)
        AND left(CAST(listed_before.month AS VARCHAR), 7) < (SELECT max(received) FROM {self.rows})
)
WHERE (coalesce(last_outcome IN {_texts(asked.again)}, true) AND attempt < {MAX_ATTEMPTS})
    OR last_outcome IN {_texts(asked.wrong_number)}"""
        return [
            *([renewed_numbers_statement(self)] if self.stages > 1 else []),
            Statement("answers", answers, (self.rows,)),
            Statement("listed_before", listed_before, ("sent",)),
            Statement("pending", pending, ("listed_before", "answers", self.rows)),
        ]


def renewed_numbers_statement(answers: ReminderAnswers) -> Statement:
    """Return the outcomes received, with the numbers by which the lists name reminders now.

    Districts report the number that their list had: by the newest key, or by one before it, of
    which the keys after it make the newest. A number that no list has stays as it is.
    """
    source, stages, number = answers.source, answers.stages, answers.declared.reminder
    renewed = [
        renew_number_sql(f"reported.{number}", first, stages) for first in range(2, stages + 1)
    ]
    joins = "\n".join(
        f"LEFT JOIN listed AS listed_{place} ON listed_{place}.reminder_id = {made}"
        for place, made in enumerate([f"reported.{number}", *renewed])
    )
    known = [f"listed_{place}.reminder_id" for place in range(stages)]
    shown = {number: f"coalesce({', '.join(known)}, reported.{number}) AS {number}"}
    columns = [shown.get(one, f"reported.{one}") for one in list_row_columns(source)]
    sql = f"""
WITH listed AS (SELECT reminder_id FROM sent UNION SELECT reminder_id FROM kept)
SELECT {", ".join(columns)}
FROM clean_{source.source} AS reported
{joins}"""
    return Statement(answers.rows, sql, (f"clean_{source.source}", "sent", "kept"))


def again_reached_sql(services: Iterable[Service]) -> str:
    """Return SQL of who reached a service before, still does, and may be reminded of it again.

    Of services that remind newly eligible people only: of the others everyone is looked at anyway.
    """
    codes = [
        service.service
        for service in services
        if service.reminder and service.reminder.newly and service.reminder.each == "resident"
    ]
    return f"""
SELECT eligibility.resident_key, eligibility.service, eligibility.monthly_amount, true AS again
FROM eligibility JOIN facts ON facts.resident_key = eligibility.resident_key
WHERE eligibility.eligible AND eligibility.service IN {_texts(codes)}
    AND EXISTS (
        SELECT 1 FROM pending
        WHERE pending.resident_id = facts.resident_id AND pending.service = eligibility.service
    )
    AND EXISTS (
        SELECT 1 FROM eligibility_before AS before
        WHERE before.eligible AND before.resident_key = eligibility.resident_key
            AND before.service = eligibility.service
    )"""


# Whom the same reminder is for: by its number, or, of people who reached a service in an earlier
# month, by kind, service and person, as the cycle of such a reminder is the month.
AGAIN = """
UNION ALL
SELECT pending.reminder_id, CAST($revision AS INTEGER), CAST($month AS DATE), due.kind, due.service,
    due.resident_id, due.name, due.phone, due.district, due.due_on, due.text,
    CAST(pending.attempt AS INTEGER), coalesce(pending.last_outcome, 'unanswered')
FROM due JOIN pending ON pending.resident_id = due.resident_id AND pending.kind = due.kind
    AND pending.service IS NOT DISTINCT FROM due.service
    AND (due.again OR pending.reminder_id = due.reminder_id)
WHERE coalesce(due.due_on > $as_of, true)
    AND (NOT pending.awaits_number OR coalesce(due.phone <> coalesce(pending.phone, ''), false))
    AND NOT EXISTS (SELECT 1 FROM kept WHERE kept.reminder_id = pending.reminder_id)
QUALIFY row_number() OVER (PARTITION BY due.reminder_id ORDER BY pending.month DESC) = 1"""
# What is in `pending` comes back as an attempt or not at all; what has ended never does.
NOT_ANSWERED = """
    AND NOT EXISTS (SELECT 1 FROM pending WHERE pending.reminder_id = due.reminder_id)
    AND NOT EXISTS (
        SELECT 1 FROM answers WHERE answers.reminder_id = due.reminder_id AND answers.ended
    )"""


@dataclass(frozen=True)
class OutcomeResult:
    """What came of reminders.

    Attributes:
        received: Answers of this month's delivery, by outcome.
        exhausted: Reminders of the last lists that were sent three times in vain.
        wrong_numbers: People whose wrong phone number the registry still has.
        unknown: Answers of this month's delivery about reminders that no list has.
        by_district: Reports of this month's delivery by the district that the reminder was listed in.
        named_unknown: The first of these, as they are written, cut to what says nothing of anybody.
    """

    received: Mapping[str, int] = field(default_factory=dict)
    exhausted: int = 0
    wrong_numbers: int = 0
    unknown: int = 0
    by_district: tuple[DistrictCount, ...] = ()
    named_unknown: tuple[str, ...] = ()


def wrong_numbers_statement(answers: ReminderAnswers, registry: Source) -> Statement:
    """Return the registry's returns: one row per resident whose wrong number it still has."""
    asked = answers.declared
    spine = registry.spine
    assert spine
    reason = "'区县按此号码联系不上本人，' || CAST(max(answers.answered_on) AS VARCHAR) || ' 报告号码有误'"
    delivered = (
        f"struct_pack({registry.person} := any_value(facts.resident_id),"
        f" {spine.name} := any_value(facts.name), {spine.phone} := any_value(facts.phone))"
    )
    sql = f"""
SELECT {sql_literal(registry.source)} AS source, '' AS file, CAST(NULL AS BIGINT) AS record,
    'wrong_number' AS kind, {sql_literal(registry.columns[spine.phone].title)} AS "column",
    {reason} AS reason, '本人现在使用的号码' AS wanted,
    CAST(to_json({delivered}) AS VARCHAR) AS delivered
FROM answers JOIN listed_before USING (reminder_id) JOIN facts ON facts.resident_id = listed_before.resident_id
WHERE answers.outcome IN {_texts(asked.wrong_number)} AND facts.phone = listed_before.phone
GROUP BY facts.resident_id ORDER BY facts.resident_id"""
    return Statement("wrong_numbers", sql, ("answers", "listed_before", "facts"), "file")


def unknown_reminders_statement(answers: ReminderAnswers) -> Statement:
    """Return the districts' returns: the month's rows about a reminder that no list has.

    With `reminder_id` besides. Parameters: $received, the month as text.
    """
    source, asked = answers.source, answers.declared
    title = source.columns[asked.reminder].title
    sql = f"""
SELECT {sql_literal(source.source)} AS source, '' AS file, record, 'unknown_reminder' AS kind,
    {sql_literal(title)} AS "column", '没有发过这条提醒' AS reason,
    '提醒名单中的{title}，原样保留' AS wanted, {row_json_sql(source)} AS delivered,
    nullif({parts_district_sql(answers.parts)}, '') AS district, {asked.reminder} AS reminder_id
FROM {answers.rows} AS rows
WHERE received = $received
    AND NOT EXISTS (SELECT 1 FROM sent WHERE sent.reminder_id = rows.{asked.reminder})
    AND NOT EXISTS (SELECT 1 FROM kept WHERE kept.reminder_id = rows.{asked.reminder})
ORDER BY part, record"""
    return Statement("unknown_reminders", sql, (answers.rows, "sent", "kept"), "table")


def write_outcomes(
    session: Session, answers: ReminderAnswers, registry: Source, month: Month, folder: Path
) -> OutcomeResult:
    """Write what departments have to mend of outcomes as returns below a folder; count the rest.

    Args:
        session: Has `answers`, `listed_before`, `pending`, `sent`, `kept` and `facts`.
        answers: What districts reported.
        registry: The source whose phone numbers are wrong.
        month: The month scored.
        folder: Where the files of returns go.
    """
    asked, params = answers.declared, {"received": str(month)}
    wrong = session.write(wrong_numbers_statement(answers, registry), folder / WRONG_NUMBERS)
    session.create_table(unknown_reminders_statement(answers), params)
    listed = Statement(
        "returns", "SELECT * EXCLUDE (reminder_id) FROM unknown_reminders", (), "file"
    )
    unknown = session.write(listed, folder / UNKNOWN_REMINDERS)
    names = session.fetch_rows(
        f"SELECT left(reminder_id, 40) FROM unknown_reminders ORDER BY ALL LIMIT {MAX_NAMED}"
    )
    received = session.fetch_rows(
        f"SELECT {asked.outcome}, count(*) FROM {answers.rows}"
        f" WHERE received = $received GROUP BY ALL ORDER BY ALL",
        params,
    )
    by_district = session.fetch_rows(
        f"SELECT district, {asked.outcome}, count(*), count(DISTINCT listed_before.resident_id)"
        f" FROM {answers.rows} AS rows"
        f" JOIN listed_before ON listed_before.reminder_id = rows.{asked.reminder}"
        " WHERE received = $received GROUP BY ALL ORDER BY ALL",
        params,
    )
    exhausted = session.scalar(f"""
        SELECT count(*) FROM listed_before LEFT JOIN answers USING (reminder_id)
        WHERE attempt >= {MAX_ATTEMPTS} AND month = CAST('{(month - 1).first_day}' AS DATE)
            AND coalesce(answers.outcome IN {_texts(asked.again)}, true)""")
    return OutcomeResult(
        {str(outcome): int(count) for outcome, count in received},
        exhausted=int(exhausted),
        wrong_numbers=wrong,
        unknown=unknown,
        by_district=tuple((one, item, count, people) for one, item, count, people in by_district),
        named_unknown=tuple(name[:_SHOWN] for (name,) in names if may_name_record(name)),
    )


def _texts(values: Iterable[str]) -> str:
    return f"({', '.join(map(sql_literal, values)) or 'NULL'})"
