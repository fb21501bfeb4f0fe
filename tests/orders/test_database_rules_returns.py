"""PostgreSQL refuses by itself what a service of returns forgot: each rule of its tables, and the one of lines."""

import pytest
from django.db import DatabaseError, connection, transaction

from orders.models import OrderLine, Refund, ReturnCase, ReturnLine
from orders.services import returning
from orders.services.returning import Received
from tests.factories import TEST_ACTOR
from tests.orders.attempts_returns import make_announced, make_received

pytestmark = pytest.mark.django_db

#: rule -> (an update that breaks it, of a return that is announced or received)
CASES: list[tuple[str, str, str]] = [
    (
        "return_status_word",
        "announced",
        "UPDATE orders_returncase SET status = 'lost', ended_at = now(), ended_by = 'x'",
    ),
    ("return_channel_word", "announced", "UPDATE orders_returncase SET channel = 'pigeon'"),
    ("return_counted_says_by_whom", "announced", "UPDATE orders_returncase SET status = 'received'"),
    ("return_counted_says_by_whom", "announced", "UPDATE orders_returncase SET received_at = now()"),
    ("return_counted_says_by_whom", "received", "UPDATE orders_returncase SET received_by = ''"),
    ("return_ended_says_by_whom", "received", "UPDATE orders_returncase SET status = 'refunded'"),
    ("return_ended_says_by_whom", "received", "UPDATE orders_returncase SET ended_at = now(), ended_by = 'x'"),
    ("return_received_within_announced", "announced", "UPDATE orders_returnline SET received = 3, restocked = 3"),
    (
        "return_received_within_announced",
        "announced",
        "UPDATE orders_returnline SET received = -1, restocked = -2, unsellable_reason = 'used'",
    ),
    ("return_restocked_within_received", "announced", "UPDATE orders_returnline SET restocked = 1"),
    ("return_refund_for_received", "announced", "UPDATE orders_returnline SET refund_minor = 1"),
    ("return_unsellable_has_reason", "announced", "UPDATE orders_returnline SET received = 1"),
    ("return_unsellable_has_reason", "announced", "UPDATE orders_returnline SET unsellable_reason = 'used'"),
    (
        "return_unsellable_has_reason",
        "announced",
        "UPDATE orders_returnline SET received = 1, unsellable_reason = 'smells'",
    ),
    ("line_returned_within_quantity", "announced", "UPDATE orders_orderline SET returned = 1"),
    ("line_returned_within_quantity", "announced", "UPDATE orders_orderline SET awaited = 3"),
    ("line_returned_within_quantity", "announced", "UPDATE orders_orderline SET awaited = -1"),
]
#: rules that a new row breaks; each has a test below
INSERTS = {"return_one_open", "return_line_once", "return_announced_positive", "refund_one_for_a_return"}


def refused(sql: str) -> str:
    with pytest.raises(DatabaseError) as refusal, transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(sql)
    return str(refusal.value)


@pytest.mark.parametrize(("rule", "status", "sql"), CASES)
def test_a_change_that_breaks_a_rule_is_refused_by_that_rule(rule: str, status: str, sql: str) -> None:
    make_announced() if status == "announced" else make_received()
    assert rule in refused(sql)


def test_every_rule_of_returns_has_a_case() -> None:
    declared = {rule.name for model in (ReturnCase, ReturnLine) for rule in model._meta.constraints}
    assert declared <= {rule for rule, _, _ in CASES} | INSERTS


def test_an_order_has_one_open_return() -> None:
    case = make_announced()
    with pytest.raises(DatabaseError, match="return_one_open"), transaction.atomic():
        ReturnCase.objects.create(order=case.order, reason="x", actor="x", channel="api")
    returning.withdraw(case.pk, actor=TEST_ACTOR, reason="Keeps it")
    ReturnCase.objects.create(order=case.order, reason="x", actor="x", channel="api")


@pytest.mark.parametrize(("announced", "rule"), [(1, "return_line_once"), (0, "return_announced_positive")])
def test_a_line_is_announced_once_with_pieces(announced: int, rule: str) -> None:
    case = make_announced()
    with pytest.raises(DatabaseError, match=rule), transaction.atomic():
        ReturnLine.objects.create(case=case, order_line=OrderLine.objects.get(), announced=announced)


def test_a_return_is_paid_once_unless_the_first_refund_was_dropped() -> None:
    case = make_received()
    row = {"order": case.order, "amount_minor": 1, "currency": "GBP", "actor": "x", "channel": "api"}
    ended = {"finished_at": case.received_at, "return_case": case}
    Refund.objects.create(**row, **ended, key="1", status="dropped")
    Refund.objects.create(**row, **ended, key="2", status="settled")
    with pytest.raises(DatabaseError, match="refund_one_for_a_return"), transaction.atomic():
        Refund.objects.create(**row, **ended, key="3", status="settled")


def test_what_was_announced_or_received_can_not_be_changed_or_deleted() -> None:
    case = make_announced()
    assert "update" in refused("UPDATE orders_returnline SET announced = 1").lower()
    lines = [Received(position=1, received=1)]
    returning.receive(case.pk, lines=lines, actor=TEST_ACTOR, reason="Parcel 7")
    assert "Cannot update" in refused("UPDATE orders_returnline SET refund_minor = 1")
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
    for table in ("orders_returncase", "orders_returnline"):
        assert "Cannot delete" in refused(f"DELETE FROM {table}")
        assert "may not be truncated" in refused(f"TRUNCATE {table} CASCADE")
