"""The only source of chance: a hash of the seed, a purpose and a row's number, as SQL.

The same row gets the same draw in every run, whatever the number of threads and the months.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from transforms.engine.sql import sql_literal


@dataclass(frozen=True)
class HashRandom:
    """Draws for one seed.

    `number` is an SQL expression, a non-negative integer that names the row.
    """

    seed: int

    def uint64(self, number: str, purpose: str) -> str:
        """Return 64 random bits as SQL.

        The purpose goes in before the hash: mixed in after it, draws would depend on each other.
        """
        salt = int.from_bytes(hashlib.sha256(f"{self.seed}:{purpose}".encode()).digest()[:8], "big")
        return f"hash(xor(({number})::UBIGINT, {salt}::UBIGINT))"

    def uniform(self, number: str, purpose: str) -> str:
        """Return a number from 0 up to but not including 1, as SQL."""
        return f"(({self.uint64(number, purpose)} >> 11) * {2.0**-53!r}::DOUBLE)"

    def integer(self, number: str, purpose: str, low: int, high: int | str) -> str:
        """Return an integer from low to high, both included, as SQL; high may be SQL."""
        count = f"({high} - {low} + 1)" if isinstance(high, str) else str(high - low + 1)
        return f"({low} + ({self.uint64(number, purpose)} % ({count})::UBIGINT)::BIGINT)"

    def bernoulli(self, number: str, purpose: str, share: float) -> str:
        """Return true for a share of the rows, as SQL."""
        return "true" if share >= 1 else f"({self.uniform(number, purpose)} < {share!r})"

    def choice(self, number: str, purpose: str, weights: Mapping[str, float]) -> str:
        """Return one of the keys, SQL expressions, each as often as its weight says."""
        chosen = [(value, weight) for value, weight in weights.items() if weight > 0]
        unit, total, reached = (
            self.uniform(number, purpose),
            sum(weight for _, weight in chosen),
            0.0,
        )
        branches = []
        for value, weight in chosen[:-1]:
            reached += weight / total
            branches.append(f"WHEN {unit} < {reached!r} THEN {value}")
        last = chosen[-1][0]
        return f"(CASE {' '.join(branches)} ELSE {last} END)" if branches else f"({last})"

    def uniform_choice(self, number: str, purpose: str, values: list[str]) -> str:
        """Return one of many texts, all equally likely (repeat one to make it likelier)."""
        listing = ", ".join(sql_literal(value) for value in values)
        return f"([{listing}])[{self.integer(number, purpose, 1, len(values))}]"
