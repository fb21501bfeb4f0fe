"""Four eyes: a command that is asked for by one person and decided by another.

A command whose rule in `orders.access` has `four_eyes` calls `ask` instead of doing its work, and
`orders.services.deciding` does it after a second person agreed. Both are asked for their permission again then: whoever
lost it, or left, has agreed to nothing. What a playbook asks for belongs to everybody who made it happen
(`orders.services.playbooks.making`), and none of them is a second person. Superusers are no exception.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from django.contrib.auth import get_user_model
from django.db import transaction

from orders import clock, history, signing
from orders.access import RULES
from orders.actor import Actor, person
from orders.errors import NotPermitted, WrongState
from orders.models import Approval, ApprovalMaker, Order
from orders.selectors.approvals import DECIDE
from orders.services import accounts
from orders.vocabulary import ApprovalStatus, Channel, EventType

#: a request that nobody decided by then comes to nothing
LIFE = timedelta(days=3)
#: what the keyed digests are for
ASKED, DECIDED = "orders_approval.asked", "orders_approval.decided"


def ask(
    command: str,
    *,
    subject: str,
    says: str,
    parameters: dict[str, Any],
    reason: str,
    actor: Actor,
    life: timedelta = LIFE,
    order: Order | None = None,
) -> Approval:
    """Record that `command` waits for a second person. Raises `NotPermitted`, or `WrongState` while one waits already.

    `says` is a command in the imperative, for it is read before and after the decision. The parameters hold everything
    that the command needs, and what it was asked in view of, such as the old price. What is asked about an order, which
    the caller has locked, stands in its history.
    """
    rule = RULES[command]
    actor.require(rule.permission)
    if actor.user is None or actor.user.pk is None:
        raise NotPermitted("A second person can only agree with a first one: sign in.", permission=rule.permission)
    with transaction.atomic():
        waiting = Approval.objects.select_for_update().filter(
            command=command, subject=subject, status=ApprovalStatus.WAITING
        )
        for other in waiting:
            if other.expires_at > clock.now():
                raise WrongState(
                    f"{other.says} This waits for a second person since {_moment(other.requested_at)}, "
                    f"asked for by {other.requested_by}."
                )
            expire(other, order, actor=actor)
        approval = Approval(
            command=command,
            subject=subject,
            says=says[:500],
            parameters=parameters,
            reason=reason[:500],
            channel=actor.channel,
            requested_by_id=actor.user.pk,
            expires_at=clock.now() + life,
        )
        parts = {maker.user_id: maker.part for maker in actor.makers if maker.user_id != actor.user.pk}
        approval.asked_digest = signing.sign(ASKED, _asked(approval, parts))
        approval.save(force_insert=True)
        ApprovalMaker.objects.bulk_create(
            ApprovalMaker(approval=approval, user_id=user_id, part=part[:200]) for user_id, part in parts.items()
        )
        if order is not None:
            tell(order, approval, EventType.APPROVAL_ASKED, reason, actor=actor)
    return approval


def claim(approval_id: UUID | str, *, actor: Actor) -> Approval:
    """The request, locked, for `actor` to decide. Raises `Approval.DoesNotExist`, `NotPermitted` or `WrongState`."""
    actor.require("orders.decide_approval")
    approval = Approval.objects.select_for_update(of=("self",)).get(pk=approval_id)
    actor.require(RULES[approval.command].second_needs)
    if actor.user is None or actor.user.pk is None:
        raise NotPermitted("The second pair of eyes is a person's: sign in.", permission=DECIDE)
    if approval.requested_by_id == actor.user.pk:
        raise NotPermitted(
            "You asked for this yourself; another person must decide.", permission="orders.decide_approval"
        )
    made = approval.makers.filter(user_id=actor.user.pk).first()
    if made is not None:
        raise NotPermitted(
            f"You {made.part}, so this happens by your doing too; another person must decide.", permission=DECIDE
        )
    if approval.status != ApprovalStatus.WAITING:
        by = f" by {approval.decided_by}" if approval.decided_by else ""
        raise WrongState(
            f"This is {approval.status} already{by}, at {_moment(approval.decided_at)}: {approval.decision}"
        )
    if approval.expires_at <= clock.now():
        raise WrongState(f"This expired at {_moment(approval.expires_at)}; it must be asked for again.")
    return approval


def require_second(approval: Approval, actor: Actor) -> None:
    """Raise `NotPermitted` unless the account of `actor`, who has claimed it, may be the second person."""
    assert actor.user is not None
    behind = {approval.requested_by_id, *approval.makers.values_list("user_id", flat=True)}
    accounts.require_approver(actor.user, behind=behind)


def being_decided(commands: Iterable[str], subject: str) -> Approval:
    """The request whose work is being done: the newest that two people agreed on."""
    done = Approval.objects.filter(command__in=commands, subject=subject, status=ApprovalStatus.DONE)
    return done.latest("decided_at")


def confirm(approval: Approval) -> Actor:
    """Before the work is done, whenever that is: the first person, if two still agree on exactly this.

    Raises `WrongState` when the request or its decision is not as it was written here (both have keyed digests),
    `NotPermitted` when one of the two left or lost the permission.
    """
    makers = approval.makers.values_list("user_id", flat=True)
    if not signing.is_signed(ASKED, _asked(approval, makers), approval.asked_digest):
        raise WrongState("What was asked for was changed since.")
    if approval.decided_by_id is None or approval.decided_by_id == approval.requested_by_id:
        raise NotPermitted("Two people must agree.")
    if approval.makers.filter(user_id=approval.decided_by_id).exists():
        raise NotPermitted("Whoever made it happen is no second person for it.")
    if not signing.is_signed(DECIDED, _decided(approval), approval.decided_digest):
        raise WrongState("That a second person agreed was not written by this program.")
    rule = RULES[approval.command]
    needed = {approval.requested_by_id: rule.permission, approval.decided_by_id: rule.second_needs}
    people = get_user_model().objects.in_bulk([approval.requested_by_id, approval.decided_by_id])  # type: ignore[list-item]
    for user_id, user in people.items():  # read anew: a user object remembers its permissions
        permission = needed[user_id]
        if not user.has_perm(permission):
            raise NotPermitted(f"{user} does not have the permission {permission} any more.", permission=permission)
    return person(people[approval.requested_by_id], Channel(approval.channel))


def sign_decision(approval: Approval) -> None:
    """Put the digest of a decision in place, which the caller saves; what nobody agreed to has none."""
    agreed = approval.status == ApprovalStatus.DONE
    approval.decided_digest = signing.sign(DECIDED, _decided(approval)) if agreed else ""


def digests_with(approval: Approval, parameters: dict[str, Any]) -> dict[str, str]:
    """The digests of a request of which an erasure takes words out, by column; without those that did not hold."""
    makers = list(approval.makers.values_list("user_id", flat=True))
    if not signing.is_signed(ASKED, _asked(approval, makers), approval.asked_digest):
        return {}
    is_agreed = signing.is_signed(DECIDED, _decided(approval), approval.decided_digest)
    approval.parameters = parameters
    approval.asked_digest = signing.sign(ASKED, _asked(approval, makers))
    agreed = {"decided_digest": signing.sign(DECIDED, _decided(approval))} if is_agreed else {}
    return {"asked_digest": approval.asked_digest, **agreed}


def _asked(approval: Approval, makers: Iterable[int]) -> list[Any]:
    who = [approval.requested_by_id, sorted(makers)]
    when = [_exactly(approval.requested_at), _exactly(approval.expires_at)]
    return [str(approval.pk), approval.command, approval.subject, approval.parameters, *who, *when]


def _decided(approval: Approval) -> list[Any]:
    decided_at = _exactly(approval.decided_at) if approval.decided_at else None
    return [str(approval.pk), approval.asked_digest, str(approval.status), approval.decided_by_id, decided_at]


def _exactly(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat()


def expire(approval: Approval, order: Order | None, *, actor: Actor) -> None:
    """Close a request that nobody decided in time; the caller has locked both."""
    approval.status, approval.decision = ApprovalStatus.EXPIRED, "Nobody decided in time."
    approval.decided_at = clock.now()
    approval.save(update_fields=["status", "decision", "decided_at"])
    if order is not None:
        tell(order, approval, EventType.APPROVAL_LAPSED, approval.decision, actor=actor)


def tell(order: Order, approval: Approval, event: EventType, why: str, *, actor: Actor) -> None:
    """Write into the history of the order, which the caller has locked, what becomes of a request about it."""
    amount = approval.parameters.get("amount_minor")
    data = evidence(approval) | ({"amount_minor": amount} if isinstance(amount, int) else {})
    history.record(order, event, actor=actor, reason=f"{approval.says} {why}", data=data)


def evidence(approval: Approval) -> dict[str, Any]:
    """Who asked and who decided, and when, for the data of an event; the moments are those of the two clicks."""
    found = {
        "approval": str(approval.pk),
        "asked_for": approval.command,
        "asked_by": approval.requested_by.get_username(),
        "asked_at": approval.requested_at.isoformat(),
    }
    if approval.decided_by is None or approval.decided_at is None:
        return found
    decided = "approved" if approval.status == ApprovalStatus.DONE else "decided"
    return found | {
        f"{decided}_by": approval.decided_by.get_username(),
        f"{decided}_at": approval.decided_at.isoformat(),
    }


def agreement(approval: Approval) -> str:
    """Both people, both moments and the approval as a sentence, for the event of what was done."""
    return (
        f"Asked for by {approval.requested_by} at {_moment(approval.requested_at)}, approved by {approval.decided_by} "
        f"at {_moment(approval.decided_at)} (approval {approval.pk})."
    )


def _moment(moment: Any) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC" if moment else ""
