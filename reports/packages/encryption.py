"""A file for a district: written as it is, or encrypted (age) while it is written, with a district's public key."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

import pyrage

from expectations.errors import ExitCode, JifenError

SUFFIX = ".age"


def check_recipient(recipient: str, district: str, where: str = "districts.csv recipient") -> None:
    """Refuse a text that is no age public key.

    Args:
        recipient: The text.
        district: Whose it is.
        where: Where it stands.

    Raises:
        JifenError: Exit 10.
    """
    try:
        pyrage.x25519.Recipient.from_str(recipient)
    except pyrage.RecipientError:
        raise JifenError(
            ExitCode.DECLARATIONS,
            f"{district}的 recipient 不是有效的 age 公钥",
            where=where,
            hint="向对方核对公钥（以 age1 开头），或留空",
        ) from None


def package_file_name(path: Path, recipient: str) -> Path:
    """The name a file has in the package: with `.age` when it is encrypted."""
    return path.with_name(path.name + SUFFIX) if recipient else path


@contextmanager
def open_for_delivery(path: Path, recipient: str) -> Iterator[Path]:
    """The path to write a file to, front to back: its own, or a pipe into the encryption, so that the text is never on disk."""
    if not recipient:
        yield path
        return
    reading, writing = os.pipe()
    with ThreadPoolExecutor(1) as encryption:
        encrypted = encryption.submit(
            _encrypt, reading, package_file_name(path, recipient), recipient
        )
        try:
            yield Path(f"/dev/fd/{writing}")
        finally:
            os.close(writing)
            encrypted.result()  # its own failure says more than the broken pipe that the writer saw


def read_encrypted(plain: BinaryIO, recipients: Sequence[str], size: int) -> Iterator[bytes]:
    """Yield a file encrypted for several public keys, in pieces of at most `size` bytes.

    It is encrypted while it is read: no copy of it lies anywhere.
    """
    keys = [pyrage.x25519.Recipient.from_str(recipient) for recipient in recipients]
    reading, writing = os.pipe()

    def encrypt() -> None:
        with os.fdopen(writing, "wb") as target:
            pyrage.encrypt_io(plain, target, keys)

    with ThreadPoolExecutor(1) as encryption:
        encrypted = encryption.submit(encrypt)
        try:
            with os.fdopen(reading, "rb") as pipe:  # closed early, it ends the encryption as well
                while piece := pipe.read(size):
                    yield piece
        except GeneratorExit:
            with suppress(Exception):  # it met the closed pipe
                encrypted.result()
            raise
        encrypted.result()


def _encrypt(reading: int, target: Path, recipient: str) -> None:
    """From the pipe to the file. On a failure the pipe is closed, which ends the writer as well."""
    with open(reading, "rb") as plain, target.open("wb") as file:
        pyrage.encrypt_io(plain, file, [pyrage.x25519.Recipient.from_str(recipient)])
