"""A month delivered over real SFTP and to a real S3 store, through lines that refuse, hang, are cut, and disks that fill up."""

from __future__ import annotations

import errno
import hashlib
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import asyncssh
import pytest

from expectations.errors import ExitCode, JifenError
from flows.address_settings import DestinationSettings
from flows.connections import filesystems
from flows.destinations.contents import list_destinations
from flows.project import Project
from tests.support.delivering import (
    OCTOBER,
    deliver,
    receipts,
    with_destinations,
)
from tests.support.held_city import HAISHU, PEOPLE, copied
from tests.support.packages import new_key
from tests.support.servers import S3, Line, Sftp, line_to
from tests.support.world import World

MONTH = str(OCTOBER)


class Far:
    """A server of either kind behind a line, and a town whose `330203` gets its package there."""

    def __init__(self, town: World, server: Sftp | S3, line: Line) -> None:
        self.town, self.server, self.line = town, server, line
        self.settle(plain=True)
        self.project: Project = town.project

    def settle(self, **given: object) -> None:
        """Set the destination, with these values."""
        if isinstance(self.server, S3):
            address = "s3://reader@platform/in/{month}"
            given["endpoint"] = f"http://127.0.0.1:{self.line.port}"
        else:
            address = f"sftp://reader@127.0.0.1:{self.line.port}/in/{{month}}"
        settings = DestinationSettings.model_validate({"address": address, **given})
        self.town.settings = with_destinations(self.town.settings, d330203=settings)
        self.project = self.town.project

    def deliver(self, number: int = 1) -> JifenError | None:
        """Deliver a revision once; what went wrong."""
        error = deliver(self.town, number, project=self.project)[HAISHU].error
        assert error is None or isinstance(error, JifenError), repr(error)
        return error

    def files(self) -> dict[str, bytes]:
        """Everything that lies there, by name below the month's folder."""
        if isinstance(self.server, S3):
            client = self.server.client
            listed = client.list_objects_v2(Bucket="platform").get("Contents", [])
            return {
                item["Key"].removeprefix(f"in/{MONTH}/"): client.get_object(
                    Bucket="platform", Key=item["Key"]
                )["Body"].read()
                for item in listed
            }
        folder = self.server.files / "in" / MONTH
        return {
            path.relative_to(folder).as_posix(): path.read_bytes()
            for path in folder.rglob("*")
            if path.is_file()
        }

    def put(self, name: str, content: bytes) -> None:
        if isinstance(self.server, S3):
            self.server.put(f"in/{MONTH}/{name}", content)
        else:
            file = self.server.files / "in" / MONTH / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)

    def package(self) -> dict[str, bytes]:
        """The package as published, by name at the place."""
        folder = self.town.root.months / MONTH / "r1" / "exports" / HAISHU
        return {f"r1/{path.name}": path.read_bytes() for path in folder.iterdir()}

    def find_complete(self) -> str:
        """The folder that `delivery.json` names, every file being as it says; empty before."""
        files = self.files()
        if "delivery.json" not in files:
            return ""
        summary = json.loads(files["delivery.json"])
        for name, record in summary["files"].items():
            content = files[name]
            assert (len(content), hashlib.sha256(content).hexdigest()) == tuple(record.values())
        return str(summary["folder"])


@pytest.fixture(params=["sftp", "s3"])
def far(
    request: pytest.FixtureRequest,
    october_twice: World,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Far]:
    monkeypatch.setenv("JIFEN_DELIVER_330203_PASSWORD", "s3cret")
    server = request.getfixturevalue(request.param)
    town = copied(october_twice, tmp_path / "town")
    with line_to(server.port) as line:
        if isinstance(server, Sftp):
            server.trust(Path(os.environ["HOME"]), line.port)
        yield Far(town, server, line)


def test_the_package_arrives_as_published_and_a_second_try_sends_nothing(far: Far) -> None:
    assert far.deliver() is None
    files = far.files()
    assert far.find_complete() == "r1"
    files.pop("delivery.json")
    assert files == far.package()
    again = deliver(far.town, project=far.project)[HAISHU]
    assert (again.sent, again.kept, again.error) == (0, len(files), None)


