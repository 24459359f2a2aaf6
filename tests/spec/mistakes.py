"""The mistakes of the manual: valid declarations, and the messages after one change in them."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from pathlib import Path

import duckdb

from expectations.errors import DeclarationError, Diagnostic
from expectations.yaml_document import YamlDocument
from tests.spec.chapters import FACTS, HERE
from tests.support.services_town import KNOWN, REFERENCE, SERVICES, TABLES
from transforms.points.examples import check_examples
from transforms.points.load import load_tables
from transforms.services.examples import check_reminder_examples, check_service_examples
from transforms.services.load import load_reminders, load_services


@dataclass(frozen=True)
class ValidDeclaration:
    """A points table, service or standing reminder without mistakes, in a chapter's folder."""

    folder: Path

    @property
    def text(self) -> str:
        return (self.folder / "valid.yaml").read_text(encoding="utf-8")

    @property
    def mistakes(self) -> list[MistakeCase]:
        """The chapter's mistakes in their order."""
        return [
            MistakeCase(self, **entry) for entry in YamlDocument(self.folder / "mistakes.yaml").data
        ]

    def refused(
        self, text: str, folder: Path, connection: duckdb.DuckDBPyConnection
    ) -> list[Diagnostic]:
        """What `jifen check` says of such a declaration: mistakes of the writing, or else of the examples."""
        given = YamlDocument(self.folder / "valid.yaml").data
        name = next(str(given[key]) for key in ("authority", "service", "kind") if key in given)
        (folder / f"{name}.yaml").write_text(text, encoding="utf-8")
        try:
            if "authority" in given:
                return check_examples(connection, folder, load_tables(folder, FACTS, ()), FACTS)
            if "service" in given:
                services = load_services(folder, FACTS, TABLES, REFERENCE.districts)
                return check_service_examples(connection, folder, services, KNOWN)
            reminders = load_reminders(folder, FACTS, REFERENCE.districts, SERVICES)
            return check_reminder_examples(connection, folder, reminders, KNOWN)
        except DeclarationError as error:
            return error.problems


@dataclass(frozen=True)
class MistakeCase:
    """A kind of mistake: a text of the valid declaration, and its replacement."""

    valid: ValidDeclaration
    title: str
    was: str
    becomes: str

    @property
    def text(self) -> str:
        """The whole declaration with the mistake in it."""
        assert self.valid.text.count(self.was) >= 1, f"{self.title}: not in the valid declaration"
        return self.valid.text.replace(self.was, self.becomes, 1)

    @property
    def changes(self) -> list[str]:
        """The lines that differ, with - and + in front."""
        lines = difflib.ndiff(self.valid.text.splitlines(), self.text.splitlines())
        return [line[0] + line[2:].removeprefix(" " * 4) for line in lines if line[0] in "-+"]


def list_valid_declarations() -> list[ValidDeclaration]:
    """One per chapter on mistakes."""
    return [ValidDeclaration(path.parent) for path in sorted(HERE.glob("*/valid.yaml"))]
