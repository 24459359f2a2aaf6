"""Keyed pseudonyms: HMAC-SHA256 (RFC 2104), in SQL for millions of residents and in Python for one.

docs/developing/decisions/0006-hmac-pseudonyms.md says why in SQL: the engine computes it for all
residents where Python would be called row by row.
"""

from __future__ import annotations

import hashlib
import hmac

_BLOCK = 64  # bytes of a block of SHA-256
_HEX_DIGITS = 32


def hmac_params(key: bytes) -> dict[str, bytes]:
    """Return the parameters that `hmac_sql` takes: the key, padded for its outer and inner hash."""
    block = (hashlib.sha256(key).digest() if len(key) > _BLOCK else key).ljust(_BLOCK, b"\0")
    return {"outer": bytes(b ^ 0x5C for b in block), "inner": bytes(b ^ 0x36 for b in block)}


def hmac_sql(message: str) -> str:
    """Return HMAC-SHA256 of a text as 64 hex digits; parameters: $outer and $inner."""
    return f"sha256($outer || unhex(sha256($inner || CAST({message} AS BLOB))))"


def pseudonym_sql(resident_id: str) -> str:
    """Return the `resident_key` of an ID."""
    return f"left({hmac_sql(resident_id)}, {_HEX_DIGITS})"


def compute_pseudonym(key: bytes, resident_id: str) -> str:
    """Return the `resident_key` of one ID: the first 32 hex digits of its HMAC-SHA256."""
    return hmac.new(key, resident_id.encode(), hashlib.sha256).hexdigest()[:_HEX_DIGITS]
