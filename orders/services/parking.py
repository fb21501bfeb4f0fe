"""Steps whose request a partner refuses as wrong: parked with a task for a lead, and not asked again all the time.

Asking again helps nobody until the cause is mended: a setting, a row of data, our own code. So the step stays open, one
task says what the partner said, and the next attempt comes after `PARKED_STEP_SECONDS`, or at once when a person has
the step tried again. The first attempt that the partner takes closes the task, and so does the end of the order.
"""

from __future__ import annotations

from datetime import timedelta

from django.conf import settings
from django.db import transaction

from orders import fence, history
from orders.actor import Actor
from orders.amounts import duration, money
from orders.errors import RequestRefused
from orders.models import Order, Refund, StaffTask, Step
from orders.services import outcomes, tasks
from orders.vocabulary import EventType, OrderStatus, RefundStatus, StepName, StepStatus, TaskKind, TaskLevel
from orders.wording import STEP_DOING

#: refunds of which the gateway is asked
ASKED_ABOUT = (RefundStatus.SENT, RefundStatus.PENDING)
#: of what the partner said; task, step and sentence tell the same words
MAX_SAID = 300


def park(held: fence.Claim, error: RequestRefused, *, actor: Actor) -> None:
    """Park the step that the claim is of; `error` then says how long to wait before the next try."""
    fence.note_failure(held, str(error)[:MAX_SAID])
    error.retry_after = timedelta(seconds=settings.PARKED_STEP_SECONDS)
    with transaction.atomic():
        order = history.lock_order(held.order_id)
        # An attempt that was overtaken has nothing to say: whoever finished the step would not close its task.
        if Step.objects.filter(pk=held.key, token=held.token, status=StepStatus.OPEN).exists():
            _tell(order, error, STEP_DOING[held.name], actor=actor, step=held.name, data={"claim": held.token})


def park_refund(refund: Refund, error: RequestRefused, *, actor: Actor) -> None:
    """The same for a refund that has a process of its own."""
    error.retry_after = timedelta(seconds=settings.PARKED_STEP_SECONDS)
    with transaction.atomic():
        order = history.lock_order(refund.order_id)
        if Refund.objects.filter(pk=refund.pk, token=refund.token, status__in=ASKED_ABOUT).exists():
            doing = f"refunding {money(refund.amount_minor, refund.currency)}"
            _tell(order, error, doing, actor=actor, data={"claim": refund.token, "refund": str(refund.pk)})


def mended(held: fence.Claim, order: Order, *, actor: Actor, skipped: bool = False) -> None:
    """The partner took the request, or a person had the step done without it.

    The caller holds the order's lock and commits the step.
    """
    if not held.is_first:
        how = "The step was done without the partner." if skipped else "The partner took the request."
        tasks.close_if_open(TaskKind.REQUEST_REFUSED, order, resolution=how, actor=actor)


def resolve(task: StaffTask, order: Order, *, note: str, reference: str, actor: Actor) -> None:
    """A lead resolved the task. An undo or a refund that they settled another way ends by their word and reference.

    Without a reference nothing but the task is closed. The caller holds the locks of order and task.
    """
    refunding = order.refunds.filter(status=RefundStatus.SENT).exists()
    if reference and (order.status == OrderStatus.UNDOING or refunding):
        outcomes.settle_by_hand(task, order, note=note, reference=reference, actor=actor)


def _tell(
    order: Order, error: RequestRefused, doing: str, *, actor: Actor, step: str = "", data: dict[str, object]
) -> None:
    """One task, and one line of the history, however often the same step is refused."""
    standing = StaffTask.of_parked_steps().filter(order=order).first()
    says = _says(order, error, doing)
    if standing is not None and _is_about(order, step, data):
        if standing.says != says:
            # What the partner says now is what somebody must read.
            standing.says = says
            standing.save(update_fields=["says"])
        return
    if standing is not None:
        tasks.close(standing, order, resolution=f"Another step is parked now: {doing}.", actor=actor)
    history.record(order, EventType.STEP_PARKED, actor=actor, reason=str(error)[:MAX_SAID], step=step, data=data)
    cause = f"{STEP_DOING[StepName(step)] if step else 'refunding'}: {str(error)[:MAX_SAID]}"
    tasks.open_task(TaskKind.REQUEST_REFUSED, order, level=TaskLevel.LEAD, says=says, actor=actor, cause=cause)


def _is_about(order: Order, step: str, data: dict[str, object]) -> bool:
    """Whether the step, or the refund, is the one that was parked last."""
    last = order.events.filter(type=EventType.STEP_PARKED).order_by("-sequence").first()
    return last is not None and (last.step, last.data.get("refund")) == (step, data.get("refund"))


def _says(order: Order, error: RequestRefused, doing: str) -> str:
    again = duration(timedelta(seconds=settings.PARKED_STEP_SECONDS))
    return (
        f"{order.number}, {doing}: {str(error)[:MAX_SAID].rstrip('.')}. Find out what is wrong and mend it, then have "
        f"the step tried again. By itself that happens every {again}."
    )
