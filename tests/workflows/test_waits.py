"""Whoever waits has a timer beside the wait, and a history that hardly grows however long the wait is."""

import ast
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from temporalio.testing import WorkflowEnvironment

from orders.playbooks.definition import Definition, OnFailure
from orders.services.payment_waits import LOOKS_AFTER, LOOKS_EVERY
from orders.vocabulary import (
    BatchMode,
    FailureType,
    FeedStatus,
    PlaybookStepStatus,
    ProcessNext,
    ProcessStatus,
    RefundStatus,
    Verdict,
)
from temporal_app.payloads import (
    BatchInput,
    BatchWindow,
    FeedInput,
    GatewayPaymentInput,
    OrderInput,
    PaymentStanding,
    ProcessInput,
    ProcessStanding,
    RecoveryInput,
    RefundInput,
    ReviewStanding,
)
from temporal_app.playbook_payloads import PlaybookInput, PlaybookPlan
from temporal_app.workflows.batch import BatchWorkflow
from temporal_app.workflows.feed_import import FeedImportWorkflow
from temporal_app.workflows.gateway_payment import GatewayPaymentWorkflow
from temporal_app.workflows.order import OrderWorkflow
from temporal_app.workflows.playbook import PlaybookWorkflow
from temporal_app.workflows.process import ProcessWorkflow
from temporal_app.workflows.recovery import RecoveryWorkflow
from temporal_app.workflows.refund import RefundWorkflow
from temporal_app.workflows.waits import LOOKS
from tests.orders.playbooks import document, note
from tests.workflows.answers import Answer, Answers, away
from tests.workflows.order_world import final

WORKFLOWS = Path(__file__).resolve().parents[2] / "temporal_app" / "workflows"
MOST_AN_HOUR = 30
WAITED = timedelta(days=2)
ORDER = OrderInput(order_id="1", number="SO-1", customer="C-1")
SHIPS: dict[str, Answer] = {
    "prepare_order": None,
    "check_fraud": False,
    "charge_payment": PaymentStanding(taken=True),
    "ship_order": None,
    "complete_order": None,
}
#: as `payment_waits` has them, and never an end
PAYMENT_LOOKS = [after - before for before, after in zip((0, *LOOKS_AFTER), LOOKS_AFTER, strict=False)]
HELD = {**SHIPS, "ship_order": final(FailureType.ON_HOLD), "settle_hold": True}
PLAN = PlaybookPlan(
    definition=Definition.model_validate(document(note("one"))), subs={}, done=[], rounds={}, undoing=False
)
FAILED_STEP = {
    "load_playbook": PLAN,
    "run_playbook_step": final(FailureType.STEP_FAILED),
    "fail_playbook_step": OnFailure.PARK,
    "decision_on_playbook_step": PlaybookStepStatus.FAILED,
}


def payment_wait(asked: int) -> PaymentStanding:
    seconds = PAYMENT_LOOKS[asked] if asked < len(PAYMENT_LOOKS) else LOOKS_EVERY
    return PaymentStanding(taken=False, wait_seconds=seconds)


@dataclass(frozen=True)
class Wait:
    workflow: type
    given: object
    answers: Mapping[str, Answer] = field(default_factory=dict)
    #: what is asked at each look; empty where nothing is asked while it waits
    look: str = ""
    #: how long it looks in quick succession before it waits
    at_first: timedelta = timedelta(minutes=1)


