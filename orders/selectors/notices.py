"""What became of the mail to an order's customer, for the order's page."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from orders.models import Notice, Order
from orders.vocabulary import UNSENT_NOTICES, NoticeKind, NoticeStatus, OrderStatus
from orders.wording import NOTICE_TITLES, NOTICE_TONES, Tone, status_word


@dataclass(frozen=True, kw_only=True)
class Shown:
    what: str
    tone: Tone
    word: str
    at: datetime
    attempts: int
    note: str


def notices_of(order: Order) -> list[Shown]:
    """One query, and none for an order of which there is nothing to tell."""
    if order.status != OrderStatus.FAILED:
        return []
    return [_shown(notice) for notice in order.notices.all()]


def has_unsent(order: Order) -> bool:
    """Whether a notice can be asked for again."""
    if order.status != OrderStatus.FAILED or order.customer_id is None:
        return False
    return order.notices.filter(status__in=UNSENT_NOTICES).exists()


def _shown(notice: Notice) -> Shown:
    status = NoticeStatus(notice.status)
    return Shown(
        what=NOTICE_TITLES[NoticeKind(notice.kind)],
        tone=NOTICE_TONES[status],
        word=status_word(status),
        at=notice.finished_at or notice.created_at,
        attempts=notice.attempts,
        note=notice.note,
    )
