"""What customers are written: fixed sentences, so that no error of ours, no token and no address gets into a mail."""

from __future__ import annotations

from orders.amounts import money
from orders.models import Order
from orders.vocabulary import FailureType, NoticeKind

#: (what happened, what the customer can do)
FAILED: dict[FailureType, tuple[str, str]] = {
    FailureType.INVALID_ORDER: (
        "its lines and its total do not agree",
        "Please place the order again; if it happens again, answer this mail.",
    ),
    FailureType.OUT_OF_STOCK: (
        "we do not have enough of what you ordered",
        "You can order a smaller number now, or the same number later.",
    ),
    FailureType.PAYMENT_DECLINED: (
        "your bank or card company declined the payment",
        "Please order again with another means of payment, or ask your bank.",
    ),
    FailureType.CARRIER_REJECTED: (
        "our carrier does not deliver to the address of the order",
        "Please order again with another delivery address.",
    ),
}


def letter(kind: NoticeKind, order: Order) -> tuple[str, str]:
    """Subject and text. Raises KeyError for an order that ended in another way."""
    name = order.customer.name if order.customer else ""
    yours = f" (your reference {order.reference})" if order.reference else ""
    if kind is NoticeKind.PAYMENT_ACTION:
        return _confirmation(order, name, yours)
    what, can = LETTERS[kind][FailureType(order.failure_type)]
    return (
        f"Your order {order.number} could not be completed",
        f"Hello{f' {name}' if name else ''},\n\n"
        f"we could not complete your order {order.number}{yours} of {money(order.total_minor, order.currency)}: "
        f"{what}.\n\n{can}\n\n{_money(order)}\n",
    )


def _confirmation(order: Order, name: str, yours: str) -> tuple[str, str]:
    payment = order.payment
    until = f" by {payment.wait_until:%d %B %Y %H:%M} UTC" if payment.wait_until else ""
    where = (
        f"Please confirm it here{until}:\n\n{payment.action_url}"
        if payment.action_url
        else (f"Please confirm it in the app or on the website of your bank{until}.")
    )
    return (
        f"Your bank asks you to confirm the payment of order {order.number}",
        f"Hello{f' {name}' if name else ''},\n\n"
        f"your bank takes the payment of {money(order.total_minor, order.currency)} for your order {order.number}"
        f"{yours} only when you have confirmed it. {where}\n\nWithout a confirmation we cannot send your order.\n",
    )


def _money(order: Order) -> str:
    payment = getattr(order, "payment", None)
    if payment is None or not payment.captured_minor:
        return "You were not charged."
    if payment.refunded_minor == payment.captured_minor:
        return f"We gave {money(payment.refunded_minor, payment.currency)} back to your means of payment."
    kept = money(payment.captured_minor - payment.refunded_minor, payment.currency)
    return f"We owe you {kept} and give it back; our staff take care of it."


LETTERS = {NoticeKind.ORDER_FAILED: FAILED}
