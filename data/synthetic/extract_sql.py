"""From a `synthetic:` block to SQL: the rows delivered in a month, as canonical text."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal

from data.synthetic.population import City, attribute_sql
from expectations.month import Month
from expectations.source_model import Check, Column, Source
from expectations.synthetic_model import Again, Synthetic, Value
from transforms.engine.sql import sql_literal

# A row's number is (its thing, month or repetition, fan); below 2^63 for 20 million people.
SLOT_NUMBER = "(e * 65536 + slot)"
ROW_NUMBER = f"({SLOT_NUMBER} * 16 + fan)"
BOOKKEEPING = (
    "place",
    "number",
    "version",
)  # the delivered order, and the row that a delivered row is made of


@dataclass(frozen=True)
class Extract:
    """One source's rows of one city."""

    source: Source
    block: Synthetic
    city: City

    def rows(self, received: Month, first_due: int, last_due: int) -> str:
        """Return the rows of a month's extract that fall due in a range of months, as SQL.

        Its columns are text, and BOOKKEEPING. A snapshot shows things as on the received month's
        last day. The first month's increment carries what fell due before it, as it was reported
        then.
        """
        snapshot = self.source.delivery == "snapshot"
        seen = f"DATE '{received.last_day}'" if snapshot else "last_day(first_day(due))"
        writer = _Columns(
            self, "month" if self.block.rows.monthly is not None else f"month_of({seen})", seen
        )
        versions = [self._version(0, "due", "true", received)]
        chance = f"({self._uniform('number', 'again')})"
        reached = 0.0
        for index, again in enumerate(self.block.again, start=1):
            chosen = (
                f"{chance} >= {reached!r} AND {chance} < {(reached := reached + again.share)!r}"
            )
            chosen += "".join(
                f" AND {writer.value(name)} = {sql_literal(value)}"
                for name, value in again.where.items()
            )
            due = "due + " + self._months(again, f"again {index}")
            versions.append(self._version(index, due, chosen, received))
            if (
                self.source.key
            ):  # of two states that one extract would carry, the department delivers the newer
                same = f"greatest({due}, {received.ordinal}) = greatest(due, {received.ordinal})"
                versions[0] += f" AND NOT coalesce({chosen} AND {same}, false)"
        texts = ", ".join(f"{writer.text(name)} AS {name}" for name in self.source.columns)
        order = self.city.random.uint64("number * 8 + version", f"{self.source.source} order")
        needed = [name for name, column in self.source.columns.items() if column.required]
        complete = " AND ".join(f"{name} IS NOT NULL" for name in needed)
        return f"""
WITH {self._due_rows(first_due, last_due)}, version AS (
    {" UNION ALL ".join(versions)}
), valued AS (
    SELECT {texts}, {order} AS place,
        number, version
    FROM version WHERE due BETWEEN {first_due} AND {last_due}
)
SELECT * FROM valued WHERE {complete or "true"}"""

    def _version(self, index: int, due: str, condition: str, received: Month) -> str:
        return f"SELECT * REPLACE ({due} AS due), {index} AS version FROM due_row WHERE {condition}"

    def _uniform(self, number: str, purpose: str) -> str:
        return self.city.random.uniform(number, f"{self.source.source} {purpose}")

    def _months(self, again: Again, purpose: str) -> str:
        return self.city.random.integer("number", f"{self.source.source} {purpose}", *again.months)

    def _due_rows(self, first_due: int, last_due: int) -> str:
        """Return each row once, with its day, its month, its number and the month in which it falls
        due.
        """
        random, rows, name = self.city.random, self.block.rows, self.source.source
        late, lag = rows.late, "0"
        if late:
            is_late = random.bernoulli(SLOT_NUMBER, f"{name} late", late.share)
            lag = f"CASE WHEN {is_late} THEN "
            lag += random.integer(SLOT_NUMBER, f"{name} lag", *late.months) + " ELSE 0 END"
        shares = [share for values in rows.fan.values() for share in values.values()] or [1.0]
        kept = " ".join(
            f"WHEN {fan} THEN " + random.bernoulli(ROW_NUMBER, f"{name} fan", share)
            for fan, share in enumerate(shares)
        )
        youngest, oldest = rows.ages or (0, 200)
        return f"""slotted AS (
    {self._slots(first_due, last_due)}
), due_slot AS (
    SELECT *, month + {lag} AS due
        FROM slotted WHERE month - month_of(born) BETWEEN {youngest * 12} AND {oldest * 12 + 11}
), fanned AS (
    SELECT *, unnest(range({len(shares)})) AS fan FROM due_slot
    WHERE due BETWEEN greatest(since_m, {first_due - self._comes_again()}) AND {last_due}
), due_row AS (
    SELECT *, {ROW_NUMBER} AS number FROM fanned WHERE CASE fan {kept} END
)"""

    def _comes_again(self) -> int:
        """Return the most months after which a row may come once more."""
        return max((again.months[1] for again in self.block.again), default=0)

    def _slots(self, first_due: int, last_due: int) -> str:
        random, rows, name = self.city.random, self.block.rows, self.source.source
        chosen = random.bernoulli("e", f"{name} share", rows.share)
        things = f"SELECT * FROM {rows.each} WHERE {chosen} AND since_m <= {last_due}"
        if rows.monthly is None:
            day = self._event_day()
            count = random.choice(
                "e", f"{name} times", {str(times): weight for times, weight in rows.times.items()}
            )
            return f"""SELECT *, greatest(month_of(on_day), since_m) AS month FROM (
        SELECT *, {day} AS on_day FROM (SELECT *,
            unnest(range({count})) AS slot FROM ({things})))"""
        lags = [0, *(rows.late.months if rows.late else ())]
        oldest = max(
            first_due - max(lags) - self._comes_again(), self.city.first.ordinal - 12 * rows.years
        )
        day = random.integer(SLOT_NUMBER, f"{name} day", 0, 27)
        in_month = random.bernoulli(SLOT_NUMBER, f"{name} monthly", rows.monthly)
        return f"""SELECT *, slot AS month, least(greatest(first_day(slot) + {day}::INTEGER,
            since), until) AS on_day
    FROM (
        SELECT *, unnest(range(greatest(since_m, {oldest}), least(until_m,
            {last_due - min(lags)}) + 1)) AS slot
        FROM ({things})) WHERE {in_month}"""

    def _event_day(self) -> str:
        event = self.block.rows.on
        if not event:
            return "since"
        days = self.city.random.integer(SLOT_NUMBER, f"{self.source.source} event", *event.days)
        each = self.block.rows.each
        after = attribute_sql(self.city, each, event.after, "since_m", "since")
        return f"{after} + {days}::INTEGER"


