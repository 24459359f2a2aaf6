"""The forms seen in cities' points tables (20_cannot/forms.yaml), each with the shortest YAML."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ruamel.yaml import YAML

OUTSIDE = "outside"


@dataclass(frozen=True)
class Form:
    """A form: its number and title, where it is written, and what is written there."""

    title: str
    place: str
    text: str


def read_forms(path: Path) -> list[Form]:
    """Return the forms of a file, in their order."""
    listed = YAML(typ="safe").load(path.read_text(encoding="utf-8"))
    return [Form(str(entry.pop("form")), *map(str, entry.popitem())) for entry in map(dict, listed)]
