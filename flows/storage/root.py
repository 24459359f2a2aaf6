"""The root folder: where run-time data lives, who may read it, who holds it, and its key."""

from __future__ import annotations

import fcntl
import grp
import os
import re
import resource
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from expectations.errors import ExitCode, JifenError, to_user_error
from expectations.month import Month
from flows.city_time import city_now
from flows.settings import Settings
from flows.storage.access_log import AccessLog
from flows.storage.keys import load_keys
from flows.storage.operators import Operator
from flows.storage.query_notes import read_query_notes


@dataclass(frozen=True)
class Root:
    """The folders of one root.

    Attributes:
        path: The root itself.
        inbox: The folder that departments put extracts in; it may lie elsewhere.
        analysts_group: The group that may read what `share` was called on.
        exact_group: The group that may read what it was called on as exact.
        operator: Who asks.
    """

    path: Path
    inbox: Path
    analysts_group: str | None = None
    exact_group: str | None = None
    operator: Operator = field(default_factory=Operator, compare=False)

    @property
    def raw(self) -> Path:
        return self.path / "raw"

    @property
    def clean(self) -> Path:
        return self.path / "clean"

    @property
    def quarantine(self) -> Path:
        return self.path / "quarantine"

    @property
    def defects(self) -> Path:
        return self.path / "defects"

    @property
    def months(self) -> Path:
        return self.path / "months"

    @property
    def published(self) -> Path:
        return self.path / "published"

    @property
    def overview(self) -> Path:
        return self.path / "overview"

    @property
    def runs(self) -> Path:
        return self.path / "runs"

    @property
    def delivered(self) -> Path:
        return self.path / "delivered"

    @property
    def removals(self) -> Path:
        return self.path / "removals"

    @property
    def tmp(self) -> Path:
        return self.path / "tmp"

    @property
    def queries(self) -> Path:
        return self.path / "queries"

    @property
    def prefect(self) -> Path:
        return self.path / "prefect"

    @property
    def catalogue(self) -> Path:
        return self.path / "catalogue.duckdb"

    @property
    def exact_catalogue(self) -> Path:
        return self.path / "catalogue-exact.duckdb"

    @property
    def key_file(self) -> Path:
        return Path(os.environ.get("JIFEN_KEY_FILE") or self.path / "secret.key")

    def prepare(self) -> None:
        """Close the process (umask 077, no core dumps), make the folders and set their modes.

        A department's own share that serves as inbox is left as it is.

        Raises:
            JifenError: Exit 1, the root is not writable.
        """
        os.umask(0o077)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        closed = [
            self.raw,
            self.clean,
            self.quarantine,
            self.defects,
            self.runs,
            self.delivered,
            self.tmp,
            self.prefect,
        ]
        if self.inbox.is_relative_to(self.path):
            closed.append(self.inbox)
        try:
            for folder in (self.path, *closed, self.months, self.published):
                folder.mkdir(parents=True, exist_ok=True)
            for folder in closed:
                folder.chmod(0o700)
            for folder in (self.path, self.months, self.published):
                self.share(folder, deep=False)
            self._prepare_queries()
        except OSError as error:
            why = to_user_error(error)
            where = str(error.filename or self.path)
            raise JifenError(
                ExitCode.OTHER, f"根目录不可用：{why.message}", where=where, hint=why.hint
            ) from None

    def _prepare_queries(self) -> None:
        """Let the exact group add notes of queries, and neither list nor read them."""
        group = self._group(exact=True)
        if group is not None:
            self.queries.mkdir(exist_ok=True)
            os.chown(self.queries, -1, group)
        if self.queries.exists():
            self.queries.chmod(0o700 if group is None else 0o1730)

    def share(self, path: Path, *, deep: bool = True, exact: bool = False) -> None:
        """Let a group, and nobody else, read a file, or a folder (with all it holds when `deep`).

        Without the group nobody else may read it. Folders on the way to both are the analysts',
        whose group those of the exact one belong to, too.
        """
        group = self._group(exact=exact or (self.analysts_group is None and not deep))
        for item in (path, *(path.rglob("*") if deep else ())):
            mode = 0o700 if item.is_dir() else 0o600
            if group is not None:
                os.chown(item, -1, group)
                mode |= (mode >> 3) & 0o050
            item.chmod(mode)

    def _group(self, *, exact: bool) -> int | None:
        setting, name = (
            ("exact_group", self.exact_group) if exact else ("analysts_group", self.analysts_group)
        )
        if name is None:
            return None
        try:
            return grp.getgrnam(name).gr_gid
        except KeyError:
            where, hint = f"jifen.toml paths.{setting}", "建立该用户组，或改正、删去这一项"
            raise JifenError(
                ExitCode.DECLARATIONS, f"没有用户组 {name}", where=where, hint=hint
            ) from None

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the root for one run; the kernel lets go when the process ends, however it ends.

        Raises:
            JifenError: Exit 13, another run holds it.
        """
        file = os.open(self.runs / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                holder = os.read(file, 100).decode() or "未知"
                what = f"另一个运行正占用这个根目录（进程 {holder}）"
                raise JifenError(
                    ExitCode.LOCKED, what, where=str(self.path), hint="等它结束后再运行"
                ) from None
            os.ftruncate(file, 0)
            os.pwrite(file, str(os.getpid()).encode(), 0)
            yield
        finally:
            os.close(file)

    def held(self) -> bool:
        """Whether a run holds the root just now."""
        try:
            with self.lock():
                return False
        except JifenError:
            return True

    def key(self) -> bytes:
        """Return the root's key, the newest, 32 bytes, made on first use.

        Raises:
            JifenError: Exit 15, it is missing or another than months were published with.
        """
        return self.keys()[-1]

    def signing_keys(self, key: bytes) -> tuple[bytes, ...]:
        """Return the keys that a record may be signed with: the root's older ones, and this one."""
        return (*self.keys()[:-1], key)

    def keys(self) -> tuple[bytes, ...]:
        """Return the root's keys, the newest last: pseudonyms are made by all, one after the other.

        Raises:
            JifenError: Exit 15, the file is missing or another than months were published with.
        """
        published = [folder / "manifest.json" for _, _, folder in self.revision_folders()]
        return load_keys(self.key_file, published)

    def revision_folders(self) -> list[tuple[Month, int, Path]]:
        """Every finished revision (month, number, folder), ascending; in force or replaced."""
        months = list_months(self.months)
        return [
            (month, *item)
            for month in months
            for item in list_versions(self.months / str(month), "r")
        ]

    def access_log(self, action: str, **facts: str | int) -> int:
        """Note durably who did what: a line of the access log. People appear by resident_key only.

        Returns:
            The line's number in the chain.

        Raises:
            JifenError: Exit 15, the key is missing or another than months were published with.
        """
        who: dict[str, str | int] = {
            "at": city_now(),
            "by": self.operator.name,
            "account": self.operator.account,
            "uid": os.getuid(),
        }
        return self.open_access_log().append({**who, "action": action, **facts})

    def open_access_log(self) -> AccessLog:
        """Return the access log; without the key for whoever may not read it."""
        keys = self.keys() if os.access(self.runs, os.W_OK) else ()
        return AccessLog(self.runs / "access.log", keys[-1] if keys else None, keys[:-1])


