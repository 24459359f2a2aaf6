"""The rules of pages that leave the operators' hands: rounded people, nothing of fewer than 10."""

from __future__ import annotations

from decimal import Decimal

from transforms.comparison.suppression import FEW_PEOPLE

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


def round_mean(total: Decimal, people: int) -> Decimal | None:
    """Return a mean as such a page shows it; None for fewer than 10 people.

    To hundredths from 1,000 people on, else to tenths: times any number of people that their
    rounded number stands for, it may be a whole number of points, and so names none of them.
    """
    if people < FEW:
        return None
    step = Decimal("0.01") if people >= 1000 else Decimal("0.1")
    return (total / people).quantize(step)


def round_sum(total: Decimal, people: int) -> Decimal | None:
    """Return a sum as such a page shows it: the shown mean times the shown number of people.

    So it says no more of how many they are than these do. None for fewer than 10 people.
    """
    mean, rounded = round_mean(total, people), round_people(people)
    return None if mean is None or rounded is None else mean * rounded


def round_amount(total: Decimal, people: int) -> Decimal | None:
    """Return yuan as such a page shows them: the mean times the rounded people, to hundreds.

    An exact sum of equal amounts would name the number of people.
    """
    rounded = round_people(people)
    if rounded is None:
        return None
    return (total / people * rounded / 100).quantize(Decimal(1)) * 100
