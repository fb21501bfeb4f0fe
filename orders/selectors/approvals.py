"""What waits for a second person, as the pages of its subjects show it: who asked, when, why, where it is decided."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Exists, Model, OuterRef, Q, QuerySet
from django.urls import reverse

from orders import clock
from orders.access import COMMANDS
from orders.actor import Actor
from orders.models import Approval
from orders.selectors.approval_kinds import KINDS
from orders.vocabulary import ApprovalStatus
from orders.wording import Tone, status_word

DECIDE = "orders.decide_approval"
ASKED_SHOWN = 200
#: on one page; Today and the list of requests have all
WAITING_SHOWN = 20
WAITS = "Waits for a second person"
TONES = {
    ApprovalStatus.WAITING: Tone.WAITING,
    ApprovalStatus.DONE: Tone.DONE,
    ApprovalStatus.DECLINED: Tone.TROUBLE,
}


@dataclass(frozen=True, kw_only=True)
class Waiting:
    """A request that waits, on the page of what it is about."""

    approval: Approval
    says: str
    asked_by: str
    asked_at: datetime
    reason: str
    expires_at: datetime
    #: its page; empty for a reader who may not open it
    address: str


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A request in the list of whoever asked."""

    approval: Approval
    address: str
    word: str
    tone: Tone


def visible_to(actor: Actor) -> QuerySet[Approval]:
    """The actor's own requests; with the permission to see others', also those for commands that the actor could give.

    With who asked and who decided.
    """
    known = Q(command__in=_could_decide(actor)) if actor.may("orders.view_approval") else Q(pk=None)
    own = Q(requested_by=actor.user.pk) if actor.user is not None and actor.user.pk else Q(pk=None)
    return Approval.objects.select_related("requested_by", "decided_by").filter(known | own)


def of_asker(actor: Actor) -> QuerySet[Approval]:
    """What the actor asked for, decided or not, the newest first."""
    return visible_to(actor).filter(requested_by=actor.user.pk if actor.user else None).order_by("-requested_at")


def to_decide(actor: Actor) -> QuerySet[Approval]:
    """What waits and the actor may decide, the oldest first."""
    if not actor.may(DECIDE):
        return Approval.objects.none()
    waiting = visible_to(actor).filter(
        command__in=_could_decide(actor), status=ApprovalStatus.WAITING, expires_at__gt=clock.now()
    )
    return waiting.exclude(requested_by=actor.user.pk if actor.user else None).order_by("requested_at")


def may_ask(actor: Actor) -> bool:
    """Whether the actor may give a command that can take two people."""
    return bool(_could_give(actor))


def _could_give(actor: Actor) -> list[str]:
    return [rule.name for rule in COMMANDS if rule.four_eyes and actor.may(rule.permission)]


def _could_decide(actor: Actor) -> list[str]:
    return [rule.name for rule in COMMANDS if rule.four_eyes and actor.may(rule.second_needs)]


def waiting() -> QuerySet[Approval]:
    """What somebody can still decide."""
    return Approval.objects.filter(status=ApprovalStatus.WAITING, expires_at__gt=clock.now())


def waiting_on(thing: Model, *, reader: Actor) -> list[Waiting]:
    """What waits about `thing`, the oldest first: two queries, one where nothing does."""
    about = Q(pk=None)
    for command, kind in KINDS.items():
        if isinstance(thing, kind.model):
            about |= Q(command=command) & kind.about(thing)
    return _shown(about, reader)


def waiting_about(model: type[Model], *, reader: Actor) -> list[Waiting]:
    """What waits about any row of the table, or about one that is to be made; the oldest first."""
    return _shown(Q(command__in=commands_about(model)), reader)


def _shown(about: Q, reader: Actor) -> list[Waiting]:
    found = list(waiting().filter(about).select_related("requested_by").order_by("requested_at")[:WAITING_SHOWN])
    opens = set(visible_to(reader).filter(pk__in=[one.pk for one in found]).values_list("pk", flat=True))
    return [
        Waiting(
            approval=one,
            says=one.says,
            asked_by=one.requested_by.get_username(),
            asked_at=one.requested_at,
            reason=one.reason,
            expires_at=one.expires_at,
            address=address_of(one) if one.pk in opens else "",
        )
        for one in found
    ]


def commands_about(model: type[Model]) -> list[str]:
    return [command for command, kind in KINDS.items() if kind.model is model]


def waits(commands: Iterable[str], field: str) -> Exists:
    """Whether one of the commands waits about the outer row, whose `field` is the subject of its requests."""
    return Exists(waiting().filter(command__in=list(commands), subject=OuterRef(field)))


def asked_by(actor: Actor) -> list[Asked]:
    """The newest first."""
    return [
        Asked(approval=one, address=address_of(one), word=word_of(one), tone=tone_of(one))
        for one in of_asker(actor)[:ASKED_SHOWN]
    ]


def address_of(approval: Approval) -> str:
    return reverse("orders:approval", args=[approval.pk])


def is_waiting(approval: Approval) -> bool:
    return approval.status == ApprovalStatus.WAITING and approval.expires_at > clock.now()


def word_of(approval: Approval) -> str:
    """Where it stands; one whose time is over has expired, although nobody has closed it yet."""
    if approval.status != ApprovalStatus.WAITING:
        return status_word(approval.status)
    return WAITS if is_waiting(approval) else status_word(ApprovalStatus.EXPIRED)


def tone_of(approval: Approval) -> Tone:
    expired = approval.status == ApprovalStatus.WAITING and not is_waiting(approval)
    return Tone.NEUTRAL if expired else TONES.get(ApprovalStatus(approval.status), Tone.NEUTRAL)


def people_of(approval: Approval) -> list[tuple[str, Any]]:
    """(what, moment) of what happened to it, in the order of the events."""
    told = [(f"Asked for by {approval.requested_by}: {approval.reason}", approval.requested_at)]
    if approval.decided_at is not None:
        by = f" by {approval.decided_by}" if approval.decided_by else ""
        told.append((f"{word_of(approval)}{by}: {approval.decision}", approval.decided_at))
    return told
