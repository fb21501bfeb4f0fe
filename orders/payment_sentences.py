"""What a payment that waits means for its order, in words: whom it waits for, until when, and what can be done."""

from __future__ import annotations

from orders.facts import Facts, PaymentWaiting, Standing
from orders.vocabulary import PaymentWait
from orders.wording import Tone


def awaiting_payment(facts: Facts, waits: PaymentWaiting) -> Standing:
    """The sentence of an order whose payment waits for the customer, the bank or a person."""
    engine = f" {facts.engine_trouble}" if facts.engine_trouble else ""
    since, until = f"{waits.since:%d %b %H:%M} UTC", f"{waits.until:%d %b %Y %H:%M} UTC" if waits.until else ""
    if waits.whom is PaymentWait.CUSTOMER:
        link = "Send the customer the link below" if waits.has_link else "Ask the customer to confirm it with the bank"
        return Standing(
            headline="Waiting for the customer: the bank asks for a confirmation.",
            tone=Tone.WAITING,
            why=f"Since {since} the bank waits for the customer to confirm the payment of {facts.total}.",
            coming="When it is confirmed the order goes on by itself."
            + (f" Without a confirmation by {until} the payment is cancelled and the order ends." if until else "")
            + engine,
            you_can=f"{link}, choose another payment method, or cancel the order.",
        )
    if waits.whom is PaymentWait.BANK:
        return Standing(
            headline="Waiting for the bank: the debit is under way.",
            tone=Tone.WAITING,
            why=f"The bank has had the debit of {facts.total} since {since}. That may take days, without a way back.",
            coming="When it is paid the order goes on by itself; when it is not, the order ends."
            + (f" If nothing is known by {until}, a lead gets a task." if until else "")
            + engine,
            you_can="Wait, or cancel the order: the money is then given back when the bank has decided.",
        )
    return Standing(
        headline="Stopped: the gateway has the payment in a state that we do not know.",
        tone=Tone.TROUBLE,
        why=f"The gateway has said {waits.gateway_status!r} since {since}. Nothing was booked and nothing is shipped.",
        coming="The gateway is asked again every hour; a lead has a task." + engine,
        you_can="Settle the payment at the gateway and ask it again, or cancel the order.",
    )
