"""What must always be true: a sound database gives no violation, and each thing that is broken is named.

The rules are broken by hand, with the triggers asleep: the guards that normally prevent it are tested elsewhere.
"""

import json
from collections.abc import Callable
from io import StringIO

import pytest
from django.core.management import call_command
from django.db import connection
from django.utils import timezone
from pytest_django.fixtures import Settings

from orders.actor import person
from orders.errors import PartnerUnavailable
from orders.models import LedgerTransfer, Order, OutboxMessage, Refund
from orders.partners import carrier, gateway_books
from orders.partners import payments as gateway
from orders.services import fraud, invariants, payments, process, refunding, repaying, reviewing, shipping, stock
from orders.services.books import witnesses
from orders.vocabulary import Channel, FailureType, OrderStatus, ReservationStatus
from tests.factories import TEST_ACTOR, make_order, make_prepared_order, make_product, make_reserved_order
from tests.orders.staff import make_user
from tests.simulator.talk import Http

pytestmark = pytest.mark.django_db
Tamper = Callable[..., None]


def completed_order(**options: object) -> Order:
    return finished(make_prepared_order(**options))


def finished(order: Order) -> Order:
    payments.charge(str(order.id), actor=TEST_ACTOR)
    shipping.ship(str(order.id), actor=TEST_ACTOR)
    process.complete(str(order.id), actor=TEST_ACTOR)
    order.refresh_from_db()
    return order


def cancelled_order() -> Order:
    order = make_prepared_order()
    payments.charge(str(order.id), actor=TEST_ACTOR)
    return undone(order)


def undone(order: Order) -> Order:
    process.begin_undo(str(order.id), failure_type=FailureType.CANCELLED, message="Cancelled", actor=TEST_ACTOR)
    payments.undo_charge(str(order.id), actor=TEST_ACTOR)
    stock.release(str(order.id), actor=TEST_ACTOR)
    process.close(str(order.id), actor=TEST_ACTOR)
    order.refresh_from_db()
    return order


@pytest.fixture
def order(partners: Http) -> Order:
    return completed_order()


def database() -> list[tuple[str, str, str]]:
    return [(found.invariant, found.subject, found.detail) for found in invariants.check_database()]


def books() -> list[tuple[str, str, str]]:
    return [(found.invariant, found.subject, found.detail) for found in invariants.check_books()]


def test_sound_database_gives_no_violation(order: Order) -> None:
    cancelled_order()
    make_prepared_order()
    make_order(started=True)
    make_order(guest=True)

    assert database() == []
    assert books() == []


def test_empty_database_gives_no_violation(partners: Http) -> None:
    assert database() == []
    assert books() == []


# --- Our own tables ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ("reserved = reserved + 1", "(1, 2)"),
        ("shipped = shipped + 1, on_hand = on_hand - 1", "(0, 3)"),
        ("shipped = 0, received = on_hand", "(0, 0)"),
    ],
)
def test_stock_that_does_not_match_its_orders_is_named(order: Order, tamper: Tamper, change: str, found: str) -> None:
    tamper(f"UPDATE orders_stockitem SET {change}")

    sku = order.lines.get().product.sku
    assert database() == [("stock", sku, f"reserved and shipped are {found}, the orders say (0, 2)")]


@pytest.mark.parametrize("status", [ReservationStatus.HELD, ReservationStatus.RELEASED])
def test_completed_order_that_did_not_consume_its_stock_is_named(order: Order, tamper: Tamper, status: str) -> None:
    tamper("UPDATE orders_reservation SET status = %s", status)

    assert ("reservations", order.number, f"1 still {status} on a closed order") in database()


@pytest.mark.parametrize("status", [ReservationStatus.HELD, ReservationStatus.CONSUMED])
def test_cancelled_order_that_kept_stock_is_named(partners: Http, tamper: Tamper, status: str) -> None:
    order = cancelled_order()
    tamper("UPDATE orders_reservation SET status = %s", status)

    assert ("reservations", order.number, f"1 still {status} on a closed order") in database()


@pytest.mark.parametrize("lost", ["capture", "earn"])
def test_completed_order_with_a_missing_booking_is_named(order: Order, tamper: Tamper, lost: str) -> None:
    tamper("DELETE FROM orders_ledgertransfer WHERE key = %s", f"{order.id}:{lost}")

    ((invariant, subject, detail),) = database()
    assert (invariant, subject) == ("ledger", order.number)
    assert detail.startswith("balances gateway ")


def test_booking_too_much_is_named(order: Order) -> None:
    LedgerTransfer.objects.create(
        key="again",
        order=order,
        debit_account="gateway",
        credit_account="customer",
        amount_minor=1,
        currency="GBP",
    )

    assert database() == [
        ("ledger", order.number, "balances gateway 2001, customer -1, sales -2000, by_hand 0, disputed 0")
    ]


