"""The steps of the day-end close: what each finds, and what it says when it cannot know."""

from datetime import timedelta
from typing import Any

import pytest
from django.core import mail
from django.db import connection
from django.utils import timezone
from pytest_django.fixtures import Settings

from orders.errors import MailUnavailable, PartnerUnavailable, StepVoided
from orders.models import Dispute, Order, Payment, ProcessRun, ProcessStep, Refund, Reservation, Shipment, StockItem
from orders.partners import gateway_books
from orders.partners import payments as gateway
from orders.selectors import processes as selectors
from orders.services import payments, processes, refunding, repaying, stock
from orders.vocabulary import ProcessStatus, ProcessStepName, ProcessStepStatus, RefundStatus, ReservationStatus
from tests.factories import TEST_ACTOR, make_order, make_prepared_order, make_reserved_order
from tests.orders import driving
from tests.orders.process_runs import ENGINE, drive, quiet, started, step
from tests.simulator.talk import Http

pytestmark = pytest.mark.django_db
SETTLE, RECONCILE = ProcessStepName.SETTLE_CAPTURES, ProcessStepName.RECONCILE


def completed(country: str = "GB", payment_method: str = "pm_card_visa") -> Order:
    """An order that the simulator's gateway and carrier know."""
    from orders.services import process, shipping

    order = make_prepared_order(country=country, payment_method=payment_method)
    payments.charge(str(order.pk), actor=TEST_ACTOR)
    shipping.ship(str(order.pk), actor=TEST_ACTOR)
    process.complete(str(order.pk), actor=TEST_ACTOR)
    order.refresh_from_db()
    return order


def closed(run: ProcessRun | None = None) -> ProcessRun:
    return drive(run or started())


def differences(run: ProcessRun) -> list[tuple[str, str]]:
    return [(found.kind, found.order.number if found.order else "") for found in run.differences.order_by("pk")]


