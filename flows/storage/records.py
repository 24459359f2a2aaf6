"""The JSON files of a root, typed: manifests, receipts, held months, stage results, run records.

Every record has `schema_version`; only `Record.upgrade` knows what older programs wrote otherwise.
"""

from __future__ import annotations

import json
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, Field

from flows.storage.files import to_canonical_json


class Record(BaseModel):
    """A JSON file of the root, frozen. Keys that a newer program added are left alone.

    Attributes:
        schema_version: The version of the record's form; 0 before there were versions.
    """

    VERSION: ClassVar[int] = 1
    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)

    schema_version: int = 1

    @classmethod
    def from_json(cls, content: bytes) -> Self:
        """Return the record that a file holds, whichever program wrote it.

        Raises:
            ValueError: It is no such record.
        """
        values = json.loads(content)
        if not isinstance(values, dict):
            raise ValueError("not an object")
        return cls.model_validate(cls.upgrade({"schema_version": 0, **values}))

    @classmethod
    def upgrade(cls, values: dict[str, Any]) -> dict[str, Any]:
        """Return what an older program wrote as this one would have written it."""
        return {**values, "schema_version": cls.VERSION}

    def to_values(self) -> dict[str, Any]:
        """Return the record as plain values by their names on disk."""
        return self.model_dump(mode="json", by_alias=True)

    def to_json(self) -> bytes:
        """Return the bytes of the file."""
        return to_canonical_json(self.to_values())


class MonthFacts(Record):
    """What a month's manifest keeps of how the month came about.

    Attributes:
        month: `YYYY-MM`.
        as_of: The scoring date.
        inputs: The fingerprint of everything that the month's files depend on.
        policy: The version of every points table: `from`, `hash`, `amends`.
        services: The same of services.
        received: Every delivery in force up to the month, used or not.
        deliveries: Those that the month was made from.
        carried: Source -> the month whose snapshot serves in place of the month's own.
        missing: Source -> months without a delivery that the operator allowed, and the reason.
        same: Source -> months whose delivery holds the rows of an earlier one, and why it may.
        accounts: The row account of every delivery used.
        reminders_allowed: Whether new reminders could be added.
        sections: Points columns of the city's sections, `positive` and `subtracted`.
        reminders_withdrawn: Reminders of the replaced revision that are not true any more, by kind.
        reminders_again: New reminders that an earlier list had, by what came of them then.
        outcomes: What the month's delivery reports of reminders, by outcome.
        reminders_exhausted: Reminders that were sent three times in vain.
        wrong_numbers: People whose wrong phone number the registry still has.
        unknown_reminders: Rows of the month's delivery about reminders that no list has.
        open_layer: View -> what was measured of a table of the open layer: rows, withheld,
            generalised, linked with a package, few (rows of combinations below ten), and people
            with deductions among these.
        statements: Statements of residents written.
        statement_schema: The version of the statements' rows and texts; None without statements.
        cases: Objections by target (not declared: `unknown`): open, due, overdue, upheld,
            rejected, late.
        returns: Rows and values to mend, by department, and by district of what districts deliver.
        code: Version and hash of the program.
        held: Why the drift check held the month.
        accepted: The operator's reason for publishing it all the same.
        accepted_by: Who accepted it, in their order.
        access_entry: The number of the line of the access log that notes the publication.
        findings: What people must know of (`expectations.findings`); None where none were kept.
        renewed_from: Revisions with the same rows under older keys, `2024-03/r1`, the newest first.

    The others are those of the stages' results.
    """

    month: str
    as_of: str
    inputs: str
    policy: dict[str, dict[str, str]]
    services: dict[str, dict[str, str]]
    received: list[dict[str, Any]]
    deliveries: list[dict[str, Any]]
    carried: dict[str, str]
    missing: dict[str, dict[str, Any]]
    same: dict[str, dict[str, Any]] = {}
    accounts: list[dict[str, Any]]
    residents: int
    unmatched: dict[str, int]
    over_quota: dict[str, int]
    unknown_keys: dict[str, int]
    corrected: list[str]
    corrections_without_target: int
    scored: int
    eligible: dict[str, int]
    monthly_amounts: dict[str, str]
    open_layer: dict[str, dict[str, Any]] = {}
    changes: int
    moved: list[tuple[str | None, str | None, int]]
    compared_with: str | None = None
    statements: int = 0
    statement_schema: int | None = None
    cases: dict[str, dict[str, int]] = {}
    reminders_allowed: bool = Field(validation_alias="told", serialization_alias="told")
    reminders: dict[str, int]
    reminders_added: dict[str, int]
    reminders_withdrawn: dict[str, int] = {}
    reminders_again: dict[str, int] = {}
    outcomes: dict[str, int] = {}
    reminders_exhausted: int = 0
    wrong_numbers: int = 0
    unknown_reminders: int = 0
    exports: dict[str, int]
    returns: dict[str, int] = {}
    figures: dict[str, Any] | None
    table_schemas: dict[str, str] = Field(validation_alias="schema", serialization_alias="schema")
    sections: dict[str, list[str]]
    code: dict[str, str]
    held: list[str]
    accepted: str | None
    accepted_by: list[str] = []
    access_entry: int | None = None
    findings: list[dict[str, Any]] | None = None
    renewed_from: list[str] = []

    @property
    def knows_comparison(self) -> bool:
        """Whether it says what it was compared with: an older program did not."""
        return "compared_with" in self.model_fields_set


