"""The activities of one order: thin shells where retries, typed failures and fences meet.

They are sync functions in the worker's thread pool. `no_thread_cancel_exception` keeps a cancellation from being thrown
into the middle of a database commit, whose outcome nobody would know then.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from django.core.exceptions import ObjectDoesNotExist
from django.db import IntegrityError
from temporalio import activity

from orders.actor import Actor
from orders.errors import DomainError, StepMissing
from orders.services import commands, fraud, holding, payments, process, reviewing, shipping, stock
from orders.services.sweeping import restoring
from orders.vocabulary import EventType, FailureType, OrderStatus, StepName
from temporal_app.activities.context import engine_actor
from temporal_app.errors import translated_errors
from temporal_app.payloads import OrderStep, PaymentStanding, ReviewStanding, UndoOrder

ACTOR = "order process"


@contextmanager
def _effect(
    order_id: str, *steps: StepName, undoing: bool = False, unproven: EventType = EventType.STEP_UNPROVEN
) -> Iterator[Actor]:
    """Around a step of an order: what it ends with stands in the database before the engine hears of it.

    Temporal is a messenger: an undo may rest on a final no only if our own books have it, and a step that was asked for
    out of turn is told on the order.
    """
    actor = engine_actor(ACTOR)
    with translated_errors(undoing=undoing), _with_a_row(order_id):
        try:
            yield actor
        except StepMissing as missing:
            process.note_missing(order_id, missing, unproven, actor=actor)
            raise
        except DomainError as error:
            process.note_refusal(order_id, steps, error)
            raise


@contextmanager
def _with_a_row(order_id: str) -> Iterator[None]:
    """A process whose order is gone, as after a restored backup, ends instead of failing for ever."""
    try:
        yield
    except (ObjectDoesNotExist, IntegrityError):
        restoring.require_row(order_id)
        raise


@activity.defn(no_thread_cancel_exception=True)
def prepare_order(step: OrderStep) -> None:
    """Adopt the run, validate, reserve: three fenced commits, no partner between them."""
    with _effect(step.order_id, StepName.VALIDATE, StepName.RESERVE) as actor:
        process.adopt(step.order_id, run_id=step.run_id)
        process.validate(step.order_id, actor=actor)
        stock.reserve(step.order_id, actor=actor, then=OrderStatus.CHECKING if step.screened else OrderStatus.CHARGING)


@activity.defn(no_thread_cancel_exception=True)
def check_fraud(step: OrderStep) -> bool:
    """Whether the order is suspicious and a person must decide."""
    with _effect(step.order_id, StepName.FRAUD) as actor:
        return fraud.check(step.order_id, actor=actor)


@activity.defn(no_thread_cancel_exception=True)
def settle_review(step: OrderStep) -> ReviewStanding:
    with translated_errors(), _with_a_row(step.order_id):
        commands.require_not_cancelled(step.order_id)
        standing = reviewing.settle(step.order_id, actor=engine_actor(ACTOR))
        return ReviewStanding(approved=standing.approved, wait_seconds=standing.wait_seconds)


@activity.defn(no_thread_cancel_exception=True)
def settle_hold(step: OrderStep) -> bool:
    """Whether the order is held; if so its page says so from now on."""
    with translated_errors(), _with_a_row(step.order_id):
        commands.require_not_cancelled(step.order_id)
        return holding.settle(step.order_id, actor=engine_actor(ACTOR))


@activity.defn(no_thread_cancel_exception=True)
def charge_payment(step: OrderStep) -> PaymentStanding | None:
    """Where the payment stands; nothing from a worker of before, which knew payments that were taken at once only."""
    with _effect(step.order_id, StepName.CHARGE) as actor:
        standing = payments.charge(step.order_id, actor=actor)
        return PaymentStanding(taken=standing.taken, wait_seconds=standing.wait_seconds)


@activity.defn(no_thread_cancel_exception=True)
def ship_order(step: OrderStep) -> None:
    with _effect(step.order_id, StepName.SHIP) as actor:
        shipping.ship(step.order_id, actor=actor)


@activity.defn(no_thread_cancel_exception=True)
def complete_order(step: OrderStep) -> None:
    with _effect(step.order_id, StepName.COMPLETE) as actor:
        process.complete(step.order_id, actor=actor)


@activity.defn(no_thread_cancel_exception=True)
def begin_undo(undo: UndoOrder) -> bool:
    """False when the order was completed before the undo could begin. Fails as not due when nothing speaks for it."""
    cancelled = undo.failure_type is FailureType.CANCELLED
    unproven = EventType.ENGINE_CANCEL_IGNORED if cancelled else EventType.STEP_UNPROVEN
    with _effect(undo.order_id, undoing=True, unproven=unproven) as actor:
        return process.begin_proven_undo(
            undo.order_id, failure_type=undo.failure_type, message=undo.message, actor=actor
        )


@activity.defn(no_thread_cancel_exception=True)
def undo_shipment(step: OrderStep) -> None:
    with _effect(step.order_id, undoing=True) as actor:
        shipping.undo_ship(step.order_id, actor=actor)


@activity.defn(no_thread_cancel_exception=True)
def undo_payment(step: OrderStep) -> None:
    with _effect(step.order_id, undoing=True) as actor:
        payments.undo_charge(step.order_id, actor=actor)


@activity.defn(no_thread_cancel_exception=True)
def release_stock(step: OrderStep) -> None:
    with _effect(step.order_id, undoing=True) as actor:
        stock.release(step.order_id, actor=actor)


@activity.defn(no_thread_cancel_exception=True)
def close_order(step: OrderStep) -> OrderStatus:
    """The terminal status that the order has now."""
    with _effect(step.order_id, undoing=True) as actor:
        return process.close(step.order_id, actor=actor)
