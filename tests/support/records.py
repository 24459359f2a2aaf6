"""Records as a run makes them, for tests that run no month."""

from __future__ import annotations

from typing import Any

from flows.storage.records import MonthFacts


def month_facts(**given: Any) -> MonthFacts:
    """Facts of October 2021 about two residents; `given` goes before."""
    values: dict[str, Any] = {
        "month": "2021-10",
        "as_of": "2021-10-31",
        "inputs": "0",
        "policy": {"city": {"from": "2021-09-08", "hash": "0"}},
        "services": {},
        "received": [],
        "deliveries": [],
        "carried": {},
        "missing": {},
        "accounts": [
            {
                "source": "registry",
                "month": "2021-10",
                "received": 9,
                "clean": 6,
                "quarantined": 2,
                "superseded": 1,
            }
        ],
        "residents": 2,
        "unmatched": {},
        "over_quota": {},
        "unknown_keys": {},
        "corrected": [],
        "corrections_without_target": 0,
        "scored": 2,
        "eligible": {},
        "monthly_amounts": {},
        "changes": 0,
        "moved": [],
        "compared_with": None,
        "told": True,
        "reminders": {},
        "reminders_added": {},
        "exports": {},
        "figures": {},
        "schema": {},
        "sections": {
            "positive": ["base_points", "bonus_points"],
            "subtracted": ["deduction_points"],
        },
        "code": {"version": "0", "hash": "0"},
        "held": [],
        "accepted": None,
    }
    return MonthFacts.model_validate({**values, **given})
