"""Statements: compiled queries with a name, the relations they read, the parameters they take."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

_PARAMETER = re.compile(r"\$([a-z_][a-z0-9_]*)")


@dataclass(frozen=True)
class Statement:
    """A query that a month runs: compiled from declarations, its rows depend on nothing else but
    its inputs and parameters.

    `name`: the relation that it defines; also its name in errors and of its file in sql/.
    `inputs`: the relations that it reads. `form`: what a session makes of it; a file is a
    published table.
    """

    name: str
    sql: str
    inputs: tuple[str, ...] = ()
    form: Literal["table", "view", "file"] = "table"

    @property
    def params(self) -> frozenset[str]:
        """The names of its parameters ($name)."""
        return frozenset(_PARAMETER.findall(self.sql))

    def to_script(self) -> str:
        """Return the text that is published in sql/: for a table or view with what creates it."""
        if self.form == "file":
            return self.sql.strip()
        return f"CREATE OR REPLACE TEMP {self.form.upper()} {self.name} AS\n{self.sql.strip()}"


def filter_inputs(statement: Statement, conditions: Mapping[str, str]) -> Statement:
    """Return a statement over some rows of its inputs: input -> condition as SQL."""
    filtered = ",\n".join(
        f"{name} AS NOT MATERIALIZED (SELECT * FROM {name} WHERE {condition})"
        for name, condition in conditions.items()
    )
    return replace(statement, sql=f"WITH {filtered}\nSELECT * FROM (\n{statement.sql}\n)")
