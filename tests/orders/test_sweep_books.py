"""The gateway's lists against our books: walked all the time, and compared page by page."""

from collections.abc import Callable
from datetime import timedelta
from unittest import mock

import pytest
import time_machine
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django.fixtures import Settings

from orders.actor import system
from orders.models import (
    Dispute,
    Finding,
    GatewayEvent,
    LedgerTransfer,
    Order,
    PartnerHealth,
    Payment,
    StaffTask,
    SweepProgress,
    SystemEvent,
)
from orders.partners import gateway_books
from orders.partners import payments as gateway
from orders.partners.gateway_books import Listing
from orders.selectors.findings import sweep_health
from orders.services import payments, process, refunding, repaying, resolving, shipping
from orders.services.books.comparing import compare
from orders.services.sweeping import books, progress, restoring
from orders.vocabulary import FindingKind, SweepPart, TaskKind
from tests.factories import TEST_ACTOR, make_order, make_prepared_order
from tests.orders import driving, gateway_lists
from tests.orders.gateway_lists import Lists
from tests.orders.test_restored_decisions import recognised, task_lead
from tests.simulator.talk import Http

pytestmark = pytest.mark.django_db
SWEEPER = system("sweeper")


@pytest.fixture(autouse=True)
def _at_once(settings: Settings) -> None:
    """What was made and booked a moment ago is old enough to be compared."""
    settings.SWEEP_BOOKS_SETTLING_SECONDS = 0
    settings.PARTNER_CALLS_PER_SECOND = 1_000


@pytest.fixture
def lists(monkeypatch: pytest.MonkeyPatch) -> Lists:
    return gateway_lists.installed(monkeypatch)


@pytest.fixture
def completed(lists: Lists) -> Callable[[], Order]:
    def make() -> Order:
        order = driving.drive(make_order())
        lists.pay(order)
        return order

    return make


@pytest.fixture
def cancelled(lists: Lists) -> Callable[[], Order]:
    """Charged and undone: the money went back."""

    def make() -> Order:
        order = driving.drive(make_order(), carrier=driving.refuse_address())
        payment = Payment.objects.get(order=order)
        lists.give_back(lists.pay(order), order.total_minor, id=payment.refund_reference)
        return order

    return make


def sweep(*, from_the_beginning: bool = True) -> int:
    """A sweep; every list is read again unless told otherwise."""
    if from_the_beginning:
        SweepProgress.objects.filter(part=SweepPart.BOOKS).update(places={})
    return books.sweep(actor=SWEEPER)


def drifting() -> list[str]:
    standing = Finding.objects.filter(kind=FindingKind.DRIFT, resolved_at=None).order_by("order__number")
    return [found.order.number if found.order else found.reference for found in standing.select_related("order")]


def says() -> str:
    return Finding.objects.get(kind=FindingKind.DRIFT, resolved_at=None).says


# --- What is compared -------------------------------------------------------------------------------------------------
def test_books_that_agree_are_no_finding(
    lists: Lists, completed: Callable[[], Order], cancelled: Callable[[], Order]
) -> None:
    order = completed()
    cancelled()
    driving.drive(make_order(), gateway=driving.decline())
    refund = refunding.request(order.number, amount_minor=500, actor=TEST_ACTOR, reason="Broken")
    with driving.partners(), mock.patch("orders.services.repaying.gateway.refund") as give:
        give.return_value = gateway.GatewayRefund(id="re_5", status="succeeded", amount_minor=500)
        repaying.send(str(refund.pk), actor=SWEEPER)
    lists.give_back(f"pi_{order.pk}", 500, id="re_5")

    assert sweep() == 0
    assert SweepProgress.objects.get(part=SweepPart.BOOKS).looked_at == 4


def test_captured_there_and_cancelled_here_is_a_task_until_the_books_agree(lists: Lists) -> None:
    order = driving.drive(make_order(), gateway=driving.decline())
    payment = lists.pay(order)
    assert sweep() == 1
    assert sweep() == 0
    assert drifting() == [order.number]
    task = StaffTask.objects.get(kind=TaskKind.DRIFT)
    assert task.level == "lead"
    assert "gateway holds £20.00 of it, our ledger says £0.00" in task.says
    refund = lists.give_back(payment, order.total_minor)
    assert sweep() == 0
    # The sums agree, and our books know nothing of it.
    assert drifting() == [order.number]
    book_both_ways(order, refund)
    sweep(from_the_beginning=False)
    assert drifting() == []
    assert StaffTask.objects.get(kind=TaskKind.DRIFT).status == "done"


