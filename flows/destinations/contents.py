"""Who gets what of a revision: the portal, a district, a department; and nobody another's."""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Collection, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

from expectations.errors import ExitCode, JifenError, did_you_mean
from flows.address_settings import DestinationSettings
from flows.connections.accounts import Account
from flows.project import Project
from flows.storage.files import hash_file
from flows.storage.revisions import Revision, find_clean_folders
from flows.storage.root import Root
from reports.packages.build import list_package_districts
from reports.packages.encryption import SUFFIX, check_recipient
from reports.statements.model import render_statement_schema
from transforms.clean.returns import RETURNS

PORTAL = "portal"
SCHEMA_FILE = "statement.schema.json"
STATEMENTS = "restricted/statements/"
RETURN_BOOKS = "restricted/returns/"
CASE_BOOKS = "restricted/objections/"
NOBODYS = ("texts.json", "examples.jsonl", SCHEMA_FILE, "manifest.json")
"""Files that are about no real person: words, synthetic people, counts."""


@dataclass(frozen=True)
class Destination:
    """A recipient of `jifen.toml`: its name, and where it gets what is its own."""

    name: str
    given: DestinationSettings

    @property
    def account(self) -> Account:
        """On whose behalf the place is asked."""
        return Account(f"deliver_{self.name}", self.settings, ExitCode.OTHER)

    @property
    def settings(self) -> str:
        """Its table in `jifen.toml`."""
        return f"[deliver.{self.name}]"


@dataclass(frozen=True)
class OutgoingFile:
    """A file that leaves.

    Attributes:
        name: Its name, before it is encrypted.
        sha256: Its hash, as the manifest has it or as it is computed now.
        source: Where it lies, or what it holds.
    """

    name: str
    sha256: str
    source: Path | bytes

    def open(self) -> AbstractContextManager[BinaryIO]:
        """Open it to read."""
        return io.BytesIO(self.source) if isinstance(self.source, bytes) else self.source.open("rb")

    def sent_name(self, recipients: Collection[str]) -> str:
        """Return its name at the place: with `.age` once it is encrypted."""
        return self.name + SUFFIX if self.encrypted_for(tuple(recipients)) else self.name

    def encrypted_for(self, recipients: tuple[str, ...]) -> tuple[str, ...]:
        """Return whom it is encrypted for on the way: nobody if it is encrypted already."""
        return () if self.name.endswith(SUFFIX) else recipients

    @property
    def is_open(self) -> bool:
        """Whether anybody who gets hold of it can read about people."""
        return not self.name.endswith(SUFFIX) and self.name not in NOBODYS


def list_destinations(project: Project) -> list[Destination]:
    """Return the destinations of the settings, each the portal, a district or a source.

    Raises:
        JifenError: Exit 10, a name is nobody's, a key is no key, or people's data would leave
            this machine without encryption though nobody has said so.
    """
    found = [Destination(name, given) for name, given in project.settings.deliver.items()]
    names = [PORTAL, *project.reference.districts, *project.sources]
    unknown = [one for one in found if one.name not in names]
    for one in unknown:
        hint = did_you_mean(one.name, names, "的接收方")
        raise _declaration_error(one, f"没有接收方 {one.name}", hint)
    for one in found:
        source = project.sources.get(one.name)
        if source and source.from_districts:
            what = f"{source.title}（{one.name}）由各区县交付，不能送到一处"
            hint = "各区县要更正的在自己的导出包里：写 [deliver.<区县代码>]"
            raise _declaration_error(one, what, hint)
    encrypted = {one.code for one in list_package_districts(project.reference) if one.recipient}
    for one in found:
        if one.given.is_database and one.name != PORTAL:
            raise _declaration_error(one, "postgresql:// 地址只用于 portal", "改用文件夹或 SFTP 等")
        for recipient in one.given.recipients:
            check_recipient(recipient, one.name, f"jifen.toml {one.settings} recipient")
        if one.name not in encrypted:
            refuse_plain(one, project.settings.exports.require_encryption)
    return found


def refuse_plain(destination: Destination, require_encryption: bool) -> None:
    """Refuse to hand over files about people that anybody on the way, or there, could read.

    Raises:
        JifenError: Exit 10.
    """
    given = destination.given
    if given.recipients:
        return
    if require_encryption:
        what = "要求加密（[exports] require_encryption），但接收方没有公钥"
        raise _declaration_error(destination, what, "在 recipient 写接收方的 age 公钥")
    if given.is_remote and not given.plain:
        what = "含个人信息的文件要不加密地送到别的机器"
        hint = "在 recipient 写接收方的 age 公钥；确实不加密的写 plain = true"
        raise _declaration_error(destination, what, hint)


def list_outgoing_files(
    root: Root, project: Project, revision: Revision, destination: str
) -> list[OutgoingFile]:
    """Return the files of a revision that are a destination's own, by name.

    Raises:
        JifenError: Exit 2, the revision has nothing for it; exit 15, a file is not what was
            published.
    """
    if destination == PORTAL:
        files = list(_list_published(revision, STATEMENTS))
        if files:
            schema = render_statement_schema().encode()
            files.append(OutgoingFile(SCHEMA_FILE, hashlib.sha256(schema).hexdigest(), schema))
    elif destination.isdecimal():
        files = list(_list_published(revision, f"exports/{destination}/"))
    else:
        source = project.sources[destination]
        own = re.compile(rf"{re.escape(source.department)}((?:-[0-9]+)?\.xlsx)")
        files = list(_list_published(revision, RETURN_BOOKS, own))
        for book in _list_published(revision, CASE_BOOKS, own):
            files.append(replace(book, name=own.sub(r"objections\1", book.name)))
        files += _list_returned_rows(root, revision, destination)
        return sorted(files, key=lambda file: file.name)
    if not files:
        what = f"{revision.name} 没有 {destination} 的文件"
        hint = "由旧版程序发布、或当时没有这个区县的月份，重新运行后再送交"
        raise JifenError(ExitCode.USAGE, what, where=str(revision.path), hint=hint)
    return sorted(files, key=lambda file: file.name)


def _list_published(
    revision: Revision, folder: str, own: re.Pattern[str] = re.compile(".*")
) -> Iterator[OutgoingFile]:
    """Yield the files of a folder that have such names, found to be what was published."""
    for name, record in revision.manifest.files.items():
        if name.startswith(folder) and own.fullmatch(name.removeprefix(folder)):
            path = revision.path / name
            if not path.is_file() or hash_file(path) != record["sha256"]:
                hint = "不要送交；运行 jifen verify，从备份恢复"
                what = "文件的内容与发布时不同"
                raise JifenError(ExitCode.DAMAGE, what, where=str(path), hint=hint)
            yield OutgoingFile(name.removeprefix(folder), record["sha256"], path)


def _list_returned_rows(root: Root, revision: Revision, source: str) -> Iterator[OutgoingFile]:
    """Yield what a department has to mend of the month's own delivery of a source, if it came."""
    for folder in find_clean_folders(root.quarantine, revision).get(source, ()):
        file = folder / RETURNS
        if folder.parent.name == f"received={revision.month}" and file.is_file():
            yield OutgoingFile(f"{source}.parquet", hash_file(file), file)


def find_open_files(files: Sequence[OutgoingFile]) -> list[str]:
    """Return the names of those that are about people and not encrypted."""
    return [file.name for file in files if file.is_open]


def _declaration_error(destination: Destination, what: str, hint: str) -> JifenError:
    where = f"jifen.toml {destination.settings}"
    return JifenError(ExitCode.DECLARATIONS, what, where=where, hint=hint)
