"""A worker that cannot work says so, takes nothing, and goes on by itself, on the real servers."""

import secrets
import subprocess
import sys

import pytest
from django.conf import settings

from orders.models import EngineUse, ServiceBeat, SystemEvent
from orders.services import reviewing
from orders.services.engine_uses import UNREADABLE_KEY
from orders.vocabulary import OrderStatus
from tests.e2e.engine import CHECKOUT, Engine, eventually
from tests.e2e.test_order_flow import all_closed, sound, status_of
from tests.e2e.test_stranger import order_in_review
from tests.factories import TEST_ACTOR, make_order

pytestmark = [pytest.mark.e2e, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def engine(gated_engine: Engine) -> Engine:
    return gated_engine


def test_a_worker_without_a_database_takes_nothing_until_it_answers_again(engine: Engine) -> None:
    assert engine.gate is not None
    ready = engine.folder / "worker.ready"
    eventually(ready.exists, what="the ready file")
    engine.gate.shut()
    try:
        eventually(lambda: not ready.exists(), what="the end of readiness", seconds=30)
        order = make_order(started=True)
    finally:
        engine.gate.open()
    eventually(ready.exists, what="the ready file", seconds=15)
    eventually(all_closed, what="the end of the order")
    assert status_of(order) == OrderStatus.COMPLETED
    assert "No work is taken: The database gives no connection" in engine.log()
    sound(engine)


def test_a_worker_whose_key_was_forgotten_says_which_and_takes_nothing_until_it_is_back(engine: Engine) -> None:
    key_id = settings.TEMPORAL_PAYLOAD_KEYS.partition(":")[0]
    order = order_in_review(engine)
    eventually(EngineUse.objects.filter(name=key_id).exists, what="the note of the key")
    assert engine.stop_worker() == 0
    other = f"other:{secrets.token_urlsafe(32)}"
    ready = engine.folder / "worker.ready"
    with open(engine.folder / "worker.log", "ab") as log:
        worker = subprocess.Popen(
            [sys.executable, "manage.py", "run_worker"],
            cwd=CHECKOUT,
            env={**engine.environment(), "BACKOFFICE_PAYLOAD_KEYS": other},
            stdout=log,
            stderr=log,
        )
    try:
        reviewing.approve(order.number, actor=TEST_ACTOR, reason="Known wholesaler")
        eventually(
            lambda: ServiceBeat.objects.filter(stopped__contains=f"the payload key {key_id}").exists(), what="the word"
        )
        assert not ready.exists()
        assert f"the payload key {key_id}" in SystemEvent.objects.get(error_type=UNREADABLE_KEY).message
        worker.terminate()
        assert worker.wait(30) == 0
    finally:
        worker.kill()
    engine.start_worker()
    eventually(all_closed, what="the end of the order")
    assert status_of(order) == OrderStatus.COMPLETED
    sound(engine)
