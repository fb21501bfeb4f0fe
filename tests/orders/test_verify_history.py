"""`manage.py verify_history` names the row that somebody changed behind our back."""

import json
from collections.abc import Callable
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from tests.factories import make_order

pytestmark = pytest.mark.django_db


def verify(*numbers: str) -> tuple[int, dict[str, Any]]:
    """The exit code and the JSON."""
    out = StringIO()
    try:
        call_command("verify_history", *numbers, "--json", stdout=out, stderr=StringIO())
    except SystemExit as stop:
        return int(stop.code or 0), json.loads(out.getvalue())
    return 0, json.loads(out.getvalue())


def test_histories_as_they_were_written_hold() -> None:
    make_order(started=True)
    make_order()
    assert verify() == (0, {"ok": True, "broken": []})


@pytest.mark.parametrize(
    ("tampering", "problem"),
    [
        (
            "UPDATE orders_orderevent SET actor = 'nobody' WHERE order_id = %s AND sequence = 2",
            "event 2: the row was changed",
        ),
        ("DELETE FROM orders_orderevent WHERE order_id = %s AND sequence = 1", "event 1: an event is missing"),
        (
            "DELETE FROM orders_orderevent WHERE order_id = %s AND sequence = 2",
            "event 2: the chain does not end at its head",
        ),
        (
            "UPDATE orders_order SET status = 'completed', closed_at = now() WHERE id = %s",
            "event 2: the order is completed, and its last event left it queued",
        ),
    ],
    ids=["changed", "removed", "cut off", "status of the row"],
)
def test_a_row_that_was_tampered_with_is_named(tamper: Callable[..., None], tampering: str, problem: str) -> None:
    sound, order = make_order(started=True), make_order(started=True)
    tamper(tampering, order.pk)
    assert verify() == (1, {"ok": False, "broken": [{"order": order.number, "problem": problem}]})
    assert verify(sound.number)[0] == 0
    assert verify(order.number)[0] == 1


def test_a_number_that_no_order_has_is_an_error_and_not_a_success() -> None:
    with pytest.raises(CommandError, match="There is no order SO-0"):
        call_command("verify_history", "SO-0")
