"""A run of partner calls: the list is written down first, each call gets one result, and none is dropped."""

from typing import Any

import pytest
from django.db import connection
from django.utils import timezone
from pytest_django.fixtures import DjangoAssertNumQueries, Settings

from orders.actor import Actor, person
from orders.errors import InvalidInput, NotPermitted, PartnerDown, PartnerUnavailable, WrongState
from orders.models import Command, OutboxMessage, PartnerCall, PartnerHealth, PartnerRun, Shipment
from orders.services import partner_calls, partner_runs
from orders.vocabulary import (
    BreakerState,
    Channel,
    PartnerCallStatus,
    PartnerCode,
    PartnerRunStatus,
    ShipmentStatus,
    Topic,
    TrackingStatus,
)
from tests.factories import TEST_ACTOR, make_order
from tests.orders.api_calls import make_user
from tests.simulator.talk import Http

pytestmark = pytest.mark.django_db
CARRIER = PartnerCode.CARRIER


def somebody(*permissions: str) -> Actor:
    return person(make_user(*permissions), Channel.ADMIN)


def make_shipments(count: int, **fields: Any) -> list[Shipment]:
    """Open shipments of one order, as far as our books go."""
    order = make_order()
    at = Shipment.objects.count()
    return Shipment.objects.bulk_create(
        Shipment(order=order, reference=f"{order.pk}:ship:{at + number}", tracking_number=f"SP{at + number}", **fields)
        for number in range(count)
    )


def booked(carrier: Http, shipments: list[Shipment]) -> None:
    """The carrier knows them too."""
    for shipment in shipments:
        body = {"order": str(shipment.order_id), "country": "GB", "pieces": 1}
        assert carrier.request("PUT", f"/carrier/shipments/{shipment.reference}", body)[0] == 201


def start(partner: PartnerCode = CARRIER) -> PartnerRun:
    return partner_runs.start(partner, actor=TEST_ACTOR, reason="Where are they?")


def make_all(run: PartnerRun) -> int:
    """Make every call once; answers how many must be made again."""
    again = 0
    for call_id in partner_calls.pending(run.pk, limit=1_000):
        try:
            partner_calls.make(call_id, actor=TEST_ACTOR)
        except PartnerUnavailable:
            again += 1
    return again


def results(run: PartnerRun) -> dict[str, int]:
    found: dict[str, int] = {}
    for status in run.calls.values_list("status", flat=True):
        found[status] = found.get(status, 0) + 1
    return found


# --- The list ---------------------------------------------------------------------------------------------------------


def test_every_open_shipment_and_no_other_is_on_the_list() -> None:
    on_their_way = make_shipments(3)
    on_their_way += make_shipments(1, tracking_status=TrackingStatus.EXCEPTION)
    make_shipments(1, tracking_status=TrackingStatus.DELIVERED)
    make_shipments(1, status=ShipmentStatus.CANCELLED)
    run = start()
    assert sorted(run.calls.values_list("subject", flat=True)) == sorted(one.reference for one in on_their_way)
    assert (run.total, results(run)) == (4, {"pending": 4})


def test_a_run_leaves_a_command_and_one_message_with_ids_only() -> None:
    run = start(PartnerCode.RATES)
    message = OutboxMessage.objects.get(topic=Topic.START_PARTNER_RUN)
    assert message.body == {"run_id": str(run.pk), "partner": "rates"}
    command = Command.objects.get(kind="partner_run")
    assert (command.actor, command.reason, command.outcome) == (
        TEST_ACTOR.name,
        "Where are they?",
        "3 calls to the rates partner: exchange rates.",
    )


def test_a_long_list_costs_no_more_statements_than_a_short_one(
    django_assert_max_num_queries: DjangoAssertNumQueries,
) -> None:
    make_shipments(2_000)
    with django_assert_max_num_queries(12):
        run = start()
    assert run.total == 2_000


def test_countries_of_open_orders_are_asked_about_once_each() -> None:
    for country in ("GB", "GB", "France"):
        make_order(country=country)
    run = start(PartnerCode.ADDRESSES)
    assert sorted(run.calls.values_list("subject", flat=True)) == ["France", "GB"]


