"""The computing stages: facts, points, services, lists; each made once in the build folder."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from expectations.source_loader import find_spine
from flows.pipeline.context import RunContext, StageResult
from flows.pipeline.findings import (
    find_fact_findings,
    find_outcome_findings,
)
from flows.pipeline.fingerprints import build_cleaning_job, state_fingerprint
from flows.pipeline.sealed_inputs import compare_clean_rows
from flows.project import split_city
from flows.storage.files import recreate_folder
from flows.storage.incremental_state import load_previous_state, new_state
from flows.storage.records import Record
from flows.storage.removals import list_sent_files
from flows.storage.revisions import (
    find_published,
    list_published_months,
    list_revisions,
    next_revision_number,
)
from flows.storage.stage_results import (
    ChangesResult,
    FactsResult,
    PointsResult,
    RemindersResult,
    ServicesResult,
)
from transforms.comparison.changes import write_changes
from transforms.engine.errors import explain_overflow
from transforms.engine.parquet import read_folder_sql, read_parquet_sql
from transforms.engine.reference_tables import load_reference_tables
from transforms.engine.session import Session
from transforms.engine.statements import Statement
from transforms.facts.build import FactInputs, FactTargets, MonthParams, build_facts
from transforms.facts.pseudonyms import hmac_params
from transforms.facts.published_tables import (
    count_unknown_award_codes,
    published_fact_statement,
)
from transforms.outputs import (
    CHANGES,
    DISTRICTS,
    ELIGIBILITY,
    FACTS,
    FAMILIES,
    IDENTITIES,
    REMINDERS,
    RESTRICTED_FACTS,
    RETURNED_ROWS,
    SCORES,
    SERVICES,
    THRESHOLDS,
    find_table_file,
)
from transforms.points.columns import list_points_items, list_scored_indicators
from transforms.points.compile import points_sql
from transforms.points.scored import (
    list_points_columns_in_force,
    scored_of_district_sql,
    scored_statement,
)
from transforms.reminders.build import (
    ReminderDeclarations,
    ReminderHistory,
    ReminderRun,
    may_add_reminders,
    write_reminders,
)
from transforms.reminders.outcomes import OutcomeResult, ReminderAnswers, write_outcomes
from transforms.services.declared_tables import (
    districts_statement,
    services_statement,
    thresholds_statement,
)
from transforms.services.write import EligibilityInputs, ServiceRules, write_eligibility


def compute_facts(run: RunContext) -> StageResult:
    """Make the fact table, and write what is published of it."""
    result = run.build.run_once("facts", FactsResult, lambda: _facts(run))
    corrections = [name for name, source in run.project.sources.items() if source.corrects]
    return StageResult(result.to_values(), tuple(find_fact_findings(result, corrections)))


def _facts(run: RunContext) -> FactsResult:
    revision, project = run.build.revision, run.project
    folders = {name: list_clean_folders(run, name) for name in run.inputs}
    city, districts = split_city(project.in_force(run.month))
    current, previous = (state_fingerprint(run, month) for month in (run.month, run.month - 1))
    taken = load_previous_state(run.root, previous, run.key)
    if taken.damage:
        run.report_progress(f"增量状态未沿用，重新读取全部历史：{taken.damage}")
    kept = None if taken.damage else previous
    compare_clean_rows(run, taken)
    with run.engine() as session, new_state(run.root, current, kept, run.key) as state:
        inputs = FactInputs(
            project.sources,
            folders,
            project.reference,
            {line.target for line in list_scored_indicators(city, districts)},
            taken.folders,
        )
        over_quota = revision / "restricted" / "over_quota"
        made = build_facts(
            session,
            inputs,
            MonthParams(run.month, run.key, run.former_keys),
            FactTargets(
                recreate_folder(run.build.fact_table),
                over_quota,
                state,
                recreate_folder(revision / RETURNED_ROWS),
            ),
            report_progress=lambda what: run.report_progress(f"指标数据：{what}"),
        )
        facts = read_folder_sql(run.build.fact_table)
        unknown = count_unknown_award_codes(
            session, facts, project.sources, project.district_indicators()
        )
        published = []
        for output in (FACTS, RESTRICTED_FACTS, IDENTITIES):
            statement = published_fact_statement(project.facts, output)
            target = find_table_file(revision, output)
            session.write(statement, target, inputs={"facts": facts}, plain_columns=True)
            published.append(statement)
    write_sql(revision, "facts", [*made.statements, *published])
    return FactsResult(
        residents=made.residents,
        unmatched=made.unmatched,
        over_quota=made.over_quota,
        unknown_keys=unknown,
        corrected=sorted(made.corrected.indicators),
        corrections_without_target=made.corrected.without_target,
        ineffective_corrections=list(made.corrected.ineffective),
        altered_state=taken.damage,
    )


def list_clean_folders(run: RunContext, source: str) -> list[Path]:
    """Return the folders of a source's clean rows that serve the month."""
    used = run.inputs[source].deliveries
    jobs = (build_cleaning_job(run.project, delivery) for delivery in used)
    return [job.folder(run.root.path, "clean") for job in jobs]


