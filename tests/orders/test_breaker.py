"""The circuit breaker: a partner that is out of order is left alone, by all workers, and comes back to a trickle."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from datetime import timedelta
from threading import Barrier

import pytest
from django.db.models import F
from django.utils import timezone
from pytest_django.fixtures import Settings

from orders.errors import CarrierRejected, PartnerBusy, PartnerDown, PartnerUnavailable, RequestRefused
from orders.models import Order, OrderEvent, PartnerHealth, Step
from orders.partners import breaker
from orders.services import breakers, fraud, payments, shipping
from orders.vocabulary import BreakerState, EventType, FailureType, OrderStatus, PartnerCode, StepName
from tests.factories import TEST_ACTOR, make_prepared_order, make_reserved_order
from tests.orders import driving
from tests.orders.answering import answering
from tests.orders.connections import PATIENCE, connections
from tests.simulator.talk import Http

pytestmark = pytest.mark.django_db
CARRIER = PartnerCode.CARRIER
FAILURES = 3
#: seconds; longer than every back-off, which in turn is longer than a test on a slow machine
LONG = 5_000


def busy() -> PartnerBusy:
    error = PartnerBusy("later")
    error.retry_after = timedelta(seconds=9)
    return error


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


def call(error: Exception | None = None, *, subject: str = "") -> None:
    with breaker.attempt(CARRIER, subject=subject), breaker.observed(CARRIER):
        if error:
            raise error


def fail(*, subject: str = "") -> PartnerUnavailable:
    error = PartnerUnavailable("The carrier answered 503.")
    with pytest.raises(PartnerUnavailable) as raised:
        call(error, subject=subject)
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


@pytest.mark.parametrize("answer", [None, CarrierRejected("no"), RequestRefused("no"), busy(), KeyError("no")], ids=str)
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
    assert (row().state, row().failures_in_a_row, row().failed_subjects) == (BreakerState.CLOSED, 0, [])


def test_one_order_without_an_answer_keeps_no_other_one_waiting(settings: Settings) -> None:
    settings.BREAKER_FAILURES = FAILURES
    for _ in range(4 * FAILURES):
        fail(subject="one")
        fail(subject="another")
    assert row().state == BreakerState.CLOSED
    assert row().failed_subjects == ["one", "another"]
    fail(subject="a third one")
    assert row().state == BreakerState.OPEN
    refused()


def test_three_orders_without_an_answer_are_an_outage_only_together_with_the_number_of_failures(
    settings: Settings,
) -> None:
    settings.BREAKER_FAILURES = 5
    for subject in ("a", "b", "c", "d"):
        fail(subject=subject)
    assert (row().state, row().failed_subjects) == (BreakerState.CLOSED, ["a", "b", "c"])
    fail(subject="a")
    assert row().state == BreakerState.OPEN


def test_orders_are_counted_anew_after_a_good_answer(settings: Settings) -> None:
    settings.BREAKER_FAILURES = FAILURES
    fail(subject="a")
    fail(subject="b")
    call()
    for _ in range(FAILURES):
        fail(subject="c")
    assert (row().state, row().failed_subjects) == (BreakerState.CLOSED, ["c"])


def test_a_person_who_resumes_the_calls_has_orders_counted_anew(settings: Settings) -> None:
    open_it(settings)
    breakers.close(CARRIER, actor=TEST_ACTOR, reason="Back")
    for _ in range(FAILURES):
        fail(subject="a")
    assert (row().state, row().failed_subjects) == (BreakerState.CLOSED, ["a"])


def test_a_failing_try_opens_it_again_whoever_made_it(settings: Settings) -> None:
    open_it(settings)
    time_passes(LONG)
    fail(subject="one")
    time_passes(LONG)
    fail(subject="one")
    assert (row().state, row().failed_tries) == (BreakerState.OPEN, 3)


def test_a_partner_that_is_busy_is_not_out_of_order_and_says_itself_how_long_to_wait(settings: Settings) -> None:
    settings.BREAKER_FAILURES = 1
    for number in range(5):
        error = busy()
        with pytest.raises(PartnerBusy):
            call(error, subject=str(number))
        assert error.retry_after == timedelta(seconds=9)
    assert (row().state, row().failures_in_a_row) == (BreakerState.CLOSED, 0)
    open_it(settings)
    time_passes(LONG)
    with pytest.raises(PartnerBusy):
        call(busy())
    assert row().state == BreakerState.CLOSED


def test_how_long_a_busy_partner_asks_to_wait_is_kept_also_after_a_call_that_failed() -> None:
    error = busy()

    def fail_and_go_on() -> None:
        with breaker.attempt(CARRIER):
            with suppress(PartnerUnavailable), breaker.observed(CARRIER):
                raise PartnerUnavailable("no")
            with breaker.observed(CARRIER):
                raise error

    with pytest.raises(PartnerBusy):
        fail_and_go_on()
    assert error.retry_after == timedelta(seconds=9)


@pytest.mark.parametrize("partner", [PartnerCode.PAYMENTS, PartnerCode.FRAUD])
def test_one_order_whose_request_is_refused_opens_nothing_and_a_healthy_one_is_served(
    settings: Settings, partner: PartnerCode
) -> None:
    settings.BREAKER_FAILURES = 1
    charging = partner is PartnerCode.PAYMENTS
    make, attempt = (make_prepared_order, payments.charge) if charging else (make_reserved_order, fraud.check)
    bad, good = make(), make()
    with answering(settings) as server:
        server.status = 400
        for _ in range(5):
            with pytest.raises(RequestRefused):
                attempt(str(bad.pk), actor=TEST_ACTOR)
    with driving.partners():
        attempt(str(good.pk), actor=TEST_ACTOR)
    assert PartnerHealth.objects.get(pk=partner).state == BreakerState.CLOSED
    good.refresh_from_db()
    assert good.status == (OrderStatus.SHIPPING if charging else OrderStatus.CHARGING)


def test_the_steps_of_an_order_name_it_and_three_orders_open_the_breaker(settings: Settings) -> None:
    settings.BREAKER_FAILURES = FAILURES
    with answering(settings) as server:
        server.status = 503
        orders = [make_prepared_order() for _ in range(3)]
        for order in [orders[0], orders[0], orders[0], *orders[1:]]:
            known = PartnerHealth.objects.filter(pk=PartnerCode.PAYMENTS).exclude(state=BreakerState.CLOSED)
            assert not known.exists()
            with pytest.raises(PartnerUnavailable):
                payments.charge(str(order.pk), actor=TEST_ACTOR)
        payments_row = PartnerHealth.objects.get(pk=PartnerCode.PAYMENTS)
        assert payments_row.state == BreakerState.OPEN
        assert payments_row.failed_subjects == [str(order.pk) for order in orders]


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
def test_of_workers_that_fail_at_once_every_order_is_remembered(settings: Settings) -> None:
    settings.BREAKER_FAILURES = 1_000
    call()
    inside, subjects = Barrier(3), iter("abc")

    def failing() -> None:
        with breaker.attempt(CARRIER, subject=next(subjects)), breaker.observed(CARRIER):
            inside.wait(PATIENCE)
            raise PartnerUnavailable("no")

    together(3, failing)
    assert (row().failures_in_a_row, sorted(row().failed_subjects)) == (3, ["a", "b", "c"])


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
    orders = [paid_order() for _ in range(FAILURES)]
    weather.fault(partner="carrier", operation="shipments.book", mode="unavailable")

    def fail_to_ship(order: Order) -> None:
        with pytest.raises(PartnerUnavailable):
            ship(order)

    for order in orders[1:]:
        fail_to_ship(order)
    # From here on each attempt asks first what the one before did, and is answered.
    fail_to_ship(orders[1])
    assert (row().state, row().failures_in_a_row) == (BreakerState.CLOSED, FAILURES)
    fail_to_ship(orders[0])
    assert row().state == BreakerState.OPEN
    time_passes(LONG)
    fail_to_ship(orders[0])
    assert (row().state, row().failed_tries) == (BreakerState.OPEN, 2)


def test_an_undo_waits_without_calling_the_carrier(weather: Http, settings: Settings) -> None:
    order = paid_order()
    ship(order)
    driving.undo(order, FailureType.PROCESS_ENDED, "Ended", to_the_end=False)
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
