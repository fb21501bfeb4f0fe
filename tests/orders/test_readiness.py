"""`/readyz` says whether this web process can do its work; `/healthz` only that it lives."""

import threading
from unittest import mock

import pytest
from django.contrib.sessions.models import Session
from django.db import connection
from django.test import Client

from backoffice import readiness
from backoffice.readiness import NO_WRITES, READ_ONLY_NOW, SILENT, Readiness
from tests.e2e.engine import eventually
from tests.orders.database_trouble import full_disk, read_only_database


@pytest.fixture(autouse=True)
def new(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readiness, "READINESS", Readiness())
    monkeypatch.setattr(readiness, "GOOD_FOR", 0.0)
    monkeypatch.setattr(readiness, "PATIENCE", 30.0)


def asked() -> tuple[int, str]:
    answer = Client().get("/readyz")
    assert ("Retry-After" in answer) == (answer.status_code == 503)
    return answer.status_code, answer.content.decode().strip()


@pytest.mark.django_db(transaction=True)
def test_a_process_with_a_database_that_can_be_written_is_ready_and_leaves_nothing_there() -> None:
    assert asked() == (200, "ready")
    assert not Session.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_a_read_only_database_is_told() -> None:
    with read_only_database():
        assert asked() == (503, f"not ready: {READ_ONLY_NOW}")
        assert Client().get("/healthz").status_code == 200
    assert asked() == (200, "ready")


@pytest.mark.django_db(transaction=True)
def test_a_full_disk_is_told() -> None:
    with full_disk("django_session"):
        assert asked() == (503, f"not ready: {NO_WRITES}")
    assert asked() == (200, "ready")


@pytest.mark.django_db(transaction=True)
def test_a_database_that_cannot_be_reached_is_told() -> None:
    with mock.patch.dict(connection.settings_dict, {"PORT": "1"}):
        assert asked() == (503, f"not ready: {SILENT}")
    assert asked() == (200, "ready")


def test_a_database_that_hangs_holds_up_no_answer_and_is_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readiness, "PATIENCE", 0.01)
    wakes, questions = threading.Event(), []

    def hanging() -> str:
        questions.append(1)
        wakes.wait(60)
        return ""

    monkeypatch.setattr(readiness, "_written", hanging)
    assert [asked()[0] for _ in range(3)] == [503] * 3
    assert len(questions) == 1
    wakes.set()
    eventually(lambda: asked() == (200, "ready"), seconds=20, what="readiness")


def test_many_who_ask_at_once_cost_one_question(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readiness, "GOOD_FOR", 60.0)
    with mock.patch.object(readiness, "_written", return_value="") as written:
        assert [asked()[0] for _ in range(5)] == [200] * 5
    assert written.call_count == 1
