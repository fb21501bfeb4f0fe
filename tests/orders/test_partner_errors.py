"""What each partner's answer means: a final no, our request is wrong, come back later, or no answer."""

from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from django.utils import timezone
from django.utils.http import http_date
from pytest_django.fixtures import Settings

from orders.errors import (
    DomainError,
    PartnerBusy,
    PartnerFailed,
    PartnerRefused,
    PartnerUnavailable,
    RequestRefused,
    ShipmentRefused,
)
from orders.models import PartnerHealth
from orders.partners import addresses, carrier, endpoints, fraud, rates, statuses
from orders.partners import payments as gateway
from orders.vocabulary import PartnerCode
from tests.orders.answering import Answering, answering

pytestmark = pytest.mark.django_db

CALLS: dict[str, Callable[[], object]] = {
    "payments": lambda: gateway.retrieve("pi_1"),
    "carrier": lambda: carrier.book("o:ship", order="o", country="GB", pieces=1),
    "fraud": lambda: fraud.score("o", amount_minor=1, currency="GBP", country="GB", email="ada@buyer.example"),
    "rates": lambda: rates.quote("GBP"),
    "addresses": lambda: addresses.check("GB"),
    "endpoint": lambda: endpoints.call("hook", order="SO-1", text="hello", key="k"),
}
ASKED_FOR_ORDERS = ("payments", "carrier", "fraud", "endpoint")
QUESTIONS = ("rates", "addresses")
STATUSES = (400, 401, 402, 403, 404, 405, 407, 408, 409, 410, 413, 422, 425, 429, 451, 500, 501, 502, 503, 504, 520)
#: where a partner means something of its own by a status
OF_ITS_OWN: dict[tuple[str, int], type[DomainError]] = {
    ("payments", 402): gateway.Declined,
    # One of ours with the same idempotency key is under way.
    ("payments", 409): PartnerBusy,
    ("endpoint", 409): PartnerBusy,
}


def meant_by(partner: str, status: int) -> type[DomainError]:
    if (partner, status) in OF_ITS_OWN:
        return OF_ITS_OWN[partner, status]
    if status in {502, 504}:
        return PartnerUnavailable
    if status >= 500:
        return PartnerFailed
    if status in {408, 425, 429}:
        return PartnerBusy
    if partner in QUESTIONS:
        return PartnerRefused
    return PartnerUnavailable if status in {401, 403, 407} else RequestRefused


@pytest.fixture
def server(settings: Settings) -> Iterator[Answering]:
    # What an answer means is another question than when the breaker stops the calls.
    settings.BREAKER_FAILURES = 1_000
    with answering(settings) as told:
        yield told


def error_of(partner: str) -> DomainError:
    with pytest.raises(DomainError) as raised:
        CALLS[partner]()
    return raised.value


@pytest.mark.parametrize("partner", CALLS)
def test_every_status_of_every_partner_is_of_one_class(server: Answering, partner: str) -> None:
    found = {}
    for server.status in STATUSES:
        found[server.status] = type(error_of(partner))
    # Exactly the class, and not one that is derived from it.
    assert found == {status: meant_by(partner, status) for status in STATUSES}
    assert len(server.calls) == len(STATUSES), "a call was repeated"


@pytest.mark.parametrize("partner", CALLS)
def test_a_partner_that_hangs_up_did_not_answer(server: Answering, partner: str) -> None:
    server.status = None
    assert type(error_of(partner)) is PartnerUnavailable


@pytest.mark.parametrize("body", ["", "no json", "[]", "{}", '{"rates": {}}', '"text"'])
@pytest.mark.parametrize("partner", [name for name in CALLS if name not in {"endpoint", "payments"}])
def test_an_answer_that_cannot_be_read_is_the_partners_failure(server: Answering, partner: str, body: str) -> None:
    server.body = body
    assert type(error_of(partner)) is PartnerFailed
    assert PartnerHealth.objects.get(pk=partner).failures_in_a_row == 1


@pytest.mark.parametrize("partner", CALLS)
def test_a_partner_that_asks_to_come_back_says_when(server: Answering, partner: str) -> None:
    server.status, server.headers = 429, {"Retry-After": "7"}
    error = error_of(partner)
    assert isinstance(error, PartnerBusy)
    assert error.retry_after == timedelta(seconds=7)


@pytest.mark.parametrize(
    ("header", "wait"),
    [
        ("7", 7),
        ("0", 1),
        ("-5", 10),
        ("3600", 3600),
        ("3601", 3600),
        ("9" * 40, 3600),
        ("", 10),
        ("soon", 10),
        ("\u0667", 10),
        ("Mon, 99 Foo 2026 99:99:99 GMT", 10),
        (http_date(0), 1),
        (http_date(4_000_000_000), 3600),
    ],
)
def test_retry_after_is_seconds_or_a_date_and_bounded(header: str, wait: int) -> None:
    assert statuses.wait_of(header) == timedelta(seconds=wait)


def test_retry_after_as_a_date_counts_from_now() -> None:
    wait = statuses.wait_of(http_date(timezone.now().timestamp() + 120))
    assert timedelta(seconds=110) < wait <= timedelta(seconds=120)


@pytest.mark.parametrize(
    ("code", "meant"),
    [
        ("booking_refused", ShipmentRefused),
        ("cancelled", ShipmentRefused),
        ("already_in_transit", ShipmentRefused),
        ("conflict", RequestRefused),
        ("bad_field", RequestRefused),
        ("booking refused", RequestRefused),
    ],
)
def test_the_carriers_own_words_are_its_refusals_and_no_others(
    server: Answering, code: str, meant: type[DomainError]
) -> None:
    server.status, server.body = 409, server.body.replace("bad_field", code)
    assert type(error_of("carrier")) is meant


def test_a_wrong_address_of_the_carrier_does_not_look_like_a_parcel_that_was_never_booked(server: Answering) -> None:
    server.status, server.body = 404, "<h1>Not found</h1>"
    with pytest.raises(RequestRefused):
        carrier.find("o:ship")
    server.body = '{"error": {"code": "not_found", "message": "no shipment o:ship"}}'
    assert carrier.find("o:ship") is None


def test_what_the_fraud_partner_repeats_of_the_customer_is_not_told(server: Answering) -> None:
    server.status = 400
    server.body = '{"error": {"code": "bad_field", "field": "email", "message": "ada@buyer.example is no address"}}'
    assert str(error_of("fraud")) == "The fraud partner refuses our request: bad_field (email)"
    server.body = '{"error": {"code": "no such address as ada@buyer.example", "message": ""}}'
    assert str(error_of("fraud")) == "The fraud partner refuses our request: status 400"


@pytest.mark.parametrize("partner", ["payments", "carrier", "fraud"])
def test_only_what_was_left_without_an_answer_is_counted(server: Answering, partner: str) -> None:
    for server.status in (400, 404, 429, 408):
        error_of(partner)
    row = PartnerHealth.objects.get(pk=PartnerCode(partner))
    assert (row.failures_in_a_row, row.failed_subjects) == (0, [])
    for server.status in (401, 500, 503):
        error_of(partner)
    assert PartnerHealth.objects.get(pk=PartnerCode(partner)).failures_in_a_row == 3
