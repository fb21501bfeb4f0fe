"""The one question that a request asks the engine: bounded, optional, and never asked twice of a dead one."""

import threading
from datetime import UTC, datetime

import pytest
from django.urls import reverse
from pytest_django.fixtures import Settings

from orders import gateway
from orders.gateway import Answer, Gateway, LiveState, LiveStep
from orders.models import Order
from orders.vocabulary import OrderStatus, StepName
from tests.factories import make_order
from tests.orders import driving
from tests.orders.api_calls import token_client
from tests.orders.staff import VIEW_ORDER, signed_in

pytestmark = pytest.mark.django_db

STEP = LiveStep(
    step=StepName.CHARGE,
    state=LiveState.WAITING,
    attempt=4,
    next_attempt_at=datetime(2026, 11, 23, 9, 0, 12, tzinfo=UTC),
    gives_up_at=datetime(2026, 11, 24, 1, 0, tzinfo=UTC),
    worker="worker 7",
    last_failure="partner_unavailable",
)
CHARGING = Order(number="SO-1", status=OrderStatus.CHARGING)


class Engine:
    """Answers, raises, or hangs until it is let go, and counts how often it was asked."""

    def __init__(self, *, error: Exception | None = None, hangs: bool = False) -> None:
        self.error = error
        self.asked = 0
        self.go = threading.Event()
        if not hangs:
            self.go.set()

    def __call__(self, order_id: str, **options: float) -> LiveStep:
        self.asked += 1
        self.go.wait()
        if self.error:
            raise self.error
        return STEP


def test_an_engine_that_answers_is_believed() -> None:
    assert Gateway(Engine(), seconds=60).ask(CHARGING) == Answer(step=STEP)


def test_an_engine_that_hangs_is_left_alone_and_nobody_waits_twice_in_a_row() -> None:
    now = [0.0]
    engine = Engine(hangs=True)
    asking = Gateway(engine, seconds=0.2, clock=lambda: now[0])
    try:
        assert "does not answer" in asking.ask(CHARGING).silence
        assert "a moment ago" in asking.ask(CHARGING).silence
        assert engine.asked == 1
    finally:
        engine.go.set()
    now[0] += gateway.COOL_DOWN_SECONDS
    asking.seconds = 60  # for the call that must be answered, however slow the machine
    assert asking.ask(CHARGING).step == STEP


@pytest.mark.parametrize("error", [RuntimeError("refused"), TimeoutError(), ValueError("anything")])
def test_whatever_the_engine_raises_is_a_word_and_no_error(error: Exception) -> None:
    asking = Gateway(Engine(error=error), seconds=60)
    assert "does not answer" in asking.ask(CHARGING).silence


def test_an_order_that_no_engine_works_on_is_not_asked_about() -> None:
    engine = Engine()
    for status in set(OrderStatus) - {"queued", "reserving", "checking", "charging", "shipping", "undoing"}:
        assert Gateway(engine).ask(Order(status=status)).silence == "No step is under way."
    assert engine.asked == 0


@pytest.fixture
def engine(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Engine:
    engine = Engine()
    settings.ENGINE_GATEWAY = "tests.orders.test_gateway.Engine"
    monkeypatch.setattr(gateway, "_gateway", Gateway(engine, seconds=60))
    return engine


def charging() -> Order:
    return driving.drive(make_order(), gateway=driving.outage())


def test_the_page_asks_only_after_it_has_rendered(engine: Engine) -> None:
    order = charging()
    client = signed_in(VIEW_ORDER)
    part = reverse("orders:engine", args=[order.number])
    page = client.get(reverse("orders:page", args=[order.number])).content.decode()
    client.get(reverse("orders:live", args=[order.number]))
    client.get(reverse("admin:orders_order_changelist"))
    assert engine.asked == 0
    assert f'hx-get="{part}"' in page
    says = client.get(part).content.decode()
    assert engine.asked == 1
    assert "Next try at taking the payment" in says
    assert 'data-until="2026-11-23T09:00:12+00:00"' in says
    assert "attempt 4; the last was made by worker 7. Given up and undone at 24 Nov, 01:00." in says


def test_the_line_is_silent_before_the_process_and_stops_after_it(engine: Engine) -> None:
    client = signed_in(VIEW_ORDER)
    assert client.get(reverse("orders:engine", args=[make_order().number])).content == b""
    done = driving.drive(make_order())
    assert client.get(reverse("orders:engine", args=[done.number])).status_code == 286
    assert engine.asked == 0
    assert client.get(reverse("orders:engine", args=["SO-0"])).status_code == 404


def test_the_line_is_for_those_who_may_see_the_order(engine: Engine) -> None:
    response = signed_in().get(reverse("orders:engine", args=[charging().number]))
    assert response.status_code == 403
    assert engine.asked == 0


def test_the_api_tells_what_the_engine_says(engine: Engine) -> None:
    answer = token_client("view_order").get(f"/api/orders/{charging().number}/why/").json()
    assert answer["live_missing"] == ""
    assert answer["live"] == {
        "step": "charge",
        "state": "waiting",
        "attempt": 4,
        "next_attempt_at": "2026-11-23T09:00:12Z",
        "gives_up_at": "2026-11-24T01:00:00Z",
        "worker": "worker 7",
        "last_failure": "partner_unavailable",
    }
