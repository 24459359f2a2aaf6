"""A made-up city before its second month, and what must be true of its root whatever happened to it."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import duckdb

from data.synthetic.write import ExtractPlan, generate_extracts
from expectations.month import Month
from flows.storage.files import hash_file
from flows.storage.revisions import list_published_months, list_revisions
from flows.storage.root import Root
from flows.storage.verify import verify_root
from tests.support.killing import run_in_child
from tests.support.world import SOURCES, World
from transforms.engine.session import EngineSettings

FIRST, SECOND = "2024-03", "2024-04"
SAME_BYTES = (".parquet", ".csv", ".xlsx", ".sql")
PASSING = (
    "tmp",
    "runs",
    "prefect",
    "inbox",
)  # folders of a root that hold nothing of a month's result


class City:
    """A folder with the extracts of two months, and a root in which the first is published; `restore` brings it back."""

    def __init__(self, folder: Path, residents: int = 30) -> None:
        world = World(folder, threads=2)
        self.folder = folder
        self.settings, self.root, self.config = world.settings, world.root, folder / "jifen.toml"
        self.config.write_text(
            f'[paths]\nroot = "{self.root.path}"\ninbox = "{world.inbox}"\n[policy]\nallow_illustrative = true\n'
        )
        generate_extracts(
            ExtractPlan(
                residents,
                [Month.parse(FIRST), Month.parse(SECOND)],
                sources=SOURCES,
                reference=world.settings.paths.reference,
                faults=True,
            ),
            world.inbox,
            settings=EngineSettings("1GB", 2),
            spill=folder / "spill",
            progress=lambda line: None,
        )
        first = run_in_child(self.settings, FIRST)
        assert first.code == 0, first.error
        self._template = folder / "template"
        shutil.copytree(self.root.path, self._template, symlinks=True)
        self.before = kept_files(self.root)
        self.undisturbed = run_in_child(self.settings, SECOND)
        assert self.undisturbed.code == 0, self.undisturbed.error
        self.wanted = kept_files(self.root)

    def restore(self) -> None:
        shutil.rmtree(self.root.path)
        shutil.copytree(self._template, self.root.path, symlinks=True)

    def assert_whole(self) -> None:
        """Published months are unchanged or complete: for `jifen verify`, for file tools and for catalogue readers."""
        findings = [
            text for text in verify_root(self.root, self.root.key()) if "再运行一次" not in text
        ]
        assert findings == []
        now = kept_files(self.root)
        assert {name: now.get(name) for name in self.before} == self.before
        assert_catalogue_whole(self.root)

    def assert_finished(self) -> None:
        """The files of the root are those of an undisturbed run: the same names, the same bytes; nothing is left over."""
        assert kept_files(self.root) == self.wanted
        assert verify_root(self.root, self.root.key()) == []
        assert_catalogue_whole(self.root)
        assert list_published_months(self.root) == [Month.parse(FIRST), Month.parse(SECOND)]
        assert not [path for path in (self.root.tmp / "build").rglob("*") if path.is_file()]


def kept_files(root: Root) -> dict[str, str]:
    """Name -> SHA-256 of every file of a root that must be the same bytes in every run; the catalogue names the root."""
    found = {}
    for folder, _, names in os.walk(root.path):
        inside = Path(folder).relative_to(root.path)
        if inside.parts[:1] and inside.parts[0] in PASSING:
            continue
        files = [
            Path(folder) / name
            for name in names
            if name.endswith(SAME_BYTES) and name not in ("catalogue.sql", "catalogue-exact.sql")
        ]
        found.update({path.relative_to(root.path).as_posix(): hash_file(path) for path in files})
    return found


def assert_catalogue_whole(root: Root) -> None:
    """Every month that an analyst sees in the catalogue has as many people as one of its manifests says."""
    with duckdb.connect(str(root.exact_catalogue), read_only=True) as connection:
        seen = connection.execute(
            "SELECT strftime(month, '%Y-%m'), count(*) FROM scores GROUP BY 1"
        ).fetchall()
    assert seen
    for month, residents in seen:
        assert residents in [
            one.manifest.residents for one in list_revisions(root, Month.parse(month))
        ]
