"""Playbooks on one running engine: every shipped example to its end and back, and a worker killed inside each step."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from django.db import transaction

from orders.actor import person
from orders.models import (
    Order,
    OrderEvent,
    OrderTag,
    PartnerEndpoint,
    PlaybookRun,
    PlaybookVersion,
    Refund,
    StaffTask,
    Voucher,
)
from orders.playbooks.examples import EXAMPLES
from orders.services.playbooks import installing, publishing, running
from orders.vocabulary import Channel, OrderStatus, PlaybookRunStatus
from tests.e2e import engine as engines
from tests.e2e.engine import Engine, eventually
from tests.e2e.partner_endpoint import PartnerEndpoint as Partner
from tests.e2e.partner_endpoint import serving
from tests.factories import make_order
from tests.orders import playbooks
from tests.orders.playbooks import chief, note, tag
from tests.orders.staff import make_user

pytestmark = [pytest.mark.e2e, pytest.mark.django_db(transaction=True)]
END = PlaybookRunStatus


@pytest.fixture(scope="module")
def shared(django_db_setup: None, django_db_blocker: Any) -> Iterator[tuple[Engine, Partner]]:
    with django_db_blocker.unblock(), serving() as partner, pytest.MonkeyPatch.context() as patch:
        patch.setitem(os.environ, "PLAYBOOK_ENDPOINT_HOSTS", partner.host)
        with engines.running() as running_engine:
            yield running_engine, partner


@pytest.fixture
def engine(shared: tuple[Engine, Partner], transactional_db: None) -> Iterator[Engine]:
    running_engine, partner = shared
    with running_engine.for_a_test():
        partner.forget()
        PartnerEndpoint.objects.create(name="chargebacks", url=f"http://{partner.host}/cases")
        yield running_engine
        partner.answer()


@pytest.fixture
def partner(shared: tuple[Engine, Partner]) -> Partner:
    return shared[1]


def fresh(run: PlaybookRun) -> PlaybookRun:
    return PlaybookRun.objects.select_related("order").get(pk=run.pk)


def until(run: PlaybookRun, *statuses: PlaybookRunStatus) -> None:
    eventually(lambda: fresh(run).status in statuses, what=f"{statuses} of {run}")


def nudge(run: PlaybookRun) -> None:
    """Have a wait look at its condition now."""
    running.pause(run.pk, actor=chief(), reason="look again")
    running.resume(run.pk, actor=chief(), reason="look again")


def answer(run: PlaybookRun, option: str) -> None:
    asked = run.steps.filter(type="ask", status="waiting")
    eventually(asked.exists, what="the question")
    running.answer(run.pk, asked.get().path, option=option, actor=chief(), reason="as agreed")


def completed_order() -> Order:
    order = make_order(started=True)
    eventually(lambda: Order.objects.get(pk=order.pk).status == OrderStatus.COMPLETED, what="the order")
    return order


def goods_came(run: PlaybookRun) -> None:
    eventually(run.steps.filter(type="wait", status="waiting").exists, what="the wait")
    OrderTag.objects.filter(tag="backorder").delete()
    nudge(run)


def order_went_out(run: PlaybookRun) -> None:
    eventually(lambda: fresh(run).order.status == OrderStatus.COMPLETED, what="the order")
    if fresh(run).status == END.RUNNING:
        nudge(run)


@dataclass(frozen=True, kw_only=True)
class Example:
    """How a shipped playbook goes to its end, and how it fails."""

    inputs: dict[str, Any] = field(default_factory=dict)
    make: Callable[[], Order] = make_order
    #: what happens meanwhile
    then: Callable[[PlaybookRun], None] = lambda run: None
    #: what must be true of the order when it has run
    works: Callable[[Order], bool]
    #: the permission that is withdrawn while it runs, the step that fails by that, and what is taken back
    withdrawn: str
    fails_inputs: dict[str, Any] | None = None
    fails_then: Callable[[PlaybookRun], None] = lambda run: None
    fails_at: str
    undone: list[str]


def reasons_of(**events: object) -> list[str]:
    """As they were typed; the table holds them encrypted."""
    return [str(event.reason) for event in OrderEvent.objects.filter(**events)]


def told(order: Order, words: str) -> bool:
    return reasons_of(order=order, type="order.note_added").count(words) == 1


SHIPPED = {
    "late_delivery": Example(
        inputs={"hours_late": 60},
        make=completed_order,
        works=lambda order: (
            Voucher.objects.filter(order=order, withdrawn_at=None).exists()
            and Refund.objects.get(order=order).amount_minor == 500
        ),
        withdrawn="refund_order",
        fails_at="steps.2.then.0",
        undone=["voucher", "mark"],
    ),
    "address_fix": Example(
        inputs={"country": "FR"},
        then=lambda run: answer(run, "yes"),
        works=lambda order: order.ship_to_country == "FR",
        withdrawn="work_task",
        fails_then=lambda run: answer(run, "no"),
        fails_at="steps.0.otherwise.3.otherwise.0",
        undone=["correct", "stop"],
    ),
    "chargeback": Example(
        inputs={"case": "B-7"},
        then=lambda run: answer(run, "contest"),
        works=lambda order: (
            told(order, "Not shipped.") and OrderEvent.objects.filter(type="order.partner_called").count() == 1
        ),
        withdrawn="call_partner",
        fails_then=lambda run: answer(run, "contest"),
        fails_at="steps.3.then.0",
        undone=["mark"],
    ),
    "backorder": Example(
        then=goods_came,
        works=lambda order: "The goods are here" in reasons_of(order=order),
        withdrawn="work_task",
        fails_inputs={"days": 0},
        fails_then=lambda run: answer(run, "wait"),
        fails_at="steps.3.then.1.otherwise.0",
        undone=["mark", "stop"],
    ),
    "vip_fast_lane": Example(
        then=order_went_out,
        works=lambda order: told(order, "On its way within the hour"),
        withdrawn="start_order",
        fails_at="steps.1.then.0",
        undone=["mark"],
    ),
    "product_recall": Example(
        then=lambda run: answer(run, "cancel"),
        works=lambda order: order.status == OrderStatus.CANCELLED,
        withdrawn="cancel_order",
        fails_then=lambda run: answer(run, "cancel"),
        fails_at="steps.0.then.1.otherwise.2.then.0",
        undone=["stop", "mark"],
    ),
}


def start(slug: str, order: Order, inputs: dict[str, Any], *, withdrawn: str = "") -> PlaybookRun:
    """The run of a shipped example for somebody who may do just that, until the permission is withdrawn."""
    installing.install_examples()
    if slug == "product_recall":
        inputs = {"sku": order.lines.get().product.sku}
    version = PlaybookVersion.objects.get(playbook__slug=slug)
    entries = publishing.entries_of(publishing.definition_of(version))
    user = make_user("orders.run_playbook", *(entry.permission for entry in entries), name="runner")
    with transaction.atomic():
        run = running.start(order.number, slug, actor=person(user, Channel.ADMIN), reason="test", inputs=inputs)
        # In one commit: the engine hears of the run when the permission has gone.
        user.user_permissions.remove(*user.user_permissions.filter(codename=withdrawn))
    return run


def test_every_shipped_example_is_run_here() -> None:
    assert set(SHIPPED) == set(EXAMPLES)


@pytest.mark.parametrize("slug", SHIPPED)
def test_a_shipped_example_runs_to_its_end(engine: Engine, slug: str) -> None:
    example = SHIPPED[slug]
    run = start(slug, example.make(), example.inputs)
    example.then(run)
    until(run, END.COMPLETED, END.PARKED)
    assert list(run.steps.exclude(error="").values_list("path", "error")) == []
    eventually(lambda: example.works(fresh(run).order), what=f"what {slug} is for")


@pytest.mark.parametrize("slug", SHIPPED)
def test_a_shipped_example_that_fails_in_a_step_is_taken_back_in_reverse(engine: Engine, slug: str) -> None:
    example = SHIPPED[slug]
    order = example.make()
    country = order.ship_to_country
    inputs = example.inputs if example.fails_inputs is None else example.fails_inputs
    run = start(slug, order, inputs, withdrawn=example.withdrawn)
    example.fails_then(run)
    until(run, END.PARKED, END.COMPLETED)
    failed = run.steps.get(status="failed")
    assert (failed.path, example.withdrawn in failed.error) == (example.fails_at, True)
    running.cancel(run.pk, actor=chief(), reason="it cannot be done")
    until(run, END.CANCELLED)
    undone = run.steps.filter(status="undone").order_by("finished_at").values_list("step_id", flat=True)
    assert list(undone) == example.undone
    order.refresh_from_db()
    assert (order.ship_to_country, OrderTag.objects.exists(), StaffTask.objects.filter(kind="playbook").exists()) == (
        country,
        False,
        False,
    )
    assert not Voucher.objects.filter(withdrawn_at=None).exists()
    holds = [OrderEvent.objects.filter(order=order, type=f"order.{word}").count() for word in ("held", "released")]
    assert holds[0] == holds[1]


def call(step_id: str = "call", text: str = "hello", **more: Any) -> dict[str, Any]:
    parameters = {"endpoint": "chargebacks", "text": text}
    step = {"type": "activity", "id": step_id, "activity": "call_partner", "parameters": parameters}
    return {**step, "timeout_seconds": 5, "attempts": 1, **more}


#: kind of step -> (the step, the number of calls that the partner must hear of when it has ended)
KILLED_INSIDE: dict[str, tuple[dict[str, Any], int]] = {
    "activity": (call(), 1),
    "parallel": ({"type": "parallel", "id": "both", "branches": [[call("left")], [tag("t"), call("right")]]}, 2),
    "conditional": (
        {
            "type": "conditional",
            "id": "if",
            "condition": "results.first.done",
            "then": [call(), note("later", "inside")],
        },
        1,
    ),
    "loop": (
        {
            "type": "loop",
            "id": "l",
            "most": 2,
            "body": [call("call", "=string(loop.number)"), note("later", "inside")],
        },
        2,
    ),
    "sub_playbook": ({"type": "sub_playbook", "id": "sub", "playbook": "other", "version": 1}, 1),
    "wait": ({"type": "wait", "id": "wait", "seconds": 2}, 0),
    "ask": ({"type": "ask", "id": "ask", "question": "?", "options": ["yes", "no"], "default": "no"}, 0),
}


@pytest.mark.parametrize("kind", KILLED_INSIDE)
def test_a_worker_that_is_killed_inside_a_step_changes_nothing_of_what_the_run_does(
    engine: Engine, partner: Partner, kind: str
) -> None:
    step, calls = KILLED_INSIDE[kind]
    playbooks.published(call("inner"), slug="other")
    partner.hold()
    run = playbooks.start(make_order(), tag("first", "begun"), step, note("last", "the end"))
    if calls:
        eventually(lambda: len(partner.told) == (2 if kind == "parallel" else 1), what="the call")
    else:
        eventually(run.steps.filter(type=kind, status="waiting").exists, what="the wait")
    engine.kill_worker()
    partner.answer()
    if kind == "ask":
        answer(run, "yes")
    engine.start_worker()
    until(run, END.COMPLETED, END.PARKED, END.FAILED)
    assert fresh(run).status == END.COMPLETED
    assert set(run.steps.values_list("status", flat=True)) == {"done"}
    # What was cut off is called again, under the key that the partner knows.
    assert len(partner.told) == calls
    assert OrderEvent.objects.filter(type="order.partner_called").count() == calls
    assert reasons_of(type="order.tag_added").count("begun") == 1
    assert told(run.order, "the end")
    done = OrderEvent.objects.filter(type="order.playbook_step_done").values_list("data__path", flat=True)
    assert len(done) == len(set(done))
