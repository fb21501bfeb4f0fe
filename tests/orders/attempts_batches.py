"""How to try each command on batches at each of its doors."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from orders.models import Batch, Order
from orders.services import batches, holding
from orders.services.batches.working import Where
from orders.vocabulary import BatchAction, Channel
from tests.factories import TEST_ACTOR, make_order

if TYPE_CHECKING:
    from django.http import HttpResponse

    from tests.orders.access_attempts import Attempt, Person

ADMIN, API = Channel.ADMIN, Channel.API
NEW = "/admin/orders/batch/new/?ids="


def _batch() -> Batch:
    order = make_order()
    chosen = batches.Selection(orders=Order.objects.filter(pk=order.pk), asked={})
    return batches.create(chosen, BatchAction.HOLD, actor=TEST_ACTOR, reason="Recall")


def _paused() -> Batch:
    return batches.pause(_batch().pk, actor=TEST_ACTOR, reason="Wait")


def _ended() -> Batch:
    batch = _batch()
    batches.run_chunk(batch.pk, where=Where())
    return batch


def _failed() -> Batch:
    batch = _batch()
    holding.hold(batch.items.get().order.number, actor=TEST_ACTOR, reason="Mine")
    batches.run_chunk(batch.pk, where=Where())
    return batch


def _run(action: str) -> Callable[[Person, Order], HttpResponse]:
    def run(person: Person, order: Order) -> HttpResponse:
        sums = json.dumps({order.currency: order.total_minor})
        form = {"reason": "Recall", "auto_pause_percent": "20", "seen_count": "1", "seen_sums": sums}
        return person.browser.post(f"{NEW}{order.pk}&action={action}", form)

    return run


def _create(action: str) -> Callable[[Person, Order], HttpResponse]:
    return lambda person, order: person.call(
        "/api/batches/", {"action": action, "numbers": [order.number], "reason": "Recall"}
    )


def _choose(person: Person, order: Order) -> HttpResponse:
    form = {"action": "run_batch", "_selected_action": [str(order.pk)], "index": "0"}
    return person.post("admin:orders_order_changelist", form)


def attempts(attempt: Callable[..., Attempt]) -> list[Attempt]:
    """Made by the caller's class, which imports this module."""
    steering: tuple[tuple[str, str, str, Callable[[], Batch]], ...] = (
        ("pause", "pause", "pause", _batch),
        ("resume", "resume", "resume", _paused),
        ("cancel", "cancel", "cancel", _batch),
        ("retry", "retry_failed", "retry-failed", _failed),
        ("undo", "undo", "undo", _ended),
    )
    found = [
        attempt(
            command="batch_run",
            channel=ADMIN,
            door="OrderAdmin.run_batch",
            prepare=make_order,
            do=_choose,
            reads=True,
        ),
        *(
            attempt(command=command, channel=channel, door=door, prepare=make_order, do=do(action))
            for command, action in (("batch_run", "hold"), ("reprice_order", "reprice"))
            for channel, door, do in ((ADMIN, "admin:orders_batch_new", _run), (API, "Batches.create", _create))
        ),
        attempt(
            command="batch_run",
            channel=API,
            door="Batches.preview",
            prepare=make_order,
            do=lambda person, order: person.call(
                "/api/batches/preview/", {"action": "hold", "numbers": [order.number]}
            ),
            reads=True,
        ),
    ]
    for button, call, path, prepare in steering:
        found += [
            attempt(
                command=f"batch_{button}",
                channel=ADMIN,
                door=f"admin:orders_batch_{button}",
                prepare=prepare,
                do=_press(button),
            ),
            attempt(
                command=f"batch_{button}",
                channel=API,
                door=f"BatchCommands.{call}",
                prepare=prepare,
                do=_call(path),
            ),
        ]
    return found


def _press(button: str) -> Callable[[Person, Any], HttpResponse]:
    return lambda person, batch: person.post(f"admin:orders_batch_{button}", {"reason": "Why"}, batch.pk)


def _call(path: str) -> Callable[[Person, Any], HttpResponse]:
    return lambda person, batch: person.call(f"/api/batches/{batch.pk}/{path}/", {"reason": "Why"})
