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
from transforms.clean.delivery import RowCounts
from transforms.points.columns import points_column_name
from transforms.points.models import CITY, PointsVersion
from transforms.services.models import ServiceVersion


def build_manifest(run: RunContext) -> dict[str, Any]:
    """Inputs, policy, accounts, what the finished steps counted, and why the operator let a held month through."""
    done = run.making.done()
    city, _ = split_city(run.project.in_force(run.month))
    sections = {
        kind: [
            points_column_name(CITY, code)
            for code, section in city.sections.items()
            if section.subtract == subtracted
        ]
        for kind, subtracted in (("positive", False), ("subtracted", True))
    }
    return {
        "month": str(run.month),
        "as_of": str(run.month.last_day),
        "inputs": input_fingerprint(run),
        "policy": _versions(run.project.in_force(run.month)),
        "received": list_received(run),
        "deliveries": [
            delivery_key(d) for served in run.served.values() for d in served.deliveries
        ],
        "carried": {
            n: str(served.carried_from) for n, served in run.served.items() if served.carried_from
        },
        "missing": {
            n: {"months": [str(m) for m in served.missing], "reason": served.reason}
            for n, served in run.served.items()
            if served.missing
        },
        "accounts": [
            format_account(account) for accounts in run.accounts.values() for account in accounts
        ],
        "services": _versions(run.project.services_in_force(run.month)),
        **{name: value for counts in done.values() for name, value in counts.items()},
        "sections": sections,
        "code": {"version": metadata.version("jifen"), "hash": code_fingerprint(*CODE_PATHS)},
        "held": run.reasons,
        "accepted": run.accept if run.reasons and run.accepted else None,
    }


def _versions(
    in_force: Mapping[str, PointsVersion] | Mapping[str, ServiceVersion],
) -> dict[str, dict[str, str]]:
    """Which versions decided the month; with `amends`, the reason that has been used up by publishing it."""
    return {
        code: {"from": str(version.begins), "hash": version.hash}
        | ({"amends": version.amends} if version.amends else {})
        for code, version in in_force.items()
    }


def format_account(account: RowCounts) -> dict[str, Any]:
    """The row account of a delivery, as manifests and reports show it: of undeclared columns how many, for a title may
    be anything, a person's data in a file without headers too."""
    known = {name: value for name, value in vars(account).items() if name != "inputs"}
    return known | {"undeclared": len(account.undeclared)}
