"""Extracts on other machines: real SFTP, S3 and HTTP servers. What they hold is received once, whole, and as it is."""

from __future__ import annotations

import hashlib
import http.server
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from expectations.errors import ExitCode, JifenError
from expectations.month import Month
from flows.extract import open_connector
from flows.extract.inbox import InboxContents
from flows.extract.pull import pull_up_to
from flows.extract.remote import Remote
from flows.settings import Settings, SourceSettings
from flows.storage.deliveries import Delivery, list_deliveries
from flows.storage.root import Root
from tests.support.pulling import names, settings_of
from tests.support.servers import S3, Line, Sftp, line_to

OCTOBER, NOVEMBER, DECEMBER = Month.parse("2021-10"), Month.parse("2021-11"), Month.parse("2021-12")


def settings(root: Root, origin: str, endpoint: str | None = None) -> Settings:
    given = SourceSettings(origin=origin, endpoint=endpoint)
    return settings_of(root, credit=given)


@pytest.fixture
def password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JIFEN_CREDIT_PASSWORD", "s3cret")


@pytest.fixture(params=["sftp", "s3"])
def far(request: pytest.FixtureRequest, root: Root, password: None) -> Iterator[Far]:
    server = request.getfixturevalue(request.param)
    with line_to(server.port) as line:
        if request.param == "sftp":
            server.trust(Path(os.environ["HOME"]), line.port)
        yield Far(root, server, line)


class Far:
    """A server of either kind behind a line, and a root that pulls `credit` from it."""

    def __init__(self, root: Root, server: Sftp | S3, line: Line) -> None:
        self.root, self.server, self.line = root, server, line

    def put(self, name: str, content: bytes, at: int = 0) -> None:
        if isinstance(self.server, S3):
            self.server.put(f"out/{name}", content)
        else:
            file = self.server.files / "out" / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
            os.utime(file, (1_600_000_000 + at, 1_600_000_000 + at))

    def settings(self, path: str) -> Settings:
        if isinstance(self.server, S3):
            return settings(
                self.root, f"s3://reader@platform/out/{path}", f"http://127.0.0.1:{self.line.port}"
            )
        return settings(self.root, f"sftp://reader@127.0.0.1:{self.line.port}/out/{path}")

    def pull(self, path: str, month: Month = OCTOBER) -> list[Delivery]:
        return pull_up_to(self.root, self.settings(path), ["credit"], month)


@pytest.mark.promise("sources-13", "SFTP, S3-compatible")
def test_a_file_is_received_byte_for_byte_and_its_receipt_keeps_the_address_without_user(
    far: Far,
) -> None:
    content = os.urandom(9 << 20)  # more than one read
    far.put("2021-10/c.csv", content)
    [delivery] = far.pull("{month}/c.csv")
    assert delivery.parts[0].read_bytes() == content
    [part] = delivery.receipt.parts
    assert (
        part.sha256 == hashlib.sha256(content).hexdigest()
        and part.bytes == len(content)
        and part.model_dump()["version"]
    )
    receipt = (delivery.folder / "receipt.json").read_text()
    assert "/out/2021-10/c.csv" in json.loads(receipt)["origin"]
    assert "reader" not in receipt and "s3cret" not in receipt
    assert list((far.root.tmp / "pull").iterdir()) == []


@pytest.mark.proves("sources-13")
def test_a_folder_and_a_glob_are_taken_in_byte_order_without_hidden_files(far: Far) -> None:
    for name in ("b.csv", "a/z.csv", "a-1.csv", "é.csv", ".b.csv.swp", ".tmp/c.csv"):
        far.put(f"2021-10/{name}", name.encode())
    assert [names(found) for found in far.pull("{month}")] == [
        ["a-1.csv", "a/z.csv", "b.csv", "é.csv"]
    ]
    for name in ("c_2021-11_2.csv", "c_2021-11_1.csv", "d_2021-11_1.csv"):
        far.put(name, name.encode())
    [globbed] = far.pull("c_{month}_*.csv", NOVEMBER)
    assert names(globbed) == ["c_2021-11_1.csv", "c_2021-11_2.csv"]


def test_what_is_not_there_has_not_come(far: Far) -> None:
    far.put("2021-10/c.csv", b"x")
    for path in ("{month}/c.csv", "{month}", "{month}/*.csv", "c_{month}_*.csv"):
        assert far.pull(path, NOVEMBER) == []


