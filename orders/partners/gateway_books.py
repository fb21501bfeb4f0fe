"""The payment gateway's own lists: what it took, gave back and lost to disputes between two moments.

A list is read page by page, the newest first (https://docs.stripe.com/api/pagination), and is consistent: unlike the
search it shows an object from the moment at which it was made. What a page shows of it is how it stands now.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

import stripe

from orders.partners.payments import NOT_GIVEN_BACK, GatewayRefund, as_refund, call, client, order_of

#: the most that the gateway gives with one answer
PAGE = 100
#: what `payment_with_all` costs, for one payment with fewer than `PAGE` refunds
CALLS_OF_A_PAYMENT = 3


@dataclass(frozen=True, kw_only=True)
class BookedIntent:
    """A payment in the gateway's own list."""

    id: str
    #: the order it was made for, as the gateway remembers it
    order: str
    status: str
    received_minor: int
    currency: str
    #: held on the customer's card, and not taken
    authorised_minor: int = 0


@dataclass(frozen=True, kw_only=True)
class BookedDispute:
    """A payment that the customer's bank questions, in the gateway's own list."""

    id: str
    payment: str
    status: str
    #: what the bank has taken back from us at the moment; nothing for an inquiry, or after we won
    withdrawn_minor: int
    currency: str


class Listing(StrEnum):
    """The lists that are compared."""

    PAYMENTS = "payments"
    REFUNDS = "refunds"
    DISPUTES = "disputes"


@dataclass(frozen=True, kw_only=True)
class Page:
    """Some of what the gateway has in its lists."""

    payments: tuple[BookedIntent, ...] = ()
    refunds: tuple[GatewayRefund, ...] = ()
    disputes: tuple[BookedDispute, ...] = ()
    #: the last one's id, where the list goes on after this page
    goes_on_after: str = ""

    @classmethod
    def of(cls, pages: Iterable[Page]) -> Page:
        """All of them as one."""
        read = list(pages)
        return cls(
            payments=tuple(entry for page in read for entry in page.payments),
            refunds=tuple(entry for page in read for entry in page.refunds),
            disputes=tuple(entry for page in read for entry in page.disputes),
        )

    @property
    def size(self) -> int:
        return len(self.payments) + len(self.refunds) + len(self.disputes)


def page_of(listing: Listing, since: datetime, until: datetime, *, after: str = "") -> Page:
    """One page of what was made between the two moments, both included to the second; `after` an entry of that list.

    Raises `PartnerUnavailable`, or `RequestRefused` when the gateway does not know the entry.
    """
    ask, read, name = LISTS[listing]
    asked: dict[str, Any] = {
        "created": {"gte": int(since.timestamp()), "lte": int(until.timestamp())},
        "limit": PAGE,
        **({"starting_after": after} if after else {}),
    }
    answer = call(lambda: ask(asked))
    entries: dict[str, Any] = {name: tuple(read(found) for found in answer.data)}
    return Page(**entries, goes_on_after=str(answer.data[-1].id) if answer.has_more else "")


def pages(listing: Listing, since: datetime, until: datetime) -> Iterator[Page]:
    """All pages of what was made between the two moments."""
    after = ""
    while True:
        page = page_of(listing, since, until, after=after)
        yield page
        after = page.goes_on_after
        if not after:
            return


def find_booked(intent_id: str) -> BookedIntent | None:
    """One payment as the list would show it; None when the gateway does not know it."""

    def ask() -> BookedIntent | None:
        try:
            return _intent(client().v1.payment_intents.retrieve(intent_id))
        except stripe.InvalidRequestError as error:
            if error.code == "resource_missing":
                return None
            raise

    return call(ask)


def payment_with_all(intent_id: str) -> Page:
    """One payment with all of its refunds and disputes; an empty page when the gateway does not know it."""

    def ask() -> Page:
        try:
            intent = client().v1.payment_intents.retrieve(intent_id)
        except stripe.InvalidRequestError as error:
            if error.code == "resource_missing":
                return Page()
            raise
        of_payment: Any = {"payment_intent": intent_id, "limit": PAGE}
        refunds = client().v1.refunds.list(of_payment).auto_paging_iter()
        disputes = client().v1.disputes.list(of_payment).auto_paging_iter()
        return Page(
            payments=(_intent(intent),),
            refunds=tuple(as_refund(found) for found in refunds),
            disputes=tuple(_dispute(found) for found in disputes),
        )

    return call(ask)


def given_back_minor(refund: GatewayRefund) -> int:
    """What of the refund has left us, or is on its way."""
    return 0 if refund.state in NOT_GIVEN_BACK else refund.amount_minor


def _intent(found: Any) -> BookedIntent:
    return BookedIntent(
        id=str(found.id),
        order=order_of(found),
        status=str(found.status),
        received_minor=int(getattr(found, "amount_received", None) or 0),
        currency=str(found.currency),
        authorised_minor=int(getattr(found, "amount_capturable", None) or 0),
    )


def _dispute(found: Any) -> BookedDispute:
    # Taking is a negative amount, returning a positive one; the gateway's fees stand apart.
    moved = sum(int(entry.amount) for entry in getattr(found, "balance_transactions", None) or ())
    return BookedDispute(
        id=str(found.id),
        payment=str(getattr(found, "payment_intent", None) or ""),
        status=str(found.status),
        withdrawn_minor=min(max(-moved, 0), int(found.amount)),
        currency=str(found.currency),
    )


#: how a list is asked for, how an entry of it is read, and where a page keeps it
LISTS: dict[Listing, tuple[Callable[[Any], Any], Callable[[Any], Any], str]] = {
    Listing.PAYMENTS: (lambda asked: client().v1.payment_intents.list(asked), _intent, "payments"),
    Listing.REFUNDS: (lambda asked: client().v1.refunds.list(asked), as_refund, "refunds"),
    Listing.DISPUTES: (lambda asked: client().v1.disputes.list(asked), _dispute, "disputes"),
}
