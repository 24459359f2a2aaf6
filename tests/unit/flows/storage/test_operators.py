"""Who asks: the person as the system knows them, by the name that the settings give."""

from __future__ import annotations

import os
import pwd

import pytest

from expectations.errors import ExitCode, JifenError
from flows.storage.operators import Operator, find_account

NAMES = {"wangfang": "王芳", "liming": "李明"}


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SUDO_USER", "PREFECT_API_URL", "PREFECT_API_AUTH_STRING"):
        monkeypatch.delenv(name, raising=False)


def test_without_anything_else_it_is_the_login_name() -> None:
    assert find_account() == pwd.getpwuid(os.getuid()).pw_name


def test_a_user_without_a_name_is_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getuid", lambda: 61_234)
    assert find_account() == "61234"


def test_who_called_sudo_goes_before_the_prefect_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_API_AUTH_STRING", "liming:secret")
    assert find_account() == pwd.getpwuid(os.getuid()).pw_name  # for no server
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:4200/api")
    assert find_account() == "liming"
    monkeypatch.setenv("SUDO_USER", "wangfang")
    assert find_account() == "wangfang"


def test_a_named_operator_is_called_by_name_and_others_are_refused() -> None:
    named = Operator("wangfang", NAMES)
    named.require_named()
    assert named.name == "王芳"
    stranger = Operator("guest", NAMES)
    assert stranger.name == "guest"
    with pytest.raises(JifenError) as refused:
        stranger.require_named()
    assert refused.value.code == ExitCode.USAGE and "guest" in refused.value.message
    Operator("guest").require_named()  # where nobody is named everybody may
