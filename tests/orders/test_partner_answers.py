"""Kept answers: fresh, replaced, stale only when nobody answers and marked as such, and none after the second end."""

import json
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from threading import Barrier, Event
from typing import Any
from uuid import uuid4

import pytest
from django.db.models import F
from django.db.models.functions import Now
from pytest_django.fixtures import Settings

from orders.errors import PartnerDown, PartnerRefused, PartnerUnavailable
from orders.models import PartnerAnswer, PartnerHealth, QuestionLease
from orders.partners import addresses, breaker, rates
from orders.partners.cached_questions import Question, address_of, rates_of
from orders.selectors.partner_runs import stale_use
from orders.services import partner_answers
from orders.vocabulary import BreakerState, PartnerCode
from tests.orders.connections import PATIENCE, connections
from tests.simulator.talk import Http

pytestmark = pytest.mark.django_db
FRESH, USABLE = 600, 7_200
QUESTION = Question(partner=PartnerCode.RATES, endpoint="rates", parameters={"base": "GBP"})


@pytest.fixture(autouse=True)
def numbers(settings: Settings) -> None:
    settings.ANSWER_SECONDS = {"rates": (FRESH, USABLE), "address_check": (FRESH, USABLE)}


class Partner:
    """Stands in for the call: answers what it is told, or raises it."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.asked = 0

    def __call__(self) -> Any:
        self.asked += 1
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        with breaker.observed(PartnerCode.RATES):
            if isinstance(answer, Exception):
                raise answer
            return answer


def time_passes(seconds: float) -> None:
    """The clock of the database cannot be turned; the rows' times can."""
    earlier = {name: F(name) - timedelta(seconds=seconds) for name in ("fetched_at", "fresh_until", "usable_until")}
    PartnerAnswer.objects.update(**earlier)


def test_a_fresh_answer_is_used_and_nobody_is_asked() -> None:
    partner = Partner({"EUR": "1.15"}, {"EUR": "1.16"})
    first = partner_answers.get(QUESTION, partner)
    time_passes(FRESH - 60)
    second = partner_answers.get(QUESTION, partner)
    assert (first.body, second.body, partner.asked) == ({"EUR": "1.15"}, {"EUR": "1.15"}, 1)
    assert not second.is_stale


def test_after_the_first_end_the_partner_is_asked_again() -> None:
    partner = Partner("old", "new")
    partner_answers.get(QUESTION, partner)
    time_passes(FRESH + 1)
    assert partner_answers.get(QUESTION, partner).body == "new"
    assert partner_answers.get(QUESTION, partner).body == "new"
    assert partner.asked == 2


@pytest.mark.parametrize("down", [False, True], ids=["no answer", "breaker open"])
def test_an_old_answer_stands_in_for_a_partner_that_does_not_answer_and_says_so(down: bool) -> None:
    partner = Partner("old", PartnerUnavailable("The rates partner answered 503."))
    partner_answers.get(QUESTION, partner)
    time_passes(FRESH + 60)
    if down:
        PartnerHealth.objects.filter(pk="rates").update(
            state=BreakerState.HELD, opened_at=partner_answers.PartnerAnswer.objects.get().fetched_at
        )
    answer = partner_answers.get(QUESTION, partner)
    assert (answer.body, answer.is_stale, partner.asked) == ("old", True, 1 if down else 2)
    assert ("was not called" in answer.stale_because) is down
    row = PartnerAnswer.objects.get()
    assert (row.stale_uses, answer.fetched_at) == (1, row.fetched_at)
    assert stale_use(PartnerCode.RATES).newest == row.last_used_stale_at is not None
    assert stale_use(PartnerCode.RATES).count == 1
    assert stale_use(PartnerCode.ADDRESSES).count == 0


@pytest.mark.parametrize("refusal", [PartnerRefused("Bad key"), KeyError("a bug")], ids=str)
def test_no_old_answer_hides_a_refusal_or_a_bug(refusal: Exception) -> None:
    partner = Partner("old", refusal)
    partner_answers.get(QUESTION, partner)
    time_passes(FRESH + 60)
    with pytest.raises(type(refusal)):
        partner_answers.get(QUESTION, partner)
    assert PartnerAnswer.objects.get().stale_uses == 0