def test_cancelled_order_whose_refund_was_not_booked_is_named(partners: Http, tamper: Tamper) -> None:
    order = cancelled_order()
    tamper("DELETE FROM orders_ledgertransfer WHERE key = %s", f"{order.id}:refund")

    assert database() == [
        ("ledger", order.number, "balances gateway 2000, customer -2000, sales 0, by_hand 0, disputed 0")
    ]


def test_completed_order_whose_total_was_changed_is_named(order: Order, tamper: Tamper) -> None:
    tamper("UPDATE orders_order SET total_minor = 1999")

    assert [found[:2] for found in database()] == [("ledger", order.number)]


def test_step_that_is_open_on_a_closed_order_is_named(order: Order, tamper: Tamper) -> None:
    tamper("UPDATE orders_step SET status = 'open' WHERE name = 'ship'")

    assert database() == [
        ("steps", order.number, "step ship is still open on a closed order"),
        ("effects", order.number, "completed, and its step ship is not done"),
    ]


def approved_order() -> Order:
    """A suspicious order that a reviewer let go on, to its end."""
    order = make_reserved_order(product=make_product(unit_price="6000.00"), quantity=1)
    assert fraud.check(str(order.id), actor=TEST_ACTOR)
    rita = person(make_user("orders.decide_review", name="rita"), Channel.API)
    reviewing.approve(order.number, actor=rita, reason="Known wholesaler")
    assert reviewing.settle(str(order.id), actor=TEST_ACTOR).approved
    return finished(order)


@pytest.mark.parametrize("status", ["rejected", "closed", "missing"])
def test_money_of_a_suspicious_order_that_nobody_approved_is_named(partners: Http, tamper: Tamper, status: str) -> None:
    order = approved_order()
    assert database() == []

    if status == "missing":
        tamper("DELETE FROM orders_reviewcase")
    else:
        tamper("UPDATE orders_reviewcase SET status = %s", status)

    parcel = [("effects", order.number, f"parcel {order.id}:ship was booked, its review is {status}")]
    assert database() == [
        *(parcel if status != "missing" else []),
        ("review", order.number, f"600000 charged, its review is {status}"),
    ]


def test_order_that_completed_after_its_cancellation_was_accepted_is_named(order: Order, tamper: Tamper) -> None:
    tamper("UPDATE orders_command SET kind = 'cancel'")

    assert database() == [
        ("cancellation", order.number, "completed, although its cancellation by test was accepted"),
    ]


def test_command_that_is_open_on_a_closed_order_is_named(order: Order, tamper: Tamper) -> None:
    tamper("UPDATE orders_command SET status = 'accepted'")

    assert database() == [("commands", order.number, "command start is still open on a closed order")]


def test_review_that_is_open_on_a_closed_order_is_named(partners: Http, tamper: Tamper) -> None:
    order = make_reserved_order(product=make_product(unit_price="6000.00"), quantity=1)
    fraud.check(str(order.id), actor=TEST_ACTOR)
    undone(order)
    assert database() == []

    tamper("UPDATE orders_reviewcase SET status = 'open', decided_at = NULL")

    assert database() == [("review", order.number, "its review is still open on a closed order")]


@pytest.mark.parametrize("status", [OrderStatus.CHARGING, OrderStatus.FAILED, OrderStatus.COMPLETED])
def test_begun_order_without_a_run_is_named(tamper: Tamper, status: OrderStatus) -> None:
    order = make_prepared_order()
    closed = timezone.now() if status != OrderStatus.CHARGING else None
    tamper("UPDATE orders_order SET process_run_id = '', status = %s, closed_at = %s", status, closed)

    assert ("one run", order.number, "no run is bound to the order") in database()


def test_message_that_nobody_takes_to_temporal_is_named_after_a_while(db: None, tamper: Tamper) -> None:
    order = make_order(started=True)
    assert database() == []

    tamper("UPDATE orders_outboxmessage SET due_at = now() - interval '11 seconds', last_error = 'UNAVAILABLE'")

    assert database() == [("outbox", f"order:{order.id}", "order.start waits: UNAVAILABLE")]
    OutboxMessage.objects.update(delivered_at=timezone.now())
    assert database() == []


def test_history_that_was_changed_is_named_with_its_event(order: Order, tamper: Tamper) -> None:
    tamper("UPDATE orders_orderevent SET actor = 'somebody else' WHERE sequence = 5")

    assert database() == [("history", order.number, "event 5: the row was changed")]


def test_history_that_was_cut_off_is_named(order: Order, tamper: Tamper) -> None:
    tamper("DELETE FROM orders_orderevent WHERE sequence = 7")

    assert database() == [("history", order.number, "event 7: the chain does not end at its head")]


