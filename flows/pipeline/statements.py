"""The stage of statements: what every resident sees, and the open cases for the departments."""

from __future__ import annotations

from flows.pipeline.compute import build_month_values, list_clean_folders, list_parts, write_sql
from flows.pipeline.context import RunContext, StageResult
from flows.pipeline.findings import find_case_findings
from flows.project import split_city
from flows.storage.files import recreate_folder
from flows.storage.revisions import next_revision_number
from flows.storage.stage_results import StatementsResult
from reports.explain.examples import write_examples
from reports.packages.objections import FOLDER as CASES_FOLDER
from reports.packages.objections import CaseInputs, write_case_workbooks
from reports.published_rules import PublishedRules
from reports.statements.rows_sql import StatementCompiler
from reports.statements.texts import build_statement_rules, build_statement_texts
from reports.statements.write import (
    NO_CHILDREN,
    NO_OBJECTIONS,
    NO_RANKS,
    StatementInputs,
    child_lines_of_revision,
    ranks_of_folder,
    write_statements,
    write_texts,
)
from transforms.engine.parquet import read_folder_sql
from transforms.expressions.fact_values import AWARD
from transforms.facts.corrections import FACT_PREFIX
from transforms.objections.open_cases import (
    OPEN_CASES,
    CaseResult,
    CaseSources,
    CaseTerms,
    open_objections_sql,
    write_open_cases,
)
from transforms.outputs import ELIGIBILITY, STATEMENTS
from transforms.points.columns import list_scored_indicators
from transforms.points.describe import collect_titles


def compute_statements(run: RunContext) -> StageResult:
    """Write what every resident sees, and the open cases for the departments."""
    result = run.build.run_once("statements", StatementsResult, lambda: _statements(run))
    found = find_case_findings(result, run.project.sources)
    return StageResult(result.to_values(), tuple(found))


def _statements(run: RunContext) -> StatementsResult:
    project, revision, done = run.project, run.build.revision, run.build.results()
    assert done.facts and done.changes
    compared_with = done.changes.compared_with
    rules = PublishedRules(
        run.month.last_day,
        project.tables,
        project.services,
        collect_titles(project.sources, project.reference.districts),
        project.reference.districts,
    )
    compiler = StatementCompiler(
        build_statement_rules(rules), frozenset(done.facts.corrected), compared_with is not None
    )
    folder, cases = recreate_folder(revision / STATEMENTS.folder), CaseResult()
    assigned: dict[str, int] = {}
    with run.engine() as session:
        objections, sources, open_cases = NO_OBJECTIONS, _case_sources(run), revision / OPEN_CASES
        if sources:
            workbooks = recreate_folder(revision / CASES_FOLDER)
            days = project.settings.objections.objection_days
            evidence = list_evidence_sources(run)
            targets = {*evidence, *(f"{FACT_PREFIX}{name}" for name in project.facts)}
            terms = CaseTerms(run.month, days, targets)
            facts = read_folder_sql(run.build.fact_table)
            cases = write_open_cases(session, sources, facts, terms, open_cases)
            objections = open_objections_sql(open_cases)
        inputs = StatementInputs(
            read_folder_sql(run.build.fact_table),
            revision / "changes",
            {**build_month_values(run), "revision": next_revision_number(run.root, run.month)},
            objections,
            ranks_of_folder(revision / ELIGIBILITY.folder) if compiler.is_ranked else NO_RANKS,
            child_lines_of_revision(revision) if compiler.has_children else NO_CHILDREN,
        )
        rows, statements = write_statements(
            session, compiler, inputs, list(project.reference.districts), folder
        )
        texts = build_statement_texts(rules, project.sources, compared_with)
        write_texts(texts, folder)
        write_examples(session, compiler, texts, folder)
        if sources:
            given = CaseInputs(
                open_cases,
                list_parts(folder),
                texts,
                project.sources,
                {name: list_clean_folders(run, name) for name in run.inputs},
                evidence,
                sources.objections.department,
            )
            assigned = write_case_workbooks(session, given, run.month, workbooks)
    write_sql(revision, "statements", statements)
    return StatementsResult(
        statements=rows,
        statement_schema=texts.schema_version,
        cases={target: dict(counts) for target, counts in cases.by_target.items()},
        overdue_cases=list(cases.overdue),
        unknown_calendars=list(cases.years),
        cases_by_district=list(cases.by_district),
        assigned=assigned,
    )


def _case_sources(run: RunContext) -> CaseSources | None:
    """Return where objections and their decisions are; None in a city without objections."""
    sources = run.project.sources.values()
    filed = next((one for one in sources if one.objects), None)
    if filed is None or not run.inputs[filed.source].deliveries:
        return None
    decisions = next((one for one in sources if one.corrects), None)
    decided = list_clean_folders(run, decisions.source) if decisions else []
    return CaseSources(filed, list_clean_folders(run, filed.source), decisions, decided)


def list_evidence_sources(run: RunContext) -> dict[str, list[str]]:
    """Return for each indicator in force the sources whose facts it reads, by its target."""
    origin = {fact: name for name, one in run.project.sources.items() for fact in one.facts}
    city, districts = split_city(run.project.in_force(run.month))
    return {
        line.target: list(
            dict.fromkeys(
                origin["awards" if fact.startswith(AWARD) else fact]
                for fact in line.indicator.facts
            )
        )
        for line in list_scored_indicators(city, districts)
    }
