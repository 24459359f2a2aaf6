"""Changing the key of a town, finishing a change that was killed, looking for what an old key made."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import duckdb

from flows.commands.explain import explain_person
from flows.commands.lookup import PersonQuery
from flows.commands.rekey import rekey_root
from flows.pipeline.rekey import finish_rekey
from flows.project import Project
from flows.storage.publish import finish_interrupted
from flows.storage.removals import finish_removals
from flows.storage.verify import verify_root
from tests.support.leaks import read_duckdb_texts
from tests.support.retention_town import STAYING
from tests.support.world import World

HEX = re.compile(rb"[0-9a-f]{32,}")
UNFINISHED = "更换密钥没有完成，再运行 jifen rekey 或 jifen run 即可"


def change_key(town: World) -> list[str]:
    """`jifen rekey`; what is reported."""
    lines: list[str] = []
    rekey_root(town.settings, "密钥保管人离任", lines.append)
    return lines


def finish_change(town: World, project: Project) -> None:
    """What the next run does first, where a change was interrupted."""
    root = town.root
    with root.lock():
        finish_interrupted(root, root.key())
        finish_removals(root, root.key())
        finish_rekey(root, project, lambda line: None)


def find_damage(town: World) -> list[str]:
    """`jifen verify` of everything; what is wrong."""
    return verify_root(town.root, town.root.key())


def explain_first(town: World, month: str) -> str:
    """`jifen explain` of the first of those who stay."""
    lines: list[str] = []
    query = PersonQuery(STAYING[0].resident_id, month)
    explain_person(town.settings, query, lines.append, as_json=False, records=False)
    return "\n".join(lines)


def find_texts(folder: Path, texts: Iterable[str], skip: Callable[[str], bool]) -> list[str]:
    """The files below a folder with one of the texts; tables and archives are opened."""
    wanted, found = [text.encode() for text in texts], []
    with duckdb.connect() as connection:
        for path in sorted(folder.rglob("*")):
            place = path.relative_to(folder).as_posix()
            if path.is_file() and not path.is_symlink() and not skip(place):
                parts = read_parts(connection, path)
                digits = b" ".join(run for part in parts for run in HEX.findall(part))
                found += [place] * any(text in digits for text in wanted)
    return found


def read_parts(connection: duckdb.DuckDBPyConnection, path: Path) -> Iterator[bytes]:
    """The bytes of a file, and what is inside a table, a database or an archive."""
    content = path.read_bytes()
    yield content
    if content.startswith(b"PAR1"):
        yield str(connection.execute("FROM read_parquet(?)", [str(path)]).fetchall()).encode()
    elif content[8:].startswith(b"DUCK"):
        yield "\n".join(read_duckdb_texts(path)).encode()
    elif content.startswith(b"PK"):
        with zipfile.ZipFile(path) as archive:
            yield from map(archive.read, archive.namelist())


def is_signed_as_it_was(place: str) -> bool:
    """What is never renewed: the access log, and the lists that districts were given."""
    return place == "runs/access.log" or "/exports/" in place