def test_after_the_second_end_there_is_no_answer() -> None:
    partner = Partner("old", PartnerUnavailable("The rates partner answered 503."))
    partner_answers.get(QUESTION, partner)
    time_passes(USABLE + 60)
    with pytest.raises(PartnerUnavailable, match=r"answered 503\. No older answer can stand in: .* 2 h 1 min old\."):
        partner_answers.get(QUESTION, partner)
    assert PartnerAnswer.objects.get().stale_uses == 0


def test_without_any_answer_the_failure_says_so_and_keeps_how_long_to_wait() -> None:
    with pytest.raises(PartnerUnavailable, match="there is none from before"):
        partner_answers.get(QUESTION, Partner(PartnerUnavailable("No.")))
    PartnerHealth.objects.filter(pk="rates").update(state=BreakerState.HELD, opened_at=F("last_error_at"))
    with pytest.raises(PartnerDown) as down:
        partner_answers.get(QUESTION, Partner("never asked"))
    assert down.value.retry_after


@pytest.mark.parametrize("nothing", [0, "", [], {}, None, False], ids=repr)
def test_an_empty_answer_is_an_answer(nothing: Any) -> None:
    partner = Partner(nothing)
    partner_answers.get(QUESTION, partner)
    again = partner_answers.get(QUESTION, partner)
    assert (again.body, partner.asked) == (nothing, 1)


# --- The key ----------------------------------------------------------------------------------------------------------