def tampered(sql: str, *values: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
        cursor.execute(sql, values)
        cursor.execute("SET LOCAL session_replication_role = DEFAULT")


def test_a_good_day_has_figures_and_no_difference(partners: Http) -> None:
    first, second = completed(), completed()
    refund = refunding.request(first.number, amount_minor=500, actor=TEST_ACTOR, reason="Broken")
    assert isinstance(refund, Refund)
    assert repaying.send(str(refund.pk), actor=TEST_ACTOR) is RefundStatus.DONE

    run = closed()

    assert (run.status, differences(run)) == (ProcessStatus.COMPLETED, [])
    taken = first.total_minor + second.total_minor
    assert step(run, SETTLE).figures == {
        "payments": 2,
        "sums": {"GBP": {"captured_minor": taken, "refunded_minor": 500}},
    }
    figures = step(run, RECONCILE).figures
    assert (figures["payments"], figures["refunds"], figures["differences"], figures["under_way"]) == (2, 1, 0, 0)
    assert not selectors.shown(run).is_incomplete
    assert selectors.shown(run).progress == 100


def test_a_payment_that_its_bookings_do_not_bear_out_is_a_row(partners: Http) -> None:
    order = completed()
    tampered("UPDATE orders_payment SET captured_minor = captured_minor - 1 WHERE order_id = %s", order.pk)
    run = started()
    processes.work(run.pk, 1, actor=ENGINE, beat=quiet)
    assert differences(run) == [("ledger", order.number)]
    assert "1 payment that the ledger does not bear out" in step(run, SETTLE).outcome


def test_money_that_the_gateway_took_and_we_do_not_know_is_a_row(partners: Http) -> None:
    intent = gateway.create_intent(
        key="k", order="nobody", amount_minor=700, currency="GBP", payment_method="pm_card_visa"
    )
    gateway.confirm(intent.id, key="c")
    run = closed()
    assert [(found.kind, found.reference) for found in run.differences.all()] == [("unknown_to_us", intent.id)]


def test_money_that_we_have_and_the_gateway_does_not_is_a_row(partners: Http) -> None:
    order = completed()
    partners.request("DELETE", "/store")
    run = closed()
    assert ("missing_at_gateway", order.number) in differences(run)


def test_another_amount_at_the_gateway_is_a_row(partners: Http) -> None:
    order = completed()
    tampered("UPDATE orders_payment SET captured_minor = 5 WHERE order_id = %s", order.pk)
    run = closed()
    assert ("amount", order.number) in differences(run)
    found = run.differences.get(kind="amount")
    assert "the gateway took £20.00, we have £0.05" in found.says


def test_a_refund_that_only_the_gateway_has_is_a_row(partners: Http) -> None:
    order = completed()
    payment = Payment.objects.get(order=order)
    gateway.refund(payment.gateway_reference, amount_minor=100, key="mine", order=str(order.pk))
    assert ("unknown_to_us", order.number) in differences(closed())


def test_a_refund_that_failed_at_the_gateway_and_is_done_here_is_a_row(partners: Http) -> None:
    order = completed(payment_method="pm_card_refundFail")
    refund = refunding.request(order.number, amount_minor=500, actor=TEST_ACTOR, reason="Broken")
    assert isinstance(refund, Refund)
    repaying.send(str(refund.pk), actor=TEST_ACTOR)
    partners.request("POST", "/clock", {"advance_seconds": 600})
    run = closed()
    assert differences(run) == [("ledger", order.number), ("amount", order.number)]
    assert "did not give £5.00 back (failed), we have £5.00" in run.differences.get(kind="amount").says


def test_a_dispute_that_nobody_booked_is_a_row(partners: Http) -> None:
    order = completed(payment_method="pm_card_createDispute")
    partners.request("POST", "/clock", {"advance_seconds": 600})
    run = closed()
    assert differences(run) == [("ledger", order.number), ("unknown_to_us", order.number)]
    assert step(run, RECONCILE).figures["disputes"] == 1


@pytest.mark.parametrize("what", ["refund", "dispute"])
def test_what_we_gave_back_or_lost_and_the_gateway_did_not_is_a_row(partners: Http, what: str) -> None:
    order = completed()
    if what == "refund":
        Refund.objects.create(
            order=order,
            amount_minor=500,
            currency="GBP",
            reason="Broken",
            key="k",
            actor="test",
            channel="cli",
            status="done",
            gateway_reference="re_nobody",
            finished_at=timezone.now(),
        )
    else:
        Dispute.objects.create(
            order=order,
            gateway_reference="du_nobody",
            amount_minor=500,
            currency="GBP",
            reason="fraudulent",
            status="open",
            gateway_status="needs_response",
            opened_at=timezone.now(),
        )
    assert ("missing_at_gateway", order.number) in differences(closed())


def test_a_refund_that_took_until_today_is_not_missing(partners: Http, monkeypatch: pytest.MonkeyPatch) -> None:
    order = completed()
    refund = refunding.request(order.number, amount_minor=500, actor=TEST_ACTOR, reason="Broken")
    assert isinstance(refund, Refund)
    repaying.send(str(refund.pk), actor=TEST_ACTOR)
    # All was made days ago, and only its end is of today: the lists of today have nothing of it.
    monkeypatch.setattr(gateway_books, "pages", lambda *_: iter([gateway_books.Page()]))
    run = started()
    long_ago = timezone.now() - timedelta(days=3)
    tampered("UPDATE orders_payment SET created_at = %s", long_ago)
    tampered("UPDATE orders_order SET closed_at = %s", long_ago)
    tampered("UPDATE orders_refund SET created_at = %s", long_ago)
    assert differences(closed(run)) == []
    assert step(run, RECONCILE).figures["refunds"] == 1


def test_an_order_under_way_is_compared_by_the_run_after_its_end(partners: Http) -> None:
    from orders.services import process, shipping

    order = make_prepared_order()
    payments.charge(str(order.pk), actor=TEST_ACTOR)
    first = closed()
    assert step(first, RECONCILE).figures["under_way"] == 1
    shipping.ship(str(order.pk), actor=TEST_ACTOR)
    process.complete(str(order.pk), actor=TEST_ACTOR)
    tampered("UPDATE orders_payment SET captured_minor = 5 WHERE order_id = %s", order.pk)
    yesterday = timezone.now().date() - timedelta(days=1)
    ProcessRun.objects.filter(pk=first.pk).update(business_day=yesterday)

    second = closed()

    assert second.covers_from == first.covers_until
    assert ("amount", order.number) in differences(second)


def test_a_report_of_many_pages_is_read_as_a_whole(partners: Http) -> None:
    for number in range(101):
        gateway.create_intent(
            key=f"k{number}", order=f"o{number}", amount_minor=100, currency="GBP", payment_method="pm_card_visa"
        )
    run = started()
    processes.work(run.pk, 1, actor=ENGINE, beat=quiet)
    run.steps.update(due_at=None)
    processes.work(run.pk, 2, actor=ENGINE, beat=quiet)
    assert step(run, RECONCILE).figures["payments"] == 101


def test_a_missing_report_makes_the_run_incomplete_and_not_free_of_differences(partners: Http) -> None:
    partners.fault(partner="payments", operation="payment_intents.list", mode="error_before")
    run = closed()
    reconcile = step(run, RECONCILE)
    assert (run.status, reconcile.status) == (ProcessStatus.COMPLETED, ProcessStepStatus.FAILED)
    assert "differences" not in reconcile.figures
    assert "The payment gateway answered 500." in reconcile.outcome
    shown = selectors.shown(run)
    assert (shown.is_incomplete, shown.progress) == (True, 100)


def test_half_a_report_is_none(partners: Http) -> None:
    completed()
    partners.fault(partner="payments", operation="refunds.list", mode="error_before")
    run = started()
    processes.work(run.pk, 1, actor=ENGINE, beat=quiet)
    run.steps.update(due_at=None)
    with pytest.raises(PartnerUnavailable):
        processes.work(run.pk, 2, actor=ENGINE, beat=quiet)
    assert step(run, RECONCILE).figures == {}
    assert not run.differences.exists()
    assert "The payment gateway answered 500." in step(run, RECONCILE).error


def stale_order(status: str) -> Order:
    """A closed order that still holds its pieces, as only a fault can leave it."""
    order = make_reserved_order()
    tampered("UPDATE orders_order SET status = %s, closed_at = now() WHERE id = %s", status, order.pk)
    order.refresh_from_db()
    return order


@pytest.mark.parametrize("status", ["cancelled", "failed"])
def test_what_a_closed_order_still_holds_goes_back_once(partners: Http, status: str) -> None:
    order, running = stale_order(status), make_reserved_order()
    product = Reservation.objects.get(order=order).product_id

    run = closed()

    item = StockItem.objects.get(product_id=product)
    assert (item.reserved, item.on_hand) == (0, item.received)
    assert step(run, "release_stale").figures == {"orders": 1, "pieces": 2, "differences": 0}
    assert Reservation.objects.get(order=running).status == ReservationStatus.HELD
    assert order.events.filter(type="order.stock_released", data__process=str(run.pk)).count() == 1
    with pytest.raises(StepVoided):
        _reserve_late(order)


def _reserve_late(order: Order) -> None:
    """An attempt at the reservation that wakes up after all is over."""
    from orders.models import Step

    Step.objects.filter(order=order, name="reserve").delete()
    from orders import fence
    from orders.vocabulary import StepName

    fence.void(order.pk, StepName.RESERVE)
    stock.reserve(str(order.pk), actor=TEST_ACTOR)


def test_a_completed_order_that_holds_pieces_is_told_and_left_alone(partners: Http) -> None:
    order = stale_order("completed")
    run = closed()
    assert ("stock", order.number) in differences(run)
    assert Reservation.objects.get(order=order).status == ReservationStatus.HELD


def test_parcels_are_asked_for_in_chunks_and_a_strange_one_is_a_row(partners: Http) -> None:
    orders = [completed() for _ in range(3)]
    moving = Shipment.objects.get(order=orders[0])
    partners.request("POST", f"/carrier/shipments/{moving.reference}/advance")
    Shipment.objects.create(order=orders[1], reference="never-booked")

    run = closed()

    figures = step(run, "refresh_tracking").figures
    assert figures == {"parcels": 4, "booked": 2, "in_transit": 1, "unknown": 1, "differences": 1}
    assert ("shipment", orders[1].number) in differences(run)
    moving.refresh_from_db()
    assert moving.tracking_status == "in_transit"
    assert orders[0].events.filter(type="order.tracking_updated").count() == 1


def test_a_parcel_that_has_arrived_or_that_a_person_booked_is_not_asked_for(partners: Http) -> None:
    arrived, by_hand, _ = (Shipment.objects.get(order=completed()) for _ in range(3))
    Shipment.objects.filter(pk=by_hand.pk).update(by_hand=True)
    for _ in range(2):
        partners.request("POST", f"/carrier/shipments/{arrived.reference}/advance")
    assert step(closed(), "refresh_tracking").figures["parcels"] == 2
    arrived.refresh_from_db()
    assert arrived.tracking_status == "delivered"

    next_day()

    assert step(closed(), "refresh_tracking").figures == {"parcels": 1, "booked": 1}


def test_of_many_parcels_those_are_asked_for_that_were_not_asked_for_the_longest_time(
    partners: Http, settings: Settings
) -> None:
    settings.DAY_END_PARCELS = 2
    parcels = [Shipment.objects.get(order=completed()) for _ in range(5)]
    asked: list[set[int]] = []
    for _ in range(3):
        before = {parcel.pk: parcel.tracking_updated_at for parcel in Shipment.objects.all()}
        run = closed()
        asked.append({row.pk for row in Shipment.objects.all() if row.tracking_updated_at != before[row.pk]})
        next_day()

    # The newest are asked too, although the run never comes to the end of all.
    assert asked[:2] == [{parcels[0].pk, parcels[1].pk}, {parcels[2].pk, parcels[3].pk}]
    assert asked[2] == {parcels[4].pk, parcels[0].pk}
    tracking = step(run, "refresh_tracking")
    assert tracking.figures["left"] == 3
    assert "3 parcels are left for the next run, which begins with them." in tracking.outcome


def next_day() -> None:
    """The day is closed: another run may be started."""
    earliest = ProcessRun.objects.order_by("business_day").values_list("business_day", flat=True)[0]
    newest = ProcessRun.objects.order_by("-covers_until")[0]
    ProcessRun.objects.filter(pk=newest.pk).update(business_day=earliest - timedelta(days=1))


def test_a_carrier_that_is_down_fails_its_step_and_not_the_close(partners: Http, settings: Settings) -> None:
    completed()
    partners.fault(partner="carrier", operation="shipments.retrieve", mode="error_before")
    run = closed()
    assert step(run, "refresh_tracking").status == ProcessStepStatus.FAILED
    assert step(run, "send_summary").status == ProcessStepStatus.DONE
    assert run.status == ProcessStatus.COMPLETED


def test_the_summary_says_what_was_done_and_what_differs(partners: Http, settings: Settings) -> None:
    settings.DAY_END_MAIL_TO = ["ops@example.com"]
    order = completed()
    partners.request("DELETE", "/store")
    run = closed()
    sent = mail.outbox[0]
    assert sent.to == ["ops@example.com"]
    assert "Reconcile: done." in sent.body
    assert f"Order {order.number}: we took £20.00, the gateway did not." in sent.body
    assert sent.extra_headers["Message-ID"] == f"<process-{run.pk}-summary@backoffice>"


def test_a_mail_server_that_is_down_costs_the_mail_and_not_the_close(partners: Http, settings: Settings) -> None:
    settings.DAY_END_MAIL_TO = ["ops@example.com"]
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 1
    run = closed()
    summary = step(run, "send_summary")
    assert (run.status, summary.status) == (ProcessStatus.COMPLETED, ProcessStepStatus.FAILED)
    assert "The mail server did not take the summary" in summary.outcome
    with pytest.raises(MailUnavailable):
        _send_again(run)


def _send_again(run: ProcessRun) -> None:
    from orders.services.processes.pacing import Pace
    from orders.services.processes.summarising import send_summary

    send_summary(Pace(run, ProcessStep.objects.get(run=run, name="send_summary"), actor=ENGINE, beat=quiet))


def test_a_summary_for_nobody_says_so(settings: Settings) -> None:
    settings.DAY_END_MAIL_TO = []
    with driving.partners():
        make_order()
    run = started()
    run.steps.exclude(name="send_summary").update(status="done", outcome="x", finished_at=timezone.now())
    run.steps.filter(name="send_summary").update(status="waiting")
    drive(run)
    assert "nobody is named in DAY_END_MAIL_TO" in step(run, "send_summary").outcome