WAITS = {
    "an order on hold": Wait(OrderWorkflow, ORDER, HELD, "settle_hold"),
    "an order that awaits its payment": Wait(
        OrderWorkflow, ORDER, {**SHIPS, "charge_payment": payment_wait}, "charge_payment"
    ),
    "an order in review": Wait(
        OrderWorkflow,
        ORDER,
        {**SHIPS, "check_fraud": True, "settle_review": ReviewStanding(approved=False, wait_seconds=2 * 86_400)},
        "settle_review",
    ),
    "an order whose first step fails": Wait(OrderWorkflow, ORDER, {}, "prepare_order"),
    "an order whose last step fails": Wait(OrderWorkflow, ORDER, {**SHIPS, "complete_order": away}, "complete_order"),
    "an order whose undo cannot begin": Wait(
        OrderWorkflow, ORDER, {"prepare_order": final(FailureType.OUT_OF_STOCK)}, "begin_undo"
    ),
    "an order whose undo is not proved": Wait(
        OrderWorkflow,
        ORDER,
        {
            "prepare_order": final(FailureType.OUT_OF_STOCK),
            "begin_undo": True,
            "undo_shipment": None,
            "undo_payment": None,
            "release_stock": None,
            "close_order": final(FailureType.STEP_MISSING),
        },
        "close_order",
        at_first=timedelta(hours=1),
    ),
    "a recovery that cannot begin": Wait(RecoveryWorkflow, RecoveryInput(order_id="1", number="SO-1")),
    "a recovery that is not proved": Wait(
        RecoveryWorkflow,
        RecoveryInput(order_id="1", number="SO-1"),
        {
            "adopt_recovery": True,
            "undo_shipment": None,
            "undo_payment": None,
            "release_stock": None,
            "close_order": final(FailureType.STEP_MISSING),
        },
        "close_order",
        at_first=timedelta(hours=1),
    ),
    "a refund on its way": Wait(
        RefundWorkflow, RefundInput(refund_id="1"), {"send_refund": RefundStatus.PENDING}, "send_refund"
    ),
    "a refund that is refused": Wait(
        RefundWorkflow, RefundInput(refund_id="1"), {"send_refund": RefundStatus.REFUSED}, "send_refund"
    ),
    "a payment that is not settled": Wait(
        GatewayPaymentWorkflow,
        GatewayPaymentInput(payment="pi_1"),
        {"settle_gateway_payment": False},
        "settle_gateway_payment",
    ),
    "a paused process": Wait(
        ProcessWorkflow,
        ProcessInput(run_id="1"),
        {"look_at_process": ProcessStanding(next=ProcessNext.PARK, status=ProcessStatus.PAUSED)},
        "look_at_process",
    ),
    "a paused import": Wait(
        FeedImportWorkflow, FeedInput(feed_id="1"), {"validate_feed": FeedStatus.PAUSED}, "validate_feed"
    ),
    "an import that was checked": Wait(
        FeedImportWorkflow, FeedInput(feed_id="1"), {"validate_feed": FeedStatus.CHECKED}, "validate_feed"
    ),
    "a paused batch": Wait(
        BatchWorkflow,
        BatchInput(batch_id="1", mode=BatchMode.CHILDREN),
        {"begin_orders": BatchWindow(verdict=Verdict.STILL)},
        "begin_orders",
    ),
    "a playbook whose step failed": Wait(
        PlaybookWorkflow, PlaybookInput(run_id="1"), FAILED_STEP, "decision_on_playbook_step"
    ),
    "a paused playbook": Wait(
        PlaybookWorkflow,
        PlaybookInput(run_id="1"),
        {"load_playbook": PLAN, "run_playbook_step": final(FailureType.RUN_PAUSED), "playbook_stands_still": True},
        "playbook_stands_still",
    ),
    "a playbook whose undo failed": Wait(
        PlaybookWorkflow,
        PlaybookInput(run_id="1"),
        {
            **FAILED_STEP,
            "fail_playbook_step": OnFailure.UNDO,
            "begin_playbook_undo": None,
            "next_playbook_undo": "steps.0",
            "undo_playbook_step": final(FailureType.STEP_FAILED),
            "fail_playbook_undo": None,
        },
        "decision_on_playbook_step",
    ),
}


@pytest.mark.parametrize("name", WAITS)
async def test_a_wait_of_days_makes_few_events_an_hour_and_looks_by_itself(
    skipping: WorkflowEnvironment, name: str
) -> None:
    wait = WAITS[name]
    answers = Answers(wait.answers)
    async with answers.running(skipping, wait.workflow, wait.given) as handle:
        await skipping.sleep(WAITED)
        events = (await handle.fetch_history()).events
        await handle.terminate()
    began = events[0].event_time.ToDatetime() + wait.at_first
    hours = Counter(
        (event.event_time.ToDatetime() - began) // timedelta(hours=1)
        for event in events
        if event.event_time.ToDatetime() > began
    )
    assert max(hours.values(), default=0) <= MOST_AN_HOUR
    if wait.look:
        assert answers.asked[wait.look] >= 2, "nobody looked"


def test_a_lost_wake_costs_an_hour_at_most() -> None:
    assert list(LOOKS) == sorted(LOOKS)
    assert LOOKS[-1] <= timedelta(hours=1)


@pytest.mark.parametrize("path", sorted(WORKFLOWS.glob("*.py")), ids=lambda path: path.name)
def test_no_wait_is_without_a_timer(path: Path) -> None:
    waits: list[Any] = [
        node
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "wait_condition"
    ]
    bare = [node.lineno for node in waits if not any(keyword.arg == "timeout" for keyword in node.keywords)]
    assert not bare, f"{path.name}, lines {bare}: a signal that is lost would never be missed. Use waits.Wakes.next."