def test_the_receipt_says_what_lies_where_and_nothing_secret(far: Far) -> None:
    assert far.deliver() is None
    [receipt] = receipts(far.town, HAISHU)
    assert receipt.state == "delivered" and receipt.delivered_at
    assert receipt.files.keys() == far.package().keys()
    for name, content in far.package().items():
        record = receipt.files[name]
        assert record.sha256 == record.source_sha256 == hashlib.sha256(content).hexdigest()
        assert record.bytes == len(content) and record.version
    text = receipt.to_json().decode()
    assert "reader" not in text and "s3cret" not in text and f"/in/{MONTH}" in receipt.address


def test_a_newer_revision_replaces_the_older_one(far: Far) -> None:
    assert far.deliver() is None
    assert far.deliver(2) is None
    assert far.find_complete() == "r2"
    assert json.loads(far.files()["delivery.json"])["replaces"] == "r1"
    assert {name.partition("/")[0] for name in far.files()} == {"delivery.json", "r2"}


def test_what_the_other_side_changed_or_lost_is_sent_again(far: Far) -> None:
    assert far.deliver() is None
    far.put("r1/scores.csv", b"half")
    outcome = deliver(far.town, project=far.project)[HAISHU]
    assert outcome.sent == 1 and far.files()["r1/scores.csv"] == far.package()["r1/scores.csv"]


def test_yesterdays_half_files_are_overwritten_or_removed(far: Far) -> None:
    far.put("r1/scores.csv", b"half")
    far.put("r1/.scores.csv.00c0ffee.part", b"half")
    assert far.deliver() is None
    files = far.files()
    if isinstance(far.server, S3):  # an object is never half: nothing of ours has such a name
        files.pop("r1/.scores.csv.00c0ffee.part")
    assert files.keys() == {"delivery.json", *far.package()}
    assert files["r1/scores.csv"] == far.package()["r1/scores.csv"]


