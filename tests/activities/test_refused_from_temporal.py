"""What was refused from Temporal is a system event: one for each workflow and kind, counted, under its order."""

import asyncio
import logging

import pytest

from orders.models import SystemEvent
from temporal_app import refusals
from temporal_app.authenticity import Refusal
from temporal_app.policies import UNREADABLE
from tests.factories import make_order


def refusal(workflow_id: str, *, what: str = "signal") -> Refusal:
    return Refusal(workflow_id=workflow_id, run_id="r", what=what, name="command_given", reason="It is not encrypted.")


@pytest.mark.django_db
def test_a_refusal_is_told_under_its_order_and_counted() -> None:
    order = make_order()
    for what in ("signal", "signal", "activity"):
        refusals.remember(refusal(f"order:{order.pk}", what=what))
    events = SystemEvent.objects.filter(order=order, error_type=UNREADABLE).order_by("activity")
    assert list(events.values_list("activity", "times")) == [("activity", 1), ("signal", 2)]
    assert events[1].message == "Not written by us, and refused: signal command_given. It is not encrypted."


@pytest.mark.django_db
@pytest.mark.parametrize("workflow_id", ["order:evil", "refund:1", "order:"])
def test_a_workflow_that_is_no_orders_is_told_without_one(workflow_id: str) -> None:
    refusals.remember(refusal(workflow_id))
    assert SystemEvent.objects.get(workflow_id=workflow_id).order is None


def test_what_was_told_before_the_stop_is_written_and_a_flood_is_cut(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    written: list[str] = []
    monkeypatch.setattr(refusals, "remember", lambda one: written.append(one.workflow_id))

    async def told() -> None:
        taken, stop = refusals.Refusals(), asyncio.Event()
        for number in range(refusals.AT_MOST + 5):
            taken.tell(refusal(f"refund:{number}"))
        stop.set()
        await taken.write_down(stop)

    async def late() -> None:
        taken, stop = refusals.Refusals(), asyncio.Event()
        writing = asyncio.create_task(taken.write_down(stop))
        await asyncio.sleep(0)
        taken.tell(refusal("refund:late"))
        stop.set()
        await writing

    with caplog.at_level(logging.WARNING):
        asyncio.run(late())
        assert written == ["refund:late"]
        asyncio.run(told())
    assert written[1:] == [f"refund:{number}" for number in range(5, refusals.AT_MOST + 5)]
    assert len(caplog.messages) == refusals.AT_MOST + 6
