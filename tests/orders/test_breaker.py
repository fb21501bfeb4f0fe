"""The circuit breaker: a partner that is out of order is left alone, by all workers, and comes back to a trickle."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from datetime import timedelta
from threading import Barrier

import pytest
from django.db.models import F
from django.utils import timezone
from pytest_django.fixtures import Settings

from orders.errors import CarrierRejected, PartnerDown, PartnerUnavailable
from orders.models import Order, OrderEvent, PartnerHealth, Step
from orders.partners import breaker
from orders.services import payments, shipping
from orders.vocabulary import BreakerState, EventType, PartnerCode, StepName
from tests.factories import TEST_ACTOR, make_prepared_order
from tests.orders.connections import PATIENCE, connections
from tests.simulator.talk import Http

pytestmark = pytest.mark.django_db
CARRIER = PartnerCode.CARRIER
FAILURES = 3
#: seconds; longer than every back-off, which in turn is longer than a test on a slow machine
LONG = 5_000


@pytest.fixture(autouse=True)
def numbers(settings: Settings) -> None:
    settings.BREAKER_FIRST_SECONDS, settings.BREAKER_LONGEST_SECONDS = 300.0, 1_000.0
    settings.BREAKER_DRAIN_PER_SECOND = 10.0


@pytest.fixture
def weather(partners: Http, settings: Settings) -> Http:
    settings.BREAKER_FAILURES = FAILURES
    return partners


def row() -> PartnerHealth:
    return PartnerHealth.objects.get(pk=CARRIER)


def call(error: Exception | None = None) -> None:
    with breaker.attempt(CARRIER), breaker.observed(CARRIER):
        if error:
            raise error


def fail() -> PartnerUnavailable:
    error = PartnerUnavailable("The carrier answered 503.")
    with pytest.raises(PartnerUnavailable) as raised:
        call(error)
    assert raised.value is error, "the carrier was not called"
    return error


def refused() -> PartnerDown:
    with pytest.raises(PartnerDown) as raised:
        call()
    return raised.value


def open_it(settings: Settings) -> None:
    settings.BREAKER_FAILURES = FAILURES
    for _ in range(FAILURES):
        fail()


def time_passes(seconds: float) -> None:
    """The clock of the database cannot be turned; the row's times can."""
    PartnerHealth.objects.update(next_try_at=F("next_try_at") - timedelta(seconds=seconds))


def paid_order() -> Order:
    order = make_prepared_order()
    payments.charge(str(order.id), actor=TEST_ACTOR)
    return order


def ship(order: Order) -> None:
    shipping.ship(str(order.id), actor=TEST_ACTOR)


# --- Closed, open, half-open ------------------------------------------------------------------------------------------


def test_failures_in_a_row_open_it_and_then_the_carrier_is_not_called(settings: Settings) -> None:
    settings.BREAKER_FAILURES = FAILURES
    assert [fail().retry_after is None for _ in range(FAILURES)] == [True, True, False]

    told = refused()

    assert row().state == BreakerState.OPEN
    assert timedelta(0) < told.retry_after <= timedelta(seconds=30.2)  # type: ignore[operator]
    assert (row().failures_in_a_row, row().failed_tries) == (FAILURES, 1)


@pytest.mark.parametrize("answer", [None, CarrierRejected("no"), KeyError("no")], ids=str)
def test_an_answer_of_any_kind_ends_the_row_of_failures(settings: Settings, answer: Exception | None) -> None:
    settings.BREAKER_FAILURES = FAILURES
    for _ in range(3):
        fail()
        fail() if row().failures_in_a_row == 1 else None
        if answer is None:
            call()
        else:
            with pytest.raises(type(answer)):
                call(answer)
    assert (row().state, row().failures_in_a_row) == (BreakerState.CLOSED, 0)


def test_wait_grows_with_each_failed_try_up_to_its_bound(settings: Settings) -> None:
    open_it(settings)
    waits = []
    for _ in range(5):
        waits.append((row().next_try_at - row().last_error_at).total_seconds())  # type: ignore[operator]
        time_passes(LONG)
        fail()
    assert waits == [300, 600, 1000, 1000, 1000]
    assert row().opened_at is not None


