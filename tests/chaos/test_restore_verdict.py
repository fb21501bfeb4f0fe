"""After a database was set back nothing happens by itself, one incident tells of it, and what it forgot is excused."""

from dataclasses import replace
from typing import Any

import pytest

from backoffice.chaos.facts import Facts, Operation, RunRow, Setback
from backoffice.chaos.restore_verdict import AGAIN, UNDONE
from backoffice.chaos.verdict import exit_code, judge
from tests.chaos.test_verdict import BOOKS, SOUND

#: SO-1 (id a) had completed, and SO-9 (id z) is not there any more
SETBACK = Setback(
    since=100.0,
    until=200.0,
    incidents=1,
    done=frozenset({"a", "z"}),
    older=frozenset({"SO-1", "SO-9"}),
    forgotten={"z": "SO-9"},
    forgotten_runs=frozenset({"export-1"}),
    told="Money of nobody: SO-9",
)
FORGOTTEN = replace(
    SOUND,
    acknowledged=[*SOUND.acknowledged, ("key-9", "SO-9")],
    books={**SOUND.books, "z": BOOKS},
    runs=[RunRow(kind="export", id="export-1", status="")],
)


def set_back(facts: Facts = FORGOTTEN, **changes: Any) -> Facts:
    return replace(facts, setback=replace(SETBACK, **changes))


def with_effect(operation: str, *, order: str = "a", at: float = 150.0) -> Facts:
    return replace(FORGOTTEN, operations=[Operation(seq=1, at=at, operation=operation, order=order)])


def rules(facts: Facts) -> list[str]:
    return [one["rule"] for one in judge(facts)["violations"]]


def test_what_the_copy_does_not_know_is_no_broken_promise() -> None:
    assert rules(set_back()) == []
    assert "lost" in rules(FORGOTTEN)


def test_what_was_asked_of_orders_and_runs_that_it_has_otherwise_is_excused() -> None:
    facts = replace(
        FORGOTTEN,
        orders={**SOUND.orders, "SO-1": replace(SOUND.orders["SO-1"], refunded_minor=50, gateway_minor=450)},
        books={**FORGOTTEN.books, "a": {**BOOKS, "net_minor": 450}},
        refunds=[("SO-1", 70), ("SO-9", 30)],
        returns=[("SO-9", 1)],
        invoices=frozenset({"902000"}),
        complaints=["export export-1 has not ended after 300 s"],
        terminated=frozenset({"order:z"}),
    )
    assert rules(set_back(facts)) == []
    assert rules(set_back(facts, older=frozenset({"SO-9"}))) == ["refunds"]


def test_an_order_that_the_copy_has_may_not_be_lost_by_it() -> None:
    facts = replace(FORGOTTEN, acknowledged=[*FORGOTTEN.acknowledged, ("key-8", "SO-8")])
    assert rules(set_back(facts)) == ["lost"]


@pytest.mark.parametrize("incidents", [0, 2])
def test_exactly_one_incident_tells_of_it(incidents: int) -> None:
    assert rules(set_back(incidents=incidents)) == ["unattended"]


@pytest.mark.parametrize("operation", sorted(UNDONE | AGAIN))
@pytest.mark.parametrize("order", ["a", "z"])
def test_nothing_is_given_back_or_done_again_before_a_lead_decides(operation: str, order: str) -> None:
    assert "by_itself" in rules(set_back(with_effect(operation, order=order)))


@pytest.mark.parametrize(
    "facts",
    [
        with_effect("refunds.create", at=99.0),
        with_effect("refunds.create", at=201.0),
        with_effect("refunds.create", order="b"),
        replace(with_effect("refunds.create"), asked_to_cancel=frozenset({"SO-1"})),
    ],
    ids=["before", "decided", "another order", "a person asked for it"],
)
def test_what_was_before_or_decided_or_asked_for_is_nobodys_fault(facts: Facts) -> None:
    assert "by_itself" not in rules(set_back(facts))


def test_no_run_begins_before_a_lead_decides() -> None:
    assert rules(set_back(started=frozenset({"z"}))) == ["by_itself"]
    assert rules(set_back(started=frozenset({"b"}))) == []


def test_money_of_an_order_without_a_row_is_told_to_somebody() -> None:
    assert rules(set_back(told="")) == ["unattended"]
    assert rules(set_back(told="Money of nobody: z")) == []
    charged = replace(FORGOTTEN, operations=[Operation(seq=1, at=1.0, operation="x", order="z", object_id="pi_9")])
    assert rules(set_back(charged, told="The gateway took pi_9")) == []
    assert rules(set_back(charged, told="The gateway took pi_8")) == ["unattended"]


def test_a_copy_that_differs_in_nothing_proves_nothing() -> None:
    assert exit_code(judge(set_back(done=frozenset()))) == 2


def test_a_row_that_a_lead_had_made_of_a_forgotten_order_is_judged_by_its_books_and_not_by_its_beginning() -> None:
    made = replace(SOUND.orders["SO-1"], id="z", placings=0)
    facts = replace(FORGOTTEN, acknowledged=SOUND.acknowledged, orders={**SOUND.orders, "SO-9": made})
    assert rules(set_back(facts)) == []
    wrong = replace(facts, books={**FORGOTTEN.books, "z": {**BOOKS, "net_minor": 7}})
    assert rules(set_back(wrong)) != []
