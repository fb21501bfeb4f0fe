"""SIGTERM ends worker and web within their grace, whatever is under way or hangs, and no work is lost."""

import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator

import pgtrigger
import pytest
import requests
from django.db import connection

from orders.models import ExportPart, Order, Step
from orders.services.exports import making
from orders.vocabulary import EventType, ExportFormat, OrderStatus, StepName
from tests.e2e.engine import CHECKOUT, Engine, eventually
from tests.e2e.test_exports import ask, is_completed
from tests.e2e.test_order_flow import all_closed, sound, status_of
from tests.factories import make_order, make_product
from tests.orders.api_calls import make_token, make_user

pytestmark = [pytest.mark.e2e, pytest.mark.django_db(transaction=True)]
#: seconds: after half a minute whoever stops a process kills it
GRACE = 30


@pytest.fixture
def patient(running_engine: Engine, monkeypatch: pytest.MonkeyPatch) -> Engine:
    """With a worker that waits for an answer for longer than its grace."""
    monkeypatch.setenv("PARTNER_TIMEOUT_SECONDS", "90")
    running_engine.let_the_worker_go()
    running_engine.start_worker()
    running_engine.worker_is_plain = False
    return running_engine


def stopped(process: "subprocess.Popen[bytes]") -> tuple[int, float]:
    """The exit code after SIGTERM, and the seconds that it took."""
    begun = time.monotonic()
    process.terminate()
    try:
        return process.wait(2 * GRACE), time.monotonic() - begun
    finally:
        process.kill()


def at(step: StepName, count: int) -> list[Order]:
    product = make_product(stock=1000)
    orders = [make_order(product=product, started=True) for _ in range(count)]
    under_way = Step.objects.filter(name=step, status="open", order__in=orders)
    eventually(lambda: under_way.count() >= min(count, 4), what=f"the {step}")
    return orders


def each_done_once_by_another(engine: Engine, orders: list[Order]) -> None:
    engine.faults()
    engine.start_worker()
    eventually(all_closed, what="the end of all orders")
    assert {status_of(order) for order in orders} == {OrderStatus.COMPLETED}
    for order in orders:
        assert order.events.filter(type=EventType.PAYMENT_CAPTURED).count() == 1
    sound(engine)


def test_a_worker_with_slow_charges_under_way_stops_when_they_are_done(running_engine: Engine) -> None:
    running_engine.faults(
        {"partner": "payments", "operation": "payment_intents.confirm", "mode": "latency", "seconds": 3.0}
    )
    orders = at(StepName.CHARGE, 24)
    assert running_engine.worker is not None
    code, seconds = stopped(running_engine.worker)
    assert code == 0
    assert seconds < GRACE
    assert not (running_engine.folder / "worker.ready").exists()
    each_done_once_by_another(running_engine, orders)


def test_a_worker_whose_partner_hangs_stops_all_the_same_and_another_one_finds_out(patient: Engine) -> None:
    patient.faults(
        {"partner": "payments", "operation": "payment_intents.confirm", "mode": "hang_after", "seconds": 60.0}
    )
    orders = at(StepName.CHARGE, 4)
    assert patient.worker is not None
    code, seconds = stopped(patient.worker)
    assert code == 0
    assert seconds < GRACE
    assert "under way, to be done elsewhere: charge_payment" in patient.log()
    each_done_once_by_another(patient, orders)


@pytest.fixture
def silent() -> Iterator[int]:
    """The port of somebody who takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
        yield port


def test_a_worker_that_waits_for_an_engine_that_never_answers_stops_at_once(
    running_engine: Engine, silent: int
) -> None:
    with open(running_engine.folder / "waiting.log", "ab") as log:
        worker = subprocess.Popen(
            [sys.executable, "manage.py", "run_worker"],
            cwd=CHECKOUT,
            env={**running_engine.environment(), "TEMPORAL_ADDRESS": f"127.0.0.1:{silent}"},
            stdout=log,
            stderr=log,
        )
    eventually(lambda: connects_to(silent, worker.pid), what="the connection")
    code, seconds = stopped(worker)
    assert code == 0
    assert seconds < 5


def connects_to(port: int, pid: int) -> bool:
    with open(f"/proc/{pid}/net/tcp") as connections:
        established = [line.split()[1:4] for line in connections if f":{port:04X} " in line]
    return any(remote.endswith(f":{port:04X}") and state == "01" for _, remote, state in established)


def test_a_web_process_with_a_slow_reader_and_a_request_that_hangs_stops_all_the_same(running_engine: Engine) -> None:
    make_order()
    export = ask(ExportFormat.CSV)
    eventually(lambda: is_completed(export), what="the file")
    export.refresh_from_db()
    part = ExportPart.objects.get(export=export)
    with pgtrigger.ignore("orders.ExportPart:written_once"):
        ExportPart.objects.filter(pk=part.pk).update(content=making._sealed(export, part, b"x" * 50_000_000))
    url = running_engine.start_web()
    assert running_engine.web is not None
    token = make_token(make_user("export_orders", "view_order", "view_export"), "full")
    headers = {"Authorization": f"Token {token}"}
    with (
        requests.get(f"{url}/api/exports/{export.pk}/download/", headers=headers, stream=True, timeout=30) as reading,
        connection.cursor() as cursor,
    ):
        assert reading.raw.read(1000)
        cursor.execute("BEGIN; LOCK TABLE orders_order IN ACCESS EXCLUSIVE MODE")
        try:
            with pytest.raises(requests.ReadTimeout):
                requests.get(f"{url}/api/orders/", headers=headers, timeout=1)
            code, seconds = stopped(running_engine.web)
        finally:
            cursor.execute("ROLLBACK")
    # uvicorn ends by the signal that it was sent.
    assert code in {0, -signal.SIGTERM}
    assert seconds < GRACE
