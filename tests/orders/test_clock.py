"""Whose time it is: the database's, however wrong the clock of the process that writes, compares or is asked."""

import asyncio
import hashlib
import hmac
import json
from datetime import UTC, datetime, timedelta
from unittest import mock

import pytest
from django.db import DatabaseError, IntegrityError, connection, models, transaction
from django.http import HttpResponse
from django.test import Client, RequestFactory
from django.test.utils import CaptureQueriesContext, override_settings

from backoffice.web_clock import NoteClock
from orders import clock
from orders.actor import person
from orders.models import ApiToken, OrderEvent, QueueState, RequestCount, ServiceBeat
from orders.selectors import findings
from orders.selectors import health as selectors
from orders.services import health, holding, placing, refunding, repaying, tokens
from orders.vocabulary import Channel, OrderStatus
from orders.wording import Tone
from tests.clock import asked_for, database_time, times_of_all_rows
from tests.factories import TEST_ACTOR, make_order
from tests.orders import driving
from tests.orders.api_calls import make_token, token_client
from tests.orders.staff import make_user, signed_in

pytestmark = pytest.mark.django_db

HOUR = timedelta(hours=1)
WRONG = pytest.mark.parametrize("by", [HOUR, -HOUR], ids=["an hour ahead", "an hour behind"])


# --- the clock itself -------------------------------------------------------------------------------------------------
@WRONG
def test_the_time_is_never_ahead_of_the_databases_and_late_by_its_answer_at_most(by: timedelta) -> None:
    with asked_for(process_ahead=by):
        took = timedelta(seconds=clock.ask().took)
        for _ in range(100):
            before, now, after = database_time(), clock.now(), database_time()
            assert before - took - timedelta(milliseconds=1) <= now <= after


def test_it_is_asked_for_once_in_half_a_minute() -> None:
    passed = 0.0
    with asked_for(), CaptureQueriesContext(connection) as asked:
        timer = clock._timer

        def later() -> float:
            return timer() + passed

        with mock.patch.object(clock, "_timer", later), mock.patch.object(clock, "QUICK", 60.0):
            first = [clock.now() for _ in range(50)]
            assert (len(asked), first) == (1, sorted(first))
            passed = clock.ASK_AGAIN_AFTER + 1
            assert clock.now() - first[-1] < timedelta(seconds=20), "the timer was believed instead of the database"
            assert len(asked) == 2


def test_the_quickest_of_three_answers_counts() -> None:
    slow, slower, quick = (clock.Answer(at=datetime.now(UTC), timer=0.0, took=took) for took in (0.5, 0.9, 0.1))
    with asked_for(), mock.patch.object(clock, "_ask_once", side_effect=[slow, slower, quick]):
        assert clock.ask() is quick
    with asked_for(), mock.patch.object(clock, "_ask_once", side_effect=[slow, slower, slower]) as asked:
        assert clock.ask() is slow
        assert asked.call_count == clock.TRIES


def test_where_it_cannot_be_asked_the_last_answer_goes_on() -> None:
    async def in_an_event_loop() -> datetime:
        return clock.now()

    with asked_for():
        clock.ask()
        with mock.patch.object(clock, "ASK_AGAIN_AFTER", -1.0):
            assert abs(asyncio.run(in_an_event_loop()) - database_time()) < timedelta(seconds=20)
            with transaction.atomic():
                with pytest.raises(IntegrityError), transaction.atomic():
                    ServiceBeat.objects.bulk_create([ServiceBeat(identity="w", service="w", at=None)])
                transaction.set_rollback(True)
                assert clock.now()
                transaction.set_rollback(False)


@pytest.mark.django_db(transaction=True)
def test_a_connection_that_was_opened_to_ask_is_given_back() -> None:
    with asked_for():
        connection.close()
        clock.now()
        assert connection.connection is None
        connection.ensure_connection()
        clock.ask()
        assert connection.connection is not None


