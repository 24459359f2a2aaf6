"""Ranks: those who have reached a service, then those who lack only points, in declared order.

Who qualifies is decided resident by resident; a rank compares people. Where a service in force is
ranked, the rows of eligibility are therefore made in three steps: `candidates` with the numbers
that decide (`candidates_sql`), `ranks` over all of them, and the published rows of both.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from transforms.engine.sql import sql_literal
from transforms.engine.statements import Statement
from transforms.services.eligibility_sql import count_rank_keys, format_sql
from transforms.services.models import ServiceVersion

_NO_CLASS = 1_000_000


def compares_people(services: Iterable[ServiceVersion]) -> bool:
    """Return whether any of the services needs more than one resident at a time."""
    return any(version.rank or version.subject == "child" for version in services)


def has_ranks(services: Iterable[ServiceVersion]) -> bool:
    """Return whether any of the services is ranked."""
    return any(version.rank for version in services)


def ranks_statement(services: Mapping[str, ServiceVersion]) -> Statement:
    """Return `ranks`: one row per candidate of a ranked service.

    Columns: resident_key, service, rank_class (its title, null in none), rank. Who is equal in
    class and all keys shares a rank; the next one's counts all before. Reads `candidates`.
    """
    ranked = {code: version.rank for code, version in sorted(services.items()) if version.rank}
    titles = " ".join(
        f"WHEN service = {sql_literal(code)} AND class = {number} THEN {sql_literal(one.title)}"
        for code, rank in ranked.items()
        for number, one in enumerate(rank.classes, 1)
    )
    title = f"CASE {titles} END" if titles else "CAST(NULL AS TEXT)"
    of_city = [code for code, rank in ranked.items() if rank.per == "city"]
    place = f"CASE WHEN service IN ({_list_sql(of_city)}) THEN '' ELSE district END"
    keys = [f"key_{n} DESC NULLS LAST" for n in range(1, count_rank_keys(services.values()) + 1)]
    order = ", ".join(
        ["CASE WHEN short = 0 THEN 0 ELSE 1 END", f"COALESCE(class, {_NO_CLASS})", *keys]
    )
    return Statement(
        "ranks",
        format_sql(f"""
            SELECT resident_key, service, {title} AS rank_class,
                CAST(RANK() OVER (
                    PARTITION BY service, {place if of_city else "district"} ORDER BY {order}
                ) AS INTEGER) AS rank
            FROM candidates
            WHERE service IN ({_list_sql(ranked)})"""),
        ("candidates",),
    )


def ranked_eligibility_statement() -> Statement:
    """Return the published rows of a district, by resident_key and service.

    The columns of `eligibility_sql`. Reads the district's `candidates`, and `ranks`. Parameter:
    $month (first day).
    """
    return Statement(
        "eligibility",
        format_sql("""
            SELECT CAST($month AS DATE) AS month, candidates.resident_key AS resident_key,
                candidates.service AS service, candidates.district AS district,
                candidates.short = 0 AS eligible, candidates.short AS points_short,
                candidates.score AS score, candidates.amount AS monthly_amount,
                ranks.rank_class AS rank_class, ranks.rank AS rank
            FROM candidates LEFT JOIN ranks ON ranks.resident_key = candidates.resident_key
                AND ranks.service = candidates.service
            ORDER BY candidates.resident_key, candidates.service"""),
        ("candidates", "ranks"),
        "file",
    )


def _list_sql(codes: Iterable[str]) -> str:
    return ", ".join(map(sql_literal, codes)) or "NULL"