def test_a_file_of_another_format_is_not_passed_over(far: Far) -> None:
    far.put("2021-10/c.xls", b"x")
    with pytest.raises(JifenError) as caught:
        far.pull("{month}")
    assert caught.value.code == ExitCode.EXTRACT and "c.xls" in caught.value.where


@pytest.mark.parametrize("far", ["sftp"], indirect=True)
def test_names_in_gbk_are_read_as_they_are_meant(far: Far) -> None:
    assert isinstance(far.server, Sftp)
    for folder in ("2021-10", "2021-11"):
        far.put(f"{folder}/c.csv", b"1")
        place = os.fsencode(far.server.files / "out" / folder)
        Path(os.fsdecode(place + b"/" + "社保.csv".encode("gbk"))).write_bytes(b"2")
    [delivery] = far.pull("{month}")
    assert names(delivery) == ["c.csv", "社保.csv"] and delivery.parts[1].read_bytes() == b"2"
    # a pattern of its own leaves the other name alone; October is asked again, and is another delivery
    pulled = far.pull("{month}/c*.csv", NOVEMBER)
    assert [names(delivery) for delivery in pulled] == [["c.csv"], ["c.csv"]]


def test_an_unchanged_file_is_not_fetched_again_and_a_changed_one_is_the_next_delivery(
    far: Far, monkeypatch: pytest.MonkeyPatch
) -> None:
    far.put("2021-10/c.csv", b"one")
    far.pull("{month}/c.csv")
    with monkeypatch.context() as patch:
        patch.setattr(Remote, "_chunks", lambda *_: pytest.fail("fetched again"))
        assert far.pull("{month}/c.csv") == far.pull("{month}/c.csv", NOVEMBER) == []
    far.put("2021-10/c.csv", b"two", at=1)
    assert [found.number for found in far.pull("{month}/c.csv", NOVEMBER)] == [2]
    far.put("2021-10/c.csv", b"two", at=2)  # delivered again as it was
    assert far.pull("{month}/c.csv") == []
    assert [found.number for found in list_deliveries(far.root, "credit")] == [2]


@pytest.mark.proves("sources-32")
def test_of_an_origin_every_month_since_its_first_delivery_is_tried(far: Far) -> None:
    for month in ("2021-09", "2021-10", "2021-12"):
        far.put(f"{month}/c.csv", month.encode())
    path = "{month}/c.csv"

    def received(month: Month) -> list[str]:
        return [
            str(found.month)
            for found in pull_up_to(far.root, far.settings(path), ["credit"], month)
        ]

    assert received(OCTOBER) == ["2021-10"]
    far.put("2021-11/c.csv", b"late")
    assert received(DECEMBER) == ["2021-11", "2021-12"]
    (far.root.inbox / "2021-09").mkdir()  # the months of the inbox are asked for, too
    assert received(DECEMBER) == ["2021-09"]


def test_a_part_that_comes_shorter_than_it_is_said_to_be_is_not_kept(
    far: Far, monkeypatch: pytest.MonkeyPatch
) -> None:
    far.put("2021-10/c.csv", b"whole")
    with monkeypatch.context() as patch:
        patch.setattr(Remote, "_chunks", lambda *_: iter([b"who"]))
        with pytest.raises(JifenError, match="大小或校验值") as caught:
            far.pull("{month}/c.csv")
    assert isinstance(caught.value.__cause__, ConnectionError)
    assert list_deliveries(far.root, "credit") == []


# --- SFTP ---


def test_a_server_with_another_host_key_is_refused_and_so_is_one_nobody_knows(
    root: Root, sftp: Sftp, password: None, tmp_path: Path
) -> None:
    (sftp.files / "2021-10.csv").write_bytes(b"x")
    given = settings(root, f"sftp://reader@127.0.0.1:{sftp.port}/{{month}}.csv")
    for line in ("", f"[127.0.0.1]:{sftp.port} ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI{'A' * 43}\n"):
        (tmp_path / "home/.ssh/known_hosts").write_text(line)
        with pytest.raises(JifenError, match="主机密钥") as caught:
            pull_up_to(root, given, ["credit"], OCTOBER)
        assert caught.value.__cause__ is None  # trying again does not help
    sftp.trust(tmp_path / "home")
    assert len(pull_up_to(root, given, ["credit"], OCTOBER)) == 1