def test_every_violation_is_told_not_only_the_first(order: Order, tamper: Tamper) -> None:
    tamper("UPDATE orders_step SET status = 'open' WHERE name = 'ship'")
    tamper("UPDATE orders_orderevent SET reason = 'x' WHERE sequence = 2")
    tamper("UPDATE orders_stockitem SET reserved = 3")

    assert [found[0] for found in database()] == ["stock", "steps", "effects", "history"]


# --- The partners' books ----------------------------------------------------------------------------------------------


def test_charge_that_our_ledger_does_not_know_is_found_at_the_gateway(order: Order, tamper: Tamper) -> None:
    tamper("DELETE FROM orders_ledgertransfer WHERE key = %s", f"{order.id}:capture")

    assert books() == [("books", order.number, "the gateway holds 2000, our ledger says 0")]


def test_second_charge_of_an_order_is_found(order: Order) -> None:
    intent = gateway.create_intent(
        key="a second time", order=str(order.id), amount_minor=2000, currency="GBP", payment_method="pm_card_visa"
    )
    gateway.confirm(intent.id, key="a second time, confirmed")

    details = {detail for _, _, detail in books()}
    assert details == {
        "the gateway holds 4000, our ledger says 2000",
        "charged 4000 of 2000",
        "charged 2 times",
        "2 payments at the gateway for 1 payment method",
        "2 payments stand at the gateway",
    }


def test_refund_that_nobody_booked_is_found(order: Order) -> None:
    made = gateway.refund(order.payment.gateway_reference, amount_minor=500, key="by hand", order=str(order.id))

    assert books() == [
        ("books", order.number, "the gateway holds 1500, our ledger says 2000"),
        ("books", order.number, f"no row for refund {made.id}"),
    ]


def test_charge_in_another_currency_is_found(order: Order, tamper: Tamper) -> None:
    tamper("UPDATE orders_order SET currency = 'EUR'")

    assert books() == [("books", order.number, "charged in gbp")]


def test_parcel_of_a_cancelled_order_is_found(partners: Http) -> None:
    order = cancelled_order()
    carrier.book(f"{order.id}:ship", order=str(order.id), country="GB", pieces=2)

    assert books() == [("books", order.number, "1 shipments on their way")]


def test_completed_order_whose_parcel_was_cancelled_is_found(order: Order) -> None:
    carrier.cancel(f"{order.id}:ship", order=str(order.id))

    assert books() == [("books", order.number, "0 shipments on their way")]


def test_completed_order_that_the_partners_never_heard_of_is_found(order: Order, partners: Http) -> None:
    partners.request("DELETE", "/store")

    assert books() == [("books", order.number, "completed, but the partners never heard of it")]


def test_charge_for_an_order_that_we_do_not_have_is_found(partners: Http) -> None:
    intent = gateway.create_intent(
        key="orphan", order="no-such-order", amount_minor=500, currency="GBP", payment_method="pm_card_visa"
    )
    gateway.confirm(intent.id, key="orphan, confirmed")

    assert books() == [("books", "no-such-order", "the partner knows an order that we do not")]


def test_order_under_way_is_not_accused(partners: Http) -> None:
    order = make_prepared_order()
    partners.fault(partner="payments", operation="payment_intents.confirm", mode="error_after", times=1)
    with pytest.raises(PartnerUnavailable):
        payments.charge(str(order.id), actor=TEST_ACTOR)

    assert books() == []


def test_order_whose_parcel_is_booked_and_that_is_not_completed_yet_is_not_accused(partners: Http) -> None:
    order = make_prepared_order()
    payments.charge(str(order.id), actor=TEST_ACTOR)
    shipping.ship(str(order.id), actor=TEST_ACTOR)

    assert books() == []


