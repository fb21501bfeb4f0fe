"""Which worker must take no work because of its namespace or its keys: judged by our rows, never by what arrives."""

import os
from datetime import timedelta

import pytest
from django.core.management import call_command
from django.utils import timezone

from orders.models import EngineUse, SystemEvent
from orders.selectors import health as selectors
from orders.services import engine_uses, health
from orders.vocabulary import EngineUseKind
from orders.wording import Tone
from tests.factories import make_reserved_order

pytestmark = pytest.mark.django_db
OLD, NEW = os.urandom(32), os.urandom(32)


def noted(*, namespace: str = "default", key_id: str = "old", ago: timedelta = timedelta(hours=1)) -> None:
    engine_uses.note(namespace, key_id, OLD)
    EngineUse.objects.update(last_used_at=timezone.now() - ago)


def test_a_worker_with_the_noted_key_and_namespace_may_work() -> None:
    make_reserved_order()
    noted()
    assert engine_uses.obstacle("default", {"new": NEW, "old": OLD}) == ""


def test_a_worker_without_the_key_of_an_open_process_must_not_and_staff_hear_its_id() -> None:
    noted(ago=timedelta(0))
    make_reserved_order()
    EngineUse.objects.update(last_used_at=timezone.now())
    reason = engine_uses.obstacle("default", {"new": NEW})
    assert "the payload key old" in reason
    assert "it holds new" in reason
    assert SystemEvent.objects.get().message.startswith("Open processes need the payload key old")


def test_a_key_that_no_open_process_can_need_may_go_and_is_forgotten() -> None:
    noted(ago=timedelta(days=2))
    make_reserved_order()
    assert engine_uses.obstacle("default", {"new": NEW}) == ""
    assert not EngineUse.objects.filter(kind=EngineUseKind.PAYLOAD_KEY).exists()


def test_a_key_that_a_living_worker_encrypts_with_is_needed_by_all() -> None:
    noted(ago=timedelta(seconds=5))
    assert "the payload key old" in engine_uses.obstacle("default", {"new": NEW})


def test_another_key_under_the_same_id_is_told_apart() -> None:
    noted()
    assert "another key under the id old" in engine_uses.obstacle("default", {"old": NEW})


def test_a_worker_of_another_namespace_must_not_work_while_processes_are_open() -> None:
    make_reserved_order()
    noted(ago=timedelta(0))
    reason = engine_uses.obstacle("elsewhere", {"old": OLD})
    assert reason == "Open processes are in the namespace default, and this worker is connected to elsewhere."
    call_command("forget_engine_use", "namespace", "default")
    assert engine_uses.obstacle("elsewhere", {"old": OLD}) == ""


def test_the_health_card_says_why_a_worker_takes_no_work() -> None:
    now = timezone.now()
    health.beat("worker 1@a", "worker", now, "orders", stopped="The database takes no writes.")
    [line] = [one for one in selectors.machinery(selectors.outbox_backlog(), NOTHING) if one.name == "Worker"]
    assert (line.word, line.detail) == ("Stopped", "worker 1@a takes no work: The database takes no writes.")


NOTHING = selectors.Health(name="Sweep", tone=Tone.DONE, word="", detail="")
