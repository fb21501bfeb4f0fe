"""Each kind of broken promise is found, counted under its name, and once."""

from dataclasses import replace
from typing import Any

import pytest

from backoffice.chaos.facts import Facts, Hold, OrderRow, RunRow, StockRow
from backoffice.chaos.verdict import COUNTERS, exit_code, judge

BOOKS = {
    "net_minor": 500,
    "charged_minor": 500,
    "captures": 1,
    "intents": 1,
    "shipments_booked": 1,
    "disputed_minor": 0,
}
NO_BOOKS = dict.fromkeys(BOOKS, 0)
COMPLETED = OrderRow(id="a", status="completed", total_minor=500, gateway_minor=500, pieces_gone=2)
CANCELLED = OrderRow(id="b", status="cancelled", total_minor=700)
SOUND = Facts(
    acknowledged=[("key-1", "SO-1"), ("key-2", "SO-2")],
    orders={"SO-1": COMPLETED, "SO-2": CANCELLED},
    books={"a": BOOKS, "b": NO_BOOKS},
    stock=[StockRow(sku="MUG", received=10, on_hand=8, reserved=0, shipped=2, held=0, consumed=2)],
    outbox=0,
    reexecuted_steps=3,
    invariants={"ok": True, "violations": [], "unchecked": {}},
)


def with_order(number: str, **changes: Any) -> Facts:
    return replace(SOUND, orders={**SOUND.orders, number: replace(SOUND.orders[number], **changes)})


def with_books(order: str, **changes: Any) -> Facts:
    return replace(SOUND, books={**SOUND.books, order: {**SOUND.books[order], **changes}})


def with_stock(**changes: int) -> Facts:
    return replace(SOUND, stock=[replace(SOUND.stock[0], **changes)])


def cancelled(number: str, **changes: Any) -> Facts:
    return replace(with_order(number, **changes), cancellations=[(number, 100.0)])


def with_run(**changes: Any) -> Facts:
    return replace(SOUND, runs=[replace(RunRow(kind="batch", id="b-1", status="completed"), **changes)])


def terminated(number: str, **changes: Any) -> Facts:
    """An operator ended the workflow of the order, and said so."""
    facts = with_order(number, **changes)
    return replace(facts, ended=frozenset({number}), terminated=frozenset({f"order:{facts.orders[number].id}"}))


def imported(reference: str = "536365") -> Facts:
    """An order of a file, which no client was told of."""
    order = OrderRow(id="c", status="cancelled", total_minor=300, reference=reference)
    return replace(SOUND, orders={**SOUND.orders, "SO-3": order})


def with_invariant(name: str) -> Facts:
    found = [{"invariant": name, "subject": "SO-1", "detail": "wrong"}]
    return replace(SOUND, invariants={"ok": False, "violations": found, "unchecked": {}})


def test_a_sound_run_has_no_violations() -> None:
    report = judge(SOUND)
    assert report["violations"] == []
    assert [report[name] for name in COUNTERS] == [0] * len(COUNTERS)
    assert (report["orders"], report["reexecuted_steps"]) == (2, 3)


@pytest.mark.parametrize(
    ("counter", "facts"),
    [
        ("lost", replace(SOUND, acknowledged=[*SOUND.acknowledged, ("key-3", "SO-3")])),
        ("lost", replace(SOUND, invoices=frozenset({"536365"}))),
        ("lost", with_run(status="")),
        ("double_charges", with_books("a", charged_minor=1000)),
        ("double_charges", with_books("a", captures=2)),
        ("ledger_imbalance", with_order("SO-1", ledger_sum=1)),
        ("ledger_imbalance", with_order("SO-1", gateway_minor=499)),
        ("ledger_imbalance", with_books("a", net_minor=0)),
        ("ledger_imbalance", replace(SOUND, books={"b": NO_BOOKS})),
        ("ledger_imbalance", with_invariant("ledger")),
        ("oversold", with_stock(received=1)),
        ("oversold", with_stock(reserved=1)),
        ("oversold", with_stock(on_hand=-1)),
        ("oversold", with_order("SO-1", pieces_held=1)),
        ("oversold", with_invariant("stock")),
        ("stuck", with_order("SO-1", status="charging")),
        ("stuck", replace(SOUND, running_workflows=1)),
        ("unfinished_undo", with_order("SO-2", status="undoing")),
        ("unfinished_undo", with_order("SO-2", pieces_held=1)),
        ("unfinished_undo", with_order("SO-2", pieces_gone=1)),
        ("unfinished_undo", with_order("SO-2", shipments=1)),
        ("unfinished_undo", with_order("SO-2", open_steps=1)),
        ("unfinished_undo", with_books("b", net_minor=700)),
        ("unfinished_undo", with_invariant("reservations")),
        ("outbox", replace(SOUND, outbox=1)),
    ],
)
def test_a_broken_promise_is_counted_under_its_name(counter: str, facts: Facts) -> None:
    report = judge(facts)
    assert report[counter] == 1
    assert counter in {one["rule"] for one in report["violations"]}


