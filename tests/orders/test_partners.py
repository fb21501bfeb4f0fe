"""Leads stop, probe and resume the calls of a partner, and see what waits behind it."""

from collections.abc import Callable

import pytest
from django.urls import reverse

from orders.actor import Actor, person
from orders.errors import InvalidInput, NotPermitted, PartnerDown, WrongState
from orders.models import Command, Order, PartnerHealth
from orders.partners import breaker
from orders.services import breakers, payments, shipping
from orders.vocabulary import BreakerState, Channel, CommandStatus, PartnerCode
from tests.factories import TEST_ACTOR, make_prepared_order
from tests.orders.api_calls import token_client
from tests.orders.staff import make_user, signed_in
from tests.simulator.talk import Http

pytestmark = pytest.mark.django_db
CARRIER = PartnerCode.CARRIER
Drive = Callable[..., PartnerHealth]


@pytest.fixture
def lead() -> Actor:
    return person(make_user("orders.drive_breaker", "orders.view_partnerhealth", name="lea"), Channel.ADMIN)


@pytest.fixture
def paid(partners: Http) -> Order:
    order = make_prepared_order()
    payments.charge(str(order.id), actor=TEST_ACTOR)
    return order


def state() -> str:
    return PartnerHealth.objects.values_list("state", flat=True).get(pk=CARRIER)


def test_held_calls_are_not_made_and_a_probe_that_is_answered_resumes_them(
    paid: Order, lead: Actor, partners: Http
) -> None:
    breakers.hold(CARRIER, actor=lead, reason="Maintenance")
    for _ in range(3):
        with pytest.raises(PartnerDown, match="Calls are held"):
            shipping.ship(str(paid.id), actor=TEST_ACTOR)
    assert partners.books(str(paid.id))["shipments_booked"] == 0

    breakers.probe(CARRIER, actor=lead, reason="Maintenance is over")
    shipping.ship(str(paid.id), actor=TEST_ACTOR)

    assert (state(), partners.books(str(paid.id))["shipments_booked"]) == (BreakerState.CLOSED, 1)
    told = [
        (row.kind, row.actor, row.reason, row.status, row.outcome)
        for row in Command.objects.filter(order=None).order_by("created_at")
    ]
    done = CommandStatus.DONE
    assert told == [
        ("partner_hold", "lea", "Maintenance", done, "Calls to the carrier are held. 0 orders waited."),
        ("partner_probe", "lea", "Maintenance is over", done, "The next call tries the carrier. 1 order waited."),
    ]


def test_calls_are_resumed_without_a_try(lead: Actor) -> None:
    breakers.hold(CARRIER, actor=lead, reason="Weather")
    row = breakers.close(CARRIER, actor=lead, reason="Sunshine")
    assert (row.state, row.opened_at, row.next_try_at) == (BreakerState.CLOSED, None, None)


def test_an_answer_of_a_call_that_was_under_way_does_not_release_a_hold(lead: Actor) -> None:
    with breaker.attempt(CARRIER), breaker.observed(CARRIER):
        breakers.hold(CARRIER, actor=lead, reason="Weather")
    assert state() == BreakerState.HELD


@pytest.mark.parametrize(
    ("before", "drive", "refusal"),
    [
        (breakers.hold, breakers.hold, "The calls to the carrier are held since .* UTC"),
        (None, breakers.probe, "there is nothing to try"),
        (None, breakers.close, "are not stopped"),
    ],
    ids=["hold", "probe", "close"],
)
def test_a_command_that_changes_nothing_is_refused_with_the_reason(
    lead: Actor, before: Drive | None, drive: Drive, refusal: str
) -> None:
    if before:
        before(CARRIER, actor=lead, reason="Weather")
    with pytest.raises(WrongState, match=refusal):
        drive(CARRIER, actor=lead, reason="Weather")
    assert Command.objects.count() == (1 if before else 0)


@pytest.mark.parametrize("drive", [breakers.hold, breakers.probe, breakers.close])
def test_the_permission_and_a_reason_are_needed(lead: Actor, drive: Drive) -> None:
    with pytest.raises(NotPermitted, match="drive_breaker"):
        drive(CARRIER, actor=person(make_user(name="anna"), Channel.ADMIN), reason="Weather")
    with pytest.raises(InvalidInput, match="Say why"):
        drive(CARRIER, actor=lead, reason=" ")
    assert not PartnerHealth.objects.exists()


def test_the_page_shows_state_and_what_waits(paid: Order, lead: Actor) -> None:
    breakers.hold(CARRIER, actor=lead, reason="Weather")
    with pytest.raises(PartnerDown):
        shipping.ship(str(paid.id), actor=TEST_ACTOR)

    client = signed_in("orders.view_partnerhealth", "orders.drive_breaker")
    page = client.get(reverse("admin:orders_partnerhealth_changelist")).content.decode()

    assert "Held" in page
    assert "1 order" in page
    assert all(button in page for button in ("Hold calls", "Try one call", "Resume calls"))


def test_the_api_lists_partners_and_drives_them(paid: Order) -> None:
    client = token_client(user=make_user("orders.drive_breaker", "orders.view_partnerhealth", name="lea"))
    held = client.post("/api/partners/carrier/hold/", {"reason": "Weather"}, content_type="application/json")
    assert (held.status_code, held.json()["state"]) == (200, "held")

    listed = {row["partner"]: row for row in client.get("/api/partners/").json()}
    assert (listed["carrier"]["state"], listed["carrier"]["waiting_orders"]) == ("held", 0)
    again = client.post("/api/partners/carrier/hold/", {"reason": "Weather"}, content_type="application/json")
    assert again.status_code == 409
    assert (
        client.post("/api/partners/nobody/hold/", {"reason": "x"}, content_type="application/json").status_code == 404
    )
