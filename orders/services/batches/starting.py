"""Orders with a process of their own each, or a playbook's run: which begin now, and what became of the others.

The window is fed from the rows, not from what the batch's process remembers: an order that ended, failed or waits for a
person frees its slot, and a process that was continued as new finds every order that it had begun.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from django.db import Error as DatabaseError
from django.db import transaction
from django.db.models import Q

from orders import history
from orders.actor import Actor
from orders.database_errors import is_passing
from orders.errors import NotPermitted, WrongState
from orders.models import Batch, BatchItem, Order
from orders.services import placing, placing_again
from orders.services.batches import playbooks
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
from orders.services.sheets import Sheet
from orders.vocabulary import FailureType, ItemFailure, ItemStatus, OrderStatus, Verdict

logger = logging.getLogger(__name__)

#: orders under way at once
WINDOW = 20
#: the batch's process starts the order's own at once; if it dies in between, the outbox does it after this
GUARANTEE = timedelta(seconds=5)
#: statuses that free the slot although the order is open: the next move is a person's
WAITS = {
    OrderStatus.IN_REVIEW: "Waits for a reviewer",
    OrderStatus.ON_HOLD: "On hold: waits for a person",
}


@dataclass(frozen=True, kw_only=True)
class Begun:
    """An order whose process must be started; starting it twice is harmless."""

    order_id: str
    number: str
    customer: str


@dataclass(frozen=True, kw_only=True)
class Window:
    verdict: Verdict
    begun: list[Begun]


def begin_orders(batch_id: UUID | str, *, where: Where, window: int = WINDOW) -> Window:
    """Settle the orders that ended, begin as many as fit into the window, and name those to be started."""
    with transaction.atomic():
        batch = lock_batch(batch_id)
        _settle(batch)
        verdict = judge(batch)
        if verdict is Verdict.GO:
            free = window - counts_of(batch)[ItemStatus.RUNNING]
            if free > 0:
                _begin(batch, free, where)
            verdict = judge(batch)
        # The run of a playbook is started by the outbox alone: the batch's process has nothing to do for it.
        not_taken = Q(placed_as=None, order__process_run_id="") | Q(placed_as__process_run_id="")
        started_here = batch.items.none() if batch.playbook_id else batch.items.filter(not_taken)
        waiting = started_here.filter(status=ItemStatus.RUNNING).select_related("order", "placed_as")
        orders = [item.at_work for item in waiting.order_by("position")[:window]]
        begun = [
            Begun(order_id=str(order.pk), number=order.number, customer=placing.customer_tag(order)) for order in orders
        ]
    return Window(verdict=verdict, begun=begun)


def _settle(batch: Batch) -> None:
    results = []
    for item in batch.items.filter(status=ItemStatus.RUNNING).select_related("order", "placed_as"):
        result = playbooks.result(item) if batch.playbook_id else _result(item)
        if result is not None:
            results.append((item, result))
    save_results(results, tries=0)


def _result(item: BatchItem) -> Result | None:
    order = item.at_work
    status = OrderStatus(order.status)
    which = f"Placed again as {order.number}. " if item.placed_as else ""
    if status is OrderStatus.COMPLETED:
        return done("Completed", former=item.former_status, detail=which.strip())
    if order.is_terminal:
        return failed(
            order.failure_type or FailureType.CANCELLED,
            f"{which}{order.failure_message or f'The order is {status}.'}",
            former=item.former_status,
        )
    if status in WAITS:
        return done(WAITS[status], former=item.former_status, detail=which.strip())
    return None


def _begin(batch: Batch, free: int, where: Where) -> None:
    items = list(due(batch).select_related("order")[:free])
    try:
        actor = acting(batch, where)
    except NotPermitted as refusal:
        save_results([(item, failed(ItemFailure.NOT_PERMITTED, str(refusal), former="")) for item in items])
        return
    # All at once, in the order of their ids: they are begun in the order of their positions.
    history.lock_orders([item.placed_as_id or item.order_id for item in items])
    begin = playbooks.begin if batch.playbook_id else _start
    save_results([(item, begin(item, batch, actor)) for item in items])


def _start(item: BatchItem, batch: Batch, actor: Actor) -> Result:
    former = ""
    try:
        with transaction.atomic():
            order = Order.objects.select_for_update(no_key=True).get(pk=item.placed_as_id or item.order_id)
            former = order.status
            if order.status == OrderStatus.FAILED and item.tries:
                order = _placed_again(item, order, batch, actor)
            placing.require_startable(order)
            placing.start_locked(order, actor=actor, reason=batch.reason, batch=batch, tell_after=GUARANTEE)
    except WrongState as refusal:
        return failed(ItemFailure.WRONG_STATE, str(refusal), former=former)
    except NotPermitted as refusal:
        return failed(ItemFailure.NOT_PERMITTED, str(refusal), former=former)
    except DatabaseError as error:
        if is_passing(error):
            raise
        # Only its kind: PostgreSQL quotes the values of the row.
        logger.warning("Item %d of batch %s failed", item.position, batch.pk, exc_info=True)
        cause = type(error.__cause__ or error).__name__
        return failed(ItemFailure.DATABASE, f"The database refused it: {cause}", former=former)
    return Result(status=ItemStatus.RUNNING, former_status=former)


def _placed_again(item: BatchItem, ended: Order, batch: Batch, actor: Actor) -> Order:
    """The new order of a retry: one order has one process, ever, so an ended one is not started again but copied."""
    actor.require("orders.place_order")
    sheet = Sheet(actor=actor, reason=batch.reason, batch=batch)
    made = placing_again.place_again_locked(ended, sheet)
    sheet.write()
    BatchItem.objects.filter(pk=item.pk).update(placed_as=made)
    return made
