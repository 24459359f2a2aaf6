"""Files delivered to a place, whole or not at all.

Files lie in a folder of their revision, `r2/`; `delivery.json` beside it, written last, names the
revision that is complete. Until then it names the one before, whose files stay.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from flows.city_time import city_now
from flows.destinations.contents import (
    Destination,
    OutgoingFile,
    find_open_files,
    list_outgoing_files,
    refuse_plain,
)
from flows.destinations.delivery import (
    Delivery,
    DeliveryContext,
    DeliveryOutcome,
    begin_receipt,
)
from flows.destinations.places import CHUNK, Place, open_place
from flows.storage.destination_receipts import (
    DeliveredFile,
    DestinationReceipt,
    list_receipts,
    save_receipt,
)
from flows.storage.files import to_canonical_json
from reports.packages.encryption import read_encrypted

DELIVERY = "delivery.json"


def open_file_delivery(context: DeliveryContext, destination: Destination) -> FileDelivery:
    """Return the delivery to a destination, with what earlier tries have sent of it."""
    root, key, revision = context.root, context.key, context.revision
    files = list_outgoing_files(root, context.project, revision, destination.name)
    if find_open_files(files):
        refuse_plain(destination, context.project.settings.exports.require_encryption)
    place = open_place(destination, str(revision.month))
    receipts = list_receipts(root, key, revision.month, destination.name)
    same_place = [one for one in receipts if one.address == place.where]
    own = [one for one in same_place if one.revision == revision.number]
    return FileDelivery(
        context,
        own[0] if own else begin_receipt(context, destination, place.where),
        place,
        {
            f"r{revision.number}/{file.sent_name(destination.given.recipients)}": file
            for file in files
        },
        destination.given.recipients,
        [one for one in same_place if one.revision != revision.number],
    )


@dataclass
class FileDelivery(Delivery):
    """Files for one destination; `receipt` grows with every file.

    Attributes:
        place: Where to.
        files: Name at the place -> the file.
        recipients: The public keys that files are encrypted for.
        others: The receipts of the month's other revisions.
    """

    place: Place
    files: Mapping[str, OutgoingFile]
    recipients: tuple[str, ...]
    others: Sequence[DestinationReceipt]

    def send(self) -> DeliveryOutcome:
        """Send what is missing, then say that it is complete, then remove what it replaces."""
        receipt, sent, size = self.receipt, 0, 0
        self.log_access(len(self.files))
        for folder in ("", f"r{receipt.revision}"):
            self.place.clear(folder)
        missing = [name for name in self.files if not self._is_there(name)]
        if missing or not self._is_summary_there():
            self.note(state="partial")
        for name in missing:
            size += self._send_file(name, self.files[name])
            sent += 1
        if self.receipt.state != "delivered":
            self.note(replaces=self._find_replaced(), delivered_at=city_now())
            self.note(summary=self._write_summary(), state="delivered", reason="", todo="")
        self._remove_replaced()
        return DeliveryOutcome(
            receipt.destination,
            self.place.where,
            sent=sent,
            kept=len(self.files) - sent,
            bytes=size,
            replaces=self.receipt.replaces,
        )

    def _is_there(self, name: str) -> bool:
        noted, file = self.receipt.files.get(name), self.files[name]
        return (
            noted is not None
            and noted.source_sha256 == file.sha256
            and noted.recipients == file.encrypted_for(self.recipients)
            and self.place.holds(name, noted)
        )

    def _is_summary_there(self) -> bool:
        return self.receipt.summary is not None and self.place.holds(DELIVERY, self.receipt.summary)

    def _send_file(self, name: str, file: OutgoingFile) -> int:
        """Send a file and note it; return its size as sent."""
        recipients = file.encrypted_for(self.recipients)

        def read() -> Iterator[bytes]:
            with file.open() as source:
                if recipients:
                    yield from read_encrypted(source, recipients, CHUNK)
                else:
                    while piece := source.read(CHUNK):
                        yield piece

        written = self.place.write(name, read)
        about = {"source_sha256": file.sha256, "recipients": recipients}
        record = written.model_copy(update=about)
        self.note(files={**self.receipt.files, name: record})
        return record.bytes

    def _find_replaced(self) -> str:
        """Return the revision that is complete at the place until this one is."""
        complete = [one for one in self.others if one.state == "delivered"]
        newest = max(complete, key=lambda one: one.delivered_at, default=None)
        return f"r{newest.revision}" if newest else self.receipt.replaces

    def _write_summary(self) -> DeliveredFile:
        """Write `delivery.json`: from then on this revision is the one that holds."""
        receipt = self.receipt
        content = to_canonical_json(
            {
                "schema_version": 1,
                "destination": receipt.destination,
                "month": receipt.month,
                "revision": receipt.revision,
                "folder": f"r{receipt.revision}",
                "replaces": receipt.replaces,
                "delivered_at": receipt.delivered_at,
                "files": {
                    name: {"bytes": file.bytes, "sha256": file.sha256}
                    for name, file in sorted(receipt.files.items())
                    if name in self.files
                },
            }
        )
        return self.place.write(DELIVERY, lambda: iter([content]))

    def _remove_replaced(self) -> None:
        """Remove other revisions, and what this one had under other names."""
        for name in self.receipt.files.keys() - self.files.keys():
            self.place.remove(name)
        self.note(files={name: self.receipt.files[name] for name in self.files})
        for other in self.others:
            for name in other.files:
                self.place.remove(name)
            if other.files:
                self.place.clear(f"r{other.revision}")
            done = other.with_changes(files={}, summary=None, state="replaced", reason="", todo="")
            save_receipt(self.context.root, self.context.key, done)
