"""Keyed pseudonyms: HMAC-SHA256 (RFC 2104), in SQL for millions of residents and in Python for one.

docs/developing/decisions/0006-hmac-pseudonyms.md says why in SQL: the engine computes it for all
residents where Python would be called row by row. A root has one key, and one more for each time
that it was changed: each turns what the one before made into another pseudonym, so that old rows
can be carried over without an ID (docs/developing/decisions/0018-rekey.md).
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping

_BLOCK = 64  # bytes of a block of SHA-256
_HEX_DIGITS = 32


def hmac_params(*keys: bytes) -> dict[str, bytes]:
    """Return the parameters that `hmac_sql` takes: each key, padded for its outer and inner hash.

    Args:
        keys: The root's keys, or those of a stage and of all after it; the oldest first.
    """
    params = {}
    for stage, key in enumerate(keys, start=1):
        block = (hashlib.sha256(key).digest() if len(key) > _BLOCK else key).ljust(_BLOCK, b"\0")
        outer, inner = _name_params(stage)
        params[outer] = bytes(b ^ 0x5C for b in block)
        params[inner] = bytes(b ^ 0x36 for b in block)
    return params


def count_stages(params: Mapping[str, object]) -> int:
    """Return how many keys parameters have."""
    return sum(name.startswith("outer") for name in params)


def hmac_sql(message: str, stages: int = 1) -> str:
    """Return HMAC-SHA256 of a text as 64 hex digits; of it again by each further key.

    Parameters: $outer and $inner; of further keys $outer_2, $inner_2 and so on.
    """
    return renew_number_sql(message, 1, stages)


def renew_number_sql(number: str, first: int, stages: int) -> str:
    """Return what the keys from the `first` to the last make of a `hmac_sql` of those before them."""
    for stage in range(first, stages + 1):
        number = _stage_sql(number, stage)
    return number


def pseudonym_sql(resident_id: str, stages: int = 1) -> str:
    """Return the `resident_key` of an ID, by so many keys; parameters as of `hmac_sql`.

    Given the `resident_key` of an older key it returns that of the keys after it.
    """
    for stage in range(1, stages + 1):
        resident_id = f"left({_stage_sql(resident_id, stage)}, {_HEX_DIGITS})"
    return resident_id


def compute_pseudonym(resident_id: str, *keys: bytes) -> str:
    """Return the `resident_key` of one ID: the first 32 hex digits of its HMAC-SHA256, key by key."""
    for key in keys:
        resident_id = hmac.new(key, resident_id.encode(), hashlib.sha256).hexdigest()[:_HEX_DIGITS]
    return resident_id


def _stage_sql(message: str, stage: int) -> str:
    outer, inner = _name_params(stage)
    return f"sha256(${outer} || unhex(sha256(${inner} || CAST({message} AS BLOB))))"


def _name_params(stage: int) -> tuple[str, str]:
    more = "" if stage == 1 else f"_{stage}"
    return f"outer{more}", f"inner{more}"
