"""Batches paused, resumed, cancelled, retried and crashed at any moment: nothing twice, nothing lost, sums that add up.

The services are driven as the batch's process drives them, in an order that hypothesis chooses.
"""

from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from typing import Any
from unittest import mock

import pytest
from django.db import OperationalError, transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orders import history
from orders.errors import WrongState
from orders.models import Batch, Command, Order, OrderEvent
from orders.services import batches, holding, seeding
from orders.services.batches import chunks, starting
from orders.services.batches.working import Where
from orders.vocabulary import BatchAction, BatchStatus, CommandKind, ItemFailure, ItemStatus, Verdict
from tests.factories import TEST_ACTOR
from tests.orders import driving

pytestmark = pytest.mark.django_db
HERE = Where(workflow_id="batch:1", run_id="run-1", attempt=1)
ORDERS = 8
ENDED = {ItemStatus.DONE, ItemStatus.FAILED}

#: what may happen next; the work itself is likelier than a person
MOMENTS = st.lists(
    st.sampled_from(["work", "work", "work", "crash", "pause", "resume", "cancel", "retry", "hold", "release", "end"]),
    max_size=20,
)


class Run:
    """One batch with its orders, and what can happen to it."""

    def __init__(self, action: BatchAction) -> None:
        seeding.seed(count=ORDERS, seed=3, actor=TEST_ACTOR)
        self.orders = list(Order.objects.order_by("created_at", "id"))
        chosen = batches.Selection(orders=Order.objects.all(), asked={})
        self.batch = batches.create(chosen, action, actor=TEST_ACTOR, reason="Recall", auto_pause_percent=0)
        self.total = sum(order.total_minor for order in self.orders)
        self.step: Callable[[], Verdict] = {
            BatchAction.HOLD: self.chunk,
            BatchAction.START: self.window,
            BatchAction.RECHECK: self.checks,
        }[action]

    def chunk(self) -> Verdict:
        with mock.patch.object(chunks, "AUTO_PAUSE_AFTER", 3), mock.patch.object(chunks, "CHUNK", 3):
            return batches.run_chunk(self.batch.pk, where=HERE)

    def window(self) -> Verdict:
        return batches.begin_orders(self.batch.pk, where=HERE, window=3).verdict

    def checks(self) -> Verdict:
        claimed = batches.claim_checks(self.batch.pk, window=3)
        for position in claimed.positions[:2]:
            batches.check_item(self.batch.pk, position, where=HERE)
            batches.check_item(self.batch.pk, position, where=HERE)  # an attempt whose answer was lost
        return claimed.verdict

    def happen(self, moment: str) -> None:
        match moment:
            case "work":
                self.step()
            case "crash":
                broken = mock.patch.object(chunks, "save_results", side_effect=OperationalError("killed"))
                also = mock.patch.object(starting, "save_results", side_effect=OperationalError("killed"))
                with broken, also, suppress(OperationalError), transaction.atomic():
                    self.step()
            case "hold" | "release":
                service = getattr(holding, moment)
                with suppress(WrongState):
                    service(self.orders[ORDERS // 2].number, actor=TEST_ACTOR, reason="By hand")
            case "end":
                running = self.batch.items.filter(status=ItemStatus.RUNNING).select_related("order").first()
                if running is not None and self.step == self.window:
                    driving.drive(running.order)
            case _:
                service = {"retry": batches.retry_failed}.get(moment) or getattr(batches, moment)
                with suppress(WrongState):
                    service(self.batch.pk, actor=TEST_ACTOR, reason=moment)

    def to_the_end(self) -> Batch:
        """Nobody interferes any more."""
        for _ in range(100):
            self.batch.refresh_from_db()
            if self.batch.is_ended:
                return self.batch
            if self.batch.status in {BatchStatus.PAUSED, BatchStatus.PAUSING}:
                self.happen("resume")
            self.happen("work")
            self.happen("end")
        raise AssertionError(f"It does not end: {self.batch.status}")


def in_a_transaction_of_its_own(test: Callable[[], None]) -> None:
    with transaction.atomic():
        test()
        transaction.set_rollback(True)


@pytest.mark.parametrize("action", [BatchAction.HOLD, BatchAction.START, BatchAction.RECHECK])
def test_at_any_moment_nothing_is_done_twice_or_lost_and_the_sums_add_up(action: BatchAction) -> None:
    @settings(max_examples=5, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(moments=MOMENTS)
    def play(moments: list[str]) -> None:
        def once() -> None:
            run = Run(action)
            for moment in moments:
                run.happen(moment)
            assert_sound(run.to_the_end(), run)

        in_a_transaction_of_its_own(once)

    play()


def assert_sound(batch: Batch, run: Run) -> None:
    items = list(batch.items.select_related("order"))
    statuses = Counter(item.status for item in items)
    assert sum(statuses.values()) == ORDERS, "an item was lost"
    assert set(statuses) <= {"done", "failed", "skipped"}
    assert sum(item.order.total_minor for item in items) == run.total == sum(batch.sums.values())
    # An order that was begun and ended badly was begun all the same.
    refused = {ItemFailure.WRONG_STATE}
    done = {item.order_id for item in items if item.status in ENDED and item.error_type not in refused}
    assert work_done(batch) == dict.fromkeys(done, 1), "done twice, or said to be done and not"
    assert (batch.status == BatchStatus.CANCELLED) or not statuses["skipped"]
    for order in Order.objects.all():
        assert history.verify_chain(order, order.events.order_by("sequence")) is None


def work_done(batch: Batch) -> dict[Any, int]:
    """order -> how often the batch did its work for it, by what the work leaves behind."""
    if batch.action == BatchAction.RECHECK:
        found = OrderEvent.objects.filter(type="order.rechecked", data__batch=str(batch.pk)).values_list("order_id")
    else:
        kind = CommandKind.HOLD if batch.action == BatchAction.HOLD else CommandKind.START
        found = Command.objects.filter(kind=kind, batch=batch).values_list("order_id")
    return dict(Counter(order_id for (order_id,) in found))
