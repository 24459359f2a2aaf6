"""Pseudonyms: the same in SQL and in Python, and those of the standard's test vectors."""

from __future__ import annotations

import pytest

from transforms.engine.session import Session
from transforms.facts.pseudonyms import compute_pseudonym, hmac_params, hmac_sql, pseudonym_sql

# RFC 4231, cases 2 and 6: a short key, and one longer than a block.
VECTORS = [
    (
        b"Jefe",
        "what do ya want for nothing?",
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
    ),
    (
        b"\xaa" * 131,
        "Test Using Larger Than Block-Size Key - Hash Key First",
        "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
    ),
]


@pytest.mark.parametrize(("key", "message", "digest"), VECTORS)
def test_hmac_meets_the_vectors_in_sql_and_in_python(
    engine: Session, key: bytes, message: str, digest: str
) -> None:
    values = {"message": message, **hmac_params(key)}
    row = f"SELECT {hmac_sql('$message')}, {pseudonym_sql('$message')}"
    assert engine.fetch_rows(row, values) == [(digest, digest[:32])]
    assert compute_pseudonym(message, key) == digest[:32]