FAULTS: dict[str, Callable[[Line], None]] = {
    "refuses": lambda line: line.refuse(),
    "hangs at once": lambda line: line.open(0, hangs=True),
    "is cut at once": lambda line: line.open(0),
    "hangs midway": lambda line: line.open(7000, hangs=True),
    "is cut midway": lambda line: line.open(7000),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_leaves_the_old_delivery_whole_and_the_next_try_finishes(
    far: Far, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert far.deliver() is None
    FAULTS[fault](far.line)
    with monkeypatch.context() as patch:
        patch.setattr(filesystems, "PATIENCE_SECONDS", 3.0)
        error = far.deliver(2)
    assert error is not None and error.code == ExitCode.OTHER
    assert isinstance(error.__cause__, (ConnectionError, TimeoutError))  # tried again by Prefect
    assert "s3cret" not in str(error) and "reader" not in str(error)
    assert far.find_complete() == "r1"
    before = receipts(far.town, HAISHU)
    assert [(one.revision, one.state) for one in before] == [(1, "delivered"), (2, "partial")]
    assert before[1].reason == error.message
    far.line.open()
    outcome = deliver(far.town, 2, project=far.project)[HAISHU]
    assert outcome.error is None and outcome.kept == len(before[1].files)
    assert far.find_complete() == "r2"
    assert {name.partition("/")[0] for name in far.files()} == {"delivery.json", "r2"}
    if isinstance(far.server, Sftp):
        assert not any(name.endswith(".part") for name in far.files())


def test_files_sent_before_the_line_was_cut_are_not_sent_again(
    far: Far,
) -> None:
    """Each file is sent once, though the line is cut again and again."""
    patience = pytest.MonkeyPatch()
    patience.setattr(filesystems, "PATIENCE_SECONDS", 3.0)
    counts, kept = [], 0
    for left in range(9000, 200_000, 4000):
        far.line.open(left)
        outcome = deliver(far.town, project=far.project)[HAISHU]
        done = receipts(far.town, HAISHU)
        counts.append(len(done[0].files) if done else 0)
        if outcome.error is None:
            kept = outcome.kept
            break
    patience.undo()
    assert counts == sorted(counts) and counts[-1] == len(far.package())
    assert kept > 0 and far.find_complete() == "r1"


@pytest.mark.parametrize("far", ["sftp"], indirect=True)
def test_a_full_disk_on_the_other_side_is_reported_and_not_tried_again(
    far: Far, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert far.deliver() is None
    write, sizes = asyncssh.SFTPServer.write, [0]

    def fill(self: asyncssh.SFTPServer, file_obj: object, offset: int, data: bytes) -> int:
        sizes.append(len(data))
        if sum(sizes) > 20_000:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return int(write(self, file_obj, offset, data))  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(asyncssh.SFTPServer, "write", fill)
        error = far.deliver(2)
    assert error is not None and "磁盘已满" in error.message and error.__cause__ is None
    assert far.find_complete() == "r1"
    assert far.deliver(2) is None and far.find_complete() == "r2"


@pytest.mark.parametrize("far", ["sftp"], indirect=True)
def test_a_server_without_replacing_renames_gets_the_files_all_the_same(
    far: Far, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: object, *names: bytes) -> None:
        raise asyncssh.SFTPOpUnsupported("unsupported")

    monkeypatch.setattr(asyncssh.SFTPServer, "posix_rename", refuse)
    assert far.deliver() is None
    far.put("r1/scores.csv", b"half")
    assert far.deliver() is None
    assert far.files()["r1/scores.csv"] == far.package()["r1/scores.csv"]


@pytest.mark.parametrize("far", ["sftp"], indirect=True)
def test_wrong_password_and_unknown_server_are_not_tried_again(
    far: Far, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JIFEN_DELIVER_330203_PASSWORD", "wr0ng")
    error = far.deliver()
    assert error is not None and error.__cause__ is None and "权限" in error.message
    assert "JIFEN_DELIVER_330203_PASSWORD" in error.hint and "wr0ng" not in str(error)
    monkeypatch.setenv("JIFEN_DELIVER_330203_PASSWORD", "s3cret")
    (Path(os.environ["HOME"]) / ".ssh" / "known_hosts").unlink()
    error = far.deliver()
    assert error is not None and "主机密钥" in error.message and error.__cause__ is None


@pytest.mark.parametrize("far", ["s3"], indirect=True)
def test_a_bucket_that_is_not_there_is_reported(far: Far) -> None:
    far.settle(plain=True)
    given = far.project.settings.deliver[HAISHU]
    other = given.model_copy(update={"address": "s3://reader@nowhere/in/{month}"})
    far.town.settings = with_destinations(far.town.settings, d330203=other)
    far.project = far.town.project
    assert far.deliver() is not None


def test_nothing_plain_leaves_unless_it_is_said(far: Far) -> None:
    far.settle()
    with pytest.raises(JifenError) as caught:
        list_destinations(far.project)
    assert caught.value.code == ExitCode.DECLARATIONS and "plain" in caught.value.hint
    far.settle(recipient=[new_key()[1]])
    assert far.deliver() is None
    names = far.files().keys() - {"delivery.json"}
    assert names == {f"{name}.age" for name in far.package()}
    assert not any(
        person.encode() in content for person in PEOPLE for content in far.files().values()
    )


def test_nobodys_number_name_or_phone_is_in_receipts_logs_or_messages(far: Far) -> None:
    far.line.open(7000)
    error = far.deliver()
    far.line.open()
    assert far.deliver() is None
    root = far.town.root
    kept = [path.read_text() for path in root.delivered.rglob("*.json")]
    kept += [(root.runs / "access.log").read_text(), str(error)]
    assert len(kept) == 3
    for person in PEOPLE:
        assert not any(person in text for text in kept)
    assert "欧阳待核" not in "".join(kept) and "13857407777" not in "".join(kept)
