"""The catalogue's prices of today in an order that nobody has started.

Whoever asks for an order's processing takes its lock too, so a price never changes under a process: from that moment
the amount stands, here and by two triggers of the tables. Without them a charge could ask for one amount, and its
look-up after a lost answer for another.
"""

from __future__ import annotations

from orders import vocabulary
from orders.errors import WrongState
from orders.models import Order
from orders.services.placing import line_total_minor
from orders.services.sheets import Sheet
from orders.vocabulary import EventType


def reprice_locked(order: Order, sheet: Sheet) -> bool:
    """Whether a price has changed. Raises `WrongState`, changing nothing.

    The caller holds the order's lock and writes the sheet.
    """
    if order.is_begun:
        raise WrongState(f"Order {order.number} is {order.status}; only the prices of one that nobody started change.")
    lines = list(order.lines.all())
    foreign = next((line.product for line in lines if line.product.currency != order.currency), None)
    if foreign is not None:
        raise WrongState(
            f"{foreign.sku} is priced in {foreign.currency} by now, order {order.number} in {order.currency}."
        )
    changed = [line for line in lines if line.unit_price != line.product.unit_price]
    totals = {line.pk: line_total_minor(line.quantity, line.product.unit_price) for line in changed}
    total = sum(totals.get(line.pk, line.total_minor) for line in lines)
    if not 0 < total <= vocabulary.MAX_ORDER_TOTAL_MINOR:
        limit = vocabulary.MAX_ORDER_TOTAL_MINOR
        raise WrongState(f"Order {order.number} would cost {total} minor units; it must be 1 to {limit}.")
    if not changed:
        return False
    before, order.total_minor = order.total_minor, total
    prices = [[line.position, f"{line.unit_price:f}", f"{line.product.unit_price:f}"] for line in changed]
    for line in changed:
        line.unit_price, line.total_minor = line.product.unit_price, totals[line.pk]
    sheet.prices(changed)
    # Position, price before, price now: a price that was overwritten is found here.
    sheet.event(order, EventType.REPRICED, total_before_minor=before, total_minor=total, prices=prices)
    return True
