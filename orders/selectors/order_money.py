"""The money of an order as its page tells it: what is to be taken, what was, whom it waits for, and the ledger."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from orders.amounts import money
from orders.facts import PaymentWaiting
from orders.models import LedgerTransfer, Order, Payment, Refund
from orders.vocabulary import PaymentWait
from orders.wording import status_word


@dataclass(frozen=True, kw_only=True)
class Transfer:
    at: datetime
    words: str
    amount: str


def payment_waits(payment: Payment | None) -> PaymentWaiting | None:
    """Whom the payment waits for, if it waits."""
    if payment is None or not payment.waits_for or payment.waiting_since is None:
        return None
    return PaymentWaiting(
        whom=PaymentWait(payment.waits_for),
        since=payment.waiting_since,
        until=payment.wait_until,
        has_link=bool(payment.action_url),
        gateway_status=payment.gateway_status,
    )


def total(refunds: list[Refund]) -> str:
    """The sum of the refunds, formatted; empty for none."""
    return money(sum(one.amount_minor for one in refunds), refunds[0].currency) if refunds else ""


def kept(payment: Payment | None) -> str:
    if payment is None or payment.captured_minor == payment.refunded_minor:
        return ""
    return money(payment.captured_minor - payment.refunded_minor, payment.currency)


def rows_of(order: Order, payment: Payment | None) -> list[tuple[str, str]]:
    currency = order.currency
    if payment is None:
        return [("To take", money(order.total_minor, currency)), ("Payment", "Not begun")]
    rows = [
        ("To take", money(payment.amount_minor, currency)),
        ("Taken", money(payment.captured_minor, currency)),
        ("Refunded", money(payment.refunded_minor, currency)),
        ("Payment", status_word(payment.status)),
    ]
    for label, amount in (("Kept for refunds", payment.refunding_minor), ("With the bank", payment.disputed_minor)):
        if amount:
            rows.append((label, money(amount, currency)))
    if payment.wait_until:
        rows.append(("Waits until", f"{payment.wait_until:%d %b %Y %H:%M} UTC"))
    if payment.decline_code:
        rows.append(("Decline", payment.decline_code))
    if payment.gateway_reference:
        rows.append(("Gateway", payment.gateway_reference))
    return rows


def transfers(order: Order) -> list[Transfer]:
    return [
        Transfer(
            at=row.created_at,
            words=f"{status_word(row.credit_account)} → {status_word(row.debit_account)}",
            amount=money(row.amount_minor, row.currency),
        )
        for row in LedgerTransfer.objects.filter(order=order).order_by("pk")
    ]
