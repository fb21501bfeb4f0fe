"""The second person's part of four eyes: approve, and the command is done; decline, and it never will be."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from uuid import UUID

from django.db import transaction

from orders import clock, history
from orders.actor import Actor
from orders.errors import InvalidInput, WrongState
from orders.models import Approval, Order
from orders.services import approvals, catalogue, fraud_rules, refunding, role_giving
from orders.services.playbooks import naming, publishing, setting
from orders.vocabulary import ApprovalStatus, EventType

#: requests that one sweep closes
PAGE = 200

#: command -> what does its work, given the parameters and the person who asked
WORK: Mapping[str, Callable[..., None]] = {
    "change_product": catalogue.carry_out,
    refunding.COMMAND: refunding.carry_out,
    refunding.FOR_RETURN: refunding.carry_out,
    publishing.COMMAND: publishing.carry_out,
    setting.COMMAND: setting.carry_out,
    naming.ADD: naming.carry_out,
    naming.CHANGE: naming.carry_out,
    fraud_rules.COMMAND: fraud_rules.carry_out,
    role_giving.ACCOUNT: role_giving.carry_out_account,
    role_giving.GROUP: role_giving.carry_out_group,
}
#: command -> locks what the request is about. Whoever asks locks that before the request, and so must who decides.
SUBJECT: Mapping[str, Callable[[dict[str, Any]], object]] = {
    "change_product": lambda parameters: catalogue.lock_product(parameters["sku"]),
    refunding.COMMAND: lambda parameters: history.lock_order(parameters["order"]),
    refunding.FOR_RETURN: lambda parameters: history.lock_order(parameters["order"]),
    publishing.COMMAND: lambda parameters: publishing.lock_version(parameters["slug"], parameters["number"]),
    setting.COMMAND: lambda parameters: publishing.lock_playbook(parameters["slug"]),
    naming.ADD: lambda parameters: naming.lock_endpoint(parameters["name"]),
    naming.CHANGE: lambda parameters: naming.lock_endpoint(parameters["name"]),
    fraud_rules.COMMAND: lambda parameters: fraud_rules.lock_rules(),
    role_giving.ACCOUNT: lambda parameters: role_giving.lock_account(parameters["username"]),
    role_giving.GROUP: lambda parameters: role_giving.lock_group(parameters["name"]),
}


def approve(approval_id: UUID | str, *, actor: Actor, reason: str = "") -> Approval:
    """Agree, and do it in the same transaction.

    Raises `NotPermitted`, or `WrongState` naming who decided before and when. What cannot be done any more is void.
    """
    actor.require("orders.decide_approval")
    with transaction.atomic():
        asked = Approval.objects.get(pk=approval_id)
        subject = SUBJECT[asked.command](asked.parameters)
        approval = approvals.claim(approval_id, actor=actor)
        approvals.require_second(approval, actor)
        _decide(approval, ApprovalStatus.DONE, actor, reason or "Approved")
        try:
            with transaction.atomic():
                asker = approvals.confirm(approval)
                _tell(subject, approval, EventType.APPROVAL_GIVEN, actor=actor)
                WORK[approval.command](approval.parameters, actor=asker)
        except WrongState as error:
            stale = error
            _decide(approval, ApprovalStatus.VOID, actor, str(error))
            # Read anew: the one in memory counts the event that was taken back.
            _tell(SUBJECT[asked.command](asked.parameters), approval, EventType.APPROVAL_LAPSED, actor=actor)
        else:
            return approval
    # Outside of the transaction, which must keep that the request is void.
    raise stale


def decline(approval_id: UUID | str, *, actor: Actor, reason: str) -> Approval:
    """Refuse it for good. Raises `NotPermitted`, `WrongState`, or `InvalidInput` without a reason."""
    if not reason.strip():
        raise InvalidInput("reason", "A reason is needed: it is what your colleague reads.")
    with transaction.atomic():
        asked = Approval.objects.get(pk=approval_id)
        subject = SUBJECT[asked.command](asked.parameters)
        approval = approvals.claim(approval_id, actor=actor)
        _decide(approval, ApprovalStatus.DECLINED, actor, reason)
        _tell(subject, approval, EventType.APPROVAL_DECLINED, actor=actor)
    return approval


def lapse(*, actor: Actor) -> int:
    """Close what nobody decided in time, the oldest first and a page at a time; answers how many. For the sweep."""
    late = Approval.objects.filter(status=ApprovalStatus.WAITING, expires_at__lte=clock.now())
    closed = 0
    for asked in list(late.order_by("expires_at")[:PAGE]):
        with transaction.atomic():
            subject = SUBJECT[asked.command](asked.parameters)
            approval = Approval.objects.select_for_update(of=("self",)).get(pk=asked.pk)
            if approval.status == ApprovalStatus.WAITING:
                approvals.expire(approval, subject if isinstance(subject, Order) else None, actor=actor)
                closed += 1
    return closed


def _tell(subject: object, approval: Approval, event: EventType, *, actor: Actor) -> None:
    if isinstance(subject, Order):
        approvals.tell(subject, approval, event, approval.decision, actor=actor)


def _decide(approval: Approval, status: ApprovalStatus, actor: Actor, decision: str) -> None:
    approval.status, approval.decision, approval.decided_at = status, decision[:500], clock.now()
    approval.decided_by = actor.user  # type: ignore[assignment]
    approvals.sign_decision(approval)
    approval.save(update_fields=["status", "decision", "decided_at", "decided_by", "decided_digest"])