def compute_points(run: RunContext) -> StageResult:
    """Score everyone: one statement over the fact table."""
    return _counted(run.build.run_once("points", PointsResult, lambda: _points(run)))


def _points(run: RunContext) -> PointsResult:
    city, districts = split_city(run.project.in_force(run.month))
    facts_result = run.build.results().facts
    assert facts_result is not None
    corrected = facts_result.corrected
    sql = points_sql(city, districts, run.project.facts, corrected=corrected)
    statement = Statement("points", sql, ("facts",), "file")
    target = find_table_file(run.build.revision, SCORES)
    facts = read_folder_sql(run.build.fact_table)
    with run.engine() as session, explain_overflow(session, run.project.facts, [facts]):
        rows = session.write(statement, target, build_month_values(run), {"facts": facts})
    write_sql(run.build.revision, "points", [statement])
    return PointsResult(scored=rows)


def compute_changes(run: RunContext) -> StageResult:
    """Write what changed against the previous month as published."""
    return _counted(run.build.run_once("changes", ChangesResult, lambda: _changes(run)))


def _changes(run: RunContext) -> ChangesResult:
    before = find_published(run.root, run.month - 1)
    revision = run.build.revision
    months = (run.month, run.month - 1 if before else run.month)
    now, then = (list_points_items(*split_city(run.project.in_force(month))) for month in months)
    with run.engine() as session:
        made = write_changes(
            session,
            revision,
            before.path if before else None,
            run.month,
            (now, then),
            revision / CHANGES.folder,
        )
    name = before.name if before else None
    write_sql(revision, "changes", [made.statement])
    return ChangesResult(changes=made.items, moved=made.moved, compared_with=name)


def compute_services(run: RunContext) -> StageResult:
    """Decide who qualifies for what, and who lacks nothing but points."""
    return _counted(run.build.run_once("services", ServicesResult, lambda: _services(run)))


def _services(run: RunContext) -> ServicesResult:
    services, districts = run.project.services_in_force(run.month), run.project.reference.districts
    columns = list_points_columns_in_force(run.project.in_force(run.month))
    folder, work = run.build.revision / ELIGIBILITY.folder, run.build.folder / "services"
    inputs = EligibilityInputs(
        lambda district: f"({scored_of_district_sql(columns, district)})",
        list(districts),
        build_month_values(run) | hmac_params(*run.former_keys, run.key),
        recreate_folder(work),
        find_table_file(run.build.revision, FAMILIES),
    )
    titles = {service.service: service.title for service in run.project.services}
    declared = [
        (DISTRICTS, districts_statement(districts)),
        (SERVICES, services_statement(services, titles)),
        (THRESHOLDS, thresholds_statement(services, districts)),
    ]
    with run.engine() as session:
        for output, table in declared:
            session.write(
                table, find_table_file(run.build.revision, output), build_month_values(run)
            )
        view_facts_and_scores(session, run)
        rules = ServiceRules(services, run.project.names(run.month))
        statements = write_eligibility(session, rules, inputs, folder)
        rows = session.fetch_rows(f"""
            SELECT service, count(*) FILTER (WHERE eligible),
                coalesce(sum(monthly_amount) FILTER (WHERE eligible), 0)
            FROM {read_folder_sql(folder)} GROUP BY service ORDER BY service""")
    shutil.rmtree(work)
    listed = [*(table for _, table in declared), scored_statement(columns), *statements]
    write_sql(run.build.revision, "services", listed)
    return ServicesResult(
        eligible={code: count for code, count, _ in rows},
        monthly_amounts={code: str(amount) for code, _, amount in rows if amount},
    )


