"""Seals signed anew: by whom, and what happens when that fails."""

from __future__ import annotations

from pathlib import Path

import pytest

from flows.storage.seals import Seal

OLD, NEW, OTHER = b"old", b"new", b"other"


@pytest.fixture
def seal(tmp_path: Path) -> Seal:
    (tmp_path / "rows").write_text("rows")
    made = Seal(tmp_path, "rows", names=("rows",))
    made.write(OLD)
    return made


def test_a_seal_of_a_former_key_is_signed_with_the_new_one(seal: Seal) -> None:
    assert seal.find_damage(NEW)
    seal.renew([OTHER, OLD], NEW)
    assert seal.find_damage(NEW) is None


def test_what_no_former_key_has_sealed_stays_unsigned(seal: Seal) -> None:
    seal.renew([OTHER], NEW)
    assert seal.find_damage(OLD) is None and seal.find_damage(NEW)


def test_an_unreadable_seal_is_left_to_be_named(seal: Seal) -> None:
    seal.file.write_text("{")
    seal.renew([OLD], NEW)
    assert seal.find_damage(NEW) == "校验记录已损坏"


def test_a_seal_that_cannot_be_written_is_an_error(
    seal: Seal, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path, content: bytes) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("flows.storage.seals.write_atomically", refuse)
    with pytest.raises(OSError, match="No space left"):
        seal.renew([OLD], NEW)
