"""A run of partner calls on the real servers: the breaker opens in its middle, and all drains at the set rate."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from orders.models import PartnerHealth, PartnerRun, Shipment
from orders.services import partner_runs
from orders.vocabulary import BreakerState, EventType, PartnerCallStatus, PartnerCode, PartnerRunStatus
from tests.e2e import engine as engines
from tests.e2e.engine import Engine, eventually
from tests.factories import TEST_ACTOR
from tests.orders.test_partner_runs import booked, make_shipments
from tests.simulator.talk import Http

# The servers' start counts for the first test.
pytestmark = [pytest.mark.e2e, pytest.mark.django_db(transaction=True)]
#: calls a second of the whole queue
RATE = 10.0
CALLS = 60


@pytest.fixture(scope="module")
def shared_engine(django_db_setup: None, django_db_blocker: Any) -> Iterator[Engine]:
    with django_db_blocker.unblock(), pytest.MonkeyPatch.context() as environment:
        environment.setenv("PARTNER_CALLS_PER_SECOND", str(RATE))
        with engines.running() as running:
            yield running


@pytest.fixture
def engine(shared_engine: Engine, transactional_db: None) -> Iterator[Engine]:
    with shared_engine.for_a_test() as running:
        yield running


@pytest.fixture
def shipments(engine: Engine) -> list[Shipment]:
    made = make_shipments(CALLS)
    with Http(engine.simulator.url) as carrier:
        booked(carrier, made)
        for shipment in made:
            carrier.request("POST", f"/carrier/shipments/{shipment.reference}/advance", {})
    return made


def done(run: PartnerRun) -> int:
    return run.calls.filter(status=PartnerCallStatus.DONE).count()


def status_of(run: PartnerRun) -> str:
    run.refresh_from_db()
    return run.status


def start() -> PartnerRun:
    return partner_runs.start(PartnerCode.CARRIER, actor=TEST_ACTOR, reason="Where are they?")


def test_a_breaker_that_opens_during_a_run_drops_nothing_and_all_drains_at_the_rate(
    engine: Engine, shipments: list[Shipment]
) -> None:
    run = start()
    eventually(lambda: done(run) >= 5, what="the first results")
    engine.faults({"partner": "carrier", "mode": "unavailable"})
    down = PartnerHealth.objects.filter(partner="carrier", state=BreakerState.OPEN, failed_tries__gte=2)
    eventually(down.exists, what="a breaker that is open, and a try that failed")
    before = done(run)
    assert before < CALLS - 20
    assert status_of(run) == PartnerRunStatus.RUNNING

    engine.faults()
    eventually(lambda: status_of(run) != PartnerRunStatus.RUNNING, what="the end of the run")
    assert status_of(run) == PartnerRunStatus.COMPLETED
    assert done(run) == run.total == CALLS
    closed_at = PartnerHealth.objects.get(partner="carrier").last_ok_at
    assert closed_at is not None
    finished = list(run.calls.order_by("finished_at").values_list("finished_at", flat=True))[before:]
    took = (finished[-1] - finished[0]) / timedelta(seconds=1)
    # Temporal may let a second's calls through at once in the beginning.
    assert len(finished) / max(took, 0.001) <= RATE * 1.5, f"{len(finished)} calls in {took:.1f} s"
    assert set(Shipment.objects.values_list("tracking_status", flat=True)) == {"in_transit"}
    order = shipments[0].order
    assert order.events.filter(type=EventType.TRACKING_UPDATED).count() == CALLS


def test_a_run_that_is_cancelled_ends_in_temporal_too(engine: Engine, shipments: list[Shipment]) -> None:
    engine.faults({"partner": "carrier", "mode": "unavailable"})
    run = start()
    eventually(lambda: run.calls.filter(attempts__gt=0).exists(), what="the first failed call")
    partner_runs.cancel(run.pk, actor=TEST_ACTOR, reason="Not needed")
    eventually(lambda: engine.workflow_status(f"partner-run:{run.pk}").name == "CANCELED", what="its end in Temporal")  # type: ignore[union-attr]
    assert status_of(run) == PartnerRunStatus.CANCELLED
    assert run.calls.filter(status=PartnerCallStatus.CANCELLED).count() == CALLS