def book_both_ways(order: Order, refund: str) -> None:
    """As if we had heard of the capture and of the refund."""
    total = order.total_minor
    Payment.objects.filter(order=order).update(
        status="refunded", captured_minor=total, refunded_minor=total, refund_reference=refund
    )
    for key, debit, credit in (("capture", "gateway", "customer"), ("refund", "customer", "gateway")):
        LedgerTransfer.objects.create(
            key=f"{order.pk}:{key}",
            order=order,
            debit_account=debit,
            credit_account=credit,
            amount_minor=total,
            currency="GBP",
        )


def test_each_kind_of_difference_is_named_and_nothing_else(lists: Lists, completed: Callable[[], Order]) -> None:
    names = ("refunded", "twice", "disputed", "held", "other currency", "less")
    orders = {name: completed() for name in names}
    completed()
    lists.give_back(f"pi_{orders['refunded'].pk}", 500)
    lists.pay(orders["twice"])
    lists.dispute(f"pi_{orders['disputed'].pk}", 2000)
    lists.pay(orders["held"], received=0, authorised_minor=2000, status="requires_capture")
    lists.change(Listing.PAYMENTS, f"pi_{orders['other currency'].pk}", currency="usd")
    lists.change(Listing.PAYMENTS, f"pi_{orders['less'].pk}", received_minor=1999)

    assert sweep() == 6
    assert drifting() == sorted(order.number for order in orders.values())
    told = {name: Finding.objects.get(order=order).says for name, order in orders.items()}
    assert "the gateway gave £5.00 back, we have £0.00" in told["refunded"]
    assert "the gateway took money for it 2 times" in told["twice"]
    assert "the bank took £20.00 back in a dispute, we have £0.00" in told["disputed"]
    assert "the gateway still holds £20.00 on the card" in told["held"]
    assert "the gateway took USD, we have GBP" in told["other currency"]
    assert "the gateway took £19.99, we have £20.00" in told["less"]


def test_a_second_payment_is_remembered_although_only_its_own_page_shows_it(
    lists: Lists, completed: Callable[[], Order]
) -> None:
    order = completed()
    second = lists.pay(order)
    assert sweep() == 1
    # Asked about by itself, with nothing new in the lists.
    sweep(from_the_beginning=False)
    assert drifting() == [order.number]
    lists.change(Listing.PAYMENTS, second, received_minor=0, status="canceled")
    sweep(from_the_beginning=False)
    assert drifting() == []


def test_a_second_payment_that_is_seen_later_is_remembered_too(lists: Lists, completed: Callable[[], Order]) -> None:
    order = completed()
    lists.change(Listing.PAYMENTS, f"pi_{order.pk}", received_minor=1)
    assert sweep() == 1
    second = lists.pay(order)
    assert sweep() == 0
    lists.change(Listing.PAYMENTS, f"pi_{order.pk}", received_minor=order.total_minor)
    sweep(from_the_beginning=False)
    assert drifting() == [order.number]
    lists.change(Listing.PAYMENTS, second, received_minor=0, status="canceled")
    sweep(from_the_beginning=False)
    assert drifting() == []


@pytest.mark.parametrize("status", ["failed", "canceled"])
def test_a_refund_that_failed_there_and_is_done_here_is_found(
    lists: Lists, cancelled: Callable[[], Order], status: str
) -> None:
    order = cancelled()
    assert sweep() == 0
    lists.change(Listing.REFUNDS, Payment.objects.get(order=order).refund_reference, status=status)
    assert sweep() == 1
    assert f"the gateway did not give £20.00 back ({status}), we have £20.00" in says()


def test_a_refund_in_a_state_that_we_cannot_read_is_found(lists: Lists, cancelled: Callable[[], Order]) -> None:
    order = cancelled()
    lists.change(Listing.REFUNDS, Payment.objects.get(order=order).refund_reference, status="settled_elsewhere")
    assert sweep() == 1
    assert "a refund as 'settled_elsewhere', which we cannot read" in says()


def test_a_dispute_that_is_booked_is_no_finding(lists: Lists, completed: Callable[[], Order]) -> None:
    order = completed()
    name = lists.dispute(f"pi_{order.pk}", 2000)
    Dispute.objects.create(
        order=order,
        gateway_reference=name,
        amount_minor=2000,
        withdrawn_minor=2000,
        currency="GBP",
        reason="fraudulent",
        status="open",
        gateway_status="needs_response",
        opened_at=timezone.now(),
    )
    LedgerTransfer.objects.create(
        key="taken",
        order=order,
        debit_account="disputed",
        credit_account="gateway",
        amount_minor=2000,
        currency="GBP",
    )
    assert sweep() == 0