@pytest.mark.parametrize(
    ("rule", "facts"),
    [
        ("clients", replace(SOUND, acknowledged=[("key-1", "SO-1")])),
        ("clients", replace(SOUND, acknowledged=[*SOUND.acknowledged, ("key-3", "SO-1")])),
        ("clients", replace(SOUND, complaints=["key-1 was refused with 400"])),
        ("books", with_books("a", shipments_booked=0)),
        ("books", with_books("b", shipments_booked=1)),
        ("books", replace(SOUND, books={**SOUND.books, "stranger": NO_BOOKS})),
        ("books", replace(SOUND, books={**SOUND.books, "": BOOKS})),
        ("clients", imported()),
        ("clients", replace(imported("536366"), invoices=frozenset({"536365"}))),
        ("runs", with_run(status="running")),
        ("runs", with_run(unfinished=1)),
        ("returns", replace(SOUND, returns=[("SO-1", 1)])),
        ("returns", with_order("SO-1", pieces_back=1)),
        ("engine", replace(SOUND, terminated=frozenset({"order:b"}))),
        ("engine", replace(SOUND, recovered=frozenset({"SO-2"}))),
        ("engine", replace(terminated("SO-2"), terminated=frozenset({"order:b", "batch:1"}))),
        ("engine", terminated("SO-2", status="failed", failure_type="outcome_unknown")),
        ("stuck", terminated("SO-2", status="shipping")),
        ("history", with_invariant("history")),
        ("history", with_order("SO-1", start_lines=2)),
        ("history", with_order("SO-1", placings=0)),
        ("engine", replace(SOUND, broken_workflows={"Failed": 1})),
        ("readable", replace(SOUND, readable=True)),
        ("proof", replace(SOUND, acknowledged=[], orders={}, books={})),
        ("proof", replace(SOUND, hits=3, reexecuted_steps=0)),
        ("cancellation", cancelled("SO-1", status="completed", ship_ended=101.0)),
        ("cancellation", cancelled("SO-2", status="failed", failure_type="outcome_unknown")),
        ("review", replace(SOUND, suspicious=frozenset({"SO-1"}))),
        ("review", replace(with_books("b", charged_minor=700), suspicious=frozenset({"SO-2"}))),
        ("review", replace(SOUND, suspicious=frozenset({"SO-2"}), approved=frozenset({"SO-2"}))),
        ("refunds", replace(SOUND, refunds=[("SO-1", 50)])),
        ("refunds", with_order("SO-1", refunded_minor=50)),
        ("hold", replace(with_order("SO-1", step_ends=(11.0, 12.0)), holds=[Hold(number="SO-1", since=10, until=13)])),
        ("engine", with_invariant("one run")),
        ("unchecked", replace(SOUND, invariants={})),
        ("unchecked", replace(SOUND, invariants={"ok": False, "violations": [], "unchecked": {"engine": "away"}})),
    ],
)
def test_what_has_no_counter_is_a_violation_too(rule: str, facts: Facts) -> None:
    assert rule in {one["rule"] for one in judge(facts)["violations"]}


@pytest.mark.parametrize(
    "facts",
    [
        cancelled("SO-2"),
        cancelled("SO-1", ship_ended=99.0),
        cancelled("SO-2", status="failed", failure_type="payment_declined"),
    ],
)
def test_a_cancellation_may_end_so(facts: Facts) -> None:
    assert judge(facts)["violations"] == []


def test_what_the_clerk_did_may_end_so() -> None:
    given_back = with_order("SO-1", refunded_minor=50, gateway_minor=450, step_ends=(9.0, 11.0, 14.0), pieces_back=1)
    facts = replace(
        given_back,
        books={**SOUND.books, "a": {**BOOKS, "net_minor": 450}},
        suspicious=frozenset({"SO-1", "SO-2"}),
        approved=frozenset({"SO-1"}),
        rejected=frozenset({"SO-2"}),
        refunds=[("SO-1", 20), ("SO-1", 30)],
        returns=[("SO-1", 1)],
        holds=[Hold(number="SO-1", since=10.0, until=13.0)],
    )
    assert judge(facts)["violations"] == []


@pytest.mark.parametrize(
    "facts",
    [
        terminated("SO-1"),
        replace(terminated("SO-2"), recovered=frozenset({"SO-2"})),
        terminated("SO-2"),
        terminated("SO-2", status="failed", failure_type="process_ended"),
        replace(
            terminated("SO-2", status="failed", failure_type="process_ended"),
            suspicious=frozenset({"SO-2"}),
            approved=frozenset({"SO-2"}),
        ),
    ],
)
def test_an_order_whose_workflow_was_terminated_may_end_so(facts: Facts) -> None:
    assert judge(facts)["violations"] == []


def test_an_operator_may_come_a_moment_after_the_end_of_an_order() -> None:
    said = [{"invariant": "one run", "subject": "SO-2", "detail": "the workflow is terminated"}]
    invariants = {"ok": False, "violations": said, "unchecked": {}}
    assert judge(replace(terminated("SO-2"), invariants=invariants))["violations"] == []
    assert judge(replace(SOUND, invariants=invariants))["violations"] != []
    assert judge(replace(terminated("SO-2", status="shipping"), invariants=invariants))["stuck"] == 1


def test_what_the_office_was_promised_may_end_so() -> None:
    facts = replace(imported(), invoices=frozenset({"536365"}), runs=with_run().runs)
    assert judge(facts)["violations"] == []


def test_a_run_that_proves_nothing_ends_differently_from_one_that_found_something() -> None:
    assert exit_code(judge(SOUND)) == 0
    assert exit_code(judge(with_order("SO-1", ledger_sum=1))) == 1
    assert exit_code(judge(replace(SOUND, acknowledged=[]))) == 2


def test_two_sentences_about_one_order_count_once() -> None:
    facts = replace(with_books("a", captures=2, charged_minor=1000))
    report = judge(facts)
    assert report["double_charges"] == 1
    assert len([one for one in report["violations"] if one["rule"] == "double_charges"]) == 2
