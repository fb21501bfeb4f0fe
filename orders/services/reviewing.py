"""The review of a suspicious order: claim, ask, extend, approve, reject; and what happens when nobody decides.

A verdict binds: `settle` reads it from the case when the process asks, and the charge refuses an order whose case is
not approved. So neither a lost message nor a forged one can move money.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

from django.db import transaction

from orders import clock, history
from orders.actor import Actor
from orders.errors import InvalidInput, NotPermitted, ReviewRejected, WrongState
from orders.models import Command, FraudRules, Order, ReviewCase
from orders.services import accounts, commands, holding
from orders.vocabulary import ActorKind, CommandKind, EventType, OrderStatus, ReviewStatus, Topic

DECIDE = "orders.decide_review"
MAX_EXTENSION_HOURS = 14 * 24
#: a second click moves a deadline by less than this
SAME_DEADLINE = timedelta(minutes=1)


@dataclass(frozen=True, kw_only=True)
class Standing:
    """What the process must know of the review."""

    approved: bool
    #: seconds until the case must be looked at again; 0 when approved
    wait_seconds: float


def claim(order_number: str, *, actor: Actor, reason: str = "Claimed") -> ReviewCase:
    """Become the case's owner. Raises `WrongState` naming who owns or decided it, and when."""
    actor.require("orders.decide_review")
    with _open_case(order_number) as (order, case):
        if case.owner_id and case.owner_id == _user_id(actor):
            return case
        if case.owner is not None:
            who = commands.said_who(order, CommandKind.REVIEW_CLAIM, "claimed it")
            raise WrongState(f"The case of {order.number} is {case.owner.get_username()}'s.{who}")
        case.owner_id = _user_id(actor)
        case.save(update_fields=["owner"])
        _tell(order, CommandKind.REVIEW_CLAIM, EventType.REVIEW_CLAIMED, actor, reason)
    return case


def ask(order_number: str, *, question: str, actor: Actor) -> ReviewCase:
    """Note what must be known before the case can be decided. Raises `InvalidInput` or `WrongState`."""
    if not 1 <= len(question.strip()) <= 500:
        raise InvalidInput("question", "A question of 1 to 500 characters is needed.")
    actor.require("orders.decide_review")
    with _open_case(order_number) as (order, case):
        if case.question == question.strip():
            who = commands.said_who(order, CommandKind.REVIEW_ASK, "asked it")
            raise WrongState(f"This question stands on order {order.number} already.{who}")
        case.question = question.strip()
        case.save(update_fields=["question"])
        _tell(order, CommandKind.REVIEW_ASK, EventType.REVIEW_ASKED, actor, case.question)
    return case


def extend(order_number: str, *, hours: int, actor: Actor, reason: str) -> ReviewCase:
    """Give the case more time from now. Raises `InvalidInput` or `WrongState`."""
    if not 1 <= hours <= MAX_EXTENSION_HOURS:
        raise InvalidInput("hours", f"{hours} is not within 1 to {MAX_EXTENSION_HOURS} hours.")
    actor.require("orders.extend_review")
    with _open_case(order_number) as (order, case):
        deadline = clock.now() + timedelta(hours=hours)
        if abs(deadline - case.deadline_at) < SAME_DEADLINE:
            who = commands.said_who(order, CommandKind.REVIEW_EXTEND, "extended it")
            raise WrongState(f"The case of {order.number} ends at {_when(case.deadline_at)} already.{who}")
        case.deadline_at = deadline
        case.save(update_fields=["deadline_at"])
        _tell(
            order,
            CommandKind.REVIEW_EXTEND,
            EventType.REVIEW_EXTENDED,
            actor,
            reason,
            {"hours": hours, "deadline_at": case.deadline_at.isoformat()},
        )
    return case


def approve(order_number: str, *, actor: Actor, reason: str) -> ReviewCase:
    """Let the order go on; above the rules' amount the first approval waits for a second person's.

    Whoever placed the order approves nothing of it, and a first approval lapses when that person leaves or loses the
    permission. Raises `NotPermitted`, `Order.DoesNotExist`, or `WrongState` naming who decided and when.
    """
    actor.require("orders.decide_review")
    with _open_case(order_number) as (order, case):
        _refuse_placer(order, actor)
        if case.first_by is not None and not case.first_by.has_perm(DECIDE):
            case.first_by, case.first_at = None, None
        if case.needs_second and case.first_by_id is None:
            _require_person(actor)
            case.first_by_id, case.first_at = _user_id(actor), clock.now()
            case.save(update_fields=["first_by", "first_at"])
            _tell(order, CommandKind.REVIEW_APPROVE, EventType.REVIEW_SECONDED, actor, reason)
            return case
        if case.needs_second and case.first_by_id == _user_id(actor):
            raise WrongState(
                f"You approved {order.number} at {_when(case.first_at)} already; a second person must approve it too."
            )
        if case.needs_second and case.first_by_id is not None and actor.user is not None:
            accounts.require_approver(actor.user, behind=[case.first_by_id])
        _decide(order, case, ReviewStatus.APPROVED, actor, reason)
    return case


def reject(order_number: str, *, actor: Actor, reason: str) -> ReviewCase:
    """End the order: what was reserved is given back, no money moves. Raises as `approve` does."""
    actor.require("orders.decide_review")
    with _open_case(order_number) as (order, case):
        _decide(order, case, ReviewStatus.REJECTED, actor, reason)
    return case


