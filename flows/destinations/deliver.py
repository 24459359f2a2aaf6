"""Deliver a published month: to each destination what is its own, whole or not at all."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial

from expectations.errors import to_user_error
from flows.destinations.contents import Destination
from flows.destinations.delivery import Delivery, DeliveryContext, DeliveryOutcome
from flows.destinations.file_delivery import open_file_delivery
from flows.destinations.table_delivery import open_table_delivery

AT_ONCE = 4  # destinations: encrypting overlaps with waiting for networks


def deliver_revision(
    context: DeliveryContext, destinations: Sequence[Destination]
) -> list[DeliveryOutcome]:
    """Deliver to each destination what is its own; what fails for one keeps no other waiting.

    Files that are there already, as they were sent, are not sent again. The caller holds the
    root's lock.
    """
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(partial(_deliver, context), destinations))


def _deliver(context: DeliveryContext, destination: Destination) -> DeliveryOutcome:
    """Deliver to one destination, and note how it ended."""
    delivery: Delivery | None = None
    try:
        is_table = destination.given.is_database
        delivery = (open_table_delivery if is_table else open_file_delivery)(context, destination)
        return delivery.send()
    except Exception as error:
        shown = to_user_error(error)
        if delivery is not None:
            with suppress(OSError):  # on a full disk the error itself says so
                delivery.note_failure(shown)
        where = delivery.receipt.address if delivery else ""
        return DeliveryOutcome(destination.name, where, error=error)
