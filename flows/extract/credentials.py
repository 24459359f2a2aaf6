"""Secrets of origins, from the environment or files, never `jifen.toml`; addresses without them."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from flows.extract.base import extract_error


def read_password(source: str) -> str | None:
    """Return `JIFEN_<SOURCE>_PASSWORD`, or the first line of its file.

    The file is the one that `JIFEN_<SOURCE>_PASSWORD_FILE` names. For S3 it is the secret key; with
    a key file it is the key's passphrase.

    Raises:
        JifenError: Exit 11, there is no such file.
    """
    name = f"JIFEN_{source.upper()}_PASSWORD"
    file = os.environ.get(f"{name}_FILE")
    if file is None:
        return os.environ.get(name)
    return (
        _readable(f"{name}_FILE", file).read_text(encoding="utf-8").partition("\n")[0].rstrip("\r")
    )


def find_key_file(source: str) -> str | None:
    """The private key that `JIFEN_<SOURCE>_KEY_FILE` names. Error: exit 11, no such file."""
    name = f"JIFEN_{source.upper()}_KEY_FILE"
    file = os.environ.get(name)
    return None if file is None else str(_readable(name, file))


def redact_address(address: str) -> str:
    """Return an address for messages: no user, no password, no query (it may hold a token)."""
    parts = urlsplit(address)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def _readable(name: str, file: str) -> Path:
    if not os.access(file, os.R_OK) or not Path(file).is_file():
        raise extract_error(f"环境变量 {name}", f"密钥文件无法读取：{file}", "检查路径与权限")
    return Path(file)
