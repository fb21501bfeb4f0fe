"""What people type into rows that must not change is encrypted, and read as if it were not."""

import json
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from orders import history
from orders.actor import person
from orders.models import AutomationChange, Order, OrderEvent, WordKey
from orders.models.typed_words import Sealed, stored_of
from orders.services import erasing, holding
from orders.services.playbooks import changing
from orders.services.sheets import Sheet
from orders.vocabulary import AutomationKind, Channel, EventType
from tests.factories import TEST_ACTOR, make_order
from tests.orders import driving, feed_files

pytestmark = pytest.mark.django_db
WORDS = "Mr Canary called"


def stored_reasons() -> list[str]:
    return [stored_of(event.reason) for event in OrderEvent.objects.order_by("pk")]


def test_a_reason_is_stored_encrypted_and_read_as_it_was_typed() -> None:
    order = make_order(started=True)
    holding.hold(order.number, actor=TEST_ACTOR, reason=WORDS)
    event = OrderEvent.objects.get(type=EventType.HOLD_ASKED)
    assert (event.reason == WORDS, f"{event.reason}", len(event.reason)) == (True, WORDS, len(WORDS))
    assert WORDS not in stored_reasons()[-1]


def test_an_order_that_nobody_says_anything_about_costs_no_key() -> None:
    driving.drive(make_order(started=True))
    assert {event.type for event in OrderEvent.objects.all() if "sealed:" in stored_of(event.reason)} == set()


def test_the_chain_is_verified_without_opening_anything(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    order = make_order(started=True)
    holding.hold(order.number, actor=TEST_ACTOR, reason=WORDS)
    order.refresh_from_db()
    with django_assert_num_queries(1):
        assert history.verify_chain(order, OrderEvent.objects.filter(order=order).order_by("sequence")) is None
    WordKey.objects.all().delete()
    assert history.verify_chain(order, OrderEvent.objects.filter(order=order).order_by("sequence")) is None
    assert OrderEvent.objects.get(type=EventType.HOLD_ASKED).reason == "erased"


def test_a_page_of_reasons_is_opened_by_one_question(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    order = make_order(started=True)
    for number in range(5):
        holding.hold(order.number, actor=TEST_ACTOR, reason=f"{WORDS} {number}")
        holding.release(order.number, actor=TEST_ACTOR, reason=f"Never mind {number}")
    with django_assert_num_queries(2):
        said = [str(event.reason) for event in OrderEvent.objects.filter(order=order)]
    assert {f"{WORDS} {number}" for number in range(5)} < set(said)
    with django_assert_num_queries(1):
        assert len(OrderEvent.objects.filter(order=order)) == len(said)


def test_a_page_of_documents_is_opened_by_one_question(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    texts = {"condition": WORDS, "name": "late", "enabled": True}
    for before in ({}, texts, texts):
        change = AutomationChange.objects.create(
            kind=AutomationKind.TRIGGER, subject="late", before=before, after=texts, actor="test"
        )
    with django_assert_num_queries(2):
        rows = list(AutomationChange.objects.order_by("pk"))
        assert [(row.before, row.after) for row in rows] == [({}, texts), (texts, texts), (texts, texts)]
        assert json.loads(json.dumps(rows[0].after)) == texts
    change.refresh_from_db()
    assert change.after == texts
    WordKey.objects.all().delete()
    assert AutomationChange.objects.latest("pk").after == texts | {"condition": "erased", "name": "erased"}


def test_what_is_said_of_many_orders_has_one_key() -> None:
    orders = [make_order(), make_order()]
    sheet = Sheet(actor=TEST_ACTOR, reason=WORDS)
    for order in orders:
        sheet.event(order, EventType.HOLD_ASKED)
    sheet.write()
    assert WordKey.objects.count() == 1
    keys = WordKey.objects.count()
    feed_files.imported(*(feed_files.row(str(number)) for number in range(3)), name=f"{WORDS}.csv")
    assert (Order.objects.count(), WordKey.objects.count()) == (5, keys + 1)
    assert OrderEvent.objects.latest("pk").reason == f"Import of {WORDS}.csv, asked for by test"


def test_a_change_of_automation_loses_the_words_and_keeps_who_is_answerable() -> None:
    first, second = (person(User.objects.create_user(name), Channel.ADMIN) for name in ("first", "second"))
    conditions = ["true", 'customer == "ZB-4711"']
    rows = [{"condition": condition, "enabled": True} for condition in conditions]
    for actor, before, after in ((first, {}, rows[0]), (second, rows[0], rows[1])):
        changing.record(AutomationKind.TRIGGER, "late", before=before, after=after, actor=actor)
    assert AutomationChange.objects.latest("pk").after == rows[1]

    erasing.erase_customer("ZB-4711", actor=TEST_ACTOR, reason="Request 17", also=["ZB-4711"])

    newest = AutomationChange.objects.latest("pk")
    assert (newest.before, newest.after) == (rows[0], {"condition": "erased", "enabled": True})
    until = timezone.now() + timedelta(minutes=1)
    makers = {maker.user_id for maker in changing.makers(AutomationKind.TRIGGER, "late", until=until)}
    assert makers == {first.user.pk, second.user.pk}  # type: ignore[union-attr]


def test_a_text_that_is_encrypted_stays_as_it_is_when_it_is_saved_elsewhere() -> None:
    said = history.as_stored(EventType.HELD, WORDS)
    assert isinstance(said, Sealed)
    assert history.as_stored(EventType.HELD, said) is said
