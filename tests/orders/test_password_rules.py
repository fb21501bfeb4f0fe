"""Passwords that a guesser tries early are refused, whatever their length."""

import time

import pytest
from django.contrib.auth.models import User
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError

OLIVIA = User(username="olivia", first_name="Olivia", last_name="Hart", email="olivia@northgate.example")


@pytest.mark.parametrize(
    "password",
    [
        "lead2lead2",
        "password1234",
        "qwertyuiop123",
        "P@ssw0rd2026",
        "oliviahart1",
        "northgate123",
        "backoffice1!",
        "aaaaaaaaaaaaaaaa",
        "1234567890123",
        "short-1!x",
        "iloveyou2000",
        "letmein2026!",
    ],
)
def test_what_is_guessed_early_is_refused(password: str) -> None:
    with pytest.raises(ValidationError):
        validate_password(password, OLIVIA)


@pytest.mark.parametrize(
    "password", ["plum velvet orbit kettle", "Xk3!vw9#Lq", "naïve Zebra Bass", "あした天気になあれと"]
)
def test_what_takes_a_guesser_long_is_taken(password: str) -> None:
    validate_password(password, OLIVIA)


def test_a_rule_of_our_own_refuses_what_django_would_take() -> None:
    with pytest.raises(ValidationError) as refused:
        validate_password("lead2lead2", User(username="lead9"))
    assert [error.code for error in refused.value.error_list] == ["password_guessed"]


def test_a_long_password_is_judged_in_a_moment() -> None:
    begun = time.perf_counter()
    validate_password("plum velvet orbit kettle " * 160, OLIVIA)
    assert time.perf_counter() - begun < 5
