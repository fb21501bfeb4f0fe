"""A dangerous configuration stops the start, with an id and what to do."""

import os
import subprocess
import sys

import pytest
from django.core.checks.registry import registry
from pytest_django.fixtures import Settings

from backoffice.checks import processes_are_configured, production_is_closed
from backoffice.deploy_checks import (
    accounts_can_hold,
    nothing_is_for_tests_or_guessed,
    peers_cannot_be_overheard,
)

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


ELSEWHERE = {"HOST": "db.example", "USER": "web", "PASSWORD": "r4nd0m", "OPTIONS": {"sslmode": "require"}}
DEPLOYED = [
    ("database", ELSEWHERE, ["backoffice.E016"]),
    ("database", {"HOST": "db.example", "OPTIONS": {"sslmode": "verify-full"}}, []),
    ("SIMULATOR_URL", "https://simulator.example", ["backoffice.E017"]),
    ("STRIPE_API_KEY", "sk_test_simulator", ["backoffice.E017"]),
    ("CARRIER_URL", "http://carrier.example", ["backoffice.E018"]),
    ("CARRIER_URL", "http://127.0.0.1:8080", []),
    ("EMAIL_HOST", "mail.example", ["backoffice.E020"]),
    ("EMAIL_HOST", "localhost", []),
    ("ALLOWED_HOSTS", [".example.com"], ["backoffice.E021"]),
    ("STRIPE_API_KEY", "", ["backoffice.E022"]),
    ("database", {"HOST": "localhost", "USER": "web", "PASSWORD": "web"}, ["backoffice.E023"]),
    ("database", {"HOST": "localhost", "USER": "web", "PASSWORD": "Postgres"}, ["backoffice.E023"]),
    ("IS_PRODUCTION", True, []),
]


@pytest.fixture
def deployed(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """What a careful operator gives."""
    for name in [name for name in os.environ if name.startswith("TEMPORAL_")]:
        monkeypatch.delenv(name)
    settings.IS_PRODUCTION, settings.ALLOWED_HOSTS = True, ["backoffice.example"]
    monkeypatch.setitem(settings.DATABASES, "default", {"HOST": "/run/postgresql", "USER": "web", "PASSWORD": ""})
    settings.SIMULATOR_URL, settings.STRIPE_API_KEY, settings.EMAIL_HOST = "", "sk_live_check", ""
    for name in ("PAYMENTS_URL", "CARRIER_URL", "FRAUD_URL", "RATES_URL", "ADDRESSES_URL"):
        setattr(settings, name, "https://partner.example")
    return settings


@pytest.mark.parametrize(("name", "value", "ids"), DEPLOYED)
def test_deploy_check_names_what_others_could_overhear_or_guess(
    deployed: Settings, monkeypatch: pytest.MonkeyPatch, name: str, value: object, ids: list[str]
) -> None:
    if name == "database":
        monkeypatch.setitem(deployed.DATABASES, "default", value)
    else:
        setattr(deployed, name, value)

    found = [*peers_cannot_be_overheard(), *nothing_is_for_tests_or_guessed()]

    assert [message.id for message in found] == ids
    assert all(message.hint for message in found)
    deployed.IS_PRODUCTION = False
    assert [*peers_cannot_be_overheard(), *nothing_is_for_tests_or_guessed()] == []


@pytest.mark.parametrize(
    ("given", "ids"),
    [
        ({"TEMPORAL_ADDRESS": "temporal.example:7233"}, ["backoffice.E019"]),
        ({"TEMPORAL_ADDRESS": "temporal.example:7233", "TEMPORAL_TLS": "true"}, []),
        ({"TEMPORAL_ADDRESS": "temporal.example:7233", "TEMPORAL_API_KEY": "k"}, []),
        ({"TEMPORAL_ADDRESS": "127.0.0.1:7233"}, []),
    ],
)
def test_deploy_check_wants_tls_to_temporal_on_another_machine(
    deployed: Settings, monkeypatch: pytest.MonkeyPatch, given: dict[str, str], ids: list[str]
) -> None:
    for name, value in given.items():
        monkeypatch.setenv(name, value)

    assert [message.id for message in peers_cannot_be_overheard()] == ids


def test_deploy_checks_are_asked_when_somebody_deploys() -> None:
    assert {peers_cannot_be_overheard, nothing_is_for_tests_or_guessed} <= registry.deployment_checks


SSO = "https://id.example"


@pytest.mark.parametrize(
    ("changes", "ids"),
    [
        ({}, []),
        ({"SECOND_FACTOR_ROLES": ["agent", "lead", "superuser"]}, []),
        ({"SECOND_FACTOR_ROLES": ["superuser"]}, ["backoffice.E024"]),
        ({"ASK_AGAIN_AFTER_SECONDS": 0}, ["backoffice.E024"]),
        ({"EMAIL_HOST": ""}, ["backoffice.E025"]),
        ({"SSO_SERVER_URL": SSO}, ["backoffice.E026"]),
        ({"SSO_SERVER_URL": SSO, "SSO_CLIENT_ID": "c", "SSO_CLIENT_SECRET": "s"}, []),
        ({"SSO_SERVER_URL": "http://id.example", "SSO_CLIENT_ID": "c", "SSO_CLIENT_SECRET": "s"}, ["backoffice.E026"]),
        ({"IS_PRODUCTION": False, "EMAIL_HOST": "", "SECOND_FACTOR_ROLES": []}, []),
    ],
)
def test_a_deployment_hears_when_its_accounts_do_not_hold(
    settings: Settings, changes: dict[str, object], ids: list[str]
) -> None:
    settings.IS_PRODUCTION, settings.EMAIL_HOST = True, "mail.example"
    settings.SECOND_FACTOR_ROLES, settings.ASK_AGAIN_AFTER_SECONDS = ["lead", "superuser"], 600
    for name, value in changes.items():
        setattr(settings, name, value)
    found = accounts_can_hold()
    assert [message.id for message in found] == ids
    assert all(message.hint for message in found)


def test_nobody_is_exempt_from_the_second_factor_in_production() -> None:
    given = {**os.environ, "BACKOFFICE_ENV": "production", "SECOND_FACTOR_EXEMPT": "admin"}
    asked = "from backoffice import account_settings as s; print(s.SECOND_FACTOR_EXEMPT, s.SECOND_FACTOR_ROLES)"
    given.pop("SECOND_FACTOR_ROLES", None)
    done = subprocess.run([sys.executable, "-c", asked], env=given, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[] ['lead', 'superuser']"