def test_a_ledger_that_does_not_bear_out_its_own_rows_is_found(lists: Lists, completed: Callable[[], Order]) -> None:
    order = completed()
    LedgerTransfer.objects.create(
        key="by mistake",
        order=order,
        debit_account="customer",
        credit_account="gateway",
        amount_minor=1,
        currency="GBP",
    )
    assert sweep() == 1
    assert "the gateway holds £20.00 of it, our ledger says £19.99" in says()


def test_an_undo_that_ended_by_a_persons_word_is_that_persons_to_answer_for(
    lists: Lists, cancelled: Callable[[], Order]
) -> None:
    order = cancelled()
    lists.change(Listing.REFUNDS, Payment.objects.get(order=order).refund_reference, status="failed")
    order.steps.filter(name="refund").update(result={"by_hand": "bank 17"})
    assert sweep() == 0


# --- Money of no order ------------------------------------------------------------------------------------------------
def test_money_that_belongs_to_no_order_of_ours_is_found_until_it_is_gone(
    lists: Lists, completed: Callable[[], Order]
) -> None:
    order = completed()
    nobody = "5c5d86f4-eebf-414e-a107-445af10c3f51"
    payments = {lists.pay(order, id=f"pi_{name or 'empty'}", order=name) for name in (nobody, "", "no id of ours")}
    # Its payment is older than what is read.
    lists.give_back(lists.pay(order, id="pi_elsewhere", order="", at=timezone.now() - timedelta(days=40)), 700)
    lists.pay(order, id="pi_unpaid", order="", received=0, status="canceled")

    assert sweep() == 4
    assert sweep() == 0
    assert set(drifting()) == {*payments, "pi_elsewhere"}
    assert (
        "took £20.00 for a payment of an order that we do not know"
        in Finding.objects.get(reference=f"pi_{nobody}").says
    )
    assert SystemEvent.objects.filter(error_type="MoneyOfNoOrder").count() == 4

    for payment in payments:
        lists.give_back(payment, 2000)
    sweep(from_the_beginning=False)
    assert drifting() == ["pi_elsewhere"]


# --- What is left alone -----------------------------------------------------------------------------------------------
def test_what_was_booked_a_moment_ago_is_left_to_the_next_look(
    lists: Lists, completed: Callable[[], Order], settings: Settings
) -> None:
    settings.SWEEP_BOOKS_SETTLING_SECONDS = 120
    order = completed()
    lists.change(Listing.PAYMENTS, f"pi_{order.pk}", received_minor=1)
    long_ago = timezone.now() - timedelta(minutes=3)
    page = gateway_books.Page(payments=tuple(lists.payments.values()))
    assert compare(page, settled_before=long_ago).moving == {str(order.pk)}
    assert compare(page, settled_before=timezone.now()).orders[str(order.pk)]


@pytest.mark.parametrize("what", ["charge", "undo", "refund", "event"])
def test_an_order_between_the_gateways_answer_and_our_booking_is_left_alone(
    lists: Lists, completed: Callable[[], Order], what: str
) -> None:
    order = completed()
    lists.change(Listing.PAYMENTS, f"pi_{order.pk}", received_minor=1)
    match what:
        case "charge":
            order.steps.filter(name="charge").update(status="open")
        case "undo":
            order.steps.filter(name="charge").update(name="refund", status="open")
        case "refund":
            refunding.request(order.number, amount_minor=500, actor=TEST_ACTOR, reason="Broken")
        case _:
            GatewayEvent.objects.create(
                id="evt_1",
                type="refund.failed",
                source="webhook",
                payment_reference=f"pi_{order.pk}",
                created_at=timezone.now(),
            )
    assert sweep() == 0

    order.steps.filter(status="open").update(status="done")
    order.refunds.update(status="dropped", finished_at=timezone.now())
    GatewayEvent.objects.update(handled_at=timezone.now())
    assert sweep() == 1


def test_a_refund_on_its_way_may_end_either_way_before_we_hear_of_it(
    lists: Lists, completed: Callable[[], Order]
) -> None:
    order = completed()
    refund = refunding.request(order.number, amount_minor=500, actor=TEST_ACTOR, reason="Broken")
    name = lists.give_back(f"pi_{order.pk}", 500, status="pending")
    order.refunds.update(status="pending", gateway_reference=name)
    for status in ("pending", "succeeded", "failed"):
        lists.change(Listing.REFUNDS, name, status=status)
        assert sweep() == 0
    order.refunds.filter(pk=refund.pk).update(status="done", finished_at=timezone.now())
    assert sweep() == 1


