"""The activities of one order: thin shells where retries, typed failures and fences meet.

They are sync functions in the worker's thread pool. `no_thread_cancel_exception` keeps a cancellation from being thrown
into the middle of a database commit, whose outcome nobody would know then.
"""

from temporalio import activity

from orders.services import fraud, holding, payments, process, reviewing, shipping, stock
from orders.vocabulary import OrderStatus
from temporal_app.activities.context import engine_actor
from temporal_app.errors import translated_errors
from temporal_app.payloads import OrderStep, ReviewStanding, UndoOrder

ACTOR = "order process"


@activity.defn(no_thread_cancel_exception=True)
def prepare_order(step: OrderStep) -> None:
    """Adopt the run, validate, reserve: three fenced commits, no partner between them."""
    with translated_errors():
        actor = engine_actor(ACTOR)
        process.adopt(step.order_id, run_id=step.run_id)
        process.validate(step.order_id, actor=actor)
        stock.reserve(step.order_id, actor=actor, then=OrderStatus.CHECKING if step.screened else OrderStatus.CHARGING)


@activity.defn(no_thread_cancel_exception=True)
def check_fraud(step: OrderStep) -> bool:
    """Whether the order is suspicious and a person must decide."""
    with translated_errors():
        return fraud.check(step.order_id, actor=engine_actor(ACTOR))


@activity.defn(no_thread_cancel_exception=True)
def settle_review(step: OrderStep) -> ReviewStanding:
    with translated_errors():
        standing = reviewing.settle(step.order_id, actor=engine_actor(ACTOR))
        return ReviewStanding(approved=standing.approved, wait_seconds=standing.wait_seconds)


@activity.defn(no_thread_cancel_exception=True)
def settle_hold(step: OrderStep) -> bool:
    """Whether the order is held; if so its page says so from now on."""
    with translated_errors():
        return holding.settle(step.order_id, actor=engine_actor(ACTOR))


@activity.defn(no_thread_cancel_exception=True)
def charge_payment(step: OrderStep) -> None:
    with translated_errors():
        payments.charge(step.order_id, actor=engine_actor(ACTOR))


@activity.defn(no_thread_cancel_exception=True)
def ship_order(step: OrderStep) -> None:
    with translated_errors():
        shipping.ship(step.order_id, actor=engine_actor(ACTOR))


@activity.defn(no_thread_cancel_exception=True)
def complete_order(step: OrderStep) -> None:
    with translated_errors():
        process.complete(step.order_id, actor=engine_actor(ACTOR))


@activity.defn(no_thread_cancel_exception=True)
def begin_undo(undo: UndoOrder) -> bool:
    """False when the order was completed before the undo could begin."""
    with translated_errors(undoing=True):
        return process.begin_undo(
            undo.order_id, failure_type=undo.failure_type, message=undo.message, actor=engine_actor(ACTOR)
        )


@activity.defn(no_thread_cancel_exception=True)
def undo_shipment(step: OrderStep) -> None:
    with translated_errors(undoing=True):
        shipping.undo_ship(step.order_id, actor=engine_actor(ACTOR))


@activity.defn(no_thread_cancel_exception=True)
def undo_payment(step: OrderStep) -> None:
    with translated_errors(undoing=True):
        payments.undo_charge(step.order_id, actor=engine_actor(ACTOR))


@activity.defn(no_thread_cancel_exception=True)
def release_stock(step: OrderStep) -> None:
    with translated_errors(undoing=True):
        stock.release(step.order_id, actor=engine_actor(ACTOR))


@activity.defn(no_thread_cancel_exception=True)
def close_order(step: OrderStep) -> OrderStatus:
    """The terminal status that the order has now."""
    with translated_errors(undoing=True):
        return process.close(step.order_id, actor=engine_actor(ACTOR))
