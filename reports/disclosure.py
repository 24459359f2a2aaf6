"""The rules of pages that leave the operators' hands: rounded people, nothing of fewer than 10."""

from __future__ import annotations

from transforms.comparison.metric_table import FEW_PEOPLE

FEW = FEW_PEOPLE
ROUNDED_TO = 10
FEW_TEXT = f"少于 {FEW}"


def round_people(people: int) -> int | None:
    """Return a number of people rounded to tens, halves up; None for fewer than 10."""
    half = ROUNDED_TO // 2
    return None if people < FEW else (people + half) // ROUNDED_TO * ROUNDED_TO


def format_people(people: int) -> str:
    """Return a number of people as such a page shows it; nobody, too, is fewer than 10."""
    rounded = round_people(people)
    return FEW_TEXT if rounded is None else f"{rounded:,}"
