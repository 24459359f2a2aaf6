"""Servers that refuse, hang, or are cut off in mid-transfer: tried again, then a clear end; nothing half-pulled is used."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from expectations.errors import ExitCode, JifenError
from expectations.month import Month
from flows.connections import filesystems, postgres
from flows.extract import remote
from flows.extract.pull import pull_up_to
from flows.settings import SourceSettings, load_settings
from flows.storage.deliveries import Delivery, list_deliveries
from flows.storage.root import Root
from tests.support.pulling import settings_of
from tests.support.servers import S3, Line, Postgres, Sftp, line_to
from tests.support.world import SOURCES, World, national_id, write_csv

OCTOBER = Month.parse("2021-10")
PART = 1 << 20
PARTS = ["1.csv", "2.csv", "3.csv"]
FAULTS: dict[str, Callable[[Line], None]] = {
    "refuses": lambda line: line.refuse(),
    "hangs at once": lambda line: line.open(0, hangs=True),
    "hangs in mid-transfer": lambda line: line.open(PART + PART // 2, hangs=True),
    "is cut at once": lambda line: line.open(0),
    "is cut in mid-transfer": lambda line: line.open(PART + PART // 2),
}


class RemoteOrigin:
    """October's `credit` on a server behind a line: three files of 1 MiB, or a table of 3 MiB."""

    def __init__(self, line: Line, given: SourceSettings) -> None:
        self.line, self.given = line, given

    def pull(self, root: Root) -> list[Delivery]:
        return pull_up_to(root, settings_of(root, credit=self.given), ["credit"], OCTOBER)