class _Columns:
    """The columns of one extract as SQL over its rows.

    `month` and `seen` say as of when attributes are read.
    """

    def __init__(self, extract: Extract, month: str, seen: str) -> None:
        self.extract, self.month, self.seen = extract, month, seen
        self.random, self.source, self.block = extract.city.random, extract.source, extract.block

    def text(self, name: str) -> str:
        """Return a column's canonical text in whichever version of the row."""
        cases = [
            f"WHEN version = {index} THEN CAST("
            + self._made(name, again.set[name], f"{name} {index}")
            + " AS VARCHAR)"
            for index, again in enumerate(self.block.again, start=1)
            if name in again.set
        ]
        plain = f"CAST({self.value(name)} AS VARCHAR)"
        return f"CASE {' '.join(cases)} ELSE {plain} END" if cases else plain

    def value(self, name: str) -> str:
        """Return a column's value when the row is first delivered: text, or a date."""
        if name in self.block.rows.fan:
            listing = ", ".join(map(sql_literal, self.block.rows.fan[name]))
            return f"([{listing}])[fan + 1]"
        return self._made(
            name, self.block.columns.get(name) or choose_default(self.source, name), name
        )

    def _made(self, name: str, spec: Value, purpose: str) -> str:
        purpose, column = f"{self.source.source} {purpose}", self.source.columns[name]
        made = self._drawn(spec, purpose, column)
        if spec.open:
            left_open = self.random.bernoulli("number", f"{purpose} open", spec.open)
            made = f"CASE WHEN {made} > {self.seen} AND {left_open} THEN NULL ELSE {made} END"
        if spec.null:
            left_out = self.random.bernoulli("number", f"{purpose} null", spec.null)
            made = f"CASE WHEN {left_out} THEN NULL ELSE {made} END"
        return f"({made})"

    def _drawn(self, spec: Value, purpose: str, column: Column) -> str:
        if spec.of:
            return self._attribute(spec.of)
        if spec.after:
            days = self.random.integer("number", purpose, *spec.days)
            day = f"{self._referred(spec.after)} + {days}::INTEGER"
            return day if column.future else f"least({day}, {self.seen})"
        if spec.between:
            return self._between(spec.between, spec.step, purpose, column)
        if spec.text:
            return self._filled(spec.text, spec.choices, purpose)
        return self._weighted(spec, purpose)

    def _weighted(self, spec: Value, purpose: str) -> str:
        flat = {
            value: weight for value, weight in spec.weights.items() if not isinstance(weight, dict)
        }
        if flat:
            return self.random.choice(
                "number", purpose, {sql_literal(value): weight for value, weight in flat.items()}
            )
        cases = [
            f"WHEN {sql_literal(key)} THEN "
            + self.random.choice(
                "number", purpose, {sql_literal(value): weight for value, weight in table.items()}
            )
            for key, table in spec.weights.items()
            if isinstance(table, dict)
        ]
        return f"CASE {self.value(str(spec.by))} {' '.join(cases)} END"

    def _between(
        self, bounds: tuple[float, float], step: float, purpose: str, column: Column
    ) -> str:
        steps = round((bounds[1] - bounds[0]) / step)
        number = f"{bounds[0]!r}::DECIMAL(12, 2) + {step!r}::DECIMAL(12, 2) * "
        number += f"{self.random.integer('number', purpose, 0, steps)}::INTEGER"
        return f"({number})::{'DECIMAL(12, 2)' if column.type == 'amount' else 'BIGINT'}::VARCHAR"

    def _filled(self, template: str, choices: int, purpose: str) -> str:
        parts = []
        for literal, field in re.findall(r"([^{]*)(?:\{(\w+)\})?", template):
            parts += [sql_literal(literal)] if literal else []
            if field == "number":
                parts.append("number::VARCHAR")
            elif field == "choice":
                parts.append(f"{self.random.integer('number', purpose, 1, choices)}::VARCHAR")
            elif field:
                parts.append(f"{self.value(field)}::VARCHAR")
        return " || ".join(parts)

    def _referred(self, name: str) -> str:
        return self.value(name) if name in self.source.columns else self._attribute(name)

    def _attribute(self, name: str) -> str:
        if name == "received":
            day = self.random.integer("number * 8 + version", "received", 0, 27)
            return f"first_day(due) + {day}::INTEGER"
        if name == "month":
            return "substr(CAST(first_day(month) AS VARCHAR), 1, 7)"
        if name == "on":
            return "on_day"
        return attribute_sql(self.extract.city, self.block.rows.each, name, self.month, self.seen)


