"""The root's key: made once, kept for ever, known again by its fingerprint."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import re
import secrets
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from expectations.errors import ExitCode, JifenError
from flows.storage.files import fsync_path, write_synced

KEY_BYTES = 32


def load_key(file: Path, manifests: Sequence[Path]) -> bytes:
    """Return the key in `file`, 32 bytes; make one while nothing is published.

    Args:
        file: Where the key is kept, as 64 hexadecimal digits.
        manifests: Those of all revisions of the root, ascending.

    Raises:
        JifenError: Exit 15, the key is missing, damaged, or another than the newest month's.
    """
    try:
        text = file.read_text(encoding="ascii").strip()
    except FileNotFoundError:
        if manifests:
            what = "密钥不见了，而已有发布的月份用它生成匿名标识"
            raise _key_error(file, what) from None
        text = _make_key(file)
    except UnicodeDecodeError:
        text = ""
    if not re.fullmatch(rf"[0-9a-f]{{{2 * KEY_BYTES}}}", text):
        raise _key_error(file, "密钥文件内容不合要求")
    key = bytes.fromhex(text)
    known = ((manifest, _read_fingerprint(manifest)) for manifest in reversed(manifests))
    newest, expected = next((pair for pair in known if pair[1]), (None, None))
    if newest and expected != fingerprint_key(key):
        name = "/".join(newest.parts[-4:])
        raise _key_error(file, f"密钥与已发布月份所用的不同，或 {name} 已损坏")
    return key


def fingerprint_key(key: bytes) -> str:
    """Return what a manifest keeps of the key: enough to know it again, nothing to find it by."""
    return hmac.new(key, b"jifen key fingerprint", hashlib.sha256).hexdigest()[:16]


def compute_mac(key: bytes, content: bytes) -> bytes:
    """Return what only who has the root's key can make of a content: a manifest's .mac, a seal."""
    return hmac.new(key, content, hashlib.sha256).hexdigest().encode()


def derive_key(key: bytes, purpose: str) -> bytes:
    """Return a key that signs for one purpose; who has it cannot find the root's key by it."""
    return hmac.new(key, f"jifen key of {purpose}".encode(), hashlib.sha256).digest()


def _make_key(file: Path) -> str:
    """Write a new key whole, or take the one that another process has just written."""
    draft = file.with_name(f".{file.name}.{os.getpid()}")
    write_synced(draft, secrets.token_bytes(KEY_BYTES).hex().encode())
    with suppress(FileExistsError):
        os.link(draft, file)
    draft.unlink()
    fsync_path(file.parent)
    return file.read_text(encoding="ascii")


def _key_error(file: Path, what: str) -> JifenError:
    return JifenError(ExitCode.DAMAGE, what, where=str(file), hint="从备份恢复原来的文件")


def _read_fingerprint(manifest: Path) -> str | None:
    """Return None where the manifest is missing or damaged: who reads the revision reports that."""
    with suppress(OSError, ValueError, KeyError, TypeError):
        return str(json.loads(manifest.read_bytes())["key_fingerprint"])
    return None
