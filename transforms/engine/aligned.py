"""Tables that hold the same residents in the same order, read row by row beside each other.

The published tables of a month are aligned: a revision's facts, scores and identities have the
same residents, by district and resident_key. Joining them by key would build a hash table of
everyone and lose the order (docs/developing/decisions/0005-aligned-tables.md).
"""

from __future__ import annotations

from collections.abc import Iterable


def zip_aligned(left: str, right: str, columns: Iterable[str]) -> str:
    """Return the query of two aligned relations, `a` and `b`: resident_key, then `columns`.

    One thread reads them, in their order. A row whose keys differ stops the statement.
    """
    same = "CASE WHEN a.resident_key = b.resident_key THEN a.resident_key"
    differ = "error('aligned rows differ in their residents')"
    return f"""SELECT {same} ELSE {differ} END AS resident_key,
    {", ".join(columns)}
FROM {left} AS a POSITIONAL JOIN {right} AS b"""
