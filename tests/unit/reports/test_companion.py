"""The pocket companion: one list, nearest first."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

from reports.explain.companion import PersonReminder, list_companion
from reports.statements.model import ServiceLine

SENTENCES = {"forecast": "{months} 个月后", "no_forecast": "{months} 个月内不能"}


def service(code: str, short: int, *unmet: int) -> ServiceLine:
    return ServiceLine(
        code=code,
        reached=not short and not unmet,
        score=Decimal(50),
        points_short=Decimal(short),
        unmet=list(unmet),
        monthly_amount=None,
    )


def listed(
    services: list[ServiceLine], months: dict[str, int | None], *reminders: PersonReminder
) -> list[str]:
    """Titles in order; a service's is its code, a reminder's its text."""
    states: list[Any] = [
        SimpleNamespace(code="elsewhere", title="elsewhere", reached=False),
        *(SimpleNamespace(code=one.code, title=one.code, reached=one.reached) for one in services),
    ]
    writer: Any = SimpleNamespace(
        found=SimpleNamespace(services=states), describe_service=lambda one: f"状态 {one.code}"
    )
    row: Any = SimpleNamespace(services=services, month=dt.date(2024, 4, 1))
    texts: Any = SimpleNamespace(sentences=SENTENCES)
    found = list_companion(writer, row, texts, months, reminders)
    return [one.state if one.title == "提醒" else f"{one.title} {one.forecast}" for one in found]


def test_what_holds_comes_first_then_the_fewest_months_then_the_fewest_points() -> None:
    services = [
        service("condition", 0, 1),
        service("never", 3),
        service("never_far", 30),
        service("later", 2),
        service("sooner", 9),
        service("reached", 0),
        service("two_conditions", 0, 1, 2),
    ]
    months = {"later": 7, "sooner": 2, "never": None, "never_far": None}
    assert listed(
        services,
        months,
        PersonReminder(None, "无期限"),
        PersonReminder(dt.date(2024, 6, 1), "六月"),
        PersonReminder(dt.date(2024, 5, 1), "五月"),
    ) == [
        "reached ",
        "五月",
        "六月",
        "无期限",
        "sooner 2 个月后",
        "later 7 个月后",
        "never 24 个月内不能",
        "never_far 24 个月内不能",
        "condition ",
        "two_conditions ",
        "elsewhere ",
    ]


def test_services_that_are_equally_near_stay_in_declared_order() -> None:
    assert listed([service("b", 0), service("a", 0)], {}) == ["b ", "a ", "elsewhere "]
    assert listed([], {}, PersonReminder(None, "只有提醒")) == ["只有提醒", "elsewhere "]
