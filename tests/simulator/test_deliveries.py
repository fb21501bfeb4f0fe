"""Which deliveries are handed out, in what order, and when one is tried again; without threads and sockets."""

import threading

import pytest

from simulator.deliveries import MAX_UNDER_WAY, Deliveries, Delivery, Result
from tests.simulator.double import Double


@pytest.fixture
def post(double: Double) -> "Post":
    """The work of one endpoint that hears of everything."""
    double.ok("POST", "/v1/webhook_endpoints", {"url": "http://127.0.0.1:1/", "enabled_events": ["*"]})
    return Post(double)


class Post:
    """Hands out deliveries and answers them as an endpoint would."""

    def __init__(self, double: Double) -> None:
        self.double = double
        self.deliveries = Deliveries(double.sim.store, double.sim.clock, threading.Event())

    def handed_out(self) -> list[Delivery]:
        """What the senders get now."""
        return [self.deliveries.todo.get() for _ in range(self.deliveries.hand_out())]

    def answer(self, *deliveries: Delivery, error: str | None = None) -> None:
        """Have the endpoint take these, or refuse them."""
        for delivery in deliveries:
            self.deliveries.done.put(Result(delivery=delivery, error=error))
        self.deliveries.write_results()

    def summary(self, state: str) -> int:
        """How many deliveries are in a state."""
        return int(self.double.ok("GET", "/oracle/summary")[f"deliveries_{state}"])


def kinds(deliveries: list[Delivery]) -> list[str]:
    return [delivery.body.split('"type":"')[-1].rstrip('"}') for delivery in deliveries]


def test_the_events_of_one_payment_go_one_after_the_other_and_those_of_another_beside_them(post: Post) -> None:
    post.double.paid(order="o-1")
    post.double.paid(order="o-2")
    first = post.handed_out()
    assert kinds(first) == ["payment_intent.created", "payment_intent.created"]
    assert post.handed_out() == []
    post.answer(first[0])
    assert kinds(post.handed_out()) == ["charge.succeeded"]


def test_a_refused_event_backs_off_and_does_not_hold_up_the_next_one(post: Post) -> None:
    post.double.paid()
    (created,) = post.handed_out()
    post.answer(created, error="the endpoint answered 500")
    (charged,) = post.handed_out()
    assert kinds([charged]) == ["charge.succeeded"]
    post.answer(charged)
    (succeeded,) = post.handed_out()
    post.answer(succeeded)
    assert post.handed_out() == []
    for wait in (1, 2, 4):
        post.double.advance(wait - 0.5)
        assert post.handed_out() == []
        post.double.advance(0.5)
        (again,) = post.handed_out()
        assert (again.seq, again.body) == (created.seq, created.body)
        post.answer(again, error="the endpoint answered 500")
    post.double.advance(8)
    post.answer(*post.handed_out())
    assert (post.summary("pending"), post.summary("delivered")) == (0, 3)


def test_an_endpoint_that_fails_is_left_alone_but_for_one_event_every_ten_seconds(post: Post) -> None:
    for number in range(MAX_UNDER_WAY + 10):
        post.double.intent(order=f"o-{number}")
    burst = post.handed_out()
    assert len(burst) == MAX_UNDER_WAY
    post.answer(*burst, error="ConnectionRefusedError")
    assert post.handed_out() == []
    post.double.advance(9.5)
    assert post.handed_out() == []
    post.double.advance(0.5)
    (probe,) = post.handed_out()
    post.answer(probe, error="ConnectionRefusedError")
    post.double.advance(10)
    (probe,) = post.handed_out()
    post.answer(probe)
    assert len(post.handed_out()) == MAX_UNDER_WAY, "it took one, so it gets everything"


def test_a_delivery_is_given_up_after_three_days(post: Post) -> None:
    post.double.intent()
    attempts = 0
    for _ in range(100):
        handed_out = post.handed_out()
        attempts += len(handed_out)
        post.answer(*handed_out, error="the endpoint answered 410")
        post.double.advance(3600)
    assert (post.summary("pending"), post.summary("failed")) == (0, 1)
    assert 72 <= attempts <= 74


def test_a_disabled_endpoint_gets_nothing(post: Post) -> None:
    post.double.intent()
    (endpoint,) = post.double.ok("GET", "/v1/webhook_endpoints")["data"]
    post.double.ok("POST", f"/v1/webhook_endpoints/{endpoint['id']}", {"disabled": "true"})
    assert post.handed_out() == []
    post.double.ok("POST", f"/v1/webhook_endpoints/{endpoint['id']}", {"disabled": "false"})
    assert kinds(post.handed_out()) == ["payment_intent.created"]
