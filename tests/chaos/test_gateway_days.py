"""Days at the gateway pass by its clock, and its customers change their mind by the seed."""

from typing import Any

import pytest

from backoffice.chaos import gateway_days, switches
from backoffice.chaos.gateway_days import CONFIRM_DAYS, DAY, DEADLINES, GatewayDays
from simulator import behaviour


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str, Any]]:
    made: list[tuple[str, str, Any]] = []

    def call(url: str, method: str = "GET", body: Any = None) -> dict[str, Any]:
        made.append((url, method, body))
        return {}

    monkeypatch.setattr(switches, "call", call)
    return made


def test_the_clock_is_turned_once_a_second_and_the_mood_changes_less_often(
    calls: list[tuple[str, str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 100.0
    monkeypatch.setattr(gateway_days.time, "monotonic", lambda: now)
    days = GatewayDays(url="http://gateway", seed=1)
    for moment in (100.0, 100.5, 101.1, 102.2):
        now = moment
        days.tick()
    assert [url for url, _, _ in calls] == [
        *("http://gateway/behaviour", "http://gateway/clock"),
        *("http://gateway/clock", "http://gateway/clock"),
    ]


def test_the_gateway_takes_every_mood_and_there_is_one_for_each_kind_of_customer(
    calls: list[tuple[str, str, Any]],
) -> None:
    days = GatewayDays(url="", seed=1)
    for _ in range(60):
        days.change_mood()
    moods = [behaviour.parse(body).customer for _, _, body in calls]
    assert {one.confirms_after_seconds for one in moods} == {days * DAY for days in CONFIRM_DAYS}


def test_the_same_seed_gives_the_same_customers(calls: list[tuple[str, str, Any]]) -> None:
    for _ in range(2):
        GatewayDays(url="", seed=3).change_mood()
    assert calls[0] == calls[1]


def test_some_customers_confirm_after_the_product_has_given_up_and_some_debits_take_too_long() -> None:
    turned = gateway_days.TURN / gateway_days.EVERY_SECONDS
    patience = float(DEADLINES["PAYMENT_ACTION_HOURS"]) * 3_600
    assert min(CONFIRM_DAYS) * DAY / turned < patience < max(CONFIRM_DAYS) * DAY / turned
    patience = float(DEADLINES["PAYMENT_PROCESSING_DAYS"]) * DAY
    soon, delayed = (gateway_days.BEHAVIOUR[f"debit_{name}"] / turned for name in ("seconds", "delayed_seconds"))
    assert soon < patience < delayed


def test_a_gateway_that_refuses_the_behaviour_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(switches, "call", lambda *_: None)
    with pytest.raises(RuntimeError, match="did not take the behaviour"):
        GatewayDays(url="", seed=1).change_mood()
