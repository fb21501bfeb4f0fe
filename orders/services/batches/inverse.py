"""Undoing a batch: another batch, of the inverse action, over exactly what the first one did."""

from __future__ import annotations

from uuid import UUID

from django.db import transaction

from orders.actor import Actor
from orders.errors import WrongState
from orders.models import Batch, Order
from orders.services.batches.actions import ACTIONS
from orders.services.batches.freezing import create
from orders.services.batches.selecting import require
from orders.services.batches.working import lock_batch
from orders.services.selection import Selection
from orders.vocabulary import BatchAction, ItemStatus


def undo(batch_id: UUID | str, *, actor: Actor, reason: str) -> Batch:
    """The batch that brings each order back to where it stood.

    Raises `Batch.DoesNotExist`, `NotPermitted`, `InvalidInput` when nothing is left to undo, or `WrongState`: nothing
    takes the action back, the batch still works, or it is being undone already.
    """
    with transaction.atomic():
        batch = lock_batch(batch_id)
        require(BatchAction(batch.action), actor)
        inverse = ACTIONS[BatchAction(batch.action)].undo
        if inverse is None:
            raise WrongState(f"Nothing takes back what a batch of “{ACTIONS[BatchAction(batch.action)].title}” does.")
        if not batch.is_ended:
            raise WrongState(f"The batch is {batch.status}; cancel it first, or wait for its end.")
        first = Batch.objects.filter(undo_of=batch).first()
        if first is not None:
            raise WrongState(
                f"The batch was undone already, by {first.actor} at {first.created_at:%Y-%m-%d %H:%M:%S} UTC."
            )
        done = batch.items.filter(status=ItemStatus.DONE).values("order_id")
        selection = Selection(orders=Order.objects.filter(pk__in=done), asked={"undo_of": str(batch.pk)})
        return create(selection, inverse, actor=actor, reason=reason, undo_of=batch)
