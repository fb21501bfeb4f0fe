"""Whom `verify_invariants` believes: books that others keep, as sums for each order.

The gateway's own lists exist at every gateway. The stand-in partners of development keep books besides, which nobody
can write to over the API, and which have the carrier's parcels too.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

import requests
from django.conf import settings
from django.db.models import Min

from orders import clock
from orders.models import Order
from orders.partners import breaker
from orders.partners import gateway_books as gateway
from orders.partners.gateway_books import Listing, given_back_minor
from orders.partners.payments import PaymentState
from orders.vocabulary import PartnerCode

#: orders that are compared at once
PAGE = 1_000
#: the gateway's clock is not ours, and what it made must not be left out because its clock is ahead
AHEAD = timedelta(days=365)


@dataclass(kw_only=True)
class Sums:
    """What a witness has of one order, in minor units. Counts of payments are of all that were ever made."""

    currencies: set[str] = field(default_factory=set)
    payments: int = 0
    #: payments that are not cancelled
    standing: int = 0
    captures: int = 0
    received_minor: int = 0
    #: received, less what went back or is on its way, less what banks took back
    net_minor: int = 0
    authorised_minor: int = 0
    #: ids of the refunds that went back or are on their way, where the witness names them
    refunds: set[str] = field(default_factory=set)
    #: parcels that are booked, where the witness knows of any
    parcels: int | None = None


class Witness(Protocol):
    """Books that somebody else keeps."""

    name: str

    def books(self) -> Iterator[dict[str, Sums]]:
        """Order id -> sums, some orders at a time, each order once; money that names no order is under "".

        Raises `PartnerUnavailable`, `RequestRefused` or `requests.RequestException` when it cannot be asked.
        """


class GatewayLists:
    """The payment gateway's own lists, since before our oldest order."""

    name = "the gateway's lists"

    def books(self) -> Iterator[dict[str, Sums]]:
        """Read as a whole before anything is said: half a list would call all money of the other half missing."""
        with breaker.unobserved(PartnerCode.PAYMENTS):
            sums = self._sums(self._since(), clock.now() + AHEAD)
        ids = sorted(sums)
        yield from ({order: sums[order] for order in ids[start : start + PAGE]} for start in range(0, len(ids), PAGE))

    def _sums(self, since: datetime, until: datetime) -> dict[str, Sums]:
        sums: dict[str, Sums] = defaultdict(Sums)
        orders: dict[str, str] = {}
        for page in gateway.pages(Listing.PAYMENTS, since, until):
            for payment in page.payments:
                orders[payment.id] = payment.order
                one = sums[payment.order]
                one.payments += 1
                one.standing += payment.status != PaymentState.CANCELED
                one.captures += payment.received_minor > 0
                one.received_minor += payment.received_minor
                one.net_minor += payment.received_minor
                one.authorised_minor += payment.authorised_minor
                one.currencies |= {payment.currency} if payment.received_minor else set()
        for page in gateway.pages(Listing.REFUNDS, since, until):
            for refund in page.refunds:
                if given_back_minor(refund):
                    one = sums[orders.get(refund.payment, refund.order)]
                    one.net_minor -= refund.amount_minor
                    one.refunds.add(refund.id)
        for page in gateway.pages(Listing.DISPUTES, since, until):
            for dispute in page.disputes:
                sums[orders.get(dispute.payment, "")].net_minor -= dispute.withdrawn_minor
        return sums

    def _since(self) -> datetime:
        oldest: datetime | None = Order.objects.aggregate(oldest=Min("created_at"))["oldest"]
        return (oldest or clock.now()) - timedelta(days=1)


class SimulatorOracle:
    """The stand-in partners' books, which no call of the product can change."""

    name = "the simulator's books"

    def books(self) -> Iterator[dict[str, Sums]]:
        after = ""
        while True:
            answer = requests.get(
                f"{settings.SIMULATOR_URL}/oracle/orders", params={"after": after, "limit": str(PAGE)}, timeout=30
            )
            answer.raise_for_status()
            page = answer.json()
            yield {
                order: Sums(
                    currencies={told["currency"]} - {None},
                    payments=told["intents"],
                    standing=told["uncancelled_intents"],
                    captures=told["captures"],
                    received_minor=told["charged_minor"],
                    net_minor=told["net_minor"],
                    authorised_minor=told["open_authorized_minor"],
                    parcels=told["shipments_booked"],
                )
                for order, told in page["orders"].items()
            }
            after = page["next"]
            if not after:
                return


def witnesses() -> list[Witness]:
    """Those that can be asked here."""
    found: list[Witness] = []
    if settings.PAYMENTS_URL and settings.STRIPE_API_KEY:
        found.append(GatewayLists())
    if settings.SIMULATOR_URL:
        found.append(SimulatorOracle())
    return found