def choose_default(source: Source, name: str) -> Value:
    """Return how a column gets its values when the block does not name it."""
    column = source.columns[name]
    if column.by is not None:
        return Value(
            weights={key: _fitting(check, column) for key, check in column.checks.items()},
            by=column.by,
        )
    known = {"id": "id", "date": "on", "month": "month", "district": "district", "area": "district"}
    if column.type in known:
        return Value(of=known[column.type])
    if column.type == "text":
        return (
            Value(text=f"{source.source}-{{number}}")
            if name in source.key
            else Value(text="{choice}", choices=99)
        )
    if column.type == "yes_no":
        return Value(weights={"true": 1, "false": 1})
    if column.type == "set":
        return Value(weights={**_fitting(column.check or Check(), column)})
    if column.check and column.check.one_of:
        return Value(weights={**_fitting(column.check, column)})
    low, high = _bounds(column.check or Check())
    return Value(between=(float(low), float(high)))


def _fitting(check: Check, column: Column) -> dict[str, float]:
    """Return the values that a check leaves, all alike; of a range its ends."""
    low, high = _bounds(check)
    return dict.fromkeys(check.one_of or list(column.values) or [str(low), str(high)], 1.0)


def _bounds(check: Check) -> tuple[Decimal, Decimal]:
    low = (
        check.min
        if check.min is not None
        else check.above + 1
        if check.above is not None
        else Decimal(0)
    )
    return low, check.max if check.max is not None else low + 100
