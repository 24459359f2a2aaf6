"""Hypothesis strategies: worlds of people. One seed per person, so that a failure shrinks to few."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st

from expectations.month import Month
from expectations.source_model import Source
from tests.parity.reference.worlds import World, make_world

# Month-ends that differ: leap and plain Februaries, 30 and 31 days, year ends, either side of 31 August.
MONTHS = [
    Month.parse(text)
    for text in (
        "2021-10",
        "2022-02",
        "2024-02",
        "2021-12",
        "2022-01",
        "2022-04",
        "2022-08",
        "2022-09",
    )
]
SEEDS = st.integers(0, 2**32 - 1)


TIMES = int(os.environ.get("JIFEN_EXAMPLES", "1"))
PATIENCE = 0 if TIMES > 1 else 300  # seconds a test may take; 0: as long as it takes


def with_examples(examples: int) -> settings:
    """So many examples, always the same ones. JIFEN_EXAMPLES=n makes n times as many, new ones every time, and shrinks
    a failure (which takes minutes, so that it is left out of the quick run)."""
    return settings(
        max_examples=examples * TIMES,
        derandomize=TIMES == 1,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=(Phase.generate, Phase.shrink) if TIMES > 1 else (Phase.generate,),
    )


def draw_worlds(
    sources: Mapping[str, Source],
    people: int,
    broken: float = 0.0,
    months: Sequence[Month] = MONTHS,
) -> st.SearchStrategy[World]:
    """All extracts of a scoring month about so many people. The first example of all is a world where nothing happens."""
    return st.builds(
        lambda month, seeds: make_world(sources, month, seeds, broken),
        st.sampled_from(months),
        st.lists(SEEDS, min_size=people, max_size=people),
    )
