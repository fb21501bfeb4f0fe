"""Disputes: what is withdrawn, what comes back, and what a refund may still do."""

from typing import Any

import pytest

from tests.simulator.double import Double

WEEK = 7 * 86_400


def disputed(double: Double, token: str = "pm_card_createDispute") -> tuple[Any, Any]:
    """A payment whose cardholder went to the bank."""
    intent = double.paid(token)
    double.advance(2)
    (dispute,) = double.ok("GET", "/v1/disputes", {"payment_intent": intent["id"]})["data"]
    return intent, dispute


def answer(double: Double, dispute: Any, text: str, **form: Any) -> Any:
    evidence = {"evidence": {"uncategorized_text": text}} | form
    return double.ok("POST", f"/v1/disputes/{dispute['id']}", evidence)


@pytest.mark.parametrize(
    ("token", "reason"),
    [
        ("pm_card_createDispute", "fraudulent"),
        ("pm_card_createDisputeProductNotReceived", "product_not_received"),
    ],
)
def test_a_chargeback_takes_the_money_and_forbids_a_refund(double: Double, token: str, reason: str) -> None:
    intent, dispute = disputed(double, token)
    assert (dispute["status"], dispute["reason"], dispute["amount"]) == ("needs_response", reason, 2500)
    (withdrawal,) = dispute["balance_transactions"]
    assert (withdrawal["amount"], withdrawal["net"]) == (-2500, -2500 - withdrawal["fee"])
    assert not dispute["is_charge_refundable"]
    books = double.books()
    assert (books["charged_minor"], books["disputed_minor"], books["net_minor"]) == (2500, 2500, 0)
    assert double.refused("POST", "/v1/refunds", {"payment_intent": intent["id"]}) == (400, "charge_disputed")
    assert double.ok("GET", f"/v1/charges/{dispute['charge']}")["disputed"]
    assert double.get(intent["id"])["status"] == "succeeded"
    assert double.events()[-2:] == ["charge.dispute.created", "charge.dispute.funds_withdrawn"]


def test_winning_evidence_brings_the_money_back(double: Double) -> None:
    intent, dispute = disputed(double)
    assert answer(double, dispute, "winning_evidence")["status"] == "under_review"
    double.advance(2)
    won = double.ok("GET", f"/v1/disputes/{dispute['id']}")
    assert (won["status"], won["is_charge_refundable"]) == ("won", True)
    assert [moved["amount"] for moved in won["balance_transactions"]] == [-2500, 2500]
    assert (double.books()["disputed_minor"], double.books()["net_minor"]) == (0, 2500)
    assert double.events()[-3:] == [
        "charge.dispute.updated",
        "charge.dispute.funds_reinstated",
        "charge.dispute.closed",
    ]
    assert double.ok("POST", "/v1/refunds", {"payment_intent": intent["id"]})["amount"] == 2500


def test_losing_evidence_and_silence_lose_it(double: Double) -> None:
    for number, end in enumerate(("evidence", "silence", "close")):
        intent = double.paid("pm_card_createDispute", order=f"o-{end}")
        double.advance(2)
        (dispute,) = double.ok("GET", "/v1/disputes", {"payment_intent": intent["id"]})["data"]
        match end:
            case "evidence":
                answer(double, dispute, "losing_evidence")
                double.advance(2)
            case "silence":
                double.advance(WEEK)
            case "close":
                assert double.ok("POST", f"/v1/disputes/{dispute['id']}/close")["status"] == "lost"
        lost = double.ok("GET", f"/v1/disputes/{dispute['id']}")
        assert (lost["status"], lost["evidence_details"]["past_due"]) == ("lost", end == "silence"), number
        assert double.books(f"o-{end}")["net_minor"] == 0
        assert double.refused("POST", "/v1/refunds", {"payment_intent": intent["id"]}) == (400, "charge_disputed")
        assert double.call("POST", f"/v1/disputes/{dispute['id']}/close")[0] == 400