def open_root(settings: Settings) -> Root:
    """Return the root of these settings, its folders made and closed to others.

    Raises:
        JifenError: Exit 2, the engine cannot open its path.
    """
    if re.search(r"[?\\]", str(settings.paths.root)):
        where, hint = str(settings.paths.root), "换一个文件夹，或给它改名"
        raise JifenError(
            ExitCode.USAGE, "根目录不可用：路径中不可有 ? 和 \\", where=where, hint=hint
        )
    operator = Operator(names=settings.access.operators)
    paths = settings.paths
    root = Root(paths.root, paths.inbox, paths.analysts_group, paths.exact_group, operator)
    root.prepare()
    collect_query_notes(root)
    return root


def collect_query_notes(root: Root) -> None:
    """Take the notes that people left of their queries into the access log."""
    for file, noted in read_query_notes(root.queries):
        root.access_log("sql", by=root.operator.name_account(noted["account"]), **noted)
        file.unlink()


def list_months(folder: Path) -> list[Month]:
    """The months that a folder has entries for, ascending."""
    found = []
    for item in folder.iterdir() if folder.is_dir() else ():
        with suppress(ValueError):
            found.append(Month.parse(item.name))
    return sorted(found)


def list_versions(folder: Path, letter: str, suffix: str = "") -> list[tuple[int, Path]]:
    """The finished entries `<letter>1<suffix>`, `<letter>2<suffix>`, ... of a folder, ascending."""
    names = [
        (re.fullmatch(rf"{letter}([1-9][0-9]*){re.escape(suffix)}", item.name), item)
        for item in folder.glob(f"{letter}*")
    ]
    return sorted((int(match[1]), item) for match, item in names if match)
