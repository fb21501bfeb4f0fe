"""Reserving stock and giving it back.

Rows are locked in the order of their product ids, by everybody: two orders with the same products listed the other way
round would otherwise wait for each other for ever.
"""

from collections.abc import Iterable, Mapping

from django.db.models import Sum

from orders import fence, history
from orders.actor import Actor
from orders.errors import OutOfStock
from orders.models import Order, Reservation, StockItem
from orders.services import predecessors
from orders.services.commands import require_free_way
from orders.vocabulary import EventType, OrderStatus, ReservationStatus, StepName, StepStatus


def reserve(order_id: str, *, actor: Actor, then: OrderStatus = OrderStatus.CHECKING) -> None:
    """Promise the order's pieces to it, all or none, and move it on to `then`.

    Raises `OutOfStock` naming what is short, `OnHold` or `CancelAsked`.
    """
    held = fence.claim(order_id, StepName.RESERVE)
    if held.is_done:
        return
    require_free_way(order_id)
    with fence.commit(held, {}):
        order = history.lock_order(order_id)
        wanted = dict(order.lines.values_list("product_id").annotate(Sum("quantity")).order_by("product_id"))
        stock = _locked_stock(wanted)
        _require_available(wanted, stock)
        for product_id, quantity in wanted.items():
            stock[product_id].reserved += quantity
        StockItem.objects.bulk_update(stock.values(), ["reserved"], batch_size=500)
        Reservation.objects.bulk_create(
            [Reservation(order=order, product_id=product, quantity=quantity) for product, quantity in wanted.items()],
            batch_size=500,
        )
        order.move_to(then)
        history.record(
            order,
            EventType.STOCK_RESERVED,
            actor=actor,
            reason="All pieces are available",
            step=held.name,
            status_before=OrderStatus.RESERVING,
            data={"products": len(wanted), "pieces": sum(wanted.values())},
        )


def release(order_id: str, *, actor: Actor) -> None:
    """Undo of `reserve`: give back whatever the order holds; nothing if it holds nothing."""
    held = fence.claim(order_id, StepName.RELEASE)
    if held.is_done:
        return
    with fence.commit(held, {}):
        # Before the order: a reservation that is being committed holds its step and waits for the order.
        reserved = fence.void(order_id, StepName.RESERVE) is StepStatus.DONE
        order = history.lock_order(order_id)
        predecessors.require_due(order, held.name)
        if not reserved:
            return
        pieces = move_reserved(order, to=ReservationStatus.RELEASED)
        history.record(
            order,
            EventType.STOCK_RELEASED,
            actor=actor,
            reason="The reserved pieces are free again",
            step=held.name,
            data={"pieces": pieces},
        )


def move_reserved(order: Order, *, to: ReservationStatus) -> int:
    """Move the order's held pieces to shipped (CONSUMED) or back to free (RELEASED); answers how many.

    The caller holds the order's lock.
    """
    mine = list(order.reservations.filter(status=ReservationStatus.HELD).order_by("product_id"))
    stock = _locked_stock([reservation.product_id for reservation in mine])
    for reservation in mine:
        item = stock[reservation.product_id]
        item.reserved -= reservation.quantity
        if to is ReservationStatus.CONSUMED:
            item.on_hand -= reservation.quantity
            item.shipped += reservation.quantity
        reservation.status = to
    _save(stock, mine)
    return sum(reservation.quantity for reservation in mine)


def take_back(order: Order) -> int:
    """Put the order's shipped pieces back on the shelf, still held for it; answers how many."""
    mine = list(order.reservations.filter(status=ReservationStatus.CONSUMED).order_by("product_id"))
    stock = _locked_stock([reservation.product_id for reservation in mine])
    for reservation in mine:
        item = stock[reservation.product_id]
        item.shipped -= reservation.quantity
        item.on_hand += reservation.quantity
        item.reserved += reservation.quantity
        reservation.status = ReservationStatus.HELD
    _save(stock, mine)
    return sum(reservation.quantity for reservation in mine)


def restock(pieces: Mapping[int, int]) -> None:
    """Put pieces that came back on the shelf again, by product; the caller makes sure that it happens once."""
    stock = _locked_stock(pieces)
    for product_id, item in stock.items():
        item.shipped -= pieces[product_id]
        item.on_hand += pieces[product_id]
    StockItem.objects.bulk_update(stock.values(), ["on_hand", "shipped"], batch_size=500)


def lock_held_by(orders: Iterable[Order]) -> None:
    """Lock the stock of all that the orders hold, product by product, before the first of them gives it back.

    The caller holds the orders' locks.
    """
    held = Reservation.objects.filter(order__in=list(orders), status=ReservationStatus.HELD)
    _locked_stock(held.values_list("product_id", flat=True))


def _locked_stock(product_ids: object) -> dict[int, StockItem]:
    locked = StockItem.objects.select_for_update(no_key=True)
    rows = locked.filter(product_id__in=list(product_ids)).order_by("product_id")  # type: ignore[call-overload]
    return {item.product_id: item for item in rows}


def _save(stock: dict[int, StockItem], reservations: list[Reservation]) -> None:
    StockItem.objects.bulk_update(stock.values(), ["on_hand", "reserved", "shipped"], batch_size=500)
    Reservation.objects.bulk_update(reservations, ["status"], batch_size=500)


def _require_available(wanted: dict[int, int], stock: dict[int, StockItem]) -> None:
    short = [
        product_id
        for product_id, quantity in wanted.items()
        if product_id not in stock or stock[product_id].available < quantity
    ]
    if not short:
        return
    skus = dict(StockItem.product.field.related_model.objects.filter(pk__in=short[:5]).values_list("pk", "sku"))  # type: ignore[attr-defined]
    parts = [
        f"{skus[product_id]}: wanted {wanted[product_id]}, "
        f"available {stock[product_id].available if product_id in stock else 0}"
        for product_id in short[:5]
    ]
    more = f" and {len(short) - 5} more" if len(short) > 5 else ""
    raise OutOfStock("; ".join(parts) + more)