def test_a_second_run_over_a_partner_is_told_who_was_first_and_when() -> None:
    first = start()
    with pytest.raises(WrongState) as told:
        start()
    assert f"by {TEST_ACTOR.name} at {first.created_at:%Y-%m-%d %H:%M:%S} UTC" in str(told.value)
    assert PartnerRun.objects.count() == 1
    assert start(PartnerCode.RATES).status == PartnerRunStatus.RUNNING


@pytest.mark.parametrize("partner", [PartnerCode.PAYMENTS, PartnerCode.FRAUD])
def test_a_partner_without_anything_to_refresh_says_so(partner: PartnerCode) -> None:
    with pytest.raises(WrongState, match="nothing to refresh"):
        start(partner)


def test_a_run_needs_its_permission_and_a_reason() -> None:
    with pytest.raises(NotPermitted):
        partner_runs.start(CARRIER, actor=somebody("view_order"), reason="Why not")
    allowed = somebody("run_partner_calls")
    with pytest.raises(InvalidInput):
        partner_runs.start(CARRIER, actor=allowed, reason=" ")
    run = partner_runs.start(CARRIER, actor=allowed, reason="Why not")
    assert run.requested_by == allowed.user
    with pytest.raises(NotPermitted):
        partner_runs.cancel(run.pk, actor=somebody("view_order"), reason="Why not")
    with pytest.raises(InvalidInput):
        partner_runs.cancel(run.pk, actor=allowed, reason="")
    assert not PartnerRun.objects.exclude(status=PartnerRunStatus.RUNNING).exists()


# --- The calls --------------------------------------------------------------------------------------------------------


def test_forty_calls_with_failures_in_the_middle_are_forty_results(partners: Http) -> None:
    """The guide's fault: an open breaker dropped the rest of the list."""
    shipments = make_shipments(40)
    # The carrier has never heard of every tenth one.
    booked(partners, [one for number, one in enumerate(shipments) if number % 10 != 5])
    run = start()
    assert make_all(run) == 0
    assert results(run) == {"done": 36, "failed": 4}
    failed = run.calls.filter(status=PartnerCallStatus.FAILED).first()
    assert failed is not None
    assert (failed.error_type, failed.attempts) == ("shipment_refused", 1)
    assert failed.error_message.startswith("The carrier refused: no shipment")
    assert partner_runs.end(run.pk) is PartnerRunStatus.COMPLETED


def test_a_breaker_that_opens_in_the_middle_drops_nothing(partners: Http, settings: Settings) -> None:
    settings.BREAKER_FAILURES, settings.BREAKER_FIRST_SECONDS = 3, 300.0
    shipments = make_shipments(40)
    booked(partners, shipments)
    run = start()
    for call_id in partner_calls.pending(run.pk, limit=10):
        partner_calls.make(call_id, actor=TEST_ACTOR)
    partners.fault(partner="carrier", mode="unavailable")

    assert make_all(run) == 30
    assert results(run) == {"done": 10, "pending": 30}
    row = PartnerHealth.objects.get(pk=CARRIER)
    assert (row.state, row.failures_in_a_row) == (BreakerState.OPEN, 3), "the partner was called while it was open"
    with pytest.raises(PartnerDown):
        partner_calls.make(partner_calls.pending(run.pk, limit=1)[0], actor=TEST_ACTOR)
    # For however long it stays away.
    for _ in range(settings.PARTNER_CALL_TRIES + 2):
        make_all(run)
    assert results(run) == {"done": 10, "pending": 30}

    partners.request("DELETE", "/faults")
    PartnerHealth.objects.filter(pk=CARRIER).update(next_try_at=timezone.now())
    assert make_all(run) == 0
    assert results(run) == {"done": 40}
    assert PartnerHealth.objects.get(pk=CARRIER).state == BreakerState.CLOSED


