"""What is said of one person's points: lines, sums, services, changes. Amounts are exact decimals."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from decimal import Decimal


@dataclass(frozen=True)
class Correction:
    """The outcome of an objection; `before` is null for a fact. `after` is points, or the fact's value in words."""

    case_id: str
    title: str
    before: Decimal | None
    after: Decimal | str


@dataclass(frozen=True)
class ExplainedIndicator:
    """One indicator. `rule_points` is what the rule alone gives; then guards, the cap and a correction lead to `points`."""

    authority: str
    code: str
    title: str
    parent: str
    evidence: str
    rule: str
    basis: str
    values: str
    rule_points: Decimal
    closed_by: str | None
    cap: Decimal | None
    correction: Correction | None
    points: Decimal

    @property
    def capped(self) -> bool:
        """True if the indicator's own cap took points away."""
        return self.closed_by is None and self.cap is not None and self.rule_points > self.cap

    @property
    def points_before_correction(self) -> Decimal | None:
        """The points that rule, guards and cap gave."""
        return self.points if self.correction is None else self.correction.before


@dataclass(frozen=True)
class ExplainedSum:
    """A group or section: what stands in it, added up or the highest, then the cap."""

    authority: str
    code: str
    title: str
    parent: str | None
    combine: str
    before_cap: Decimal
    cap: Decimal | None
    subtract: bool
    points: Decimal

    @property
    def capped(self) -> bool:
        """True if the cap took points away."""
        return self.cap is not None and self.before_cap > self.cap == self.points


@dataclass(frozen=True)
class ServiceState:
    """A service, or one child's: reached, or every sentence of what is lacking.

    `notes`: the score, the place where it is ranked, whose points count for a child.
    """

    code: str
    title: str
    reached: bool
    lacking: list[str]
    monthly_amount: Decimal | None
    score: Decimal | None = None
    rank_class: str | None = None
    rank: int | None = None
    child_born_on: dt.date | None = None
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class ObjectionState:
    """An objection that is not decided yet, and by when it must be."""

    case_id: str
    target: str
    title: str
    due_on: dt.date


@dataclass(frozen=True)
class ScoreChange:
    """A points column that is not what it was in the month before; null where it was or is not there."""

    item: str
    title: str
    before: Decimal | None
    after: Decimal | None


@dataclass(frozen=True)
class Explanation:
    """Everything that was published about one person's points in one month."""

    name: str
    district: str
    district_name: str
    versions: list[dict[str, str]]
    lines: list[ExplainedIndicator]
    sums: list[ExplainedSum]
    common: Decimal
    district_points: Decimal
    total: Decimal
    corrected_facts: list[Correction]
    compared_with: str | None
    changes: list[ScoreChange]
    services: list[ServiceState]
    discrepancies: list[str] = field(default_factory=list)
    open_objections: list[ObjectionState] = field(default_factory=list)