def test_the_key_is_the_same_for_every_order_of_the_parameters_and_in_every_process() -> None:
    one = Question(partner=PartnerCode.RATES, endpoint="rates", parameters={"a": 1, "b": {"c": "é", "d": [1, None]}})
    other = Question(partner=PartnerCode.RATES, endpoint="rates", parameters={"b": {"d": [1, None], "c": "é"}, "a": 1})
    script = """
from orders.partners.cached_questions import Question
from orders.vocabulary import PartnerCode
print(Question(partner=PartnerCode.RATES, endpoint="rates", parameters={"b": {"d": [1, None], "c": "é"}, "a": 1}).key)
"""
    keys = {
        subprocess.run(
            [sys.executable, "-c", script],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": ".", "PYTHONUTF8": "1"},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        for seed in ("1", "2")
    }
    assert keys == {one.key} == {other.key}


@pytest.mark.parametrize(
    "other",
    [
        Question(partner=PartnerCode.RATES, endpoint="rates", parameters={"base": "EUR"}),
        Question(partner=PartnerCode.RATES, endpoint="rates", parameters={"base": "GBP"}, version=2),
        Question(partner=PartnerCode.RATES, endpoint="history", parameters={"base": "GBP"}),
        Question(partner=PartnerCode.ADDRESSES, endpoint="rates", parameters={"base": "GBP"}),
    ],
    ids=["parameters", "version", "endpoint", "partner"],
)
def test_another_question_has_another_key(other: Question) -> None:
    assert other.key != QUESTION.key


@pytest.mark.parametrize("parameters", [{"a": {1, 2}}, {"a": float("nan")}], ids=["set", "nan"])
def test_what_is_not_json_has_no_key(parameters: dict[str, Any]) -> None:
    with pytest.raises((TypeError, ValueError)):
        _ = Question(partner=PartnerCode.RATES, endpoint="rates", parameters=parameters).key


# --- Many processes ---------------------------------------------------------------------------------------------------


def together(works: list[Callable[[], Any]]) -> list[Any]:
    with connections(len(works)) as workers:
        return [begun.result(PATIENCE) for begun in [workers.begin(work) for work in works]]


@pytest.mark.django_db(transaction=True)
def test_two_that_ask_at_once_make_one_fetch() -> None:
    start = Barrier(2)
    asked: list[int] = []

    def ask() -> str:
        with breaker.observed(PartnerCode.RATES):
            asked.append(1)
            return "new"

    def get() -> Any:
        start.wait(PATIENCE)
        return partner_answers.get(QUESTION, ask).body

    assert together([get, get]) == ["new", "new"]
    assert len(asked) == 1


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("known", [True, False], ids=["old answer", "no answer"])
def test_whoever_waits_too_long_for_another_fetch_takes_the_old_answer_or_says_why_not(
    known: bool, settings: Settings
) -> None:
    settings.ANSWER_WAIT_SECONDS = 0.2
    if known:
        partner_answers.get(QUESTION, Partner("old"))
        time_passes(FRESH + 1)
    inside, leave = Event(), Event()

    def slow() -> str:
        with breaker.observed(PartnerCode.RATES):
            inside.set()
            assert leave.wait(PATIENCE)
            return "new"

    def first() -> Any:
        return partner_answers.get(QUESTION, slow).body

    def second() -> Any:
        assert inside.wait(PATIENCE)
        try:
            return partner_answers.get(QUESTION, slow)
        except PartnerUnavailable as error:
            return str(error)
        finally:
            leave.set()

    winner, loser = together([first, second])
    assert winner == "new"
    if known:
        assert (loser.body, loser.stale_because) == ("old", "Another process is asking the same question.")
    else:
        assert loser.startswith("Another process is asking the same question. No older answer")


@pytest.mark.django_db(transaction=True)
def test_a_fetch_that_failed_leaves_the_question_free() -> None:
    with pytest.raises(KeyError):
        partner_answers.get(QUESTION, Partner(KeyError("a bug")))
    assert together([lambda: partner_answers.get(QUESTION, Partner("new")).body]) == ["new"]


def test_the_lease_of_a_worker_that_died_ends_by_the_clock_of_the_database() -> None:
    lease = QuestionLease.objects.create(pk=QUESTION.key, token=uuid4(), held_until=Now() + timedelta(seconds=0.3))
    assert partner_answers.get(QUESTION, Partner("new")).body == "new"
    assert not QuestionLease.objects.filter(pk=lease.pk).exists()


def test_whoever_comes_back_late_leaves_the_lease_of_the_next_one_alone() -> None:
    theirs = uuid4()

    def slow() -> str:
        QuestionLease.objects.update(token=theirs)
        return "late"

    assert partner_answers.get(QUESTION, slow).body == "late"
    assert QuestionLease.objects.get().token == theirs


# --- The partners themselves ------------------------------------------------------------------------------------------


def test_rates_are_kept_as_decimal_texts(partners: Http) -> None:
    answer = partner_answers.exchange_rates("GBP")
    assert answer.body == {"GBP": "1.000000", "EUR": "1.149425", "USD": "1.321839"}
    assert PartnerAnswer.objects.get().pk == rates_of("GBP").key
    json.dumps(answer.body)


def test_a_country_is_checked_by_code_or_name(partners: Http) -> None:
    assert partner_answers.address_check("United Kingdom").body["plausible"] is True
    assert partner_answers.address_check("Nowhere").body == {
        "plausible": False,
        "says": "There is no such country in the register",
    }
    assert PartnerAnswer.objects.filter(pk=address_of("Nowhere").key).exists()
    assert addresses.check("GB", "SW1A 1AA")["plausible"]
    assert not addresses.check("GB", "12345")["plausible"]


def test_a_question_that_the_partner_refuses_is_no_weather(partners: Http) -> None:
    with pytest.raises(PartnerRefused, match="base must be one of"):
        rates.quote("XXX")
    with pytest.raises(PartnerRefused, match="country is needed"):
        addresses.check("")
    assert PartnerHealth.objects.get(pk="rates").failures_in_a_row == 0


@pytest.mark.parametrize("mode", ["unavailable", "error_before", "drop_after"])
def test_no_answer_is_weather(partners: Http, mode: str) -> None:
    partners.fault(partner="rates", mode=mode)
    with pytest.raises(PartnerUnavailable):
        rates.quote("GBP")
    assert PartnerHealth.objects.get(pk="rates").failures_in_a_row == 1