def test_books_are_read_page_by_page_from_every_witness(partners: Http, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(witnesses, "PAGE", 2)
    monkeypatch.setattr(gateway_books, "PAGE", 2)
    product = make_product()
    orders = [completed_order(product=product) for _ in range(5)]

    for witness in witnesses.witnesses():
        pages = list(witness.books())
        assert [len(page) for page in pages] == [2, 2, 1]
        assert {order_id for page in pages for order_id in page} == {str(order.id) for order in orders}
    assert books() == []


def test_books_are_compared_with_the_lists_alone_where_there_is_no_other_witness(
    order: Order, settings: Settings, tamper: Tamper
) -> None:
    settings.SIMULATOR_URL = ""
    assert [witness.name for witness in witnesses.witnesses()] == ["the gateway's lists"]
    assert books() == []

    tamper("DELETE FROM orders_ledgertransfer WHERE key = %s", f"{order.id}:capture")

    assert books() == [("books", order.number, "the gateway holds 2000, our ledger says 0")]


def test_money_that_names_no_order_is_found_by_the_lists(partners: Http, settings: Settings) -> None:
    settings.SIMULATOR_URL = ""
    for amount in (500, 700):
        intent = gateway.create_intent(
            key=f"k{amount}", order="", amount_minor=amount, currency="GBP", payment_method="pm_card_visa"
        )
        if amount == 500:
            gateway.confirm(intent.id, key="c")

    assert books() == [("books", "no order", "the partner knows an order that we do not")]


def test_refund_that_failed_at_the_gateway_and_not_here_is_found(partners: Http, settings: Settings) -> None:
    settings.SIMULATOR_URL = ""
    order = completed_order(payment_method="pm_card_refundFail")
    refund = refunding.request(order.number, amount_minor=500, actor=TEST_ACTOR, reason="Broken")
    assert isinstance(refund, Refund)
    assert repaying.send(str(refund.pk), actor=TEST_ACTOR) == "done"
    assert books() == []

    partners.request("POST", "/clock", {"advance_seconds": 86_400})

    assert books() == [("books", order.number, "the gateway holds 2000, our ledger says 1500")]


def test_dispute_that_nobody_booked_is_found_until_it_is_booked(partners: Http, tamper: Tamper) -> None:
    order = completed_order(payment_method="pm_card_createDispute")
    partners.request("POST", "/clock", {"advance_seconds": 86_400})
    assert books() == [("books", order.number, "the gateway holds 0, our ledger says 2000")]

    LedgerTransfer.objects.create(
        key="taken",
        order=order,
        debit_account="disputed",
        credit_account="gateway",
        amount_minor=2000,
        currency="GBP",
    )

    assert books() == []


def test_refund_that_is_on_its_way_has_left_the_gateway_and_not_our_ledger(order: Order, tamper: Tamper) -> None:
    made = gateway.refund(order.payment.gateway_reference, amount_minor=500, key="slow", order=str(order.id))
    Refund.objects.create(
        order=order,
        amount_minor=500,
        currency="GBP",
        reason="Broken",
        key="slow",
        actor="test",
        channel="cli",
        status="pending",
        gateway_reference=made.id,
    )

    assert books() == []
    tamper("UPDATE orders_refund SET status = 'refused'")
    assert [detail for _, _, detail in books()] == ["the gateway holds 1500, our ledger says 2000"]


# --- manage.py verify_invariants --------------------------------------------------------------------------------------


def verify() -> tuple[int, dict[str, object]]:
    """Exit code and JSON of the command, with Temporal left out."""
    out, code = StringIO(), 0
    try:
        call_command("verify_invariants", "--json", stdout=out, stderr=StringIO())
    except SystemExit as leaving:
        code = int(leaving.code or 0)
    return code, json.loads(out.getvalue())


@pytest.fixture(autouse=True)
def _without_temporal(settings: Settings) -> None:
    settings.TEMPORAL_ADDRESS = ""


def test_command_exits_with_zero_when_everything_holds(order: Order) -> None:
    assert verify() == (
        0,
        {
            "ok": True,
            "orders": 1,
            "checked": ["database", "the gateway's lists", "the simulator's books"],
            "witnesses": ["the gateway's lists", "the simulator's books"],
            "unchecked": {},
            "violations": [],
        },
    )


def test_command_exits_with_one_and_names_each_violation(order: Order, tamper: Tamper) -> None:
    tamper("UPDATE orders_step SET status = 'open' WHERE name = 'ship'")

    code, report = verify()

    assert (code, report["ok"]) == (1, False)
    assert report["violations"] == [
        {"invariant": "steps", "subject": order.number, "detail": "step ship is still open on a closed order"},
        {"invariant": "effects", "subject": order.number, "detail": "completed, and its step ship is not done"},
    ]


def test_command_says_what_two_witnesses_say_once(order: Order, tamper: Tamper) -> None:
    tamper("UPDATE orders_ledgertransfer SET amount_minor = 1 WHERE key = %s", f"{order.id}:capture")

    _, report = verify()

    told = [found for found in report["violations"] if found["invariant"] == "books"]  # type: ignore[attr-defined]
    assert [found["detail"] for found in told] == ["the gateway holds 2000, our ledger says 1"]


def test_command_does_not_pass_when_a_witness_could_not_be_asked(
    order: Order, settings: Settings, partners: Http
) -> None:
    partners.fault(partner="payments", operation="refunds.list", mode="error_before")

    code, report = verify()

    assert (code, report["witnesses"]) == (1, ["the simulator's books"])
    assert report["unchecked"] == {"the gateway's lists": "The payment gateway answered 500."}

    settings.SIMULATOR_URL = "http://127.0.0.1:9"

    assert verify()[1]["witnesses"] == []


def test_checks_write_nothing(order: Order) -> None:
    with connection.cursor() as cursor:
        # Until the end of the test: nothing takes it back within a transaction. What is deferred is checked before.
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("SET LOCAL transaction_read_only = on")
    assert verify()[0] == 0
