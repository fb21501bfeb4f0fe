"""A gateway's lists in memory, with the pages and ranges of time of the real ones: for tests of what is compared."""

from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import pytest
from django.utils import timezone

from orders.errors import PartnerUnavailable, RequestRefused
from orders.models import Order
from orders.partners import gateway_books
from orders.partners.gateway_books import BookedDispute, BookedIntent, Listing, Page
from orders.partners.payments import GatewayRefund
from orders.services.sweeping import walking


@dataclass(kw_only=True)
class Lists:
    """What the gateway has, each entry with the moment at which it was made; `asked` are the calls made."""

    entries: dict[Listing, list[tuple[datetime, Any]]] = field(
        default_factory=lambda: {listing: [] for listing in Listing}
    )
    asked: list[str] = field(default_factory=list)
    away: bool = False

    # --- What happened at the gateway ---------------------------------------------------------------------------------
    def pay(self, order: Order, /, *, received: int | None = None, at: datetime | None = None, **more: Any) -> str:
        """A payment of the order, of its total unless told otherwise."""
        known = f"pi_{order.pk}"
        name = known if known not in self.payments else f"pi_again_{len(self.entries[Listing.PAYMENTS])}"
        received = order.total_minor if received is None else received
        payment = BookedIntent(
            id=name, order=str(order.pk), status="succeeded", received_minor=received, currency=order.currency.lower()
        )
        self.add(Listing.PAYMENTS, replace(payment, **more), at)
        return str(more.get("id", name))

    def give_back(self, payment: str, amount: int, *, at: datetime | None = None, **more: Any) -> str:
        name = f"re_{len(self.entries[Listing.REFUNDS])}_{payment[:60]}"
        refund = GatewayRefund(id=name, status="succeeded", amount_minor=amount, payment=payment)
        self.add(Listing.REFUNDS, replace(refund, **more), at)
        return str(more.get("id", name))

    def dispute(self, payment: str, amount: int, *, at: datetime | None = None) -> str:
        name = f"du_{len(self.entries[Listing.DISPUTES])}"
        self.add(
            Listing.DISPUTES,
            BookedDispute(id=name, payment=payment, status="needs_response", withdrawn_minor=amount, currency="gbp"),
            at,
        )
        return name

    def add(self, listing: Listing, entry: Any, at: datetime | None = None) -> None:
        self.entries[listing].insert(0, (at or timezone.now(), entry))

    def change(self, listing: Listing, name: str, **changes: Any) -> None:
        self.entries[listing] = [
            (at, replace(entry, **changes) if entry.id == name else entry) for at, entry in self.entries[listing]
        ]

    @property
    def payments(self) -> dict[str, BookedIntent]:
        return {entry.id: entry for _, entry in self.entries[Listing.PAYMENTS]}

    # --- What it is asked ---------------------------------------------------------------------------------------------
    def page_of(self, listing: Listing, since: datetime, until: datetime, *, after: str = "") -> Page:
        self.asked.append(listing.value)
        if self.away:
            raise PartnerUnavailable("The payment gateway answered 503")
        made = sorted(self.entries[listing], key=lambda one: one[0], reverse=True)
        found = [entry for at, entry in made if int(since.timestamp()) <= int(at.timestamp()) <= int(until.timestamp())]
        if after:
            names = [entry.id for entry in found]
            if after not in names:
                raise RequestRefused("The payment gateway refuses our request: resource_missing (starting_after).")
            found = found[names.index(after) + 1 :]
        page = found[: gateway_books.PAGE]
        entries: dict[str, Any] = {listing.value: tuple(page)}
        return Page(**entries, goes_on_after=page[-1].id if len(found) > len(page) else "")

    def payment_with_all(self, name: str) -> Page:
        self.asked.append(name)
        if self.away:
            raise PartnerUnavailable("The payment gateway answered 503")
        if name not in self.payments:
            return Page()
        return Page(
            payments=(self.payments[name],),
            refunds=self._of(Listing.REFUNDS, name),
            disputes=self._of(Listing.DISPUTES, name),
        )

    def _of(self, listing: Listing, payment: str) -> tuple[Any, ...]:
        return tuple(entry for _, entry in self.entries[listing] if entry.payment == payment)


def installed(monkeypatch: pytest.MonkeyPatch) -> Lists:
    """The product asks these lists."""
    lists = Lists()
    monkeypatch.setattr(walking, "page_of", lists.page_of)
    monkeypatch.setattr(gateway_books, "payment_with_all", lists.payment_with_all)
    return lists
