"""Refunds that are not there at once, that fail later, or that are refused."""

from typing import Any

from tests.simulator.double import Double


def refund(double: Double, intent: dict[str, Any], **form: Any) -> Any:
    return double.ok("POST", "/v1/refunds", {"payment_intent": intent["id"], **form})


def shown(double: Double, refund_id: str) -> Any:
    return double.ok("GET", f"/v1/refunds/{refund_id}")


def test_a_refund_that_fails_later_frees_its_amount_again(double: Double) -> None:
    intent = double.paid("pm_card_refundFail")
    made = refund(double, intent, amount=1000)
    assert made["status"] == "succeeded"
    assert (double.books()["refunded_minor"], double.books()["net_minor"]) == (1000, 1500)
    double.advance(3)
    failed = shown(double, made["id"])
    assert (failed["status"], failed["failure_reason"]) == ("failed", "expired_or_canceled_card")
    assert failed["failure_balance_transaction"] != failed["balance_transaction"]
    books = double.books()
    assert (books["refunded_minor"], books["refund_failed_minor"], books["net_minor"]) == (0, 1000, 2500)
    assert (books["refunds"], books["refunds_failed"]) == (0, 1)
    charge = double.ok("GET", f"/v1/charges/{intent['latest_charge']}")
    assert (charge["amount_refunded"], charge["refunded"]) == (0, False)
    assert double.events()[-3:] == ["refund.updated", "refund.failed", "charge.refund.updated"]
    assert refund(double, intent)["amount"] == 2500


def test_a_pending_refund_arrives_later(double: Double) -> None:
    intent = double.paid("pm_card_pendingRefund")
    made = refund(double, intent)
    assert (made["status"], made["pending_reason"]) == ("pending", "processing")
    assert double.refused("POST", "/v1/refunds", {"payment_intent": intent["id"]}) == (400, "charge_already_refunded")
    assert double.books()["refunded_minor"] == 2500
    double.advance(3)
    arrived = shown(double, made["id"])
    assert arrived["status"] == "succeeded"
    assert "pending_reason" not in arrived
    assert double.events()[-2:] == ["refund.updated", "charge.refund.updated"]


def test_the_refund_of_a_debit_is_pending_first(double: Double) -> None:
    intent = double.paid("pm_bacsDebit_success")
    double.advance(3)
    assert refund(double, intent)["status"] == "pending"


def test_a_refund_may_wait_for_the_customer_and_be_canceled_then(double: Double) -> None:
    intent = double.paid("pm_refund_requires_action")
    made = refund(double, intent, amount=1000)
    assert (made["status"], made["next_action"]["type"]) == ("requires_action", "display_details")
    canceled = double.ok("POST", f"/v1/refunds/{made['id']}/cancel")
    assert (canceled["status"], canceled["failure_reason"]) == ("canceled", "merchant_request")
    assert double.books()["net_minor"] == 2500
    assert double.call("POST", f"/v1/refunds/{made['id']}/cancel")[0] == 400


def test_a_customer_who_says_where_the_money_should_go_gets_it(double: Double) -> None:
    made = refund(double, double.paid("pm_refund_requires_action"))
    told = double.ok("POST", f"/customers/{made['id']}", body={"outcome": "complete"})
    assert told["status"] == "pending"
    assert double.call("POST", f"/v1/refunds/{made['id']}/cancel")[0] == 400
    double.advance(3)
    assert shown(double, made["id"])["status"] == "succeeded"


def test_a_customer_who_never_says_gets_nothing_in_the_end(double: Double) -> None:
    intent = double.paid("pm_refund_requires_action")
    first, second = refund(double, intent, amount=100), refund(double, intent, amount=200)
    expired = double.ok("POST", f"/v1/test_helpers/refunds/{second['id']}/expire")
    assert expired["status"] == "failed"
    double.advance(45 * 86_400)
    assert shown(double, first["id"])["status"] == "failed"
    assert double.books()["refunded_minor"] == 0


def test_a_card_that_refunds_at_once_has_nothing_to_cancel(double: Double) -> None:
    made = refund(double, double.paid())
    assert double.call("POST", f"/v1/refunds/{made['id']}/cancel")[0] == 400


def test_refunds_are_refused_as_documented(double: Double) -> None:
    held = double.paid(capture_method="manual")
    refused = double.refused("POST", "/v1/refunds", {"payment_intent": held["id"]})
    assert refused == (400, "charge_not_refundable")
    declined = double.paid("pm_card_chargeDeclined")
    refused = double.refused("POST", "/v1/refunds", {"charge": declined["latest_charge"]})
    assert refused == (400, "charge_not_refundable")
    assert double.refused("POST", "/v1/refunds") == (400, "parameter_missing")
    paid, other = double.paid(), double.paid()
    mixed = {"payment_intent": paid["id"], "charge": other["latest_charge"]}
    assert double.refused("POST", "/v1/refunds", mixed) == (400, "charge_invalid_parameter")
    too_much = {"charge": paid["latest_charge"], "amount": 2501}
    assert double.refused("POST", "/v1/refunds", too_much) == (400, "amount_too_large")


def test_refunds_are_listed_by_payment_charge_and_time(double: Double) -> None:
    first, second = double.paid(), double.paid()
    ids = [refund(double, first, amount=100)["id"] for _ in range(3)]
    other = refund(double, second)["id"]

    def listed(**form: Any) -> list[str]:
        return [one["id"] for one in double.ok("GET", "/v1/refunds", form)["data"]]

    assert listed() == [other, *reversed(ids)]
    assert listed(payment_intent=first["id"]) == list(reversed(ids))
    assert listed(charge=second["latest_charge"]) == [other]
    created = shown(double, other)["created"]
    assert listed(created={"gte": created, "lte": created}) == listed()
    assert listed(created=created) == listed()
    assert listed(created={"gt": created}) == listed(created={"lt": created}) == []
    assert listed(limit=1, starting_after=ids[1]) == [ids[0]]
    assert listed(limit=1, ending_before=ids[1]) == [ids[2]]
    assert listed(limit=2, ending_before=ids[0]) == [ids[2], ids[1]]


def test_only_the_metadata_of_a_refund_can_change(double: Double) -> None:
    made = refund(double, double.paid(), metadata={"refund": "r-1"})
    changed = double.ok("POST", f"/v1/refunds/{made['id']}", {"metadata": {"note": "x"}})
    assert changed["metadata"] == {"refund": "r-1", "note": "x"}
    assert double.refused("POST", f"/v1/refunds/{made['id']}", {"amount": 1}) == (400, "parameter_unknown")
