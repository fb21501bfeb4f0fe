"""Chunks: hundreds of orders in one transaction and a handful of statements, for actions that ask nobody outside.

A chunk that fails as a whole is done again one by one, so that one order with broken data costs its neighbours nothing.
Results are written in the transaction of the work: an attempt that is made twice finds no pending item of the first.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

from django.db import Error as DatabaseError
from django.db import transaction
from django.db.models import prefetch_related_objects

from orders import history
from orders.amounts import money
from orders.database_errors import is_passing
from orders.errors import NotPermitted, WrongState
from orders.models import Batch, BatchItem, Command, Order
from orders.services import commands
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
from orders.services.cancelling import cancel_locked
from orders.services.commands import Standing
from orders.services.holding import hold_locked, release_locked
from orders.services.placing_again import place_again_locked
from orders.services.repricing import reprice_locked
from orders.services.sheets import Sheet
from orders.vocabulary import (
    AUTO_PAUSE_AFTER,
    BatchAction,
    CommandKind,
    ItemFailure,
    ItemStatus,
    OrderStatus,
    Verdict,
)

logger = logging.getLogger(__name__)
CHUNK = 500


@dataclass(frozen=True, kw_only=True)
class Did:
    """What was done to one order."""

    #: in words that many items share
    outcome: str
    #: of this order only
    detail: str = ""


#: order, its open commands, the sheet, whether its process was begun; raises `WrongState`
Act = Callable[[Order, Standing, Sheet, bool], Did]


def run_chunk(batch_id: UUID | str, *, where: Where, beat: Callable[[int], None] = lambda position: None) -> Verdict:
    """Do the next orders of the batch, if it may go on; answers what may be done after that.

    Trouble with the database itself is raised, for the caller to try again.
    """
    positions: list[int] = []
    try:
        with transaction.atomic():
            batch = lock_batch(batch_id)
            verdict = judge(batch)
            if verdict is not Verdict.GO:
                return verdict
            items = _next_items(batch)
            positions = [item.position for item in items]
            _work(batch, items, where)
            return judge(batch)
    except Exception as error:  # whatever one order has brought: its neighbours are done without it
        if not positions or is_passing(error):
            raise
        logger.warning("A chunk of batch %s failed as a whole and is done one by one", batch_id, exc_info=True)
        return _one_by_one(batch_id, positions, where, beat)


def _next_items(batch: Batch) -> list[BatchItem]:
    counts = counts_of(batch)
    # The first chunk is small: what fails for every order must not fail for five hundred before anybody sees it.
    is_first = counts[ItemStatus.DONE] + counts[ItemStatus.FAILED] < AUTO_PAUSE_AFTER
    return list(due(batch)[: AUTO_PAUSE_AFTER if is_first else CHUNK])


def _one_by_one(batch_id: UUID | str, positions: list[int], where: Where, beat: Callable[[int], None]) -> Verdict:
    verdict = Verdict.GO
    for position in positions:
        beat(position)
        with transaction.atomic():
            batch = lock_batch(batch_id)
            verdict = judge(batch)
            if verdict is not Verdict.GO:
                return verdict
            item = batch.items.get(position=position)
            if item.status != ItemStatus.PENDING:
                continue
            try:
                with transaction.atomic():
                    _work(batch, [item], where)
            except Exception as error:  # it becomes the item's result
                if is_passing(error):
                    raise
                logger.warning("Item %d of batch %s failed", position, batch_id, exc_info=True)
                save_results([(item, _failure(error, former=""))])
            verdict = judge(batch)
    return verdict


def _work(batch: Batch, items: list[BatchItem], where: Where) -> None:
    try:
        actor = acting(batch, where)
    except NotPermitted as refusal:
        save_results([(item, failed(ItemFailure.NOT_PERMITTED, str(refusal), former="")) for item in items])
        return
    ids = [item.order_id for item in items]
    orders = {order.pk: order for order in history.lock_orders(ids)}
    standing = commands.standing_of(ids)
    begun = set(Command.objects.filter(order_id__in=ids, kind=CommandKind.START).values_list("order_id", flat=True))
    action = BatchAction(batch.action)
    prefetch_related_objects(list(orders.values()), *READS.get(action, ()))
    act = _undo_of(batch) if batch.undo_of_id else ACTS[action]
    sheet = Sheet(actor=actor, reason=batch.reason, batch=batch)
    results: list[tuple[BatchItem, Result]] = []
    for item in items:
        order = orders[item.order_id]
        former = order.status
        try:
            did = act(order, standing[order.pk], sheet, order.pk in begun)
        except WrongState as refusal:
            results.append((item, failed(ItemFailure.WRONG_STATE, str(refusal), former=former)))
        else:
            results.append((item, done(did.outcome, former=former, detail=did.detail)))
    sheet.write()
    save_results(results)


def _hold(order: Order, standing: Standing, sheet: Sheet, in_process: bool) -> Did:
    hold_locked(order, standing, sheet)
    return Did(outcome="On hold" if order.status == OrderStatus.ON_HOLD else "Stops before its next step")


def _release(order: Order, standing: Standing, sheet: Sheet, in_process: bool) -> Did:
    release_locked(order, standing, sheet, in_process=in_process)
    return Did(outcome="Released")


def _cancel(order: Order, standing: Standing, sheet: Sheet, in_process: bool) -> Did:
    cancel_locked(order, standing, sheet, in_process=in_process)
    return Did(outcome="Cancelled" if order.is_terminal else "Cancellation accepted; its process undoes it")


def _reprice(order: Order, standing: Standing, sheet: Sheet, in_process: bool) -> Did:
    before = order.total_minor
    if not reprice_locked(order, sheet):
        return Did(outcome="As the catalogue says already")
    was, now = money(before, order.currency), money(order.total_minor, order.currency)
    return Did(outcome="Repriced", detail=f"{was} before, {now} now")


def _place_again(order: Order, standing: Standing, sheet: Sheet, in_process: bool) -> Did:
    return Did(outcome="Placed again", detail=f"As {place_again_locked(order, sheet).number}")


ACTS: dict[BatchAction, Act] = {
    BatchAction.HOLD: _hold,
    BatchAction.RELEASE: _release,
    BatchAction.CANCEL: _cancel,
    BatchAction.REPRICE: _reprice,
    BatchAction.PLACE_AGAIN: _place_again,
}
#: what an action reads of its orders, fetched for the whole chunk at once
READS: dict[BatchAction, tuple[str, ...]] = {
    BatchAction.REPRICE: ("lines__product",),
    BatchAction.PLACE_AGAIN: ("customer", "payment"),
}


def _undo_of(batch: Batch) -> Act:
    """Release, but only what the batch that is undone holds."""

    def undo(order: Order, standing: Standing, sheet: Sheet, in_process: bool) -> Did:
        held = standing.get(CommandKind.HOLD)
        if held is not None and held.batch_id != batch.undo_of_id:
            raise WrongState(f"Order {order.number} is held by {held.actor} since {commands.moment(held)} by now.")
        return _release(order, standing, sheet, in_process)

    return undo


def _failure(error: Exception, *, former: str) -> Result:
    """Only the kind of an error that is not ours: PostgreSQL quotes the values of the row."""
    if isinstance(error, DatabaseError):
        cause = type(error.__cause__ or error).__name__
        return failed(ItemFailure.DATABASE, f"The database refused it: {cause}", former=former)
    return failed(ItemFailure.UNEXPECTED, f"An unexpected error: {type(error).__name__}", former=former)