def compute_reminders(run: RunContext) -> StageResult:
    """Write the month's reminder list, and what came of earlier ones."""
    result = run.build.run_once("reminders", RemindersResult, lambda: _reminders(run))
    found = find_outcome_findings(result, run.project.sources)
    return StageResult(result.to_values(), tuple(found))


def _reminders(run: RunContext) -> RemindersResult:
    project, made = run.project, list_revisions(run.root, run.month)
    options = run.options
    may_add = may_add_reminders(
        run.month,
        list_published_months(run.root),
        last=options.is_last_of_run,
        send=options.send_reminders,
    )
    before = find_published(run.root, run.month - 1)
    others = [path for month, _, path in run.root.revision_folders() if month != run.month]
    published = ReminderHistory(
        eligibility_before=list_parts(before.path / ELIGIBILITY.folder) if before else [],
        sent=[
            *(file for path in others for file in list_parts(path / REMINDERS.folder)),
            *list_sent_files(run.root, run.key),
        ],
        kept=list_parts(made[-1].path / REMINDERS.folder) if made else [],
        answers=_reminder_answers(run),
    )
    open_services = [
        service for service in project.services if service.in_force(run.month.last_day)
    ]
    declared = ReminderDeclarations(
        open_services, project.reminders, project.facts, project.reference.districts
    )
    number = next_revision_number(run.root, run.month)
    with run.engine() as session:
        load_reference_tables(session, project.reference)
        view_facts_and_scores(session, run)
        session.create_view(
            scored_statement(list_points_columns_in_force(project.in_force(run.month)))
        )
        listed = write_reminders(
            session,
            ReminderRun(run.month, number, run.key, may_add, run.former_keys),
            declared,
            list_parts(run.build.revision / ELIGIBILITY.folder),
            published,
            find_table_file(run.build.revision, REMINDERS),
        )
        outcomes = OutcomeResult()
        if published.answers:
            registry, folder = find_spine(project.sources), run.build.revision / RETURNED_ROWS
            outcomes = write_outcomes(session, published.answers, registry, run.month, folder)
    write_sql(run.build.revision, "reminders", listed.statements)
    return RemindersResult(
        allowed=may_add,
        reminders=listed.listed,
        reminders_added=listed.added,
        reminders_withdrawn=listed.withdrawn,
        reminders_again=listed.again,
        outcomes=dict(outcomes.received),
        outcomes_by_district=list(outcomes.by_district),
        reminders_exhausted=outcomes.exhausted,
        wrong_numbers=outcomes.wrong_numbers,
        unknown_reminders=outcomes.unknown,
        named_unknown_reminders=list(outcomes.named_unknown),
    )


def _reminder_answers(run: RunContext) -> ReminderAnswers | None:
    """Return what districts reported of reminders up to the month; None if they never did."""
    source = next((one for one in run.project.sources.values() if one.outcomes), None)
    folders = list_clean_folders(run, source.source) if source else []
    if source is None or not folders:
        return None
    jobs = (build_cleaning_job(run.project, one) for one in run.inputs[source.source].deliveries)
    own = [job for job in jobs if job.received == run.month]
    parts = own[0].delivered_parts if own else ()
    return ReminderAnswers(source, folders, parts, len(run.root.keys()))


def _counted(result: Record) -> StageResult:
    """Return what Prefect sees of a computing stage."""
    return StageResult(result.to_values())


def view_facts_and_scores(session: Session, run: RunContext) -> None:
    """Create the views `facts` and `scores` of the same residents in the same order."""
    scores = find_table_file(run.build.revision, SCORES)
    session.execute(f"CREATE VIEW facts AS FROM {read_folder_sql(run.build.fact_table)}")
    session.execute(f"CREATE VIEW scores AS FROM {read_parquet_sql(scores)}")


def build_month_values(run: RunContext) -> dict[str, Any]:
    """The parameters of points and services."""
    return {"month": run.month.first_day, "as_of": run.month.last_day}


def list_parts(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.parquet"))


def write_sql(revision: Path, group: str, statements: Sequence[Statement]) -> None:
    """Write the statements that computed the month, one file each, numbered as they ran."""
    folder = revision / "sql" / group
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for number, statement in enumerate(statements, 1):
        file = folder / f"{number:02d}_{statement.name}.sql"
        file.write_text(statement.to_script() + ";\n", encoding="utf-8")
