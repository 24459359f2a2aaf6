"""The city's declarations with something in them written otherwise, and what loading says of them."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from expectations.errors import DeclarationError, Diagnostic
from expectations.source_loader import BUILTIN_SOURCES, load_sources
from tests.support.services_town import DATA, FACTS, REFERENCE, SERVICES, TABLES
from transforms.reminders.models import StandingReminder
from transforms.services.load import load_reminders, load_services
from transforms.services.models import Service


def find_source_problems(folder: Path, source: str, was: str, becomes: str) -> list[Diagnostic]:
    """What loading says of the city's sources with one thing in one of them written otherwise."""
    shutil.copytree(BUILTIN_SOURCES, folder, dirs_exist_ok=True)
    path = folder / f"{source}.yaml"
    text = path.read_text(encoding="utf-8")
    assert was in text
    path.write_text(text.replace(was, becomes), encoding="utf-8")
    with pytest.raises(DeclarationError) as caught:
        load_sources(folder)
    return caught.value.problems


def copy_declarations(tmp_path: Path, kind: str, name: str, *changes: tuple[str, str]) -> Path:
    """A copy of the city's declarations with one file rewritten."""
    folder = tmp_path / kind
    shutil.copytree(DATA / kind, folder)
    text = (folder / f"{name}.yaml").read_text(encoding="utf-8")
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new, 1)
    (folder / f"{name}.yaml").write_text(text, encoding="utf-8")
    return folder


def load_services_of(folder: Path) -> list[Service]:
    return load_services(folder, FACTS, TABLES, REFERENCE.districts)


def load_reminders_of(folder: Path) -> list[StandingReminder]:
    return load_reminders(folder, FACTS, REFERENCE.districts, SERVICES)


def find_service_problems(folder: Path) -> list[Diagnostic]:
    with pytest.raises(DeclarationError) as error:
        load_services_of(folder) if folder.name == "services" else load_reminders_of(folder)
    assert error.value.code == 10
    return error.value.problems
