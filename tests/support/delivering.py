"""Destinations for tests: a published town, the settings of its destinations, what lies there."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pyrage

from expectations.errors import to_user_error
from expectations.month import Month
from flows.address_settings import DestinationSettings
from flows.destinations.contents import list_destinations
from flows.destinations.deliver import deliver_revision
from flows.destinations.delivery import DeliveryContext, DeliveryOutcome
from flows.project import Project
from flows.settings import Settings
from flows.storage.destination_receipts import DestinationReceipt, list_receipts
from flows.storage.revisions import find_named_revision
from tests.support.held_city import PEOPLE, copied, degrees, registry
from tests.support.world import World

OCTOBER = Month.parse("2021-10")


def with_destinations(settings: Settings, **given: DestinationSettings) -> Settings:
    """The settings with these destinations; `d330203` stands for a district's code."""
    named = {
        name.removeprefix("d") if name[1:].isdecimal() else name: given[name] for name in given
    }
    return settings.model_copy(update={"deliver": named})


def in_folder(folder: Path, name: str, *recipients: str) -> DestinationSettings:
    """A destination in a folder of its own, which exists."""
    (folder / name).mkdir(parents=True, exist_ok=True)
    address = str(folder / name / "{month}")
    return DestinationSettings(address=address, recipient=list(recipients) or None)


def publish_twice(town: World, folder: Path) -> World:
    """A copy of the town of which October has a second revision, with other degrees."""
    copy = copied(town, folder)
    copy.deliver(str(OCTOBER), registry=registry(), education=degrees(PEOPLE[:38]))
    copy.run(str(OCTOBER))
    return copy


def deliver(
    world: World, number: int = 1, *, project: Project | None = None
) -> dict[str, DeliveryOutcome]:
    """Deliver a revision of October once, without further tries; outcomes by destination."""
    project, root = project or world.project, world.root
    revision = find_named_revision(root, f"{OCTOBER}/r{number}")
    context = DeliveryContext(project, root, root.key(), revision)
    outcomes = deliver_revision(context, list_destinations(project))
    return {outcome.destination: outcome for outcome in outcomes}


def arrived(outcomes: dict[str, DeliveryOutcome]) -> bool:
    """Whether everything is there; what is wrong is raised."""
    for outcome in outcomes.values():
        if outcome.error:
            raise outcome.error
    return True


def receipts(world: World, name: str, month: Month = OCTOBER) -> list[DestinationReceipt]:
    return list_receipts(world.root, world.root.key(), month, name)


def list_files(folder: Path) -> set[str]:
    """Every file below a folder, hidden ones too."""
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def read_summary(folder: Path) -> dict[str, Any]:
    """What `delivery.json` of a month's folder says."""
    return dict(json.loads((folder / "delivery.json").read_bytes()))


def open_all(files: dict[str, bytes], *keys: pyrage.x25519.Identity) -> Iterable[bytes]:
    """The contents of files, decrypted where they are encrypted."""
    for name, content in files.items():
        yield pyrage.decrypt(content, list(keys)) if name.endswith(".age") else content


def _deliver_on_a_small_disk(town: Path, out: Path) -> None:
    """Deliver a package onto a disk of 16 KiB, then onto the same with more space; print as JSON.

    Runs in a mount namespace of its own: `python -m tests.support.delivering TOWN OUT`.
    """
    world, place = World(town), out / "small"
    place.mkdir(parents=True)
    mount("-t", "tmpfs", "-o", "size=16k", "tmpfs", str(place))
    given = DestinationSettings(address=str(place / "{month}"))
    world.settings = with_destinations(world.settings, d330203=given)
    for size in ("16k", "8m"):
        mount("-o", f"remount,size={size}", str(place))
        [outcome] = deliver(world).values()
        shown = str(to_user_error(outcome.error)) if outcome.error else ""
        print(json.dumps({"error": shown, "files": sorted(list_files(place))}))


def mount(*options: str) -> None:
    subprocess.run(["mount", *options], check=True)


if __name__ == "__main__":
    _deliver_on_a_small_disk(Path(sys.argv[1]), Path(sys.argv[2]))