# --- what is stored ---------------------------------------------------------------------------------------------------
@WRONG
def test_every_time_that_services_write_lies_within_the_databases_time(by: timedelta) -> None:
    begun = database_time("now()")
    with asked_for(process_ahead=by):
        lead = make_user("orders.view_order", name="lead")
        make_token(lead, "full")
        done = driving.drive(make_order())
        refund = refunding.request(done.number, amount_minor=100, actor=TEST_ACTOR, reason="Broken")
        with driving.partners():
            repaying.send(str(refund.pk), actor=TEST_ACTOR)
        failed = driving.drive(make_order(), gateway=driving.decline())
        in_review = driving.make_order_in_review()
        held = make_order()
        holding.hold(held.number, actor=TEST_ACTOR, reason="Wait")
        health.beat("worker 1@a", "worker", True, "orders")
        health.serve(["orders"], ["orders"])
        health.note_backlog("orders", pollers=1, backlog=0, oldest_seconds=0.0)
    assert [done.status, failed.status] == [OrderStatus.COMPLETED, OrderStatus.FAILED]
    assert in_review.status == OrderStatus.IN_REVIEW
    ended, found = database_time(), list(times_of_all_rows())
    outside = {name: value for name, value in found if not begun - timedelta(seconds=2) <= value <= ended}
    assert not outside, "written by another clock than the database's"
    assert {name.split(".")[0] for name, _ in found} >= {
        *("Order", "OrderEvent", "Command", "Payment", "Refund", "LedgerTransfer", "Shipment", "Step"),
        *("ReviewCase", "FraudCheck", "OutboxMessage", "ApiToken", "ServiceBeat", "QueueState", "Notice"),
    }
    assert OrderEvent.objects.filter(at__lt=models.F("order__created_at")).count() == 0


def test_an_order_is_not_placed_in_the_future_and_never_closes_before_it_was_placed() -> None:
    order = make_order()
    tomorrow = order.created_at + timedelta(days=1)
    new = placing.NewOrder(
        currency="GBP", payment_method="pm_card_visa", ship_to_country="GB", placed_at=tomorrow,
        lines=(placing.NewLine(sku=order.lines.get().product.sku, quantity=1),),
    )  # fmt: skip
    placed = placing.place(new, actor=TEST_ACTOR)
    assert placed.placed_at <= clock.now()
    order.placed_at = tomorrow
    order.save(update_fields=["placed_at"])
    assert driving.drive(order).closed_at == tomorrow


# --- what is compared -------------------------------------------------------------------------------------------------
@WRONG
def test_deadlines_hold(by: timedelta) -> None:
    soon = database_time() + timedelta(minutes=30)
    with asked_for(process_ahead=by):
        user = make_user("orders.view_order", name="caller")
        assert holding.hold(make_order().number, actor=TEST_ACTOR, reason="Wait", until=soon).until == soon
        secret = make_token(user, "full")
        ApiToken.objects.update(expiry=soon)
        assert token_status(secret) == 200
        ApiToken.objects.update(expiry=database_time() - timedelta(minutes=30))
        assert token_status(secret) == 401


def token_status(secret: str) -> int:
    return int(Client().get("/api/orders/", headers={"Authorization": f"Token {secret}"}).status_code)


@WRONG
def test_a_token_lives_as_many_days_as_were_asked_for(by: timedelta) -> None:
    user = make_user("orders.issue_token")
    with asked_for(process_ahead=by):
        token, _ = tokens.issue(name="feed", scopes=["orders:read"], days=2, actor=person(user, Channel.CLI))
    assert abs(token.expiry - timedelta(days=2) - database_time()) < timedelta(minutes=1)


@WRONG
def test_a_session_lasts_as_long_as_it_is_used(by: timedelta) -> None:
    """One web process after the other answers, and the second one's clock is wrong."""
    with asked_for():
        client = signed_in("orders.view_order")
        assert client.get("/admin/").status_code == 200
    with asked_for(process_ahead=by + by / 60):
        assert client.get("/admin/").status_code == 200


