"""What is asked about one order at a time: how it stands today, how the carrier sees it, where its parcel is.

A partner is called outside of any transaction and through its breaker. The result is written only while the item is
still under way, so an attempt that comes late, or after a pause has put the item back, changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from babel import Locale
from django.db import transaction
from django.db.models import F

from orders import history
from orders.actor import Actor
from orders.errors import DomainError, NotPermitted, PartnerUnavailable
from orders.models import Batch, BatchItem, Order, Reservation, StockItem
from orders.partners import breaker, carrier
from orders.services import tracking
from orders.services.batches.working import (
    Result,
    Where,
    acting,
    counts_of,
    done,
    due,
    failed,
    judge,
    lock_batch,
    save_results,
)
from orders.vocabulary import (
    BatchAction,
    BatchStatus,
    EventType,
    ItemFailure,
    ItemStatus,
    PartnerCode,
    ShipmentStatus,
    Verdict,
)
from orders.wording import status_word

#: checks under way at once
WINDOW = 30
#: code -> name; longer codes are continents
COUNTRIES = {str(code): str(name) for code, name in Locale("en").territories.items() if len(str(code)) == 2}
NOTHING = "Nothing found"


@dataclass(frozen=True, kw_only=True)
class Claimed:
    verdict: Verdict
    #: items to be checked now; some may be under way already
    positions: list[int]


@dataclass(frozen=True, kw_only=True)
class Finding:
    #: one word, for the groups of the batch's page
    kind: str
    says: str


@dataclass(frozen=True, kw_only=True)
class Told:
    """What asking about one order has brought."""

    #: in words that many items share
    outcome: str
    #: of this order only
    detail: str = ""
    data: dict[str, Any] = field(default_factory=dict)


def claim_checks(batch_id: UUID | str, *, window: int = WINDOW) -> Claimed:
    """The items to be checked now. A batch that must stop puts those under way back: their checks change nothing."""
    with transaction.atomic():
        batch = lock_batch(batch_id)
        verdict = judge(batch)
        running = batch.items.filter(status=ItemStatus.RUNNING)
        if verdict is Verdict.STOP:
            running.update(status=ItemStatus.PENDING)
            verdict = judge(batch)
        if verdict is Verdict.GO:
            free = window - counts_of(batch)[ItemStatus.RUNNING]
            save_results([(item, Result(status=ItemStatus.RUNNING)) for item in due(batch)[: max(free, 0)]])
        positions = (
            list(running.order_by("position").values_list("position", flat=True)) if verdict is Verdict.GO else []
        )
    return Claimed(verdict=verdict, positions=positions)


def check_item(batch_id: UUID | str, position: int, *, where: Where) -> None:
    """Check one order and write what was found. Raises `PartnerUnavailable`, to be tried again."""
    item = BatchItem.objects.select_related("batch", "order").get(batch_id=batch_id, position=position)
    batch = item.batch
    if item.status != ItemStatus.RUNNING or batch.status != BatchStatus.RUNNING:
        return
    try:
        actor = acting(batch, where)
        told = CHECKS[BatchAction(batch.action)](item.order, actor)
    except PartnerUnavailable:
        raise
    except NotPermitted as refusal:
        _fail(batch, position, ItemFailure.NOT_PERMITTED, str(refusal))
    except DomainError as error:
        _fail(batch, position, error.failure_type, str(error))
    else:
        _settle(batch, position, told, actor)


def fail_item(batch_id: UUID | str, position: int, *, error_type: str, message: str) -> None:
    """The check was given up; its process says why."""
    _fail(Batch.objects.get(pk=batch_id), position, error_type, message)


def recheck(order: Order, actor: Actor) -> Told:
    """What has changed since the order was placed, and what never looked right."""
    return _found([*_stock(order), *_address(order), *_prices(order)])


def check_shipment(order: Order, actor: Actor) -> Told:
    """Where the carrier says something else than we do. Raises `PartnerUnavailable` or `CarrierRejected`."""
    found: list[Finding] = []
    with breaker.attempt(PartnerCode.CARRIER, subject=str(order.pk)):
        for shipment in order.shipments.filter(status=ShipmentStatus.BOOKED):
            booking = carrier.find(shipment.reference)
            if booking is None:
                found.append(Finding(kind="unknown", says=f"The carrier does not know {shipment.reference}."))
            elif booking.status != shipment.status:
                found.append(Finding(kind="status", says=f"The carrier has it as {booking.status}."))
            elif booking.tracking_number != shipment.tracking_number:
                says = f"The carrier tracks it as {booking.tracking_number}, we as {shipment.tracking_number}."
                found.append(Finding(kind="tracking number", says=says))
    return _found(found)


def refresh_tracking(order: Order, actor: Actor) -> Told:
    """Keep what the carrier tells of the order's parcels. Raises `PartnerUnavailable` or `CarrierRejected`.

    An attempt that comes late still keeps what it was told: that is true whatever became of the batch.
    """
    references = order.shipments.filter(status=ShipmentStatus.BOOKED, by_hand=False).values_list("reference", flat=True)
    where = [tracking.refresh(reference, actor=actor) for reference in list(references)]
    words = ", ".join(dict.fromkeys(status_word(status) for status in where)) or "No parcel is booked any more"
    return Told(outcome=words, data={"tracking": where})


CHECKS: dict[BatchAction, Callable[[Order, Actor], Told]] = {
    BatchAction.RECHECK: recheck,
    BatchAction.CHECK_SHIPMENT: check_shipment,
    BatchAction.REFRESH_TRACKING: refresh_tracking,
}
EVENTS = {
    BatchAction.RECHECK: EventType.RECHECKED,
    BatchAction.CHECK_SHIPMENT: EventType.SHIPMENT_CHECKED,
    BatchAction.REFRESH_TRACKING: EventType.SHIPMENT_CHECKED,
}


def _found(found: list[Finding]) -> Told:
    return Told(
        outcome=f"Found: {', '.join(finding.kind for finding in found)}" if found else NOTHING,
        detail=" ".join(finding.says for finding in found),
        data={"found": [finding.kind for finding in found]},
    )


def _stock(order: Order) -> list[Finding]:
    if Reservation.objects.filter(order=order).exists():
        return []  # its pieces are kept for it
    wanted: dict[int, int] = {}
    for product, quantity in order.lines.values_list("product_id", "quantity"):
        wanted[product] = wanted.get(product, 0) + quantity
    there = {row.product_id: row for row in StockItem.objects.select_related("product").filter(product__in=wanted)}
    short = [
        f"{there[product].product.sku}: wanted {pieces}, available {there[product].available}"
        if product in there
        else f"a product without stock: wanted {pieces}"
        for product, pieces in wanted.items()
        if product not in there or there[product].available < pieces
    ]
    return [Finding(kind="stock", says="; ".join(short[:5]))] if short else []


def _address(order: Order) -> list[Finding]:
    """Whether the country is one at all: its code, or its English name."""
    country = order.ship_to_country.strip()
    if country.upper() in COUNTRIES or country.casefold() in {name.casefold() for name in COUNTRIES.values()}:
        return []
    return [Finding(kind="address", says="The country of the address is none.")]


def _prices(order: Order) -> list[Finding]:
    others = order.lines.filter(product__currency=order.currency).exclude(unit_price=F("product__unit_price"))
    lines = [
        f"{line.product.sku}: ordered at {line.unit_price.normalize():f}, now {line.product.unit_price.normalize():f}"
        for line in others.select_related("product")[:5]
    ]
    return [Finding(kind="price", says="; ".join(lines))] if lines else []


def _settle(batch: Batch, position: int, told: Told, actor: Actor) -> None:
    action = BatchAction(batch.action)
    with transaction.atomic():
        item = _locked(batch, position)
        if item.status != ItemStatus.RUNNING:
            return
        order = history.lock_order(item.order_id)
        data = {"batch": str(batch.pk), **told.data}
        history.record(order, EVENTS[action], actor=actor, reason=told.detail or told.outcome, data=data)
        save_results([(item, done(told.outcome, former=order.status, detail=told.detail))], tries=0)


def _fail(batch: Batch, position: int, error_type: str, message: str) -> None:
    with transaction.atomic():
        item = _locked(batch, position)
        if item.status == ItemStatus.RUNNING:
            save_results([(item, failed(error_type, message, former=item.former_status))], tries=0)


def _locked(batch: Batch, position: int) -> BatchItem:
    return BatchItem.objects.select_for_update().get(batch=batch, position=position)
