"""Sending a refund to the gateway: claim, look up what an earlier attempt did, call, commit.

The fence is the refund's own row. The first claim asks whether those who wanted it still may; from then on it is sent,
and no attempt drops what another one may have done. A definite no of the gateway is not retried: the money is owed,
and a task says so until somebody gives it back.
"""

from __future__ import annotations

from django.contrib.auth import get_user_model
from django.db import transaction

from orders import history
from orders.actor import Actor
from orders.errors import NotPermitted, PartnerUnavailable, StaleAttempt, WrongState
from orders.models import Order, Payment, Refund
from orders.partners import breaker
from orders.partners import payments as gateway
from orders.services import approvals, outcomes, refunding, tasks
from orders.vocabulary import EventType, LedgerAccount, PartnerCode, RefundStatus, TaskKind

PERMISSION = "orders.refund_order"


def send(refund_id: str, *, actor: Actor) -> RefundStatus:
    """Bring the refund as far as it goes; answers where it stands. Any number of calls refund once.

    Raises `PartnerUnavailable` (retry) or `StaleAttempt` (not ours any more).
    """
    held = _claim(refund_id, actor=actor)
    if held.status != RefundStatus.SENT:
        return RefundStatus(held.status)
    intent = Payment.objects.values_list("gateway_reference", flat=True).get(order_id=held.order_id)
    name = str(held.pk)
    try:
        with breaker.attempt(PartnerCode.PAYMENTS):
            reference = gateway.find_refund(intent, name) if held.token > 1 else ""
            resolved = bool(reference)
            if not resolved:
                _check(held)
                reference = gateway.refund(
                    intent, amount_minor=held.amount_minor, key=held.key, order=str(held.order_id), refund=name
                )
    except gateway.RefundRefused as refusal:
        return _refuse(held, str(refusal), actor=actor)
    except PartnerUnavailable as error:
        _note_retry(held, error, actor=actor)
        outcomes.ask_about_refund_when_late(held, error, actor=actor)
        raise
    return _finish(held, reference, resolved=resolved, actor=actor)


def _claim(refund_id: str, *, actor: Actor) -> Refund:
    """The refund with a token of ours; as it stands when there is nothing to send."""
    with transaction.atomic():
        order, refund = _locked(refund_id)
        if refund.status == RefundStatus.REQUESTED:
            try:
                _confirm(refund)
            except (NotPermitted, WrongState) as no:
                refunding.end(refund, RefundStatus.DROPPED, note=str(no))
                data = {"refund": str(refund.pk), "amount_minor": refund.amount_minor}
                history.record(order, EventType.REFUND_DROPPED, actor=actor, reason=str(no), data=data)
                return refund
            refund.status = RefundStatus.SENT
        if refund.status == RefundStatus.SENT:
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


def _refuse(held: Refund, says: str, *, actor: Actor) -> RefundStatus:
    with transaction.atomic():
        order, refund = _locked(str(held.pk))
        _require(refund, held)
        refund.status, refund.note = RefundStatus.REFUSED, says[:500]
        refund.save(update_fields=["status", "note"])
        outcomes.heard(order, actor=actor)
        refunding.owe(order, refund, says, actor=actor)
    return RefundStatus.REFUSED


def _finish(held: Refund, reference: str, *, resolved: bool, actor: Actor) -> RefundStatus:
    with transaction.atomic():
        order, refund = _locked(str(held.pk))
        _require(refund, held)
        refund.gateway_reference = reference
        refunding.end(refund, RefundStatus.DONE)
        refunding.book(order, refund, LedgerAccount.GATEWAY)
        tasks.close_if_open(TaskKind.REFUND_OWED, order, resolution="The gateway gave the money back.", actor=actor)
        outcomes.heard(order, actor=actor)
        lookup = {"resolved_by_lookup": True} if resolved else {}
        history.record(
            order,
            EventType.REFUNDED,
            actor=actor,
            reason="The gateway gave the money back"
            + ("; an earlier attempt had lost its answer" if resolved else f": {refund.reason}"),
            data={
                "refund": str(refund.pk),
                "refunded_minor": refund.amount_minor,
                "gateway_reference": reference,
                "claim": held.token,
                **lookup,
            },
        )
    return RefundStatus.DONE


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
    if (refund.status, refund.token) != (RefundStatus.SENT, held.token):
        raise StaleAttempt(f"Refund: attempt {held.token} lost its claim to attempt {refund.token}.")
