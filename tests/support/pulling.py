"""Receiving what is on offer, without the rest of a month."""

from __future__ import annotations

from flows.settings import Paths, Settings, SourceSettings
from flows.storage.deliveries import Delivery
from flows.storage.root import Root


def settings_of(root: Root, **sources: SourceSettings) -> Settings:
    """The settings of a root whose sources come from where they say, the others from the inbox."""
    return Settings(paths=Paths(root=root.path, inbox=root.inbox), sources=sources)


def names(delivery: Delivery) -> list[str]:
    """Its parts in their order, below its folder."""
    return [part.relative_to(delivery.folder).as_posix() for part in delivery.parts]
