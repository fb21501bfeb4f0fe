"""Disputes of payments, and refunds that were made outside, as pages and sentences need them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Count, OuterRef, QuerySet, Subquery

from orders.amounts import money
from orders.facts import Disputed
from orders.models import Dispute, Order, Refund
from orders.vocabulary import OPEN_DISPUTES, DisputeStatus, RefundStatus
from orders.wording import Tone, status_word

#: a page shows the newest
SHOWN = 20
TONES = {
    DisputeStatus.INQUIRY: Tone.WAITING,
    DisputeStatus.OPEN: Tone.TROUBLE,
    DisputeStatus.WON: Tone.DONE,
    DisputeStatus.LOST: Tone.TROUBLE,
    DisputeStatus.CLOSED: Tone.NEUTRAL,
}
#: what the bank is doing, for people
WORDS = {
    DisputeStatus.INQUIRY: "The bank asks",
    DisputeStatus.OPEN: "The bank has the money",
    DisputeStatus.WON: "Won",
    DisputeStatus.LOST: "Lost",
    DisputeStatus.CLOSED: "Closed",
}


@dataclass(frozen=True, kw_only=True)
class Shown:
    """A dispute on its order's page."""

    id: str
    word: str
    tone: Tone
    amount: str
    reason: str
    gateway_reference: str
    gateway_status: str
    opened_at: datetime
    evidence_due_at: datetime | None
    closed_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class Outside:
    """A refund on its order's page that was not made through us."""

    amount: str
    word: str
    at: datetime
    gateway_reference: str


def counts() -> dict[str, Any]:
    """What the order's row must bring along, so that an order without any costs no further query."""
    mine = Dispute.objects.filter(order=OuterRef("pk")).order_by().values("order")
    outside = Refund.objects.filter(order=OuterRef("pk"), outside=True).order_by().values("order")
    return {
        "dispute_count": Subquery(mine.annotate(n=Count("pk")).values("n")),
        "outside_count": Subquery(outside.annotate(n=Count("pk")).values("n")),
    }


def newest() -> QuerySet[Dispute]:
    return Dispute.objects.select_related("order").order_by("-opened_at", "-id")


def of_order(order: Order) -> list[Dispute]:
    """The newest disputes of an order that brings its counts along."""
    return list(order.disputes.all()[:SHOWN]) if getattr(order, "dispute_count", None) else []


def that_matters(found: list[Dispute]) -> Disputed | None:
    """An open one, else one that was lost: what the order's sentence tells."""
    by_weight = [one for one in found if one.status in OPEN_DISPUTES] or [
        one for one in found if one.status == DisputeStatus.LOST
    ]
    if not by_weight:
        return None
    dispute = by_weight[0]
    return Disputed(
        status=DisputeStatus(dispute.status),
        amount=money(dispute.amount_minor, dispute.currency),
        reason=dispute.reason.replace("_", " "),
        opened_at=dispute.opened_at,
        evidence_due_at=dispute.evidence_due_at,
    )


def shown(found: list[Dispute]) -> list[Shown]:
    return [
        Shown(
            id=str(one.pk),
            word=WORDS[DisputeStatus(one.status)],
            tone=TONES[DisputeStatus(one.status)],
            amount=money(one.amount_minor, one.currency),
            reason=status_word(one.reason),
            gateway_reference=one.gateway_reference,
            gateway_status=one.gateway_status.replace("_", " "),
            opened_at=one.opened_at,
            evidence_due_at=one.evidence_due_at,
            closed_at=one.closed_at,
        )
        for one in found
    ]


def outside_of(order: Order) -> list[Outside]:
    """The newest refunds that were made outside."""
    if not getattr(order, "outside_count", None):
        return []
    words = {RefundStatus.DROPPED: "Came back"}
    return [
        Outside(
            amount=money(one.amount_minor, one.currency),
            word=words.get(RefundStatus(one.status), status_word(one.status)),
            at=one.created_at,
            gateway_reference=one.gateway_reference,
        )
        for one in order.refunds.filter(outside=True)[:SHOWN]
    ]
