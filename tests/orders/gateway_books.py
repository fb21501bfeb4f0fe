"""What tests of refunds, disputes and events share: an order that is paid, and a look at whether all books agree."""

from typing import Any

import requests
from django.conf import settings

from orders.models import Order, Payment, Refund
from orders.partners import payments as gateway
from orders.services import invariants, payments, process, refunding, repaying, settlement, shipping
from orders.vocabulary import FailureType, LedgerAccount, RefundStatus
from tests.factories import TEST_ACTOR, make_prepared_order
from tests.orders import driving
from tests.simulator.talk import Http

TOTAL = 2_000
#: the gateway's banks take so long in these tests, which turn its clock forward by hand: a slow machine decides nothing
BANKS_TAKE = 3_600


def take_time(**seconds: float) -> None:
    """Let refunds, disputes and evidence take an hour of the gateway's clock, or as long as is said."""
    slow = dict.fromkeys(("refund_seconds", "dispute_seconds", "evidence_seconds"), BANKS_TAKE)
    requests.put(f"{settings.PAYMENTS_URL}/behaviour", json=slow | seconds, timeout=10).raise_for_status()


def later(partners: Http) -> None:
    """The banks have done what they were asked."""
    partners.advance(BANKS_TAKE + 1)


def paid_order(method: str = "pm_card_visa") -> Order:
    """A completed order of 20.00, as the gateway and the carrier know it too."""
    order = charged_order(method)
    for step in (shipping.ship, process.complete):
        step(str(order.pk), actor=TEST_ACTOR)
    order.refresh_from_db()
    return order


def charged_order(method: str = "pm_card_visa") -> Order:
    """The same, not shipped yet."""
    take_time()
    order = make_prepared_order(payment_method=method)
    payments.charge(str(order.pk), actor=TEST_ACTOR)
    order.refresh_from_db()
    return order


def cancelled_order(method: str = "pm_card_visa") -> Order:
    """The same, charged and then cancelled."""
    return undo(charged_order(method))


def undo(order: Order) -> Order:
    """Cancel the order to its end."""
    actor, order_id = driving.engine(order), str(order.pk)
    process.begin_undo(order_id, failure_type=FailureType.CANCELLED, message="Changed their mind", actor=actor)
    shipping.undo_ship(order_id, actor=actor)
    payments.undo_charge(order_id, actor=actor)
    driving.stock.release(order_id, actor=actor)
    process.close(order_id, actor=actor)
    order.refresh_from_db()
    return order


def ask(order: Order, amount: int = 500, **options: Any) -> Refund:
    given = {"actor": TEST_ACTOR, "reason": "Broken lamp", **options}
    asked = refunding.request(order.number, amount_minor=amount, **given)
    assert isinstance(asked, Refund)
    return asked


def send(refund: Refund) -> RefundStatus:
    return repaying.send(str(refund.pk), actor=TEST_ACTOR)


def settle(order: Order) -> settlement.Settled:
    return settlement.settle_payment(payment(order).gateway_reference, actor=TEST_ACTOR)


def payment(order: Order) -> Payment:
    return Payment.objects.get(order=order)


def outside(order: Order, amount: int, key: str = "dashboard") -> gateway.GatewayRefund:
    """Somebody refunds in the gateway's own pages: nothing in it names us."""
    reference = payment(order).gateway_reference
    made = gateway.client().v1.refunds.create(
        {"payment_intent": reference, "amount": amount}, {"idempotency_key": f"{key}:{order.pk}"}
    )
    return gateway.as_refund(made)


def figures(order: Order) -> tuple[int, int, int]:
    """Refunded, under way or owed, and left to refund."""
    row = payment(order)
    return row.refunded_minor, row.refunding_minor, row.left_minor


def balances(order: Order) -> dict[LedgerAccount, int]:
    """The accounts that are not at zero."""
    return {name: amount for name, amount in invariants.ledger_balances()[str(order.pk)].items() if amount}


def assert_all_agree(order: Order, partners: Http) -> None:
    """The ledger holds what the gateway holds, and no rule of our own tables is broken."""
    ours = invariants.ledger_balances()[str(order.pk)][LedgerAccount.GATEWAY]
    assert ours == partners.books(str(order.pk))["net_minor"]
    # The stand-in run of these tests has no start and so no workflow; everything else must hold.
    found = [one for one in invariants.check_database() if one.invariant not in {"outbox", "one run"}]
    assert [one for one in found if one.subject == order.number] == []