class Manifest(MonthFacts):
    """`manifest.json` of a revision: the month's facts, and what publication itself adds.

    Attributes:
        revision: The revision's number.
        sequence: Its place in the chain of all revisions of the root, from 1.
        previous: The hash of the manifest before it in the chain.
        published_at: When it was published.
        key_fingerprint: Enough of the root's key to know it again.
        files: Relative path -> bytes and SHA-256 of every other file.
    """

    revision: int
    sequence: int
    previous: str | None
    published_at: str
    key_fingerprint: str
    files: dict[str, dict[str, Any]]

    @classmethod
    def upgrade(cls, values: dict[str, Any]) -> dict[str, Any]:
        """Fill what programs without versions did not write yet."""
        if values["schema_version"] == 0:
            values = {**_BEFORE_VERSIONS, **values}
        return super().upgrade(values)


_EMPTY = "services carried missing unknown_keys eligible monthly_amounts reminders reminders_added exports schema"
_BEFORE_VERSIONS: dict[str, Any] = {
    **{name: {} for name in _EMPTY.split()},
    "corrected": [],
    "corrections_without_target": 0,
    "moved": [],
    "told": True,
    "figures": None,
    "held": [],
    "accepted": None,
}


class ReceivedPart(BaseModel):
    """A file of a delivery as it came, with these and what its origin states of its version.

    Attributes:
        name: Its name relative to the delivery.
        bytes: Its size.
        sha256: The hash of its content.
        encoding: Of a text file, once it has been read.
    """

    model_config = ConfigDict(frozen=True, extra="allow")

    name: str
    bytes: int
    sha256: str
    encoding: str | None = None


class Receipt(Record):
    """`receipt.json` of a delivery: what came, from where, when.

    Attributes:
        source: The source's code.
        month: The month delivered for, `YYYY-MM`.
        origin: Where it was found, free of secrets.
        parts: Its files in their order.
        content: SHA-256 over the parts' hashes in order.
        received_at: When it was received.
        rows: How many rows it has, once they have been counted.
    """

    model_config = ConfigDict(frozen=True, extra="allow")

    source: str
    month: str
    origin: str
    parts: list[ReceivedPart]
    content: str
    received_at: str
    rows: int | None = None

    def to_values(self) -> dict[str, Any]:
        """Return the receipt as plain values; without `rows` before they are counted."""
        return self.model_dump(mode="json", exclude_none=True)


class HeldMonth(Record):
    """A month that the drift check keeps back: how it was built, and why it is held.

    Attributes:
        build: The fingerprint of the build.
        allowed_missing: Source -> the operator's reason, of what may be missing.
        allowed_same: The same of deliveries that may equal an earlier month's.
        send_reminders: Whether new reminders are added whatever month it is.
        is_last_of_run: Whether it was the last, or the only, month of its run.
        inputs: Group -> thing -> its version or hash, in the operators' words.
        hold_reasons: What is over the limits, a sentence each.
        report: Where its page is.
        held_at: When it was held.
    """

    build: str
    allowed_missing: dict[str, str]
    allowed_same: dict[str, str] = {}
    send_reminders: bool
    is_last_of_run: bool
    inputs: dict[str, dict[str, Any]]
    hold_reasons: list[str]
    report: str
    held_at: str

    @classmethod
    def upgrade(cls, values: dict[str, Any]) -> dict[str, Any]:
        """Rename what programs without versions called otherwise."""
        if values["schema_version"] == 0:
            names = {
                "allowed": "allowed_missing",
                "send": "send_reminders",
                "last": "is_last_of_run",
                "reasons": "hold_reasons",
                "at": "held_at",
            }
            values = {names.get(name, name): value for name, value in values.items()}
        return super().upgrade(values)


class RunRecord(Record):
    """How a run of a month ended, as `runs/` and notifications have it.

    Attributes:
        month: `YYYY-MM`.
        state: `published`, `unchanged`, `undelivered`, `held`, `blocked`, `failed`.
        exit_code: That of the command.
        reason: Why nothing was published, or has not arrived; empty when all is well.
        todo: The way out.
        report: Where the run's page is; empty without one.
        revision: The revision now in force, when all is well.
        started_at: When the run began.
        seconds: By stage.
        findings: Everything that people must know of (`expectations.findings`).
    """

    month: str
    state: str
    exit_code: int
    reason: str
    todo: str
    report: str
    revision: int | None
    started_at: str
    seconds: dict[str, float]
    findings: list[dict[str, Any]] = []
