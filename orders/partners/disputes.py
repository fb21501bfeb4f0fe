"""Disputes in the payment gateway's books: payments that the bank of a customer questions.

The statuses are those of https://docs.stripe.com/api/disputes/object; what the bank took back and returned is told by
the dispute's balance transactions, whatever the status says.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from orders.partners.payments import call, client


class DisputeState(StrEnum):
    """Every state of a dispute that the gateway publishes."""

    WARNING_NEEDS_RESPONSE = "warning_needs_response"
    WARNING_UNDER_REVIEW = "warning_under_review"
    WARNING_CLOSED = "warning_closed"
    NEEDS_RESPONSE = "needs_response"
    UNDER_REVIEW = "under_review"
    WON = "won"
    LOST = "lost"
    PREVENTED = "prevented"
    UNKNOWN = "unknown"  # ours: a word that is none of these


@dataclass(frozen=True, kw_only=True)
class GatewayDispute:
    """A dispute as the gateway sees it."""

    id: str
    #: the gateway's own word; `state` is what it means
    status: str
    amount_minor: int
    currency: str
    reason: str
    #: what the bank has of our money now, in minor units: taken and not returned
    withdrawn_minor: int
    opened_at: datetime
    #: until when the gateway takes evidence; None when it takes none
    evidence_due_at: datetime | None = None

    @property
    def state(self) -> DisputeState:
        return DisputeState(self.status) if self.status in set(DisputeState) else DisputeState.UNKNOWN


def disputes_of(intent_id: str) -> list[GatewayDispute]:
    """Every dispute of the payment, the newest first. Raises `PartnerUnavailable`."""
    asked: Any = {"payment_intent": intent_id, "limit": 100}
    return call(lambda: [as_dispute(found) for found in client().v1.disputes.list(asked).auto_paging_iter()])


def as_dispute(found: Any) -> GatewayDispute:
    """A dispute of the gateway's as ours."""
    due = getattr(getattr(found, "evidence_details", None), "due_by", None)
    moved = sum(int(one.amount) for one in getattr(found, "balance_transactions", None) or ())
    return GatewayDispute(
        id=str(found.id),
        status=str(found.status),
        amount_minor=int(found.amount),
        currency=str(found.currency).upper(),
        reason=str(getattr(found, "reason", None) or "general"),
        # Taking is a negative amount, returning a positive one; the gateway's fees stand apart.
        withdrawn_minor=min(max(-moved, 0), int(found.amount)),
        opened_at=datetime.fromtimestamp(int(found.created), UTC),
        evidence_due_at=datetime.fromtimestamp(int(due), UTC) if due else None,
    )
