"""Who asks: the person at the keyboard as the system knows them, by the name that settings give."""

from __future__ import annotations

import os
import pwd
from collections.abc import Mapping
from dataclasses import dataclass, field

from expectations.errors import ExitCode, JifenError


def find_account() -> str:
    """Return whose work this process does.

    That is who called sudo, else the user of the operator's Prefect server, else the login name.
    """
    prefect = os.environ.get("PREFECT_API_URL") and os.environ.get("PREFECT_API_AUTH_STRING")
    user = prefect.partition(":")[0] if prefect else ""
    return os.environ.get("SUDO_USER") or user or _find_login_name()


def _find_login_name() -> str:
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # in a container the number is all there is
        return str(os.getuid())


@dataclass(frozen=True)
class Operator:
    """Who asks.

    Attributes:
        account: The account, as the system knows it.
        names: Account -> name, of those whom the settings name; none: everybody may ask.
    """

    account: str = field(default_factory=find_account)
    names: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Return the name for records: the settings', else the account."""
        return self.name_account(self.account)

    def name_account(self, account: str) -> str:
        """Return the name of an account, else the account itself."""
        return self.names.get(account, account)

    def require_named(self) -> None:
        """Refuse an account that the settings do not name, where they name any.

        Raises:
            JifenError: Exit 2.
        """
        if self.names and self.account not in self.names:
            raise JifenError(
                ExitCode.USAGE,
                f"账号 {self.account} 不在操作人员之列",
                where="jifen.toml [access] operators",
                hint="由列出的人员操作，或请负责人把此账号加入",
            )
