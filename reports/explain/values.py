"""How a fact's value is put, by the words of the month's statements."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from reports.statements.model import StatementTexts
from transforms.templates import fill_template, format_number


def put_value(name: str, facts: Mapping[str, Any], texts: StatementTexts) -> str:
    """Return a fact's value as people say it; without its unit, which stands in the sentence.

    Args:
        name: The fact, or an entry of `awards` by its key: `awards/330212:local_volunteer`.
        facts: The facts of the person.
        texts: The words of the month.
    """
    words, (fact, _, key) = texts.values, name.partition("/")
    if key:
        points = (one["points"] for one in facts[fact] or () if one["key"] == key)
        return format_number(Decimal(next(points, 0)))
    value, form = facts.get(fact), texts.facts[fact].form if fact in texts.facts else "text"
    if value is None:
        return words["unknown"]
    match form:
        case "yes_no":
            return words["yes" if value else "no"]
        case "number":
            return format_number(Decimal(value))
        case "level":
            return texts.facts[fact].levels.get(str(value), str(value))
        case "date" | "month":
            day = dt.date.fromisoformat(str(value))
            return _fill(words[form], {"year": day.year, "month": day.month, "day": day.day})
        case "by_year" | "by_key" | "children":
            entries = (_fill(words[form], _entry(one)) for one in value)
            return words["separator"].join(entries) or words["none"]
    return str(value)


def _entry(entry: Mapping[str, Any]) -> dict[str, Any]:
    numbers = {
        name: format_number(Decimal(entry[name])) for name in ("hours", "points") if name in entry
    }
    return {**entry, **numbers}


def _fill(template: str, values: Mapping[str, Any]) -> str:
    return fill_template(template, lambda name: str(values[name]))
