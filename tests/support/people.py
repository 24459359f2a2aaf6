"""Two residents, their rows in the registry, and what a month says of them."""

from __future__ import annotations

from typing import Any

from tests.support.world import World, national_id

OCTOBER = "2021-10"
PERSON, OTHER = national_id("51010219850101101"), national_id("51010219860101101")


def person(resident_id: str = PERSON, **other: str) -> dict[str, str]:
    return {
        "resident_id": resident_id,
        "residence_district": "330203",
        "status": "resident",
        **other,
    }


def facts(world: World, month: str = OCTOBER) -> dict[str, dict[str, Any]]:
    """Everybody's facts, by resident_id."""
    people = {
        row["resident_key"]: row["resident_id"]
        for row in world.table(month, "restricted/identities")
    }
    return {people[row["resident_key"]]: row for row in world.table(month, "facts")}
