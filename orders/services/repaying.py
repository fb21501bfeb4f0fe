"""Sending a refund to the gateway: claim, look up what an earlier attempt did, call, commit.

The fence is the refund's own row. The first claim asks whether those who wanted it still may; from then on it is sent,
and no attempt drops what another one may have done. The gateway's answer decides: given back, on its way, or a no, and
then the money is owed until somebody gives it back. One that is on its way is looked at until it has ended.
"""

from __future__ import annotations

from datetime import timedelta

from django.conf import settings
from django.contrib.auth import get_user_model
from django.db import transaction

from orders import clock, history
from orders.actor import Actor
from orders.errors import NotPermitted, PartnerFailed, PartnerUnavailable, RequestRefused, StaleAttempt, WrongState
from orders.models import Order, Payment, Refund
from orders.partners import breaker
from orders.partners import payments as gateway
from orders.partners.payments import NOT_GIVEN_BACK, GatewayRefund, RefundState
from orders.services import approvals, outcomes, parking, refund_outcomes, settlement
from orders.vocabulary import EventType, PartnerCode, RefundStatus

PERMISSION = "orders.refund_order"


def send(refund_id: str, *, actor: Actor) -> RefundStatus:
    """Bring the refund as far as it goes; answers where it stands. Any number of calls refund once.

    SENT is answered when the gateway has the refund in a state that nobody knows: look again, a person has a task.
    Raises `PartnerUnavailable` (retry) or `StaleAttempt` (not ours any more).
    """
    held = _claim(refund_id, actor=actor)
    if held.status not in {RefundStatus.SENT, RefundStatus.PENDING}:
        return RefundStatus(held.status)
    intent = Payment.objects.values_list("gateway_reference", flat=True).get(order_id=held.order_id)
    books = None
    try:
        with breaker.attempt(PartnerCode.PAYMENTS, subject=str(held.order_id)):
            is_first = held.status == RefundStatus.SENT and held.token == 1
            found = None if is_first else _look_up(held, intent)
            resolved = found is not None
            if found is None and held.status == RefundStatus.SENT:
                try:
                    found, resolved = _ask(held, intent)
                except gateway.RefundRefused:
                    # Money that went back without us is no reason to owe it once more.
                    books = settlement.read_if_answered(intent)
                    raise
    except gateway.RefundRefused as refusal:
        return _refuse(held, str(refusal), books, actor=actor)
    except PartnerUnavailable as error:
        _note_retry(held, error, actor=actor)
        outcomes.ask_about_refund_when_late(held, error, actor=actor)
        raise
    except RequestRefused as error:
        parking.park_refund(held, error, actor=actor)
        raise
    return _obey(held, found, resolved=resolved, actor=actor)


def _claim(refund_id: str, *, actor: Actor) -> Refund:
    """The refund with a token of ours; as it stands when there is nothing to send."""
    with transaction.atomic():
        order, refund = _locked(refund_id)
        if refund.status == RefundStatus.REQUESTED:
            try:
                _confirm(refund)
            except (NotPermitted, WrongState) as no:
                refund_outcomes.end(refund, RefundStatus.DROPPED, note=str(no))
                data = {"refund": str(refund.pk), "amount_minor": refund.amount_minor}
                history.record(order, EventType.REFUND_DROPPED, actor=actor, reason=str(no), data=data)
                return refund
            refund.status = RefundStatus.SENT
        if refund.status in {RefundStatus.SENT, RefundStatus.PENDING}:
            refund.token += 1
            refund.save(update_fields=["status", "token"])
    return refund


def _confirm(refund: Refund) -> None:
    """Whoever wanted it must still be allowed to: both, where it takes two."""
    if refund.approval is not None:
        approvals.confirm(refund.approval)
    if refund.requested_by_id is not None:
        user = get_user_model().objects.get(pk=refund.requested_by_id)
        if not user.has_perm(PERMISSION):
            raise NotPermitted(f"{user} does not have the permission {PERMISSION} any more.", permission=PERMISSION)


def _look_up(held: Refund, intent: str) -> GatewayRefund | None:
    """What the gateway has of the present try already."""
    made = gateway.refunds_of(intent)
    if held.status == RefundStatus.PENDING:
        return next((one for one in made if one.id == held.gateway_reference), None)
    named = [one for one in made if one.name == str(held.pk)]
    # The newest first: one that failed is of this try unless it is the one that an earlier try left behind. Asking
    # again would not tell, since the gateway repeats its first answer under our key.
    given = next((one for one in named if one.state not in NOT_GIVEN_BACK), None)
    return given or next((one for one in named[:1] if one.id != held.gateway_reference), None)


