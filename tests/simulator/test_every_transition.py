"""Every row of the published table happens in some story of a payment; a row that never does would prove nothing."""

from simulator import machine
from tests.simulator.double import Double

ASKING = "pm_card_authenticationRequired"
DEBIT = "pm_bacsDebit_success"
DAY = 86_400
#: published, and no test payment method of ours leads there: a debit that asks its customer first
UNREACHED = {("payment_intent", "requires_action", "processing", "customer")}


def confirm(double: Double, intent_id: str, method: str | None = None, **form: str) -> None:
    given = {"payment_method": method} if method else {}
    status, _ = double.call("POST", f"/v1/payment_intents/{intent_id}/confirm", given | form)
    assert status in (200, 402)


def act(double: Double, waiting: str, outcome: str) -> None:
    double.ok("POST", f"/customers/{waiting}", body={"outcome": outcome})


def cards(double: Double) -> None:
    """From each state in which a payment can be confirmed, to each state that a confirmation leads to."""
    for method in ("pm_card_visa", "pm_card_chargeDeclined", ASKING, DEBIT):
        for begin in ("nothing", "method", "asked"):
            intent = double.intent(None if begin == "nothing" else ASKING if begin == "asked" else "pm_card_visa")
            if begin == "asked":
                confirm(double, intent["id"])
            confirm(double, intent["id"], method)
        for method_before in (None, "pm_card_visa", ASKING):
            held = double.intent(method_before, capture_method="manual")
            if method_before == ASKING:
                confirm(double, held["id"])
            confirm(double, held["id"], "pm_card_visa")


def updates(double: Double) -> None:
    for begin in (None, "pm_card_visa", ASKING):
        intent = double.intent(begin)
        if begin == ASKING:
            confirm(double, intent["id"])
        double.ok("POST", f"/v1/payment_intents/{intent['id']}", {"payment_method": "pm_card_mastercard"})


def customers(double: Double) -> None:
    act(double, double.paid(ASKING)["id"], "complete")
    act(double, double.paid(ASKING)["id"], "fail")
    act(double, double.paid(ASKING, capture_method="manual")["id"], "complete")
    act(double, double.paid(ASKING, confirmation_method="manual")["id"], "complete")


def ends(double: Double) -> None:
    for intent in (
        double.intent(None),
        double.intent(),
        double.paid(ASKING),
        double.paid(capture_method="manual"),
        double.paid("pm_usBankAccount_processing", currency="usd"),
    ):
        double.ok("POST", f"/v1/payment_intents/{intent['id']}/cancel")
    held = double.paid(capture_method="manual")
    double.ok("POST", f"/v1/payment_intents/{held['id']}/capture")
    double.paid(capture_method="manual")
    double.paid(DEBIT)
    double.paid("pm_bacsDebit_insufficientFunds")
    double.advance(8 * DAY)


def refunds(double: Double) -> None:
    for method in ("pm_card_visa", "pm_card_refundFail", "pm_card_pendingRefund"):
        double.ok("POST", "/v1/refunds", {"payment_intent": double.paid(method)["id"]})
    asked = double.paid("pm_refund_requires_action")
    made = [double.ok("POST", "/v1/refunds", {"payment_intent": asked["id"], "amount": 100}) for _ in range(3)]
    double.ok("POST", f"/v1/refunds/{made[0]['id']}/cancel")
    act(double, made[1]["id"], "complete")
    act(double, made[2]["id"], "fail")
    disputed = double.paid("pm_bacsDebit_dispute")
    double.advance(180)
    double.ok("POST", "/v1/refunds", {"payment_intent": disputed["id"], "amount": 100})
    double.advance(10)


def disputes(double: Double) -> None:
    for method in ("pm_card_createDispute", "pm_card_createDisputeInquiry"):
        for text in ("winning_evidence", "losing_evidence", "escalate_inquiry_evidence", "other", None, "close"):
            intent = double.paid(method)
            double.advance(2)
            (dispute,) = double.ok("GET", "/v1/disputes", {"payment_intent": intent["id"]})["data"]
            path = f"/v1/disputes/{dispute['id']}"
            if text == "close":
                double.call("POST", f"{path}/close")
            elif text:
                double.ok("POST", path, {"evidence": {"uncategorized_text": text}})
            double.advance(2)
    double.advance(130 * DAY)


def test_every_published_transition_happens(double: Double) -> None:
    for story in (cards, updates, customers, ends, refunds, disputes):
        story(double)
    with double.sim.store.read() as snapshot:
        rows = snapshot.execute("SELECT DISTINCT machine, before, after, cause FROM transitions").fetchall()
    assert machine.ALLOWED - {tuple(row) for row in rows} == UNREACHED
    assert double.ok("GET", "/oracle/summary")["problems"] == []