@WRONG
def test_calls_of_one_minute_are_counted_together(by: timedelta) -> None:
    with asked_for(process_ahead=by):
        token_client("view_order").get("/api/orders/")
    minutes = {row.window - int(database_time().timestamp() // 60) for row in RequestCount.objects.all()}
    assert minutes <= {0, -1}


@WRONG
def test_a_signed_event_is_as_old_as_the_database_says(by: timedelta) -> None:
    body, at = b"{}", int(database_time().timestamp())
    signed = hmac.new(b"whsec", f"{at}.".encode() + body, hashlib.sha256).hexdigest()
    with asked_for(process_ahead=by), override_settings(STRIPE_WEBHOOK_SECRETS=["whsec"]):
        answer = Client().post(
            "/api/gateway/events/",
            body,
            content_type="application/json",
            headers={"Stripe-Signature": f"t={at},v1={signed}"},
        )
    assert "signature" not in answer.content.decode(), "too old or too new by the clock of the process"


# --- who hears of a wrong clock ---------------------------------------------------------------------------------------
def clocks() -> tuple[str, str, str] | None:
    lines = {one.name: one for one in selectors.machinery(selectors.outbox_backlog(), findings.sweep_health())}
    line = lines.get("Clocks")
    return (line.tone, line.word, line.detail) if line else None


def note(identity: str, by: timedelta) -> None:
    with asked_for(process_ahead=by):
        health.beat(identity, identity.split()[0], True, "")


def test_health_says_whose_clock_is_wrong() -> None:
    health.serve(["orders"], ["orders"])
    note("worker 1@a", timedelta())
    assert clocks() == (Tone.DONE, "Right", "1 process within 5 s of the database's clock")
    note("worker 2@b", timedelta(seconds=-12))
    assert clocks() == (
        Tone.WAITING,
        "Off",
        "worker 2@b: clock 12 s behind. Set the time of these machines",
    )
    note("worker 3@c", timedelta(minutes=61))
    tone, word, detail = clocks() or ("", "", "")
    assert (tone, word) == (Tone.TROUBLE, "Wrong")
    assert detail.startswith("worker 3@c: clock 1 h 1 min ahead; worker 2@b: clock 12 s behind")
    answer = json.loads(token_client("view_queuestate").get("/api/health/").content)
    assert answer["ok"] is False
    assert "worker 3@c: clock 1 h 1 min ahead" in {part["name"]: part["detail"] for part in answer["parts"]}["Clocks"]


def test_the_list_of_processes_shows_what_their_own_clocks_say() -> None:
    note("worker 1@a", HOUR)
    note("worker 2@b", timedelta())
    ServiceBeat.objects.create(identity="worker 3@c", service="worker", at=clock.now())
    page = signed_in("orders.view_servicebeat").get("/admin/orders/servicebeat/").content.decode()
    assert [words for words in ("1 h ahead", "59 min ahead") if words in page]
    assert page.count(">Right<") == 1


def test_a_process_that_is_gone_is_nobody_to_set_a_clock_of() -> None:
    note("worker 1@a", HOUR)
    ServiceBeat.objects.update(at=clock.now() - selectors.HEARD_WITHIN - timedelta(seconds=1))
    assert clocks() is None


@WRONG
def test_the_web_process_that_answers_names_itself(by: timedelta) -> None:
    with asked_for(process_ahead=by):
        tone, word, detail = clocks() or ("", "", "")
    assert (tone, word) == (Tone.TROUBLE, "Wrong")
    assert detail.startswith(f"web {clock.process()}: clock 1 h {'ahead' if by > timedelta() else 'behind'}")


@WRONG
def test_a_dead_worker_is_missed_however_wrong_its_clock_was(by: timedelta) -> None:
    note("worker 1@a", by)
    health.serve(["orders"], ["orders"])
    with asked_for(process_ahead=by):
        alive = selectors.machinery(selectors.outbox_backlog(), findings.sweep_health())[0]
    assert (alive.word, alive.detail) == ("Running", "1 running, seen 0 s ago")
    later = models.functions.Now() - selectors.SILENT_AFTER - timedelta(seconds=2)
    ServiceBeat.objects.update(at=later)
    QueueState.objects.update(served_at=later, known_since=later)
    with asked_for(process_ahead=by):
        gone = selectors.machinery(selectors.outbox_backlog(), findings.sweep_health())[0]
        assert [queue.name for queue, _ in selectors.unserved()] == ["orders"]
    assert gone.word == "Missing"


def test_a_web_process_notes_a_wrong_clock_once_a_minute_and_takes_it_back() -> None:
    middleware = NoteClock(lambda request: HttpResponse())

    def answer(by: timedelta) -> list[tuple[str, int]]:
        with asked_for(process_ahead=by):
            clock.ask()
            middleware(RequestFactory().get("/"))
        return [(row.service, round(row.clock_ahead_seconds or 0)) for row in ServiceBeat.objects.all()]

    assert answer(timedelta()) == []
    assert answer(HOUR) == [("web", 3600)]
    with mock.patch.object(health, "beat", side_effect=AssertionError("noted twice in a minute")):
        answer(HOUR)
    assert answer(timedelta()) == []


def test_a_note_that_cannot_be_written_does_not_spoil_the_answer() -> None:
    middleware = NoteClock(lambda request: HttpResponse("fine"))
    with asked_for(process_ahead=HOUR), mock.patch.object(health, "beat", side_effect=DatabaseError):
        clock.ask()
        assert middleware(RequestFactory().get("/")).content == b"fine"


def test_health_pages_do_not_ask_for_the_time() -> None:
    middleware = NoteClock(lambda request: HttpResponse())
    with asked_for(), CaptureQueriesContext(connection) as asked:
        middleware(RequestFactory().get("/healthz"))
    assert len(asked) == 0
