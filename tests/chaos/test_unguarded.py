"""Each guard that a control takes away is really gone, and nothing but it."""

import dataclasses
import os
from collections.abc import Iterator
from datetime import timedelta
from types import SimpleNamespace
from typing import Any, cast
from unittest import mock

import pytest
from temporalio.api.common.v1 import Payload

from backoffice.chaos import unguarded
from orders.keyring import parse_keys
from orders.models import Order
from orders.partners import payments as gateway
from orders.services import predecessors
from orders.vocabulary import OrderStatus, StepName
from temporal_app import authenticity
from temporal_app.codec import EncryptionCodec, Purpose, refused

PLAIN = Payload(metadata={"encoding": b"json/plain"}, data=b"true")


@pytest.fixture(autouse=True)
def put_back() -> Iterator[None]:
    yield
    mock.patch.stopall()


@pytest.fixture
def codec() -> EncryptionCodec:
    return EncryptionCodec(parse_keys(f"test:{'A' * 43}"))


def test_every_removal_fits_what_it_replaces() -> None:
    for remove in unguarded.REMOVALS.values():
        remove()
        mock.patch.stopall()


def test_a_stand_in_that_is_called_otherwise_is_refused() -> None:
    with pytest.raises(RuntimeError, match="this control tests nothing"):
        unguarded.replace(predecessors, "require_due", lambda order: None)


def test_a_guard_is_taken_away_in_a_chaos_run_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(os.environ, "BACKOFFICE_ENV", "dev")
    with pytest.raises(SystemExit, match="in a chaos run only"):
        unguarded.take_away()


def test_without_state_a_payment_that_waits_is_money(monkeypatch: pytest.MonkeyPatch) -> None:
    waits = gateway.Intent(id="pi_1", status="requires_action", amount_minor=500, received_minor=0)
    monkeypatch.setattr(gateway, "confirm", lambda intent_id, *, key: dataclasses.replace(waits, id=intent_id))
    assert not gateway.confirm("pi_1", key="k").is_paid
    unguarded.without_state()
    assert gateway.confirm("pi_1", key="k").is_paid


def test_without_predecessors_an_effect_is_due_at_any_time() -> None:
    order = Order(number="SO-1", status=OrderStatus.UNDOING)
    unguarded.without_predecessor()
    predecessors.require_due(order, StepName.SHIP)


async def test_without_authenticity_plain_payloads_and_those_for_others_are_believed(codec: EncryptionCodec) -> None:
    for_another = codec.encrypted(PLAIN, Purpose("n", "order:1", "workflow"))
    assert all(refused(one) for one in await codec.decode([PLAIN, for_another]))
    unguarded.without_authenticity()
    opened = await codec.decode([PLAIN, for_another])
    assert [(one.data, refused(one)) for one in opened] == [(b"true", ""), (b"true", "")]
    assert authenticity.believed(cast(Any, None), cast(Any, SimpleNamespace()), {}, timedelta()) == []
