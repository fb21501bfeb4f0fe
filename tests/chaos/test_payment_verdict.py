"""Money, waits and the stranger: each broken promise is found under its name, and nothing else is."""

from dataclasses import replace
from typing import Any

import pytest

from backoffice.chaos.facts import Deeds, Facts, Operation, PaymentRow, Waited
from backoffice.chaos.verdict import exit_code, judge
from tests.chaos.test_verdict import BOOKS, SOUND, with_books, with_order

PAID = Operation(seq=1, at=10.0, operation="payment_intents.charge", order="a", charged_minor=500)
BOOKED = Operation(seq=2, at=11.0, operation="shipments.book", order="a")
STARTED = Deeds(counts={"start": 1}, started=frozenset({"order:x"}))
REFUND = Operation(seq=3, at=12.0, operation="refunds.create", order="a", refunded_minor=500)


def paid(order: str, facts: Facts = SOUND, **fields: Any) -> Facts:
    return replace(facts, payments={**facts.payments, order: PaymentRow(**fields)})


def happened(*operations: Operation) -> Facts:
    return replace(SOUND, operations=[replace(one, seq=seq) for seq, one in enumerate(operations, start=1)])


def approved_at(moment: float | None) -> Facts:
    facts = paid("a", happened(PAID, BOOKED), approved_at=moment)
    return replace(facts, suspicious=frozenset({"SO-1"}), approved=frozenset({"SO-1"}))


def cancelled_by_a_stranger(number: str, **changes: Any) -> Facts:
    facts = with_order(number, failure_type="cancelled", **changes)
    deeds = Deeds(counts={"cancel": 1}, cancelled=frozenset({f"order:{facts.orders[number].id}"}))
    return replace(facts, deeds=deeds)


def paid_by_hand() -> Facts:
    """What the gateway would not give back of a cancelled order went back by other means, and stands there still."""
    facts = with_order("SO-2", gateway_minor=700)
    books = with_books("b", net_minor=700, charged_minor=700).books
    return paid("b", replace(facts, books=books), by_hand_minor=700)


def disputed(*, withdrawn: int, **changes: Any) -> Facts:
    """The bank of the completed order's customer has taken so much back."""
    facts = paid("a", with_order("SO-1", **changes), disputes=1)
    return replace(
        facts, books={**facts.books, "a": {**BOOKS, "net_minor": 500 - withdrawn, "disputed_minor": withdrawn}}
    )


@pytest.mark.parametrize(
    ("rule", "facts"),
    [
        ("unpaid", happened(BOOKED, PAID)),
        ("unpaid", happened(PAID, REFUND, BOOKED)),
        ("review", approved_at(None)),
        ("review", approved_at(11.5)),
        ("owed", paid("a", owed_minor=5)),
        ("stuck", paid("a", pending=1)),
        ("stuck", paid("a", open_disputes=1)),
        ("waiting", paid("a", with_order("SO-1", status="awaiting_payment"), waits_for="bank")),
        ("waiting", paid("a", with_order("SO-1", status="awaiting_payment"), has_deadline=True)),
        ("waiting", replace(SOUND, waited=[Waited(number="SO-1", says=False, until="2026-01-01T00:00:00Z")])),
        ("waiting", replace(SOUND, waited=[Waited(number="SO-1", says=True, until="")])),
        ("books", replace(SOUND, book_problems=["charges and intents differ"])),
        ("tasks", replace(SOUND, open_tasks=[("SO-1", "refund_owed")])),
        ("forged", cancelled_by_a_stranger("SO-2")),
        ("proof", replace(SOUND, deeds=Deeds())),
        ("ledger_imbalance", disputed(withdrawn=500, gateway_minor=500)),
        ("ledger_imbalance", with_order("SO-1", settled_minor=50, gateway_minor=450)),
        ("unfinished_undo", paid("b", with_books("b", net_minor=700, charged_minor=700), by_hand_minor=600)),
        ("unfinished_undo", paid("b", by_hand_minor=700)),
        ("refunds", with_order("SO-1", settled_minor=50)),
        ("refunds", replace(disputed(withdrawn=500, gateway_minor=0), refunds=[("SO-1", 50)])),
        ("refunds", replace(disputed(withdrawn=500, gateway_minor=0, dropped_minor=40), refunds=[("SO-1", 50)])),
        ("refunds", replace(with_order("SO-1", dropped_minor=50), refunds=[("SO-1", 50)])),
    ],
)
def test_a_broken_promise_about_money_is_found_under_its_name(rule: str, facts: Facts) -> None:
    assert rule in {one["rule"] for one in judge(facts)["violations"]}


@pytest.mark.parametrize(
    "facts",
    [
        happened(PAID, BOOKED),
        happened(PAID, BOOKED, REFUND),
        approved_at(10.5),
        disputed(withdrawn=500, gateway_minor=0),
        # The bank took it back, so the refund that was promised was not sent besides.
        replace(disputed(withdrawn=500, gateway_minor=0, dropped_minor=50), refunds=[("SO-1", 50)]),
        # Money that the gateway would not give back was paid by other means, and the gateway still holds it.
        replace(paid("a", with_order("SO-1", settled_minor=50), by_hand_minor=50), refunds=[("SO-1", 50)]),
        paid(
            "b",
            replace(
                with_books("b", net_minor=700, charged_minor=700), orders=with_order("SO-2", gateway_minor=700).orders
            ),
            by_hand_minor=700,
        ),
        replace(SOUND, waited=[Waited(number="SO-1", says=True, until="2026-01-01T00:00:00Z")]),
        replace(cancelled_by_a_stranger("SO-2"), asked_to_cancel=frozenset({"SO-2"})),
        replace(
            SOUND, deeds=Deeds(counts={"start": 1}, started=frozenset({"order:x"})), terminated=frozenset({"order:x"})
        ),
    ],
)
def test_money_may_also_end_so(facts: Facts) -> None:
    assert judge(facts)["violations"] == []


def test_what_was_terminated_besides_the_strangers_own_is_still_found() -> None:
    facts = replace(SOUND, deeds=STARTED, terminated=frozenset({"order:x", "order:b"}))
    assert [one["subject"] for one in judge(facts)["violations"]] == ["order:b"]


def test_what_the_product_says_of_the_strangers_own_workflows_is_no_violation() -> None:
    said = [{"invariant": "one run", "subject": name, "detail": "the workflow is terminated"} for name in ("x", "b")]
    facts = replace(SOUND, deeds=STARTED, invariants={"ok": False, "violations": said, "unchecked": {}})
    assert [one["subject"] for one in judge(facts)["violations"]] == ["b"]


def test_a_stranger_that_did_nothing_proves_nothing() -> None:
    assert exit_code(judge(replace(SOUND, deeds=Deeds()))) == 2


def test_the_report_counts_the_ends_of_each_kind_of_method() -> None:
    facts = paid("a", method="pm_card_refundFail", refused=1)
    facts = paid("b", facts, method="pm_card_createDispute", disputes=1)
    assert judge(facts)["methods"] == {
        "disputed": {"cancelled": 1, "disputed": 1},
        "refund fails": {"completed": 1, "owed": 1},
    }
    waiting = paid("a", with_order("SO-1", status="awaiting_payment"), method="pm_bacsDebit_success")
    assert judge(waiting)["methods"]["debit"] == {"waiting": 1}
