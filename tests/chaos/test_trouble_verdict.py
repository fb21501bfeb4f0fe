"""What nobody looked after in time is a violation, and so is a healthy order that others held up."""

from dataclasses import replace

import pytest

from backoffice.chaos.facts import Facts, Healthy, Trouble
from backoffice.chaos.trouble_verdict import figures, p95, proves_nothing
from backoffice.chaos.verdict import exit_code, judge
from tests.chaos.test_verdict import SOUND

REFUND = Trouble(what="refund", name="refund:1", patience=60.0, waited=31.0, how="finding")
POISONED = Trouble(what="poison at reserve", name="SO-9", patience=60.0, waited=4.0, how="task")


def healthy(alone: float | None, among: float | None, *, many: int = 20) -> list[Healthy]:
    return [
        *(Healthy(number=f"SO-1{at}", seconds=alone, among_poison=False) for at in range(many)),
        *(Healthy(number=f"SO-2{at}", seconds=among, among_poison=True) for at in range(many)),
    ]


def poisoned(alone: float | None = 10.0, among: float | None = 12.0, *, many: int = 20) -> Facts:
    return replace(SOUND, troubles=[POISONED], poisoned=2, healthy=healthy(alone, among, many=many))


def rules(facts: Facts) -> set[str]:
    return {one["rule"] for one in judge(facts)["violations"]}


def test_what_was_looked_after_in_time_is_no_violation() -> None:
    assert rules(replace(SOUND, troubles=[REFUND])) == set()


@pytest.mark.parametrize("late", [{"how": ""}, {"waited": 60.5}, {"how": "", "waited": 3.0}])
def test_what_nobody_looked_after_is_counted(late: dict[str, object]) -> None:
    report = judge(replace(SOUND, troubles=[REFUND, replace(REFUND, name="refund:2", **late)]))
    assert report["unattended"] == 1
    assert [one["subject"] for one in report["violations"]] == ["refund:2"]


def test_healthy_orders_may_take_as_long_as_without_poison_and_some_seconds_more() -> None:
    assert rules(poisoned()) == set()
    assert rules(poisoned(alone=1.0, among=10.9)) == set()
    assert rules(poisoned(alone=20.0, among=39.0)) == set()


@pytest.mark.parametrize(("alone", "among"), [(1.0, 11.5), (20.0, 41.0), (1.0, None)])
def test_healthy_orders_that_were_held_up_are_a_violation(alone: float, among: float | None) -> None:
    assert rules(poisoned(alone=alone, among=among)) == {"held_up"}


def test_one_slow_order_of_a_hundred_is_none() -> None:
    facts = poisoned(alone=1.0, among=1.0, many=100)
    slow = [replace(one, seconds=99.0) if one.number == "SO-20" else one for one in facts.healthy]
    assert rules(replace(facts, healthy=slow)) == set()


def test_a_run_without_poison_compares_nothing() -> None:
    assert rules(replace(SOUND, healthy=healthy(1.0, 99.0))) == set()
    assert proves_nothing(SOUND) == ""


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        (replace(poisoned(), troubles=[REFUND]), "none of 2 poisoned orders"),
        (poisoned(many=4), "too few to compare"),
    ],
)
def test_a_run_whose_poison_did_nothing_proves_nothing(facts: Facts, words: str) -> None:
    assert words in proves_nothing(facts)
    assert exit_code(judge(facts)) == 2


def test_the_report_says_how_long_each_kind_waited_and_how_long_healthy_orders_took() -> None:
    told = figures(replace(poisoned(), troubles=[POISONED, REFUND, replace(REFUND, waited=40.0)]))
    assert told["longest_wait"] == {"poison at reserve": 4.0, "refund": 40.0}
    assert (told["poisoned"], told["healthy"], told["p95_alone"], told["p95_among_poison"]) == (2, 20, 10.0, 12.0)


def test_of_twenty_orders_one_may_be_slow() -> None:
    assert p95([1.0] * 19 + [50.0]) == 1.0
    assert p95([1.0] * 18 + [50.0] * 2) == 50.0
    assert p95([]) == 0.0


def test_what_the_run_itself_terminated_is_excused_and_nothing_else() -> None:
    facts = replace(SOUND, terminated=frozenset({"batch:1"}))
    assert rules(facts) == {"engine"}
    assert rules(replace(facts, struck=frozenset({"batch:1"}))) == set()
