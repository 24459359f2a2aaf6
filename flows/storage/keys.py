"""The root's keys: one, made on first use, and one more for each time that it was changed.

The newest signs, and makes pseudonyms of what the keys before it make. Those verify what was signed
by them, and open nothing else: no table of the root has a pseudonym of theirs
(docs/developing/decisions/0018-rekey.md).
"""

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

from expectations.errors import ExitCode, JifenError, to_user_error
from flows.storage.files import fsync_path, write_atomically, write_synced

KEY_BYTES = 32


def load_keys(file: Path, manifests: Sequence[Path]) -> tuple[bytes, ...]:
    """Return the keys in `file`, 32 bytes each, the newest last; make one while nothing is published.

    Args:
        file: Where the keys are kept, as 64 hexadecimal digits on a line each.
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
    one = rf"[0-9a-f]{{{2 * KEY_BYTES}}}"
    if not re.fullmatch(rf"{one}(\n{one})*", text):
        raise _key_error(file, "密钥文件内容不合要求")
    keys = tuple(map(bytes.fromhex, text.split()))
    known = ((manifest, _read_fingerprint(manifest)) for manifest in reversed(manifests))
    newest, expected = next((pair for pair in known if pair[1]), (None, None))
    if newest and expected not in [fingerprint_key(key) for key in keys]:
        name = "/".join(newest.parts[-4:])
        raise _key_error(file, f"密钥与已发布月份所用的不同，或 {name} 已损坏")
    return keys


def add_key(file: Path, keys: Sequence[bytes], new: bytes) -> None:
    """Add a new key after those in a file, in one step.

    Raises:
        JifenError: Exit 1, it cannot be written.
    """
    content = "\n".join(key.hex() for key in (*keys, new)).encode()
    try:
        write_atomically(file, content)
    except OSError as error:
        why = to_user_error(error).message
        hint = "让运行的用户可以改写密钥文件和它所在的文件夹，再运行 jifen rekey"
        raise JifenError(
            ExitCode.OTHER, f"新密钥写不进文件：{why}", where=str(file), hint=hint
        ) from None


def make_key() -> bytes:
    """Return a new key."""
    return secrets.token_bytes(KEY_BYTES)


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
    write_synced(draft, make_key().hex().encode())
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
