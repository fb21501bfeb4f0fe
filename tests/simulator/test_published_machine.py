"""Random calls, answers, deadlines and lost answers: whatever comes, only published transitions and no lost penny."""

import json
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, multiple, precondition, rule

from simulator import machine
from simulator.methods import DEBIT_CURRENCIES, METHODS, SLOW
from tests.simulator.double import Double

#: one method for each way in which methods differ
TOKENS = [*{method: token for token, method in METHODS.items() if token != SLOW}.values(), "pm_seeded_decline_50"]
#: what ends neither at once nor for good
LASTING = [token for token in TOKENS if METHODS.get(token, METHODS[SLOW]) != METHODS[SLOW]]
#: the event without which nobody outside would hear of a transition
TOLD = {
    ("payment_intent", "requires_action"): "payment_intent.requires_action",
    ("payment_intent", "processing"): "payment_intent.processing",
    ("payment_intent", "requires_capture"): "payment_intent.amount_capturable_updated",
    ("payment_intent", "succeeded"): "payment_intent.succeeded",
    ("payment_intent", "canceled"): "payment_intent.canceled",
    ("charge", "pending"): "charge.pending",
    ("charge", "succeeded"): "charge.succeeded",
    ("charge", "failed"): "charge.failed",
    ("refund", "failed"): "refund.failed",
    ("dispute", "won"): "charge.dispute.closed",
    ("dispute", "lost"): "charge.dispute.closed",
    ("dispute", "warning_closed"): "charge.dispute.closed",
    ("dispute", "under_review"): "charge.dispute.updated",
    ("dispute", "warning_under_review"): "charge.dispute.updated",
}
BEGUN = {"payment_intent": "payment_intent.created", "refund": "refund.created", "dispute": "charge.dispute.created"}

TEXTS = ("winning_evidence", "losing_evidence", "escalate_inquiry_evidence", "other")
MODES = (None, "saved_error", "saved_error_after", "error_after", "error_before", "rate_limit")

orders = st.sampled_from(["o-1", "o-2", "o-3"])
tokens = st.sampled_from(TOKENS)
amounts = st.integers(min_value=50, max_value=3000)