@pytest.fixture(params=["sftp", "s3", "postgres"])
def remote_origin(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[RemoteOrigin]:
    monkeypatch.setenv(
        "JIFEN_CREDIT_PASSWORD", "s3cret/@:" if request.param == "postgres" else "s3cret"
    )
    server: Sftp | S3 | Postgres = request.getfixturevalue(request.param)
    with line_to(server.port) as line:
        yield RemoteOrigin(line, on_offer(server, line))


def on_offer(server: Sftp | S3 | Postgres, line: Line) -> SourceSettings:
    if isinstance(server, Postgres):
        server.execute(
            'DROP TABLE IF EXISTS "c_2021-10"',
            f"""CREATE TABLE "c_2021-10" AS SELECT i AS a, md5(i::text) || md5((-i)::text) AS b
            FROM generate_series(1, {3 * PART // 80}) i""",
            'GRANT SELECT ON "c_2021-10" TO reader',
        )
        return SourceSettings(origin=server.uri("reader", line.port), table="c_{month}")
    if isinstance(server, S3):
        for name in PARTS:
            server.put(f"2021-10/{name}", os.urandom(PART))
        return SourceSettings(
            origin="s3://reader@platform/{month}", endpoint=f"http://127.0.0.1:{line.port}"
        )
    server.trust(Path(os.environ["HOME"]), line.port)
    for name in PARTS:
        (server.files / "2021-10").mkdir(exist_ok=True)
        (server.files / "2021-10" / name).write_bytes(os.urandom(PART))
    return SourceSettings(origin=f"sftp://reader@127.0.0.1:{line.port}/{{month}}")


@pytest.mark.promise("sources-131", "SFTP, PostgreSQL refuse, hang, drop, come back")
@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_ends_the_pull_and_the_next_one_finishes_it(
    remote_origin: RemoteOrigin,
    fault: str,
    root: Root,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    elsewhere = Root(tmp_path / "undisturbed", tmp_path / "undisturbed" / "inbox")
    elsewhere.prepare()
    [undisturbed] = remote_origin.pull(elsewhere)
    FAULTS[fault](remote_origin.line)
    with monkeypatch.context() as patch:
        for module in (filesystems, postgres):
            patch.setattr(module, "PATIENCE_SECONDS", 3.0)
        with pytest.raises(JifenError) as caught:
            remote_origin.pull(root)
    assert caught.value.code == ExitCode.EXTRACT
    assert isinstance(
        caught.value.__cause__, (ConnectionError, TimeoutError)
    )  # what Prefect tries again
    assert "s3cret" not in str(caught.value) and "reader" not in str(caught.value)
    assert list_deliveries(root, "credit") == [] and list(root.raw.rglob("*")) == []
    remote_origin.line.open()
    [delivery] = remote_origin.pull(root)
    assert delivery.content == undisturbed.content
    assert [path.read_bytes() for path in delivery.parts] == [
        path.read_bytes() for path in undisturbed.parts
    ]
    assert remote_origin.pull(root) == []
    assert list((root.tmp / "pull").iterdir()) == []


@pytest.mark.parametrize("remote_origin", ["sftp", "s3"], indirect=True)
def test_files_brought_before_the_line_was_cut_are_taken_up_while_they_are_the_same(
    remote_origin: RemoteOrigin, root: Root, monkeypatch: pytest.MonkeyPatch
) -> None:
    FAULTS["is cut in mid-transfer"](remote_origin.line)
    with pytest.raises(JifenError):
        remote_origin.pull(root)
    remote_origin.line.open()
    fetched: list[str] = []
    chunks = remote.Remote._chunks

    def noted(self: remote.Remote, path: str) -> Iterator[bytes]:
        fetched.append(path.rpartition("/")[2])
        return chunks(self, path)

    monkeypatch.setattr(remote.Remote, "_chunks", noted)
    [delivery] = remote_origin.pull(root)
    assert fetched == ["2.csv", "3.csv"]
    assert [part.name for part in delivery.receipt.parts] == PARTS


def test_a_file_that_changed_after_the_line_was_cut_is_fetched_again_and_one_that_went_is_left_out(
    sftp: Sftp, root: Root, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JIFEN_CREDIT_PASSWORD", "s3cret")
    with line_to(sftp.port) as line:
        remote_origin = RemoteOrigin(line, on_offer(sftp, line))
        line.open(2 * PART + PART // 2)
        with pytest.raises(JifenError):
            remote_origin.pull(root)
        (sftp.files / "2021-10" / "1.csv").write_bytes(b"other")
        (sftp.files / "2021-10" / "2.csv").unlink()
        line.open()
        [delivery] = remote_origin.pull(root)
    assert [path.name for path in delivery.parts] == ["1.csv", "3.csv"]
    assert delivery.parts[0].read_bytes() == b"other"
    assert sorted(path.name for path in delivery.folder.iterdir()) == [
        "1.csv",
        "3.csv",
        "receipt.json",
    ]


RUN = """
import sys
from flows.cli import app
from flows.pipeline import stages
object.__setattr__(stages.STAGES[0], "retry_seconds", (0.0, 0.0))
sys.argv = ["jifen", "--config", sys.argv[1], "run", "--month", "2021-10"]
app.main()
"""


@pytest.mark.promise("outputs-189", "11 extract missing or unreadable")
@pytest.mark.proves("sources-131")
def test_a_run_tries_three_times_then_exits_11_and_the_next_run_publishes_the_month(
    sftp: Sftp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JIFEN_REGISTRY_PASSWORD", "s3cret")
    world = World(tmp_path)
    person = {
        "resident_id": national_id("51010219850101101"),
        "residence_district": "330203",
        "status": "resident",
    }
    world.deliver("2021-10")
    (world.inbox / "2021-10" / "registry.csv").unlink()
    columns = [*SOURCES["registry"].columns, "remarks"]  # long enough to be cut in the middle
    write_csv(sftp.files / "registry-2021-10.csv", columns, [person | {"remarks": "x" * PART}])
    with line_to(sftp.port) as line:
        sftp.trust(Path(os.environ["HOME"]), line.port)
        config = tmp_path / "jifen.toml"
        config.write_text(
            f'[paths]\nroot = "{world.root.path}"\ninbox = "{world.inbox}"\n[policy]\nallow_illustrative = true\n'
            f'[sources.registry]\norigin = "sftp://reader@127.0.0.1:{line.port}/registry-{{month}}.csv"\n'
        )

        line.open(PART // 2)
        command = [sys.executable, "-c", RUN, str(config)]
        failed = subprocess.run(command, capture_output=True, text=True)
        assert failed.returncode == ExitCode.EXTRACT, failed.stderr
        assert line.connections == 3
        assert (
            "连接" in failed.stderr
            and "Traceback" not in failed.stderr
            and "Task" not in failed.stderr
        )
        assert list(world.root.published.iterdir()) == []
        line.open()
        world.settings = load_settings(config)
        world.run("2021-10")
    assert world.revision("2021-10").number == 1
