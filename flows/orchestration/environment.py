"""The environment that Prefect reads: set for a run, and put back as it was.

Prefect takes its settings from the process's environment, from `.env`, `prefect.toml` and
`pyproject.toml` of the working folder, and from its home. A run decides all of them: its home is in
the root and is the working folder, so that files lying elsewhere do not steer it.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Iterator, Mapping
from contextlib import chdir, contextmanager
from pathlib import Path

LOCAL = "127.0.0.1"
OFFLINE = {
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_TELEMETRY_ENABLE_RESOURCE_METRICS": "false",
}
QUIET = {
    **OFFLINE,
    "PREFECT_CLIENT_SERVER_VERSION_CHECK_ENABLED": "false",
    "PREFECT_LOGGING_LEVEL": "CRITICAL",  # its error logs are stack traces, and quote arguments
    "PREFECT_LOGGING_ROOT_LEVEL": "CRITICAL",
    "PREFECT_LOGGING_TO_API_ENABLED": "false",
    "PREFECT_RESULTS_PERSIST_BY_DEFAULT": "false",
}


@contextmanager
def prefect_environment(root: Path) -> Iterator[Path]:
    """Set Prefect's environment for a block, before anything in it imports Prefect.

    Its home is in the root, it sends no telemetry and writes no logs. Without the operator's
    PREFECT_API_URL no PREFECT_ variable of the environment counts: they are for another server.

    Yields:
        Prefect's home, the working folder of the block.
    """
    home = root / "prefect"
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    before = dict(os.environ)
    try:
        if not before.get("PREFECT_API_URL"):
            for name in [name for name in before if name.startswith("PREFECT_")]:
                del os.environ[name]
        _settle(before)
        os.environ.update(QUIET, PREFECT_HOME=str(home))
        os.environ.setdefault("HOME", str(home))  # Prefect asks for it as it is imported
        with chdir(home):
            yield home
    finally:
        os.environ.clear()
        os.environ.update(before)


def _settle(given: Mapping[str, str]) -> None:
    """Put right what is meant for the world outside, or relative to the working folder."""
    for name, value in given.items():
        if name.startswith("JIFEN_") and name.endswith("_FILE"):
            os.environ[name] = str(Path(value).absolute())
    for name in ("ALL_PROXY", "all_proxy"):  # for SOCKS Prefect's client lacks a library
        os.environ.pop(name, None)
    for name in ("NO_PROXY", "no_proxy"):  # a proxy is never for our own server
        os.environ[name] = ",".join(filter(None, [given.get(name), LOCAL]))
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR"):
        if name in given and not _has_certificates(name, given[name]):
            del os.environ[name]


def _has_certificates(name: str, place: str) -> bool:
    """Return whether a place of certificates can be used: one that is gone ends every client."""
    try:
        if name == "SSL_CERT_FILE":
            ssl.create_default_context(cafile=place)
        return Path(place).exists()
    except (OSError, ssl.SSLError):
        return False