@pytest.mark.promise("sources-23", "secrets from the environment or a file")
@pytest.mark.proves("outputs-155")
def test_a_key_file_with_a_passphrase_opens_the_door_and_a_wrong_password_does_not(
    root: Root, sftp: Sftp, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (sftp.files / "2021-10.csv").write_bytes(b"x")
    given = settings(root, f"sftp://reader@127.0.0.1:{sftp.port}/{{month}}.csv")
    monkeypatch.setenv("JIFEN_CREDIT_PASSWORD", "wr0ng")
    with pytest.raises(JifenError) as caught:
        pull_up_to(root, given, ["credit"], OCTOBER)
    assert (
        "没有权限" in caught.value.message
        and caught.value.__cause__ is None
        and "wr0ng" not in str(caught.value)
    )
    (tmp_path / "password").write_text("s3cret\n")
    monkeypatch.delenv("JIFEN_CREDIT_PASSWORD")
    monkeypatch.setenv("JIFEN_CREDIT_PASSWORD_FILE", str(tmp_path / "password"))
    monkeypatch.setenv("JIFEN_CREDIT_KEY_FILE", str(sftp.key_file))
    assert len(pull_up_to(root, given, ["credit"], OCTOBER)) == 1
    monkeypatch.setenv("JIFEN_CREDIT_KEY_FILE", str(tmp_path / "none"))
    with pytest.raises(JifenError, match="密钥文件无法读取"):
        pull_up_to(root, given, ["credit"], OCTOBER)


@pytest.mark.promise("sources-156", "a remote file name cannot leave its folder")
def test_a_link_in_a_folder_of_the_server_brings_in_nothing(
    root: Root, sftp: Sftp, password: None
) -> None:
    (sftp.files / "2021-10").mkdir()
    (sftp.files / "2021-10" / "c.csv").symlink_to("../secret.csv")
    with pytest.raises(JifenError, match="不是普通文件"):
        pull_up_to(
            root,
            settings(root, f"sftp://reader@127.0.0.1:{sftp.port}/{{month}}"),
            ["credit"],
            OCTOBER,
        )


# --- S3 ---


def test_bytes_other_than_the_etag_promises_are_refused(
    root: Root, s3: S3, password: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    s3.put("2021-10.csv", b"whole")
    given = settings(root, "s3://reader@platform/{month}.csv", f"http://127.0.0.1:{s3.port}")
    with monkeypatch.context() as patch:
        patch.setattr(Remote, "_chunks", lambda *_: iter([b"holes"]))
        with pytest.raises(JifenError, match="大小或校验值"):
            pull_up_to(root, given, ["credit"], OCTOBER)
    assert len(pull_up_to(root, given, ["credit"], OCTOBER)) == 1


@pytest.mark.proves("sources-23")
def test_without_keys_nothing_is_asked(root: Root, s3: S3) -> None:
    given = settings(root, "s3://platform/{month}.csv", f"http://127.0.0.1:{s3.port}")
    with pytest.raises(JifenError, match="没有访问密钥") as caught:
        pull_up_to(root, given, ["credit"], OCTOBER)
    assert caught.value.__cause__ is None


# --- others ---


@pytest.mark.promise("sources-14", "any other fsspec address")
def test_another_address_works_when_its_library_is_installed(root: Root, tmp_path: Path) -> None:
    (tmp_path / "web").mkdir()
    (tmp_path / "web" / "2021-10.csv").write_bytes(b"x" * 100)
    handler = partial(http.server.SimpleHTTPRequestHandler, directory=str(tmp_path / "web"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        given = settings(root, f"http://127.0.0.1:{server.server_port}/{{month}}.csv")
        [delivery] = pull_up_to(root, given, ["credit"], OCTOBER)
        assert delivery.parts[0].read_bytes() == b"x" * 100
        assert pull_up_to(root, given, ["credit"], NOVEMBER) == []
        server.shutdown()


def test_an_address_that_nothing_installed_understands_says_so(root: Root) -> None:
    with pytest.raises(JifenError, match="不支持") as caught:
        pull_up_to(root, settings(root, "carrier-pigeon://host/{month}.csv"), ["credit"], OCTOBER)
    assert caught.value.code == ExitCode.EXTRACT and "sources.credit" in caught.value.where


@pytest.mark.promise("sources-114", "libraries of other origins are not loaded for the inbox")
def test_the_libraries_of_other_origins_are_not_loaded_for_the_inbox(root: Root) -> None:
    code = (
        "import sys; from flows.extract.pull import pull_up_to; "
        "print([name for name in ('fsspec', 's3fs', 'sshfs', 'adbc_driver_postgresql') if name in sys.modules])"
    )
    assert (
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        ).stdout
        == "[]\n"
    )
    assert open_connector(root, "credit", None, InboxContents()).list_files(OCTOBER) is None
