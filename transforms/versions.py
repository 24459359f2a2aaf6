"""What points tables and services share: dated versions, fingerprints, `as_in`, flat examples."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, TypeVar

from pydantic import BeforeValidator, Field

from expectations.yaml_document import ClosedModel
from transforms.scalars import Day, Text

Place = tuple[str | int, ...]
"""Keys from the top of a file, or of a part of it, down to a value."""


class DatedVersion(ClosedModel):
    """A declaration that holds from the scoring date `from` on, until the next version begins.

    `amends` says why a version that has already decided a published month was changed all the same.
    """

    begins: Day = Field(alias="from")
    basis: Text
    amends: Text | None = None

    @property
    def hash(self) -> str:
        """SHA-256 of what the version says, however it is written; `amends` is no part of it."""
        return compute_fingerprint(self.said)

    @property
    def said(self) -> Any:
        """What the version says, as plain data without defaults."""
        return self.model_dump(by_alias=True, exclude={"amends"}, exclude_defaults=True)


AnyDatedVersion = TypeVar("AnyDatedVersion", bound=DatedVersion)


def find_in_force(versions: Iterable[AnyDatedVersion], as_of: dt.date) -> AnyDatedVersion | None:
    """Return the newest version that begins on or before a day; None before the first.

    Versions ascend by date.
    """
    begun = [version for version in versions if version.begins <= as_of]
    return begun[-1] if begun else None


def find_disorder(begins: Iterable[object]) -> Iterator[tuple[int, str, str]]:
    """Yield each version that does not begin after those before it: index, its date, theirs.

    Dates are as written; what is no date is passed over.
    """
    newest = ""
    for index, written in enumerate(begins):
        day = str(written)
        if not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", day):
            continue
        if day <= newest:
            yield index, day, newest
        newest = max(newest, day)


def compute_fingerprint(said: Any) -> str:
    """Return the SHA-256 of plain data; 10, 10.0 and 10.00 are one number."""
    return hashlib.sha256(json.dumps(_canonical(said), sort_keys=True).encode()).hexdigest()


def _canonical(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(_canonical(key)): _canonical(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_canonical(item) for item in value]
    if isinstance(value, Decimal):
        return format(value.normalize(), "f")
    return value.isoformat() if isinstance(value, dt.date) else value


@dataclass(frozen=True)
class WrittenPart:
    """Part of a file with what it takes over from an earlier one, and where each key stands."""

    place: Place
    values: Mapping[str, Any] = field(default_factory=dict)
    origins: Mapping[str, Place] = field(default_factory=dict)

    @classmethod
    def read(
        cls, entry: Any, place: Place, base: WrittenPart | None = None, drop: Collection[str] = ()
    ) -> WrittenPart:
        """Return a part as written at `place`.

        With `base` it is that part with the keys of this one in place of its own, but for `drop`,
        which are not taken over; `as_in` itself is no key of the result.
        """
        own = {k: v for k, v in (entry if isinstance(entry, dict) else {}).items() if k != "as_in"}
        origins: dict[str, Place] = {key: (*place, key) for key in own}
        if base is None:
            return cls(place, own, origins)
        return cls(
            place,
            {key: value for key, value in base.values.items() if key not in drop} | own,
            {key: origin for key, origin in base.origins.items() if key not in drop} | origins,
        )

    def locate(self, place: Place) -> Place:
        """Return where something of the part stands: here, or where it was taken over from."""
        if not place:
            return self.place
        top = str(place[0])
        return (*self.origins.get(top, (*self.place, place[0])), *place[1:])


def flat_examples(own: type[ClosedModel]) -> BeforeValidator:
    """Return the reader of examples written flat, `{fact: value, ..., outcome: ...}`.

    What is no key of the example's model is the value of a fact.
    """

    def read(value: Any) -> Any:
        if not isinstance(value, list) or not all(isinstance(case, dict) for case in value):
            raise ValueError("应为例子的列表：[{数据: 值, ..., 结果}]")
        return split_examples(value, own.model_fields.keys() - {"facts"})

    return BeforeValidator(read)


def split_examples(
    cases: Sequence[Mapping[str, Any]], own: Collection[str]
) -> list[dict[str, Any]]:
    """Return examples with the values of facts under `facts`; `own` are the example's keys."""
    return [
        {key: given for key, given in case.items() if key in own}
        | {"facts": {name: given for name, given in case.items() if name not in own}}
        for case in cases
    ]