def test_an_open_order_whose_money_is_at_rest_is_compared_too(lists: Lists) -> None:
    order = driving.drive(make_order(), carrier=driving.outage())
    assert not order.is_terminal
    lists.pay(order)
    assert sweep() == 0
    lists.change(Listing.PAYMENTS, f"pi_{order.pk}", received_minor=1999)
    assert sweep() == 1


# --- The walk ---------------------------------------------------------------------------------------------------------
def test_a_page_costs_the_same_statements_however_many_orders_it_names(
    lists: Lists, completed: Callable[[], Order]
) -> None:
    def statements(count: int) -> int:
        page = gateway_books.Page(payments=tuple(lists.payments.values())[:count])
        with CaptureQueriesContext(connection) as captured:
            result = compare(page, settled_before=timezone.now())
        assert len(result.orders) == count
        return len(captured)

    for _ in range(20):
        completed()
    assert statements(20) == statements(2) <= 12


def test_as_many_pages_are_read_as_there_are(
    lists: Lists, completed: Callable[[], Order], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gateway_books, "PAGE", 2)
    orders = [completed() for _ in range(5)]
    for order in orders:
        lists.change(Listing.PAYMENTS, f"pi_{order.pk}", received_minor=1)
    assert sweep() == 5
    assert lists.asked.count("payments") == 3


def test_what_does_not_fit_into_the_share_of_calls_is_read_by_the_next_sweeps_and_the_health_card_says_so(
    lists: Lists, completed: Callable[[], Order], monkeypatch: pytest.MonkeyPatch, settings: Settings
) -> None:
    monkeypatch.setattr(gateway_books, "PAGE", 1)
    for part in SweepPart:
        progress.ran(part, looked_at=0)
    for order in [completed() for _ in range(6)]:
        lists.change(Listing.PAYMENTS, f"pi_{order.pk}", received_minor=1)
    settings.PARTNER_CALLS_PER_SECOND, settings.SWEEP_BOOKS_SHARE = 40, 0.1
    SweepProgress.objects.update(ran_at=timezone.now())
    sweep()
    assert len(lists.asked) == 4
    assert len(drifting()) == 2
    health = sweep_health()
    assert health.word == "In part"
    assert "The payment gateway's lists of the last 30 days are not compared yet" in health.detail
    monkeypatch.setattr(books, "AGAIN", 0)
    for _ in range(4):
        sweep(from_the_beginning=False)
    assert len(drifting()) == 6
    assert SweepProgress.objects.get(part=SweepPart.BOOKS).skipped == ""


def test_many_that_differ_are_asked_about_in_turn_and_keep_no_page_from_being_read(
    lists: Lists, completed: Callable[[], Order], settings: Settings
) -> None:
    for order in [completed() for _ in range(3)]:
        lists.change(Listing.PAYMENTS, f"pi_{order.pk}", received_minor=1)
    assert sweep() == 3
    settings.PARTNER_CALLS_PER_SECOND = 10
    asked = []
    for _ in range(3):
        lists.asked.clear()
        SweepProgress.objects.update(ran_at=timezone.now())
        sweep()
        asked += [name for name in lists.asked if name.startswith("pi_")]
        assert "payments" in lists.asked
    assert len(set(asked)) == len(asked) == 3


@pytest.mark.parametrize(("seconds", "calls"), [(0, 2), (30, 60), (3_600, 120)])
def test_the_share_of_calls_grows_with_the_time_since_the_last_sweep_up_to_a_minute(
    seconds: int, calls: int, settings: Settings
) -> None:
    settings.PARTNER_CALLS_PER_SECOND, settings.SWEEP_BOOKS_SHARE = 20, 0.1
    now = timezone.now()
    assert books._calls(SweepProgress(ran_at=now - timedelta(seconds=seconds)), now) == calls


def test_a_list_is_looked_at_again_after_an_hour_a_day_a_week_and_a_month(
    lists: Lists, completed: Callable[[], Order]
) -> None:
    order, now = completed(), timezone.now()
    sweep()
    looks = []
    for hours in (0, 1, 2, 23, 24, 25, 7 * 24 - 1, 7 * 24, 7 * 24 + 1, 30 * 24 - 1, 30 * 24, 30 * 24 + 1, 40 * 24):
        with time_machine.travel(now + timedelta(hours=hours, minutes=15), tick=False):
            sweep(from_the_beginning=False)
        if SweepProgress.objects.get(part=SweepPart.BOOKS).looked_at:
            looks.append(hours)
    assert looks == [1, 24, 7 * 24, 30 * 24]
    assert order.number not in drifting()