def test_a_try_that_is_answered_closes_it(settings: Settings) -> None:
    open_it(settings)
    time_passes(LONG)
    call()
    now = row()
    assert (now.state, now.failures_in_a_row, now.failed_tries) == (BreakerState.CLOSED, 0, 0)
    assert (now.opened_at, now.next_try_at) == (None, None)


def test_a_try_that_made_no_call_leaves_it_to_the_next_one(settings: Settings) -> None:
    open_it(settings)
    time_passes(LONG)
    with breaker.attempt(CARRIER):
        assert row().state == BreakerState.HALF_OPEN
    assert row().state == BreakerState.OPEN
    call()
    assert row().state == BreakerState.CLOSED


def test_the_lease_of_a_try_whose_worker_died_ends(settings: Settings) -> None:
    open_it(settings)
    time_passes(LONG)
    dead = breaker.attempt(CARRIER)
    dead.__enter__()
    refused()
    time_passes(settings.PARTNER_TIMEOUT_SECONDS * breaker.TRY_LEASE_IN_TIMEOUTS)
    call()
    assert row().state == BreakerState.CLOSED
    # Left to the garbage collector, it would end in the middle of another test's query, on the same connection.
    dead.__exit__(None, None, None)
    assert row().state == BreakerState.CLOSED


@pytest.mark.parametrize("late", [None, PartnerUnavailable("late")], ids=["answered", "failed"])
def test_a_call_that_began_before_it_opened_changes_nothing(settings: Settings, late: Exception | None) -> None:
    @contextmanager
    def slow() -> Iterator[None]:
        with breaker.attempt(CARRIER), breaker.observed(CARRIER):
            yield
            if late:
                raise late

    call_under_way = slow()
    call_under_way.__enter__()
    # The other calls are those of other workers, outside of this one's attempt.
    token = breaker._current.set(None)
    open_it(settings)
    before = row()
    breaker._current.reset(token)
    with pytest.raises(PartnerUnavailable) if late else nullcontext():
        call_under_way.__exit__(None, None, None)
    after = row()
    assert (after.state, after.next_try_at, after.generation) == (
        BreakerState.OPEN,
        before.next_try_at,
        before.generation,
    )


def test_a_call_to_a_partner_that_answers_reads_once_and_writes_nothing(
    django_assert_num_queries: Callable[..., object],
) -> None:
    call()
    with django_assert_num_queries(3) as queries:  # type: ignore[attr-defined]
        call()
    assert [query["sql"].split()[0] for query in queries.captured_queries] == ["SELECT", "SAVEPOINT", "RELEASE"]


# --- Many workers -----------------------------------------------------------------------------------------------------


def together(count: int, work: Callable[[], object]) -> list[object]:
    """What `work` did on so many connections at once: None, or its error."""
    start = Barrier(count)

    def run() -> object:
        start.wait(PATIENCE)
        try:
            work()
        except PartnerUnavailable as error:
            return type(error)
        return None

    with connections(count) as workers:
        return [begun.result(PATIENCE) for begun in [workers.begin(run) for _ in range(count)]]


@pytest.mark.django_db(transaction=True)
def test_of_many_workers_one_tries_and_one_opens(settings: Settings) -> None:
    settings.BREAKER_FAILURES = FAILURES
    inside = Barrier(6)

    def failing() -> None:
        with breaker.attempt(CARRIER), breaker.observed(CARRIER):
            inside.wait(PATIENCE)
            raise PartnerUnavailable("no")

    together(6, failing)
    assert (row().state, row().failed_tries, row().generation) == (BreakerState.OPEN, 1, 1)

    time_passes(LONG)
    done = Barrier(6)

    def trying() -> None:
        try:
            with breaker.attempt(CARRIER), breaker.observed(CARRIER):
                # Under way until every other worker has been refused.
                done.wait(PATIENCE)
        except PartnerDown:
            done.wait(PATIENCE)
            raise

    assert sorted(together(6, trying), key=str) == [PartnerDown] * 5 + [None]
    assert row().state == BreakerState.CLOSED