def _ask(held: Refund, intent: str) -> tuple[GatewayRefund, bool]:
    """The gateway's answer, and whether only a look-up told it."""
    _check(held)
    generation = f":g{held.key_generation}" if held.key_generation > 1 else ""
    try:
        made = gateway.refund(
            intent,
            amount_minor=held.amount_minor,
            key=held.key + generation,
            order=str(held.order_id),
            refund=str(held.pk),
        )
        return made, False
    except PartnerFailed:
        # It may answer so for ever under this key. After silence the key stays: the request may still be under way,
        # and under another key it would pay a second time.
        found = _look_up(held, intent)
        if found is not None:
            return found, True
        with transaction.atomic():
            _, refund = _locked(str(held.pk))
            _require(refund, held)
            refund.key_generation += 1
            refund.save(update_fields=["key_generation"])
        raise


def _obey(held: Refund, found: GatewayRefund | None, *, resolved: bool, actor: Actor) -> RefundStatus:
    """Book what the gateway says of the refund."""
    if found is None or found.state is RefundState.UNKNOWN:
        what = f"the gateway calls it {found.status[:40]!r}" if found else "the gateway does not list it any more"
        return _leave_to_a_person(held, f"It was sent, and {what}.", found=found, actor=actor)
    with transaction.atomic():
        order, refund = _locked(str(held.pk))
        _require(refund, held)
        if found.state is RefundState.SUCCEEDED:
            lost = resolved and held.status == RefundStatus.SENT
            asked = f". {refund.actor} asked for it: {refund.reason}"
            how = "; an earlier attempt had lost its answer" if lost else asked
            reason = f"The gateway gave the money back{how}"
            data = {"claim": held.token, **({"resolved_by_lookup": True} if lost else {})}
            if refund.approval is not None:
                reason = f"{approvals.agreement(refund.approval)} {reason}"
                data |= approvals.evidence(refund.approval)
            refund_outcomes.gave_back(order, refund, found, actor=actor, reason=reason, data=data)
        elif found.state in NOT_GIVEN_BACK:
            says = refund_outcomes.failure_words(found)
            refund_outcomes.refuse(order, refund, says, actor=actor, found=found)
        elif refund.status == RefundStatus.SENT:
            refund_outcomes.is_on_its_way(order, refund, found, actor=actor)
    if refund.status == RefundStatus.PENDING:
        _ask_a_person_when_late(refund, actor=actor)
    return RefundStatus(refund.status)


def _refuse(held: Refund, says: str, books: settlement.Books | None, *, actor: Actor) -> RefundStatus:
    with transaction.atomic():
        order, refund = _locked(str(held.pk))
        _require(refund, held)
        refund_outcomes.refuse(order, refund, says, actor=actor)
        if books is not None:
            settlement.book(order, books, actor=actor)
        refund.refresh_from_db(fields=["status"])
    return RefundStatus(refund.status)


def _leave_to_a_person(held: Refund, why: str, *, actor: Actor, found: GatewayRefund | None = None) -> RefundStatus:
    """Nothing is booked, and nothing is given up: a task says what is not known."""
    with transaction.atomic():
        order, refund = _locked(str(held.pk))
        _require(refund, held)
        if found is not None:
            refund.gateway_reference, refund.gateway_status = found.id, found.status[:40]
            refund.save(update_fields=["gateway_reference", "gateway_status"])
        outcomes.ask_about_refund(order, refund, why, actor=actor)
    return RefundStatus(refund.status)


def _ask_a_person_when_late(refund: Refund, *, actor: Actor) -> None:
    patience = timedelta(days=settings.REFUND_PENDING_DAYS)
    began = refund.order.events.filter(type=EventType.REFUND_PENDING, data__refund=str(refund.pk)).last()
    if began is None or clock.now() - began.at < patience:
        return
    with transaction.atomic():
        order = history.lock_order(refund.order_id)
        days = settings.REFUND_PENDING_DAYS
        why = f"It is on its way for more than {days:g} days; the gateway has it as {refund.gateway_status}."
        outcomes.ask_about_refund(order, refund, why, actor=actor)


def _note_retry(held: Refund, error: PartnerUnavailable, *, actor: Actor) -> None:
    """The 1st, 2nd, 3rd, 10th, 100th ... failure gets a line; a night without the gateway must not fill the history."""
    if held.token <= 3 or str(held.token).strip("0") == "1":
        with transaction.atomic():
            order = history.lock_order(held.order_id)
            data = {"refund": str(held.pk), "claim": held.token}
            history.record(order, EventType.STEP_RETRYING, actor=actor, reason=str(error), data=data)


def _locked(refund_id: str) -> tuple[Order, Refund]:
    """The order, then its refund: every change of a refund takes the locks in this order."""
    order = history.lock_order(Refund.objects.values_list("order_id", flat=True).get(pk=refund_id))
    return order, Refund.objects.select_for_update(of=("self",)).select_related("approval").get(pk=refund_id)


def _check(held: Refund) -> None:
    """The last look before money moves."""
    _require(Refund.objects.get(pk=held.pk), held)


def _require(refund: Refund, held: Refund) -> None:
    if (refund.status, refund.token) != (held.status, held.token):
        raise StaleAttempt(f"Refund: attempt {held.token} lost its claim to attempt {refund.token}.")
