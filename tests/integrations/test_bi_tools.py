"""Ways into the catalogue that the analysts' guide gives: SQLAlchemy reflects every view."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import duckdb

from tests.support.world import World

GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "analysts.md"
REFLECT = """
import json, sys, warnings
warnings.simplefilter("ignore")  # duckdb-engine has no type for lists of structs
import sqlalchemy
engine = sqlalchemy.create_engine(f"duckdb:///{sys.argv[1]}", connect_args={"read_only": True})
tables = sqlalchemy.MetaData()
tables.reflect(engine, views=True)
with engine.connect() as connection:
    for table in tables.tables.values():
        connection.execute(sqlalchemy.select(table).limit(1)).fetchall()
print(json.dumps({name: [c.name for c in table.columns] for name, table in tables.tables.items()}))
"""


def reflect(catalogue: Path, before: str = "") -> subprocess.CompletedProcess[str]:
    """Reflect all views in a process of its own: the lines of the guide change the dialect."""
    command = [sys.executable, "-W", "ignore", "-c", before + REFLECT, str(catalogue)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def read_lines() -> str:
    """The lines that the guide gives for SQLAlchemy 2.0."""
    (lines,) = re.findall(
        r"```python\n(from duckdb_engine.*?)```", GUIDE.read_text("utf-8"), re.DOTALL
    )
    return str(lines)


def test_sqlalchemy_reflects_and_reads_every_view(synthetic_city: World) -> None:
    catalogue = synthetic_city.root.exact_catalogue
    done = reflect(catalogue, read_lines())
    assert done.returncode == 0, done.stderr
    with duckdb.connect(str(catalogue), read_only=True) as connection:
        views = [row[0] for row in connection.execute("SHOW TABLES").fetchall()]
        wanted = {
            view: [row[0] for row in connection.execute(f"DESCRIBE {view}").fetchall()]
            for view in views
        }
    assert json.loads(done.stdout) == wanted and len(wanted) >= 17


def test_without_the_lines_reflection_still_fails_upstream(synthetic_city: World) -> None:
    """When this fails the libraries have mended it: take the lines out of the guide."""
    done = reflect(synthetic_city.root.exact_catalogue)
    assert done.returncode != 0 and "REGCLASS" in done.stderr