@pytest.mark.django_db(transaction=True)
def test_of_two_workers_that_both_found_the_try_due_one_tries(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_it(settings)
    time_passes(LONG)
    both_have_looked, refused_or_in = Barrier(2), Barrier(2)

    def after_the_look(name: str) -> F:
        # Called for the taking, which comes after the look.
        both_have_looked.wait(PATIENCE)
        return F(name)

    monkeypatch.setattr(breaker, "F", after_the_look)

    def trying() -> None:
        try:
            with breaker.attempt(CARRIER), breaker.observed(CARRIER):
                refused_or_in.wait(PATIENCE)
        except PartnerDown:
            refused_or_in.wait(PATIENCE)
            raise

    assert sorted(together(2, trying), key=str) == [PartnerDown, None]


# --- What waits -------------------------------------------------------------------------------------------------------


def test_what_waits_comes_back_spread_over_the_time_that_the_rate_asks_for(settings: Settings) -> None:
    for _ in range(49):
        order = make_prepared_order()
        Step.objects.create(
            key=f"{order.id}:ship",
            order=order,
            name=StepName.SHIP,
            claimed_at=timezone.now(),
            last_error="no",
            last_error_at=timezone.now(),
        )
    open_it(settings)
    waits = [refused().retry_after.total_seconds() for _ in range(100)]  # type: ignore[union-attr]
    # Fifty at ten a second, after the time in which each looks again.
    assert min(waits) >= 30
    assert max(waits) <= 35
    assert max(waits) - min(waits) > 2.5


def test_orders_wait_while_the_carrier_is_down_and_ship_once_when_it_is_back(weather: Http) -> None:
    orders = [paid_order() for _ in range(FAILURES + 2)]
    # Look-ups are answered meanwhile; that is no recovery.
    weather.fault(partner="carrier", operation="shipments.book", mode="unavailable")
    for order in orders + orders:
        with pytest.raises(PartnerUnavailable):
            ship(order)
    assert row().state == BreakerState.OPEN
    weather.request("DELETE", "/faults")
    with pytest.raises(PartnerDown):
        ship(orders[0])
    assert weather.books(str(orders[0].id))["shipments_booked"] == 0
    assert breaker.parked(CARRIER).count() == len(orders)

    time_passes(LONG)
    for order in orders:
        ship(order)

    assert row().state == BreakerState.CLOSED
    assert [weather.books(str(order.id))["shipments_booked"] for order in orders] == [1] * len(orders)
    assert breaker.parked(CARRIER).count() == 0


def test_a_look_up_that_is_answered_before_a_booking_that_is_not_is_no_recovery(weather: Http) -> None:
    orders = [paid_order() for _ in range(FAILURES - 1)]
    weather.fault(partner="carrier", operation="shipments.book", mode="unavailable")

    def fail_to_ship(order: Order) -> None:
        with pytest.raises(PartnerUnavailable):
            ship(order)

    for order in orders:
        fail_to_ship(order)
    assert (row().state, row().failures_in_a_row) == (BreakerState.CLOSED, FAILURES - 1)
    # From here on each attempt asks first what the one before did, and is answered.
    fail_to_ship(orders[0])
    assert row().state == BreakerState.OPEN
    time_passes(LONG)
    fail_to_ship(orders[0])
    assert (row().state, row().failed_tries) == (BreakerState.OPEN, 2)


def test_an_undo_waits_without_calling_the_carrier(weather: Http, settings: Settings) -> None:
    order = paid_order()
    ship(order)
    open_it(settings)
    with pytest.raises(PartnerDown):
        shipping.undo_ship(str(order.id), actor=TEST_ACTOR)
    assert weather.books(str(order.id))["shipments_cancelled"] == 0
    time_passes(LONG)
    shipping.undo_ship(str(order.id), actor=TEST_ACTOR)
    assert weather.books(str(order.id))["shipments_cancelled"] == 1


def test_calls_that_are_not_made_get_one_line_for_each_outage(weather: Http, settings: Settings) -> None:
    order = paid_order()

    def lines() -> int:
        return OrderEvent.objects.filter(order=order, type=EventType.STEP_RETRYING).count()

    for outage in (1, 2):
        open_it(settings)
        for _ in range(12):
            with pytest.raises(PartnerDown):
                ship(order)
        assert lines() == outage
        time_passes(LONG)
        call()