def test_a_refund_that_fails_later_is_found_by_a_later_look(lists: Lists, cancelled: Callable[[], Order]) -> None:
    order, now = cancelled(), timezone.now()
    sweep()
    lists.change(Listing.REFUNDS, Payment.objects.get(order=order).refund_reference, status="failed")
    assert sweep(from_the_beginning=False) == 0
    with time_machine.travel(now + timedelta(hours=1, minutes=15), tick=False):
        assert sweep(from_the_beginning=False) == 1


def test_a_gateway_that_is_away_is_no_finding_and_the_same_page_is_read_later(
    lists: Lists, completed: Callable[[], Order]
) -> None:
    order = completed()
    lists.change(Listing.PAYMENTS, f"pi_{order.pk}", received_minor=1)
    lists.away = True
    assert sweep() == 0
    assert "503" in SweepProgress.objects.get(part=SweepPart.BOOKS).skipped
    lists.away = False
    assert sweep(from_the_beginning=False) == 1


def test_a_gateway_that_is_out_of_order_is_not_asked(lists: Lists, completed: Callable[[], Order]) -> None:
    completed()
    row, _ = PartnerHealth.objects.get_or_create(partner="payments")
    PartnerHealth.objects.filter(pk=row.pk).update(state="open", opened_at=timezone.now(), next_try_at=timezone.now())
    sweep()
    assert lists.asked == []
    assert "not called" in SweepProgress.objects.get(part=SweepPart.BOOKS).skipped


def test_a_range_whose_entry_the_gateway_has_forgotten_is_read_from_its_beginning(
    lists: Lists, completed: Callable[[], Order], monkeypatch: pytest.MonkeyPatch, settings: Settings
) -> None:
    monkeypatch.setattr(gateway_books, "PAGE", 1)
    settings.PARTNER_CALLS_PER_SECOND, settings.SWEEP_BOOKS_SHARE = 10, 0.1
    orders = [completed() for _ in range(3)]
    sweep()
    newest = lists.entries[Listing.PAYMENTS][0][1].id
    lists.entries[Listing.PAYMENTS] = [one for one in lists.entries[Listing.PAYMENTS] if one[1].id != newest]
    for order in orders[:2]:
        lists.change(Listing.PAYMENTS, f"pi_{order.pk}", received_minor=1)
    settings.PARTNER_CALLS_PER_SECOND = 1_000
    assert sweep(from_the_beginning=False) == 2


# --- Against a gateway that speaks its protocol -----------------------------------------------------------------------
def test_the_real_lists_are_walked_with_their_pages(partners: Http, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gateway_books, "PAGE", 2)
    orders = []
    for method in ("pm_card_visa", "pm_card_visa", "pm_card_refundFail", "pm_card_createDispute"):
        order = make_prepared_order(payment_method=method)
        for step in (payments.charge, shipping.ship, process.complete):
            step(str(order.pk), actor=TEST_ACTOR)
        orders.append(order)
    refund = refunding.request(orders[2].number, amount_minor=500, actor=TEST_ACTOR, reason="Broken")
    repaying.send(str(refund.pk), actor=TEST_ACTOR)
    gateway.refund(Payment.objects.get(order=orders[1]).gateway_reference, amount_minor=300, key="outside", order="")
    partners.request("POST", "/clock", {"advance_seconds": 600})
    with time_machine.travel(timezone.now() + timedelta(seconds=601), tick=False):
        assert sweep() == 3
        assert drifting() == sorted(order.number for order in orders[1:])
        assert sweep(from_the_beginning=False) == 0
    assert SweepProgress.objects.get(part=SweepPart.BOOKS).skipped == ""


def test_a_restored_database_waits_for_its_lead_before_it_is_compared(lists: Lists) -> None:
    """Its one task says what differs; a task for each payment that it has forgotten would say the same again."""
    lists.pay(make_order(), order="")
    task = recognised()
    assert sweep() == 0
    assert [task.kind for task in StaffTask.objects.all()] == [TaskKind.RESTORED]
    assert progress.of(SweepPart.BOOKS).skipped == restoring.SKIPPED

    resolving.resolve(task.pk, note="Restored to 10:02", actor=task_lead())

    assert sweep() == 1