def test_other_evidence_stays_with_the_bank_and_can_be_staged_before(double: Double) -> None:
    _, dispute = disputed(double)
    staged = answer(double, dispute, "He signed for it", submit="false")
    assert (staged["status"], staged["evidence_details"]["submission_count"]) == ("needs_response", 0)
    sent = double.ok("POST", f"/v1/disputes/{dispute['id']}", {"evidence": {"receipt": "file_1"}})
    assert sent["evidence"]["uncategorized_text"] == "He signed for it"
    assert (sent["status"], sent["evidence_details"]["submission_count"]) == ("under_review", 1)
    double.advance(10 * WEEK)
    assert double.ok("GET", f"/v1/disputes/{dispute['id']}")["status"] == "under_review"
    again = double.call("POST", f"/v1/disputes/{dispute['id']}", {"evidence": {"receipt": "file_2"}})
    assert again[0] == 400


def test_an_inquiry_withdraws_nothing_and_a_refund_is_still_possible(double: Double) -> None:
    intent, dispute = disputed(double, "pm_card_createDisputeInquiry")
    assert (dispute["status"], dispute["balance_transactions"]) == ("warning_needs_response", [])
    assert dispute["is_charge_refundable"]
    assert (double.books()["disputed_minor"], double.books()["net_minor"]) == (0, 2500)
    assert double.ok("POST", "/v1/refunds", {"payment_intent": intent["id"], "amount": 500})["status"] == "succeeded"
    double.advance(120 * 86_400)
    assert double.ok("GET", f"/v1/disputes/{dispute['id']}")["status"] == "warning_closed"
    assert double.events()[-1] == "charge.dispute.closed"


@pytest.mark.parametrize(
    ("text", "status", "withdrawn"),
    [
        ("winning_evidence", "warning_closed", 0),
        ("losing_evidence", "warning_closed", 0),
        ("escalate_inquiry_evidence", "needs_response", 2000),
    ],
)
def test_an_inquiry_ends_or_becomes_a_chargeback_of_what_was_not_refunded(
    double: Double, text: str, status: str, withdrawn: int
) -> None:
    intent, dispute = disputed(double, "pm_card_createDisputeInquiry")
    double.ok("POST", "/v1/refunds", {"payment_intent": intent["id"], "amount": 500})
    assert answer(double, dispute, text)["status"] == "warning_under_review"
    double.advance(2)
    assert double.ok("GET", f"/v1/disputes/{dispute['id']}")["status"] == status
    assert (double.books()["disputed_minor"], double.books()["net_minor"]) == (withdrawn, 2000 - withdrawn)


def test_a_refund_on_its_way_fails_when_the_cardholder_disputes(double: Double) -> None:
    intent = double.paid("pm_bacsDebit_dispute")
    double.advance(180)
    made = double.ok("POST", "/v1/refunds", {"payment_intent": intent["id"], "amount": 1000})
    assert made["status"] == "pending"
    double.advance(2)
    failed = double.ok("GET", f"/v1/refunds/{made['id']}")
    assert (failed["status"], failed["failure_reason"]) == ("failed", "charge_for_pending_refund_disputed")
    books = double.books()
    assert (books["refunded_minor"], books["disputed_minor"], books["net_minor"]) == (0, 2500, 0)


def test_what_went_back_before_is_not_withdrawn_again(double: Double) -> None:
    intent = double.paid("pm_card_createDispute")
    double.ok("POST", "/v1/refunds", {"payment_intent": intent["id"], "amount": 2500})
    double.advance(2)
    assert double.ok("GET", "/v1/disputes")["data"] == []
    assert double.books()["net_minor"] == 0


def test_a_held_amount_is_disputed_after_it_was_captured(double: Double) -> None:
    intent = double.paid("pm_card_createDispute", capture_method="manual")
    double.advance(60)
    assert double.ok("GET", "/v1/disputes")["data"] == []
    double.ok("POST", f"/v1/payment_intents/{intent['id']}/capture", {"amount_to_capture": 2000})
    double.advance(2)
    (dispute,) = double.ok("GET", "/v1/disputes")["data"]
    assert dispute["amount"] == 2000
    assert double.ok("GET", "/v1/disputes", {"charge": dispute["charge"]})["data"] == [dispute]
