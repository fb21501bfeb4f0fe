"""After an erasure neither the engine's store nor a log nor the database knows the person, with real processes."""

import asyncio

import pytest

from orders.models import Order
from orders.services import erasing, holding
from tests.canary import found_in_database, in_files
from tests.e2e.engine import Engine, eventually
from tests.e2e.test_secrecy import CUSTOMER, all_closed, feed, files, order, told_by_temporal
from tests.factories import TEST_ACTOR

pytestmark = [pytest.mark.e2e, pytest.mark.django_db(transaction=True)]
WORDS = (CUSTOMER.reference, CUSTOMER.name, CUSTOMER.email)


def test_no_byte_of_an_erased_person_is_in_the_engines_store_the_logs_or_the_database(new_engine: Engine) -> None:
    placed = order()
    holding.hold(placed.number, actor=TEST_ACTOR, reason=f"{CUSTOMER.name} ({CUSTOMER.email}) called")
    imported = feed()
    holding.release(placed.number, actor=TEST_ACTOR, reason=f"{CUSTOMER.reference} agrees")
    eventually(all_closed, what="the end of the orders and of the feed")
    assert found_in_database(*WORDS)

    erasing.erase_customer(CUSTOMER.reference, actor=TEST_ACTOR, reason="Request 17")

    told, readable = asyncio.run(told_by_temporal(new_engine))
    stored = files(new_engine)
    searched = {**told, **stored, "all payloads, decrypted": readable}
    assert [(name, word) for name, text in searched.items() for word in WORDS if word.encode() in text] == []
    assert (found_in_database(*WORDS), in_files(*WORDS)) == (set(), False)
    # The search looked at the right bytes.
    number = Order.objects.get(pk=placed.pk).number.encode()
    assert any(number in text for name, text in stored.items() if name.startswith("temporal.") and "log" not in name)
    imported.refresh_from_db()
    assert imported.name == "erased.csv"
