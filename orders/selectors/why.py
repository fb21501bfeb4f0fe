"""Why an order waits, as data: the sentence of its page for programs, with who may do what about it.

A program that only reads a status asks a person why it does not change. Everything here comes from the database, so the
answer is the same with Temporal down.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from orders.access import RULES, Role
from orders.facts import OpenStep, Standing
from orders.models import Order
from orders.selectors import offers, order_money, returns
from orders.selectors import orders as selectors
from orders.selectors.offers import May, Offer
from orders.vocabulary import StepName
from orders.wording import STEP_DOING


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """The step that is under way, as the fence knows it."""

    step: StepName
    doing: str
    number: int
    started_at: datetime
    #: whether this attempt has failed and the next one has not begun
    failed: bool
    last_error: str
    last_error_at: datetime | None
    #: the engine never gives up by number
    limit: None = None


@dataclass(frozen=True, kw_only=True)
class Act:
    """Something that a person can do about the order now, whoever that is."""

    command: str
    title: str
    permission: str
    roles: list[Role]
    #: whether the reader may
    yours: bool
    #: the return that it is about, if any
    return_id: UUID | None = None


@dataclass(frozen=True, kw_only=True)
class Why:
    order: Order
    standing: Standing
    attempt: Attempt | None
    #: when something else happens because nobody decided
    deadline_at: datetime | None
    acts: list[Act]


def why(order_number: str, *, may: May) -> Why | None:
    """At most three queries; None for an unknown number."""
    order = selectors.find(order_number)
    if order is None:
        return None
    told = selectors.tell(order, selectors.steps_of(order), may=may)
    case = offers.open_case(order, lambda permission: True)
    offered = [
        *offers.offers(order, told.commands, lambda permission: True),
        *offers.step_offers(order, told.commands, told.step, lambda permission: True),
        *(case.offers if case else ()),
    ]
    of_return = returns.offers(order, told.returns, lambda permission: True)
    open_return = returns.open_one(told.returns)
    return Why(
        order=order,
        standing=told.standing,
        attempt=_attempt(told.step),
        deadline_at=case.deadline_at if case else _payment_deadline(order),
        acts=[
            *(_act(offer, may) for offer in offered),
            *(_act(offer, may, open_return.pk if open_return else None) for offer in of_return),
        ],
    )


def _payment_deadline(order: Order) -> datetime | None:
    waits = order_money.payment_waits(getattr(order, "payment", None))
    return waits.until if waits else None


def _attempt(step: OpenStep | None) -> Attempt | None:
    if step is None:
        return None
    return Attempt(
        step=step.name,
        doing=STEP_DOING[step.name],
        number=step.attempt,
        started_at=step.claimed_at,
        failed=step.waits,
        last_error=step.last_error,
        last_error_at=step.last_error_at,
    )


def _act(offer: Offer, may: May, return_id: UUID | None = None) -> Act:
    rule = RULES[offer.name.replace("-", "_")]
    return Act(
        command=offer.name,
        title=offer.title.rstrip("…"),
        permission=rule.permission,
        roles=sorted(rule.roles),
        yours=may(rule.permission),
        return_id=return_id,
    )
