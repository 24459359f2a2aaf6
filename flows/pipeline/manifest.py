"""What a month's manifest keeps of how the month came about."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import metadata
from typing import Any

from flows.pipeline.context import RunContext
from flows.pipeline.fingerprints import (
    CODE_PATHS,
    code_fingerprint,
    input_fingerprint,
    list_received,
)
from flows.project import split_city
from flows.storage.deliveries import delivery_key
from flows.storage.records import MonthFacts
from transforms.clean.accounts import RowCounts
from transforms.points.columns import points_column_name
from transforms.points.models import CITY, PointsVersion
from transforms.services.models import ServiceVersion


def build_month_facts(run: RunContext) -> MonthFacts:
    """Return inputs, policy, accounts, what the stages counted, and why a held month is accepted.

    Needs the results of all computing stages.
    """
    done = run.build.results()
    assert done.facts and done.points and done.services and done.changes
    assert done.statements and done.reminders and done.exports and done.metrics
    inputs = run.inputs
    return MonthFacts(
        month=str(run.month),
        as_of=str(run.month.last_day),
        inputs=input_fingerprint(run),
        policy=_versions(run.project.in_force(run.month)),
        services=_versions(run.project.services_in_force(run.month)),
        received=list_received(run),
        deliveries=[delivery_key(d) for one in inputs.values() for d in one.deliveries],
        carried={n: str(one.carried_from) for n, one in inputs.items() if one.carried_from},
        missing={
            name: {"months": [str(month) for month in one.missing], "reason": one.reason}
            for name, one in inputs.items()
            if one.missing
        },
        same=run.allowed_repeats,
        accounts=[format_account(one) for passed in run.accounts.values() for one in passed],
        residents=done.facts.residents,
        unmatched=done.facts.unmatched,
        over_quota=done.facts.over_quota,
        unknown_keys=done.facts.unknown_keys,
        corrected=done.facts.corrected,
        corrections_without_target=done.facts.corrections_without_target,
        scored=done.points.scored,
        eligible=done.services.eligible,
        monthly_amounts=done.services.monthly_amounts,
        open_layer=done.open_layer.tables if done.open_layer else {},
        changes=done.changes.changes,
        moved=done.changes.moved,
        compared_with=done.changes.compared_with,
        statements=done.statements.statements,
        statement_schema=done.statements.statement_schema,
        cases=done.statements.cases,
        reminders_allowed=done.reminders.allowed,
        reminders=done.reminders.reminders,
        reminders_added=done.reminders.reminders_added,
        reminders_withdrawn=done.reminders.reminders_withdrawn,
        reminders_again=done.reminders.reminders_again,
        outcomes=done.reminders.outcomes,
        reminders_exhausted=done.reminders.reminders_exhausted,
        wrong_numbers=done.reminders.wrong_numbers,
        unknown_reminders=done.reminders.unknown_reminders,
        exports=done.exports.exports,
        returns=done.exports.returns,
        figures=done.metrics.figures,
        table_schemas=done.metrics.table_schemas,
        sections=_list_sections(run),
        code={"version": metadata.version("jifen"), "hash": code_fingerprint(*CODE_PATHS)},
        held=list(run.hold_reasons),
        accepted=run.options.accept if run.hold_reasons and run.is_accepted else None,
        accepted_by=_list_acceptors(run),
        findings=[finding.to_record() for finding in run.findings],
    )


def _list_acceptors(run: RunContext) -> list[str]:
    """Return by name who accepts a month that the drift check would hold."""
    if not run.hold_reasons or not run.is_accepted:
        return []
    return [run.root.operator.name_account(account) for account in run.accepted_by]


def format_account(account: RowCounts) -> dict[str, Any]:
    """Return the row account of a delivery as manifests and reports show it.

    Of undeclared columns it says how many: a title may be anything, a person's data in a file
    without headers too.
    """
    shown = {name: value for name, value in vars(account).items() if name != "inputs"}
    return shown | {"undeclared": len(account.undeclared)}


def _list_sections(run: RunContext) -> dict[str, list[str]]:
    """Return the points columns of the city's sections, those that add and those that subtract."""
    city, _ = split_city(run.project.in_force(run.month))
    return {
        kind: [
            points_column_name(CITY, code)
            for code, section in city.sections.items()
            if section.subtract == subtracted
        ]
        for kind, subtracted in (("positive", False), ("subtracted", True))
    }


def _versions(
    in_force: Mapping[str, PointsVersion] | Mapping[str, ServiceVersion],
) -> dict[str, dict[str, str]]:
    """Return which versions decided the month; with `amends`, the reason it used up."""
    return {
        code: {"from": str(version.begins), "hash": version.hash}
        | ({"amends": version.amends} if version.amends else {})
        for code, version in in_force.items()
    }