def settle(order_id: str, *, actor: Actor) -> Standing:
    """Where the review stands, for the process: escalates and decides by default when a deadline has passed.

    Raises `ReviewRejected` when the verdict is no.
    """
    with transaction.atomic():
        order = history.lock_order(order_id)
        case = ReviewCase.objects.select_for_update().get(order=order)
        if case.status == ReviewStatus.OPEN and case.deadline_at <= clock.now():
            _deadline_passed(order, case, actor=actor)
        if case.status == ReviewStatus.OPEN:
            holding.settle(order_id, actor=actor)
            left = (case.deadline_at - clock.now()).total_seconds()
            return Standing(approved=False, wait_seconds=max(left, 1.0))
        if case.status == ReviewStatus.APPROVED:
            _go_on(order, actor=actor)
    if case.status != ReviewStatus.APPROVED:
        raise ReviewRejected(f"Rejected in review: {case.note}")
    return Standing(approved=True, wait_seconds=0)


def _go_on(order: Order, *, actor: Actor) -> None:
    """Leave the review; an order that is on hold leaves it when it is released."""
    before = order.status
    if order.resume_status == OrderStatus.IN_REVIEW:
        order.resume_status = OrderStatus.CHARGING
    elif order.status == OrderStatus.IN_REVIEW:
        order.move_to(OrderStatus.CHARGING)
    else:
        return
    history.record(
        order,
        EventType.REVIEW_OBEYED,
        actor=actor,
        reason="Approved in review; the order goes on",
        status_before=before,
        save=("resume_status",),
    )


def require_verdict(order_id: str) -> None:
    """Refuse the charge of an order whose case is not approved, or whose second person is missing."""
    case = ReviewCase.objects.filter(order_id=order_id).first()
    if case is None or case.status == ReviewStatus.APPROVED:
        return
    raise ReviewRejected(f"Nobody approved this order in review; its case is {case.status}.")


def _decide(order: Order, case: ReviewCase, verdict: ReviewStatus, actor: Actor, reason: str) -> None:
    if actor.kind is ActorKind.PERSON:
        case.decided_by_id = _user_id(actor)
    case.status, case.decided_at, case.note = verdict, clock.now(), reason[:500]
    case.save(update_fields=["status", "decided_by", "decided_at", "note"])
    kind = CommandKind.REVIEW_APPROVE if verdict is ReviewStatus.APPROVED else CommandKind.REVIEW_REJECT
    _tell(order, kind, EventType.REVIEW_DECIDED, actor, reason, {"verdict": verdict})


def _deadline_passed(order: Order, case: ReviewCase, *, actor: Actor) -> None:
    rules = FraudRules.objects.get(pk=order.fraud_check.rules_id)
    if case.escalated_at is None:
        case.escalated_at = clock.now()
        case.deadline_at = case.escalated_at + timedelta(hours=rules.escalation_hours)
        case.save(update_fields=["escalated_at", "deadline_at"])
        history.record(
            order,
            EventType.REVIEW_ESCALATED,
            actor=actor,
            reason="Nobody decided in time; the case goes to the lead",
            data={"deadline_at": case.deadline_at.isoformat()},
        )
        return
    verdict = ReviewStatus(rules.default_verdict)
    if verdict is ReviewStatus.APPROVED and case.needs_second:
        # Nobody is not two people.
        verdict = ReviewStatus.REJECTED
    _decide(order, case, verdict, actor, "Nobody decided in time; the default of the rules counts")


@contextmanager
def _open_case(order_number: str) -> Iterator[tuple[Order, ReviewCase]]:
    """The order and its open case, locked in this order; raises when there is none or it is decided."""
    with transaction.atomic():
        order = Order.objects.select_for_update(no_key=True).get(number=order_number)
        case = ReviewCase.objects.select_for_update(of=("self",)).filter(order=order).first()
        if case is None:
            raise WrongState(f"Order {order.number} is {order.status}; it is not in review.")
        if case.status != ReviewStatus.OPEN:
            by = case.decided_by.get_username() if case.decided_by else "nobody in time"
            raise WrongState(f"The case of {order.number} was {case.status} by {by} at {_when(case.decided_at)}.")
        yield order, case


def _tell(
    order: Order, kind: CommandKind, event: EventType, actor: Actor, reason: str, data: dict[str, object] | None = None
) -> Command:
    command = commands.record(kind, order, actor=actor, reason=reason, done="Noted.", tell=Topic.TELL_ORDER)
    history.record(
        order,
        event,
        actor=actor,
        reason=reason,
        data={"command": str(command.id), **(data or {})},
    )
    return command


def close_case(order: Order, *, reason: str) -> None:
    """The order ended before a verdict; the case leaves the queue."""
    ReviewCase.objects.filter(order=order, status=ReviewStatus.OPEN).update(
        status=ReviewStatus.CLOSED, decided_at=clock.now(), note=reason[:500]
    )


def _refuse_placer(order: Order, actor: Actor) -> None:
    placed = order.events.filter(type=EventType.PLACED, actor_kind=ActorKind.PERSON).first()
    if placed is not None and actor.kind is ActorKind.PERSON and placed.actor == actor.name:
        raise NotPermitted(f"You placed order {order.number} yourself; another person must review it.")


def _require_person(actor: Actor) -> None:
    if _user_id(actor) is None:
        raise WrongState("Above this amount two people must approve; a program cannot be one of them.")


def _user_id(actor: Actor) -> int | None:
    return actor.user.pk if actor.user is not None else None


def _when(moment: object) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"
