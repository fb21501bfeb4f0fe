"""What must have come before an effect, by the database's word.

Temporal says which step is next, and whoever reaches Temporal can say it too: a step may be asked for that is not due,
or reported as done by somebody who did nothing. So each effect asks here, in the transaction of its fence and under the
order's lock, for the steps and the status that it rests on. What is missing is told, and the process goes through its
steps again; those that are done change nothing.
"""

from __future__ import annotations

from orders.errors import StepMissing, StepVoided
from orders.models import Order, ReviewCase
from orders.vocabulary import OrderStatus, ReviewStatus, StepName, StepStatus
from orders.wording import STEP_DOING, status_word

#: step -> the steps that must be done
BEFORE: dict[StepName, tuple[StepName, ...]] = {
    StepName.FRAUD: (StepName.VALIDATE, StepName.RESERVE),
    StepName.CHARGE: (StepName.VALIDATE, StepName.RESERVE),
    StepName.SHIP: (StepName.VALIDATE, StepName.RESERVE, StepName.CHARGE),
    StepName.COMPLETE: (StepName.VALIDATE, StepName.RESERVE, StepName.CHARGE, StepName.SHIP),
}
#: step -> the statuses in which an order may take it. Only the fraud check and an approved review lead to the charge.
STATUSES: dict[StepName, frozenset[OrderStatus]] = {
    StepName.FRAUD: frozenset({OrderStatus.CHECKING}),
    StepName.CHARGE: frozenset({OrderStatus.CHARGING, OrderStatus.AWAITING_PAYMENT}),
    StepName.SHIP: frozenset({OrderStatus.SHIPPING}),
    StepName.COMPLETE: frozenset({OrderStatus.SHIPPING}),
    StepName.RECALL: frozenset({OrderStatus.UNDOING}),
    StepName.REFUND: frozenset({OrderStatus.UNDOING}),
    StepName.RELEASE: frozenset({OrderStatus.UNDOING}),
    StepName.CLOSE: frozenset({OrderStatus.UNDOING}),
}
#: step -> its undo, which must be done before an order is closed
UNDO: dict[StepName, StepName] = {
    StepName.RESERVE: StepName.RELEASE,
    StepName.CHARGE: StepName.REFUND,
    StepName.SHIP: StepName.RECALL,
}


def require_due(order: Order, name: StepName) -> None:
    """Raise `StepMissing` unless the order may take this step now, `StepVoided` when it is being undone or has ended.

    The caller holds the order's lock.
    """
    if name in BEFORE and (order.is_terminal or order.status == OrderStatus.UNDOING):
        raise StepVoided(f"Order {order.number} is {status_word(order.status).lower()}; nothing more is done for it.")
    if name in STATUSES and order.status not in STATUSES[name]:
        raise StepMissing(
            f"Order {order.number} is {status_word(order.status).lower()}; {STEP_DOING[name]} is not due."
        )
    steps: dict[str, str] = dict(order.steps.values_list("name", "status"))
    missing = [before for before in BEFORE.get(name, ()) if steps.get(before) != StepStatus.DONE]
    if name is StepName.CLOSE:
        # A step that was ever claimed may have happened, however it looks now: its undo is what settles that.
        missing = [undo for step, undo in UNDO.items() if step in steps and steps.get(undo) != StepStatus.DONE]
    if missing:
        undone = ", ".join(STEP_DOING[step] for step in missing)
        raise StepMissing(f"Not done yet of order {order.number}: {undone}. So {STEP_DOING[name]} is not due.")
    if name in {StepName.SHIP, StepName.COMPLETE}:
        require_verdict(order)


def require_verdict(order: Order) -> None:
    """Raise `StepMissing` when the order was found suspicious and nobody has approved it."""
    case = ReviewCase.objects.filter(order=order).exclude(status=ReviewStatus.APPROVED).first()
    if case is not None:
        raise StepMissing(f"Nobody approved order {order.number} in review; its case is {case.status}.")