class Gateway(RuleBasedStateMachine):
    """Everything that shops, customers, banks and time do to the double."""

    intents = Bundle("intents")
    refunds = Bundle("refunds")
    sent = Bundle("sent")

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.double = Double.on(Path(self.folder.name) / "double.sqlite3")
        self.keys = 0

    def teardown(self) -> None:
        self.double.sim.store.close(patience_seconds=1)
        self.folder.cleanup()

    def post(self, path: str, form: dict[str, Any]) -> tuple[int, Any]:
        status, answered = self.double.call("POST", path, form)
        assert status in (200, 400, 402, 404), (path, form, answered)
        return status, answered

    @rule(
        target=intents,
        order=orders,
        token=tokens | st.none(),
        amount=amounts,
        confirm=st.booleans(),
        manual=st.booleans(),
        by_hand=st.booleans(),
    )
    def create(self, order: str, token: str | None, amount: int, confirm: bool, manual: bool, by_hand: bool) -> Any:
        method = METHODS.get(token or "")
        form: dict[str, Any] = {
            "amount": amount,
            "currency": DEBIT_CURRENCIES.get(method.type, "gbp") if method else "gbp",
            "metadata": {"order": order},
            "capture_method": "manual" if manual else "automatic",
            "confirmation_method": "manual" if by_hand else "automatic",
        }
        if token:
            form |= {"payment_method": token, "confirm": "true" if confirm else "false"}
        _, answered = self.post("/v1/payment_intents", form)
        made = answered["error"].get("payment_intent") if "error" in answered else answered
        return made["id"] if made else multiple()

    @rule(target=intents, order=orders, token=st.sampled_from(LASTING), seconds=st.sampled_from([0, 3]))
    def pay(self, order: str, token: str, seconds: float) -> Any:
        method = METHODS[token]
        intent = self.double.paid(token, order=order, currency=DEBIT_CURRENCIES.get(method.type, "gbp"))
        self.double.advance(seconds)
        return intent["id"]

    @rule(target=refunds, order=orders, token=st.sampled_from(LASTING), amount=amounts, at_once=st.booleans())
    def pay_and_refund(self, order: str, token: str, amount: int, at_once: bool) -> Any:
        currency = DEBIT_CURRENCIES.get(METHODS[token].type, "gbp")
        intent = self.double.paid(token, order=order, currency=currency)
        self.double.advance(0 if at_once else 180)
        status, answered = self.post("/v1/refunds", {"payment_intent": intent["id"], "amount": amount})
        return answered["id"] if status == 200 else multiple()

    @rule(intent=intents, token=tokens | st.none(), off_session=st.booleans(), return_url=st.booleans())
    def confirm(self, intent: str, token: str | None, off_session: bool, return_url: bool) -> None:
        form = {"payment_method": token} if token else {}
        form |= {"off_session": "true"} if off_session else {}
        form |= {"return_url": "https://shop.example/"} if return_url else {}
        self.post(f"/v1/payment_intents/{intent}/confirm", form)

    @rule(order=orders, amount=amounts | st.none(), asked=st.booleans())
    def hold_and_capture(self, order: str, amount: int | None, asked: bool) -> None:
        held = self.double.paid(
            "pm_card_authenticationRequired" if asked else "pm_card_createDispute", order=order, capture_method="manual"
        )
        if asked:
            # They may have answered by themselves.
            self.double.call("POST", f"/customers/{held['id']}", body={"outcome": "complete"})
        self.post(f"/v1/payment_intents/{held['id']}/capture", {"amount_to_capture": amount} if amount else {})

    @rule(intent=intents, amount=amounts | st.none())
    def capture(self, intent: str, amount: int | None) -> None:
        self.post(f"/v1/payment_intents/{intent}/capture", {"amount_to_capture": amount} if amount else {})

    @rule(intent=intents | st.just("pi_unknown"))
    def cancel(self, intent: str) -> None:
        self.post(f"/v1/payment_intents/{intent}/cancel", {})

    @rule(intent=intents, token=tokens | st.none(), amount=amounts | st.none())
    def update(self, intent: str, token: str | None, amount: int | None) -> None:
        given = {"payment_method": token, "amount": amount, "metadata": {"note": "x"}}
        self.post(f"/v1/payment_intents/{intent}", {name: value for name, value in given.items() if value})

    @rule(target=refunds, intent=intents, amount=amounts | st.none())
    def refund(self, intent: str, amount: int | None) -> Any:
        status, answered = self.post("/v1/refunds", {"payment_intent": intent} | ({"amount": amount} if amount else {}))
        return answered["id"] if status == 200 else multiple()

    @rule(refund=refunds, verb=st.sampled_from(["cancel", "expire"]))
    def end_refund(self, refund: str, verb: str) -> None:
        self.post(f"/v1/{'test_helpers/' if verb == 'expire' else ''}refunds/{refund}/{verb}", {})

    @rule(which=st.integers(min_value=0, max_value=5), submit=st.booleans(), text=st.sampled_from(TEXTS))
    @precondition(lambda self: self.disputes())
    def answer_dispute(self, which: int, text: str, submit: bool) -> None:
        disputes = self.disputes()
        form = {"evidence": {"uncategorized_text": text}, "submit": "true" if submit else "false"}
        self.post(f"/v1/disputes/{disputes[which % len(disputes)]}", form)

    @rule(which=st.integers(min_value=0, max_value=5))
    @precondition(lambda self: self.disputes())
    def close_dispute(self, which: int) -> None:
        disputes = self.disputes()
        self.post(f"/v1/disputes/{disputes[which % len(disputes)]}/close", {})

    def disputes(self) -> list[str]:
        """The disputes that are not decided."""
        with self.double.sim.store.read() as snapshot:
            rows = snapshot.execute("SELECT id FROM disputes WHERE status NOT IN ('won', 'lost', 'warning_closed')")
            return [row["id"] for row in rows]

    @rule(which=st.integers(min_value=0, max_value=5), outcome=st.sampled_from(["complete", "fail"]))
    @precondition(lambda self: self.waiting())
    def customer_answers(self, which: int, outcome: str) -> None:
        waiting = self.waiting()
        status, answered = self.double.call(
            "POST", f"/customers/{waiting[which % len(waiting)]}", body={"outcome": outcome}
        )
        assert status in (200, 409), answered

    def waiting(self) -> list[str]:
        """Payments and refunds that wait for their customer."""
        sql = (
            "SELECT id FROM intents WHERE status = 'requires_action'"
            " UNION ALL SELECT id FROM refunds WHERE status = 'requires_action'"
        )
        with self.double.sim.store.read() as snapshot:
            return [row["id"] for row in snapshot.execute(sql)]

    @rule(seconds=st.sampled_from([0, 1, 2, 3, 200, 86_400, 7 * 86_400, 46 * 86_400, 130 * 86_400]))
    def time_passes(self, seconds: float) -> None:
        self.double.advance(seconds)

    @rule(after=st.none() | st.sampled_from([0, 2, 86_400]), never=st.floats(0, 0.5), fails=st.floats(0, 0.5))
    def customers_change(self, after: float | None, never: float, fails: float) -> None:
        self.double.behave(customer={"confirms_after_seconds": after, "share_never": never, "share_fails": fails})

    @rule(
        target=sent,
        intent=intents,
        amount=amounts,
        verb=st.sampled_from(["confirm", "cancel", "refund"]),
        mode=st.sampled_from(MODES),
    )
    def send_with_key(self, intent: str, amount: int, verb: str, mode: str | None) -> Any:
        self.keys += 1
        path = "/v1/refunds" if verb == "refund" else f"/v1/payment_intents/{intent}/{verb}"
        form = {"payment_intent": intent, "amount": amount} if verb == "refund" else {}
        if mode:
            self.double.fault(partner="payments", mode=mode, times=1)
        first = self.double.send("POST", path, form, key=f"k-{self.keys}")
        self.double.ok("DELETE", "/faults")
        return path, form, f"k-{self.keys}", first.status, first.text, mode, self.double.sim.wall() + self.advanced()

    def advanced(self) -> float:
        return float(self.double.ok("GET", "/clock")["advanced_seconds"])

    @rule(call=sent)
    def repeat(self, call: Any) -> None:
        path, form, key, status, text, mode, at = call
        if self.double.sim.wall() + self.advanced() >= at + 86_400:
            return
        again = self.double.send("POST", path, form, key=key)
        if again.headers.get("Idempotent-Replayed") and mode in (None, "saved_error", "saved_error_after"):
            assert (again.status, again.text) == (status, text)
        third = self.double.send("POST", path, form, key=key)
        if "Idempotent-Replayed" in third.headers:
            assert (third.status, third.text) == (again.status, again.text), "a saved answer does not change"
        if mode in ("saved_error", "saved_error_after") and status == 500:
            assert again.status == 500, "a saved 500 stays"
        if third.headers.get("Idempotent-Replayed"):
            other = self.double.refused("POST", path, form | {"metadata": {"other": "1"}}, key=key)
            assert other[0] == 400

    @invariant()
    def money_is_conserved(self) -> None:
        assert self.double.ok("GET", "/oracle/summary")["problems"] == []
        for books in self.double.ok("GET", "/oracle/orders")["orders"].values():
            net = books["charged_minor"] - books["refunded_minor"] - books["disputed_minor"]
            assert (books["net_minor"], net >= 0) == (net, True), books
        for intent in self.listed("/v1/payment_intents"):
            back = self.listed("/v1/refunds", payment_intent=intent["id"])
            away = sum(one["amount"] for one in back if one["status"] not in ("failed", "canceled"))
            taken = sum(
                -moved["amount"]
                for dispute in self.listed("/v1/disputes", payment_intent=intent["id"])
                for moved in dispute["balance_transactions"]
            )
            assert away + taken <= intent["amount_received"]
            assert (intent["status"] == "succeeded") == (intent["amount_received"] > 0)

    @invariant()
    def every_transition_is_published_and_told(self) -> None:
        self.double.sim.catch_up()
        with self.double.sim.store.read() as snapshot:
            moves = snapshot.execute("SELECT * FROM transitions ORDER BY seq").fetchall()
            rows = snapshot.execute("SELECT type, object FROM events").fetchall()
        events: dict[tuple[str, str], list[str]] = defaultdict(list)
        for row in rows:
            shown = json.loads(row["object"])
            events[(shown["id"], row["type"])].append(shown["status"])
        last: dict[str, str | None] = defaultdict(lambda: None)
        for move in moves:
            assert (move["machine"], move["before"], move["after"], move["cause"]) in machine.ALLOWED
            assert last[move["object_id"]] == move["before"], "no status changes unseen"
            last[move["object_id"]] = move["after"]
            told = TOLD.get((move["machine"], move["after"]))
            if told:
                assert move["after"] in events[(move["object_id"], told)], (dict(move), told)
            if move["before"] is None and move["machine"] in BEGUN:
                assert events[(move["object_id"], BEGUN[move["machine"]])]
            if move["machine"] == "payment_intent" and move["after"] == "requires_payment_method" and move["before"]:
                assert events[(move["object_id"], "payment_intent.payment_failed")]
        for kind in ("payment_intents", "charges", "refunds", "disputes"):
            for shown in self.listed(f"/v1/{kind}"):
                assert last[shown["id"]] == shown["status"], "what is shown is where the machine stands"

    @invariant()
    def lists_and_objects_agree(self) -> None:
        for kind in ("payment_intents", "refunds", "disputes", "charges"):
            listed = self.listed(f"/v1/{kind}")
            assert len({one["id"] for one in listed}) == len(listed)
            for one in listed[:2]:
                assert self.double.ok("GET", f"/v1/{kind}/{one['id']}") == one

    def listed(self, path: str, **form: Any) -> list[Any]:
        """Every object of a list, page by page."""
        found: list[Any] = []
        while True:
            after = {"starting_after": found[-1]["id"]} if found else {}
            page = self.double.ok("GET", path, {"limit": 100} | form | after)
            found += page["data"]
            if not page["has_more"]:
                return found


TestGateway = Gateway.TestCase
TestGateway.settings = settings(
    max_examples=20,
    stateful_step_count=40,
    deadline=None,
    # A shorter example is not worth the minutes that it takes to find one.
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
