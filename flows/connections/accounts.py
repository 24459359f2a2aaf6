"""Secrets from the environment or files, never `jifen.toml`; addresses without them."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from expectations.errors import ExitCode, JifenError


@dataclass(frozen=True)
class Account:
    """On whose behalf another machine is asked.

    Attributes:
        name: Names the environment variables: `credit` for `JIFEN_CREDIT_PASSWORD`.
        settings: Its table in `jifen.toml`, for messages.
        code: The exit code of its errors.
    """

    name: str
    settings: str
    code: ExitCode

    @property
    def password_variable(self) -> str:
        """The environment variable of the password."""
        return f"JIFEN_{self.name.upper()}_PASSWORD"

    @property
    def key_file_variable(self) -> str:
        """The environment variable of the private key's file."""
        return f"JIFEN_{self.name.upper()}_KEY_FILE"

    def read_password(self) -> str | None:
        """Return the password from its variable, or the first line of its file.

        The file is the one that `JIFEN_<NAME>_PASSWORD_FILE` names. For S3 it is the secret key;
        with a key file it is the key's passphrase.

        Raises:
            JifenError: There is no such file.
        """
        name = f"{self.password_variable}_FILE"
        file = os.environ.get(name)
        if file is None:
            return os.environ.get(self.password_variable)
        text = self._check_readable(name, file).read_text(encoding="utf-8")
        return text.partition("\n")[0].rstrip("\r")

    def find_key_file(self) -> str | None:
        """Return the private key that the variable names.

        Raises:
            JifenError: There is no such file.
        """
        name = self.key_file_variable
        file = os.environ.get(name)
        return None if file is None else str(self._check_readable(name, file))

    def make_error(self, where: str | Path, what: str, hint: str) -> JifenError:
        """Return an error of this account."""
        return JifenError(self.code, what, where=str(where), hint=hint)

    def _check_readable(self, name: str, file: str) -> Path:
        if not os.access(file, os.R_OK) or not Path(file).is_file():
            what = f"密钥文件无法读取：{file}"
            raise self.make_error(f"环境变量 {name}", what, "检查路径与权限")
        return Path(file)


def redact_address(address: str) -> str:
    """Return an address for messages: no user, no password, no query (it may hold a token)."""
    parts = urlsplit(address)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))
