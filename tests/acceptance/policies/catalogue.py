"""Real points tables of other places, typed in from their sources."""

from __future__ import annotations

import datetime as dt

from tests.acceptance.policies.beijing import by_hand as beijing
from tests.acceptance.policies.express_entry import by_hand as express_entry
from tests.acceptance.policies.foshan import by_hand as foshan
from tests.acceptance.policies.hong_kong import by_hand as hong_kong
from tests.acceptance.policies.policy import AcceptancePolicy
from tests.acceptance.policies.shanghai import by_hand as shanghai
from tests.acceptance.policies.welwyn_hatfield import by_hand as welwyn_hatfield

POLICIES = [
    AcceptancePolicy("shanghai", dt.date(2018, 12, 31), shanghai.STEPS, shanghai.PEOPLE),
    AcceptancePolicy("foshan", dt.date(2016, 12, 31), foshan.STEPS, foshan.PEOPLE, ("440604",)),
    AcceptancePolicy(
        "express_entry", dt.date(2025, 12, 31), express_entry.STEPS, express_entry.PEOPLE
    ),
    AcceptancePolicy("hong_kong", dt.date(2022, 9, 30), hong_kong.STEPS, hong_kong.PEOPLE),
    AcceptancePolicy(
        "welwyn_hatfield", dt.date(2015, 6, 30), welwyn_hatfield.STEPS, welwyn_hatfield.PEOPLE
    ),
    AcceptancePolicy("beijing", dt.date(2026, 5, 31), beijing.STEPS, beijing.PEOPLE),
]
