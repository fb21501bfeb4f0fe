"""A dangerous configuration stops the start, with an id and what to do."""

import os
import subprocess
import sys

import pytest
from pytest_django.fixtures import Settings

from backoffice.checks import processes_are_configured, production_is_closed

SAFE_KEY = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
CASES = [
    ("DEBUG", True, ["backoffice.E006"]),
    ("ALLOWED_HOSTS", ["*"], ["backoffice.E007"]),
    ("ALLOWED_HOSTS", [], ["backoffice.E007"]),
    ("SECRET_KEY", "x", ["backoffice.E008"]),
    ("SECRET_KEY", "x" * 80, ["backoffice.E008"]),
    ("SECRET_KEY", f"django-insecure-{SAFE_KEY}", ["backoffice.E008"]),
    ("DEBUG", False, []),
]


@pytest.mark.parametrize(("name", "value", "ids"), CASES)
def test_production_is_refused_what_is_handy_in_development(
    settings: Settings, name: str, value: object, ids: list[str]
) -> None:
    settings.IS_PRODUCTION, settings.DEBUG = True, False
    settings.ALLOWED_HOSTS, settings.SECRET_KEY = ["backoffice.example"], SAFE_KEY
    setattr(settings, name, value)

    found = production_is_closed()

    assert [message.id for message in found] == ids
    assert all(message.hint for message in found)
    settings.IS_PRODUCTION = False
    assert production_is_closed() == []


def test_web_process_does_not_start_with_what_a_check_refuses() -> None:
    given = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "backoffice.settings",
        "BACKOFFICE_ENV": "production",
        "DJANGO_ALLOWED_HOSTS": "*",
    }
    done = subprocess.run(
        [sys.executable, "-c", "import backoffice.asgi"], env=given, capture_output=True, text=True, check=False
    )

    assert done.returncode != 0
    assert "backoffice.E007" in done.stderr


@pytest.mark.parametrize(
    ("name", "value", "wanted", "words"),
    [
        ("PROCESS_DELAYS", {"reconcil": 5}, "backoffice.E011", "settle_captures"),
        ("PROCESS_DELAYS", {"reconcile": -1}, "backoffice.E011", "Seconds from 0"),
        ("PROCESS_DELAYS", {"reconcile": 10**6}, "backoffice.E011", "Seconds from 0"),
        ("WORKER_QUEUES", ["orders", "batchs"], "backoffice.E012", "orders, batches, partners"),
        ("TEMPORAL_QUEUE_THREADS", {"frauds": 8}, "backoffice.E012", "orders, batches, partners"),
        ("TEMPORAL_QUEUE_THREADS", {"fraud": 0}, "backoffice.E012", "At least 1"),
    ],
)
def test_a_step_or_a_queue_that_does_not_exist_stops_the_start_with_the_list(
    settings: Settings, name: str, value: object, wanted: str, words: str
) -> None:
    assert processes_are_configured() == []
    setattr(settings, name, value)
    (message,) = processes_are_configured()
    assert message.id == wanted
    assert words in str(message.hint)
