"""What is said of one person's points: lines, sums, services, changes. Amounts are exact decimals."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Decimal

CENT = Decimal("0.01")


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
    within: str
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
        """Whether the indicator's own cap took points away."""
        return self.closed_by is None and self.cap is not None and self.rule_points > self.cap

    @property
    def earned(self) -> Decimal:
        """The points that rule, guards and cap give, before a correction."""
        if self.closed_by is not None:
            return Decimal("0.00")
        limited = self.rule_points if self.cap is None else min(self.rule_points, self.cap)
        return limited.quantize(CENT, ROUND_HALF_UP)


@dataclass(frozen=True)
class ExplainedSum:
    """A group or section: what stands in it, added up or the highest, then the cap."""

    authority: str
    code: str
    title: str
    within: str | None
    combine: str
    before_cap: Decimal
    cap: Decimal | None
    subtract: bool
    points: Decimal

    @property
    def capped(self) -> bool:
        return self.cap is not None and self.before_cap > self.cap


@dataclass(frozen=True)
class ServiceState:
    """A service: reached, or every sentence of what is lacking."""

    code: str
    title: str
    reached: bool
    lacking: list[str]
    monthly_amount: Decimal | None


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
    doubts: list[str] = field(default_factory=list)
