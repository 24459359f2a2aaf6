"""The mistakes of the manual: one sound points table, and what goes wrong when one thing in it is written otherwise."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from pathlib import Path

import duckdb

from expectations.problems import DeclarationError, Problem
from expectations.yaml_file import YamlFile
from tests.spec.chapters import FACTS, HERE
from transforms.policy.examples import check_examples
from transforms.policy.load import load_tables

FOLDER = HERE / "19_mistakes"
SOUND = (FOLDER / "sound.yaml").read_text(encoding="utf-8")


@dataclass(frozen=True)
class Mistake:
    """A kind of mistake: what stands in the sound table, and what is typed in its place."""

    title: str
    was: str
    becomes: str

    @property
    def text(self) -> str:
        """The whole table with the mistake in it."""
        assert SOUND.count(self.was) >= 1, f"{self.title}: not in the sound table"
        return SOUND.replace(self.was, self.becomes, 1)

    @property
    def changes(self) -> list[str]:
        """The lines that differ, with - and + in front."""
        lines = difflib.ndiff(SOUND.splitlines(), self.text.splitlines())
        return [line[0] + line[2:].removeprefix(" " * 4) for line in lines if line[0] in "-+"]


def mistakes() -> list[Mistake]:
    """All mistakes in their order."""
    return [Mistake(**entry) for entry in YamlFile(FOLDER / "mistakes.yaml").data]


def refused(text: str, folder: Path, connection: duckdb.DuckDBPyConnection) -> list[Problem]:
    """What `jifen check` says of this city's table: mistakes of the writing, or else of the examples."""
    (folder / "city.yaml").write_text(text, encoding="utf-8")
    try:
        tables = load_tables(folder, FACTS, ())
    except DeclarationError as error:
        return error.problems
    return check_examples(connection, folder, tables, FACTS)
