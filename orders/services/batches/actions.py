"""The table of what a batch can do: by which permission, in which way, and which orders it leaves out.

Repricing takes only orders whose processing nobody asked for: an order under way may be in a charge's look-up already,
and its amount stands.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from django.db.models import Exists, OuterRef, Q

from orders.models import Batch, BatchItem, Command, Payment, Shipment
from orders.vocabulary import (
    OPEN_ITEMS,
    TERMINAL_STATUSES,
    BatchAction,
    BatchMode,
    CommandKind,
    CommandStatus,
    Exclusion,
    OrderStatus,
    ShipmentStatus,
    TrackingStatus,
)


@dataclass(frozen=True, kw_only=True)
class ActionRule:
    """One row of the table."""

    action: BatchAction
    title: str
    #: for the one who chooses it
    says: str
    mode: BatchMode
    #: besides `orders.run_batch`
    permission: str
    #: why an order is left out, the first that holds; an order that changes afterwards is refused when its turn comes
    leaves_out: tuple[tuple[Exclusion, Q], ...]
    #: the action that takes it back; None when nothing does
    undo: BatchAction | None = None


def _command(kind: CommandKind) -> Exists:
    return Exists(Command.objects.filter(order=OuterRef("pk"), kind=kind, status=CommandStatus.ACCEPTED))


_ELSEWHERE = (
    Exclusion.IN_ANOTHER_BATCH,
    Q(Exists(BatchItem.objects.filter(order=OuterRef("pk"), status__in=sorted(OPEN_ITEMS)))),
)
_SHIPPED = (Exclusion.SHIPPED, Q(status=OrderStatus.COMPLETED))
_CLOSED = (Exclusion.CLOSED, Q(status__in=sorted(TERMINAL_STATUSES)))
_UNDOING = (Exclusion.BEING_UNDONE, Q(status=OrderStatus.UNDOING))
_IN_REVIEW = (Exclusion.HIGH_RISK, Q(status=OrderStatus.IN_REVIEW) | Q(resume_status=OrderStatus.IN_REVIEW))
_CHARGED = (
    Exclusion.CHARGED,
    Q(Exists(Payment.objects.filter(order=OuterRef("pk"), captured_minor__gt=0))),
)
_NOT_BEGUN = Q(status=OrderStatus.PLACED) | Q(status=OrderStatus.ON_HOLD, resume_status=OrderStatus.PLACED)
_BOOKED = Shipment.objects.filter(order=OuterRef("pk"), status=ShipmentStatus.BOOKED)
_NOT_SHIPPED = (Exclusion.NOT_SHIPPED, ~Q(Exists(_BOOKED)))
_CANCELLED = (Exclusion.CANCELLED_ALREADY, Q(_command(CommandKind.CANCEL)))

ACTIONS: Mapping[BatchAction, ActionRule] = {
    rule.action: rule
    for rule in (
        ActionRule(
            action=BatchAction.START,
            title="Start processing",
            says="Each order is checked, its stock reserved, the payment taken and the shipment booked.",
            mode=BatchMode.CHILDREN,
            permission="orders.start_order",
            leaves_out=(
                _ELSEWHERE,
                _SHIPPED,
                _CLOSED,
                _IN_REVIEW,
                (Exclusion.ON_HOLD, Q(status=OrderStatus.ON_HOLD)),
                (Exclusion.STARTED_ALREADY, ~Q(status=OrderStatus.PLACED)),
            ),
        ),
        ActionRule(
            action=BatchAction.HOLD,
            title="Hold",
            says="Each order stops before its next step. The undo releases exactly the orders that this batch held.",
            mode=BatchMode.CHUNKS,
            permission="orders.hold_order",
            leaves_out=(
                _ELSEWHERE,
                _SHIPPED,
                _CLOSED,
                _UNDOING,
                _CANCELLED,
                (Exclusion.HELD_ALREADY, Q(_command(CommandKind.HOLD))),
            ),
            undo=BatchAction.RELEASE,
        ),
        ActionRule(
            action=BatchAction.RELEASE,
            title="Release",
            says="Each held order goes on where it stopped.",
            mode=BatchMode.CHUNKS,
            permission="orders.hold_order",
            leaves_out=(_ELSEWHERE, _CLOSED, (Exclusion.NOT_HELD, ~Q(_command(CommandKind.HOLD)))),
        ),
        ActionRule(
            action=BatchAction.CANCEL,
            title="Cancel",
            says="Each order is cancelled and everything that was done for it is undone. This cannot be taken back.",
            mode=BatchMode.CHUNKS,
            permission="orders.cancel_order",
            leaves_out=(_ELSEWHERE, _SHIPPED, _CLOSED, _UNDOING, _CANCELLED, _IN_REVIEW),
        ),
        ActionRule(
            action=BatchAction.PLACE_AGAIN,
            title="Place again",
            says="A new order for each that failed: same lines, customer and payment method. Start them afterwards.",
            mode=BatchMode.CHUNKS,
            permission="orders.place_order",
            leaves_out=(
                _ELSEWHERE,
                (Exclusion.NOT_FAILED, ~Q(status=OrderStatus.FAILED)),
                (
                    Exclusion.PLACED_AGAIN_ALREADY,
                    Q(Exists(Command.objects.filter(order=OuterRef("pk"), kind=CommandKind.PLACE_AGAIN))),
                ),
                (
                    Exclusion.REFUND_OUTSTANDING,
                    Q(Exists(Payment.objects.filter(order=OuterRef("pk"), refunding_minor__gt=0))),
                ),
            ),
        ),
        ActionRule(
            action=BatchAction.REPRICE,
            title="Reprice",
            says="The catalogue's prices of today in orders that nobody has started. This cannot be taken back.",
            mode=BatchMode.CHUNKS,
            permission="orders.reprice_order",
            leaves_out=(
                _ELSEWHERE,
                _SHIPPED,
                _CLOSED,
                _UNDOING,
                _CHARGED,
                (Exclusion.STARTED_ALREADY, ~_NOT_BEGUN),
            ),
        ),
        ActionRule(
            action=BatchAction.PLAYBOOK,
            title="Run a playbook",
            says="A run of the playbook on each order; it acts for you, with your permissions. Some run at once.",
            mode=BatchMode.CHILDREN,
            permission="orders.run_playbook",
            leaves_out=(_ELSEWHERE,),
        ),
        ActionRule(
            action=BatchAction.RECHECK,
            title="Check again",
            says="Stock, address and prices as they are today. Changes nothing.",
            mode=BatchMode.PARALLEL,
            permission="orders.view_order",
            leaves_out=(_ELSEWHERE, _SHIPPED, _CLOSED, _UNDOING),
        ),
        ActionRule(
            action=BatchAction.CHECK_SHIPMENT,
            title="Compare with the carrier",
            says="Whether the carrier says of each shipment what we say. Changes nothing.",
            mode=BatchMode.PARALLEL,
            permission="orders.view_shipment",
            leaves_out=(_ELSEWHERE, _NOT_SHIPPED),
        ),
        ActionRule(
            action=BatchAction.REFRESH_TRACKING,
            title="Refresh tracking",
            says="Where the carrier says that each parcel is; asked at the partner's rate, and kept.",
            mode=BatchMode.PARALLEL,
            permission="orders.run_partner_calls",
            leaves_out=(
                _ELSEWHERE,
                _NOT_SHIPPED,
                (Exclusion.DELIVERED, ~Q(Exists(_BOOKED.exclude(tracking_status=TrackingStatus.DELIVERED)))),
            ),
        ),
    )
}


def left_out(action: BatchAction, undo_of: Batch | None = None) -> tuple[tuple[Exclusion, Q], ...]:
    """Why the action leaves an order out; an undo also leaves out what somebody else holds by now."""
    rules = ACTIONS[action].leaves_out
    if undo_of is None:
        return rules
    ours = Command.objects.filter(
        order=OuterRef("pk"), kind=CommandKind.HOLD, status=CommandStatus.ACCEPTED, batch=undo_of
    )
    return (*rules, (Exclusion.HELD_BY_OTHERS, ~Q(Exists(ours))))
