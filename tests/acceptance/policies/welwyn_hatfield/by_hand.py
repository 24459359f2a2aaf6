"""Welwyn Hatfield's bands and priority dates by hand."""

from __future__ import annotations

from tests.acceptance.policies.policy import People, Ranked, Steps

STEPS: Steps = {"registered": {"registered": {"true": 1, "false": 0}}}
PEOPLE: People = []
RANKED: Ranked = [
    # who, then class and rank
    ({"registered": "true", "band": "b", "priority_on": "2012-03-01"}, ("B", 4)),
    ({"registered": "true", "band": "a", "priority_on": "2014-05-02"}, ("A", 2)),
    ({"registered": "true", "band": "a", "priority_on": "2014-05-01"}, ("A", 1)),
    ({"registered": "true", "band": "a", "priority_on": "2014-05-02"}, ("A", 2)),
    ({"registered": "true", "band": "d", "priority_on": "2001-01-01"}, ("D", 7)),
    ({"registered": "true", "band": "c", "priority_on": "2013-12-31"}, ("C", 5)),
    ({"registered": "true", "band": "c", "priority_on": "2014-01-01"}, ("C", 6)),
]
