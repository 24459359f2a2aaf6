"""The stage of packages: what departments and districts have to mend, and the districts' packages."""

from __future__ import annotations

from flows.pipeline.context import RunContext, StageResult
from flows.pipeline.returns import write_month_returns
from flows.project import split_city
from flows.storage.revisions import next_revision_number
from flows.storage.stage_results import PackagesResult
from reports.packages.build import (
    PackageContents,
    RecipientWorkbooks,
    check_keys,
    list_package_districts,
    write_all_packages,
)
from reports.packages.lists import PackageTitles
from reports.packages.objections import FOLDER as CASES_FOLDER
from reports.packages.returns import FOLDER as RETURNS_FOLDER
from transforms.services.eligibility_sql import select_services_of


def write_packages(run: RunContext) -> StageResult:
    """Write every department's and district's returns, and every district's package with its own."""
    result = run.build.run_once("exports", PackagesResult, lambda: _exports(run))
    return StageResult(result.to_values())


def _exports(run: RunContext) -> PackagesResult:
    project = run.project
    compared, cases = run.build.results().changes, run.build.results().statements
    assert compared is not None and cases is not None
    city, versions = split_city(project.in_force(run.month))
    titles = PackageTitles(
        city,
        versions,
        {service.service: service.title for service in project.services},
        project.reminder_titles(),
        frozenset(select_services_of(project.services_in_force(run.month), "child")),
    )
    settings, districts = project.settings.exports, project.reference.districts
    recipients = list_package_districts(project.reference)
    check_keys(recipients, settings.require_encryption)
    with run.engine() as session:
        returns = write_month_returns(run, session)
        revision = run.build.revision
        contents = PackageContents(
            run.month,
            next_revision_number(run.root, run.month),
            titles,
            compared.moved if compared.compared_with else None,
            (
                RecipientWorkbooks("returns.xlsx", revision / RETURNS_FOLDER, returns),
                RecipientWorkbooks("objections.xlsx", revision / CASES_FOLDER, cases.assigned),
            ),
        )
        counts = write_all_packages(
            session,
            revision,
            recipients,
            contents,
            lambda code: run.report_progress(f"区县导出：{districts[code]}"),
        )
    return PackagesResult(exports=counts, returns=returns)
