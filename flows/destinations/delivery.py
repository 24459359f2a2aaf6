"""One delivery to one destination under way: what it is of, how it goes on, how it ended."""

from __future__ import annotations

from dataclasses import dataclass

from expectations.errors import JifenError
from flows.city_time import city_now
from flows.destinations.contents import Destination
from flows.project import Project
from flows.storage.destination_receipts import DestinationReceipt, save_receipt
from flows.storage.revisions import Revision
from flows.storage.root import Root


@dataclass(frozen=True)
class DeliveryContext:
    """What is delivered: a revision of a root, under a project's settings."""

    project: Project
    root: Root
    key: bytes
    revision: Revision


@dataclass(frozen=True)
class DeliveryOutcome:
    """How it ended for one destination.

    Attributes:
        destination: Its name.
        where: Its address, free of secrets.
        sent: Files sent now.
        kept: Files that were there already.
        bytes: Bytes sent now.
        rows: Rows of a table.
        replaces: The revision that was there before, `r1`; empty when there was none.
        error: Why it has not arrived; None when it has.
    """

    destination: str
    where: str = ""
    sent: int = 0
    kept: int = 0
    bytes: int = 0
    rows: int = 0
    replaces: str = ""
    error: Exception | None = None

    @property
    def has_arrived(self) -> bool:
        """Whether everything is there."""
        return self.error is None


@dataclass
class Delivery:
    """A delivery under way.

    Attributes:
        context: What is delivered.
        receipt: What is known to lie at the destination of the revision; it grows.
    """

    context: DeliveryContext
    receipt: DestinationReceipt

    def send(self) -> DeliveryOutcome:
        """Send what is missing.

        Raises:
            JifenError: It has not arrived; its cause is a ConnectionError or TimeoutError when
                trying again may help.
        """
        raise NotImplementedError

    def note_failure(self, error: JifenError) -> None:
        """Note why it is not complete; what was complete before stays so at the place."""
        if self.receipt.state != "delivered":
            self.note(reason=error.message, todo=error.hint)

    def note(self, **changes: object) -> None:
        """Write down what has changed."""
        changed = self.receipt.with_changes(**changes)
        if changed != self.receipt or not self.receipt.mac:
            self.receipt = save_receipt(self.context.root, self.context.key, changed)

    def log_access(self, files: int) -> None:
        """Note in the access log that people's data leave."""
        receipt = self.receipt
        self.context.root.access_log(
            "deliver",
            destination=receipt.destination,
            month=receipt.month,
            revision=receipt.revision,
            files=files,
        )


def begin_receipt(
    context: DeliveryContext, destination: Destination, address: str
) -> DestinationReceipt:
    """Return the receipt of a delivery that nobody has tried yet."""
    return DestinationReceipt(
        destination=destination.name,
        month=str(context.revision.month),
        revision=context.revision.number,
        address=address,
        begun_at=city_now(),
    )