def test_a_question_that_stays_unanswered_while_others_are_answered_fails_for_good(
    partners: Http, settings: Settings
) -> None:
    settings.PARTNER_CALL_TRIES = 3
    bad, *good = make_shipments(3)
    booked(partners, [bad, *good])
    partners.fault(partner="carrier", mode="error_before", match={"reference": bad.reference})
    run = start()
    assert [make_all(run) for _ in range(3)] == [1, 1, 0]
    assert results(run) == {"failed": 1, "done": 2}
    call = run.calls.get(subject=bad.reference)
    assert (call.attempts, call.failures, call.error_type) == (3, 3, "partner_unavailable")
    assert call.error_message == "The carrier answered 500."


def test_a_call_that_has_its_result_is_not_made_again(partners: Http) -> None:
    booked(partners, make_shipments(1))
    run = start()
    (call_id,) = partner_calls.pending(run.pk, limit=1)
    partner_calls.make(call_id, actor=TEST_ACTOR)
    partners.fault(partner="carrier", mode="unavailable")
    partner_calls.make(call_id, actor=TEST_ACTOR)
    partner_calls.give_up(call_id, error_type="late", message="A late failure")
    call = PartnerCall.objects.get(pk=call_id)
    assert (call.status, call.attempts, call.error_type, call.outcome) == ("done", 1, "", "booked")


def test_waiting_calls_of_a_run_widen_the_time_in_which_all_come_back(partners: Http, settings: Settings) -> None:
    settings.BREAKER_FAILURES, settings.BREAKER_FIRST_SECONDS, settings.BREAKER_DRAIN_PER_SECOND = 3, 300.0, 1.0
    partners.fault(partner="carrier", mode="unavailable")
    make_shipments(40)
    run = start()
    make_all(run)
    waits = []
    for call_id in partner_calls.pending(run.pk, limit=40):
        with pytest.raises(PartnerDown) as down:
            partner_calls.make(call_id, actor=TEST_ACTOR)
        waits.append(down.value.retry_after.total_seconds())  # type: ignore[union-attr]
    # Forty at one a second, after the time in which each looks again.
    assert max(waits) > 45
    assert max(waits) - min(waits) > 15


# --- The end ----------------------------------------------------------------------------------------------------------


def test_a_cancelled_run_makes_no_further_call_whether_temporal_knows_or_not(partners: Http) -> None:
    booked(partners, make_shipments(4))
    run = start()
    first, *rest = partner_calls.pending(run.pk, limit=10)
    partner_calls.make(first, actor=TEST_ACTOR)
    partner_runs.cancel(run.pk, actor=TEST_ACTOR, reason="Not needed")
    for call_id in rest:
        partner_calls.make(call_id, actor=TEST_ACTOR)
    assert results(run) == {"done": 1, "cancelled": 3}
    assert partner_calls.pending(run.pk, limit=10) == []
    run.refresh_from_db()
    assert (run.status, run.note) == ("cancelled", f"Cancelled by {TEST_ACTOR.name}: Not needed")
    assert OutboxMessage.objects.filter(topic=Topic.CANCEL_PARTNER_RUN, aggregate=f"partner-run:{run.pk}").count() == 1
    assert partner_runs.end(run.pk) is PartnerRunStatus.CANCELLED
    with pytest.raises(WrongState, match="cancelled since"):
        partner_runs.cancel(run.pk, actor=TEST_ACTOR, reason="Again")


def test_a_process_that_ends_early_leaves_no_run_that_says_running() -> None:
    make_shipments(2)
    run = start()
    assert partner_runs.end(run.pk, note="Terminated") is PartnerRunStatus.CANCELLED
    run.refresh_from_db()
    assert (run.note, results(run)) == ("Terminated", {"cancelled": 2})


def test_a_list_without_calls_completes() -> None:
    run = start()
    assert (run.total, partner_runs.end(run.pk)) == (0, PartnerRunStatus.COMPLETED)


def test_a_call_holds_no_transaction_while_the_partner_thinks(partners: Http, monkeypatch: pytest.MonkeyPatch) -> None:
    booked(partners, make_shipments(1))
    run = start()
    depth: list[int] = []
    outer = len(connection.savepoint_ids)
    from orders.partners import carrier

    monkeypatch.setattr(carrier, "track", lambda reference: depth.append(len(connection.savepoint_ids)) or [])
    make_all(run)
    assert depth == [outer]
