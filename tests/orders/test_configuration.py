"""A dangerous configuration stops the start, with an id and what to do."""

import os
import subprocess
import sys

import pytest
from pytest_django.fixtures import Settings

from backoffice.checks import production_is_closed

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
