"""Erasing a customer reaches every text that a person may have typed about their orders."""

from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db.models import JSONField, Model
from django.utils import timezone

from backoffice.database_roles import Role
from orders.models import (
    Approval,
    Batch,
    BatchItem,
    Command,
    Finding,
    Notice,
    Order,
    OrderTag,
    PlaybookRun,
    PlaybookStepRun,
    QualityCheck,
    QualitySample,
    Recovery,
    Refund,
    ReturnCase,
    ReviewCase,
    StaffTask,
    SystemEvent,
    Voucher,
)
from orders.services import erasing
from orders.services.texts.registry import MASKED, columns
from orders.vocabulary import (
    BatchAction,
    Channel,
    CommandKind,
    Currency,
    FindingKind,
    NoticeKind,
    TaskKind,
    TaskLevel,
)
from tests import rights
from tests.factories import TEST_ACTOR, make_order
from tests.orders import playbooks

pytestmark = pytest.mark.django_db
Tamper = Callable[..., None]
NAME = "Ada Buyer"


def user() -> User:
    return User.objects.get_or_create(username="typist")[0]


def money(order: Order) -> dict[str, Any]:
    return {"order": order, "amount_minor": 100, "currency": Currency.GBP}


def make_run(order: Order) -> PlaybookRun:
    return playbooks.start(order, playbooks.note("a"))


def make_item(order: Order) -> BatchItem:
    batch = Batch.objects.create(
        action=BatchAction.HOLD, reason="test", actor="test", channel=Channel.ADMIN, item_count=1
    )
    return BatchItem.objects.create(batch=batch, position=1, order=order)


def make_approval(order: Order) -> Approval:
    return Approval.objects.create(
        command="refund",
        subject=order.number,
        says="A refund",
        parameters={},
        asked_digest="0",
        reason="test",
        channel=Channel.ADMIN,
        requested_by=user(),
        expires_at=timezone.now() + timedelta(days=1),
    )


MAKE: dict[type[Model], Callable[[Order], Model]] = {
    Command: lambda order: Command.objects.create(
        kind=CommandKind.HOLD, order=order, actor="test", channel=Channel.ADMIN, reason="test"
    ),
    ReturnCase: lambda order: ReturnCase.objects.create(
        order=order,
        reason="test",
        actor="test",
        channel=Channel.ADMIN,
        status="closed",
        ended_at=timezone.now(),
        ended_by="test",
        received_at=timezone.now(),
        received_by="test",
    ),
    Refund: lambda order: Refund.objects.create(
        **money(order), reason="test", key="test", actor="test", channel=Channel.ADMIN
    ),
    ReviewCase: lambda order: ReviewCase.objects.create(order=order, deadline_at=timezone.now()),
    StaffTask: lambda order: StaffTask.objects.create(
        kind=TaskKind.DRIFT,
        order=order,
        level=TaskLevel.LEAD,
        says="test",
        opened_by="test",
        status="done",
        done_at=timezone.now(),
        done_by="test",
        resolution="test",
    ),
    Finding: lambda order: Finding.objects.create(
        kind=FindingKind.DRIFT, order=order, says="test", resolved_at=timezone.now(), resolution="test"
    ),
    Recovery: lambda order: Recovery.objects.create(order=order, why="test", asked_by="test"),
    QualityCheck: lambda order: QualityCheck.objects.create(
        order=order,
        sample=QualitySample.objects.create(day=date(2026, 1, 1), shipped=1, drawn=1),
        status="passed",
        checked_by=user(),
        checked_at=timezone.now(),
        note="test",
    ),
    SystemEvent: lambda order: SystemEvent.objects.create(
        order=order,
        workflow_id="test",
        error_type="test",
        message="test",
        acknowledged_at=timezone.now(),
        acknowledged_by=user(),
    ),
    Notice: lambda order: Notice.objects.create(
        order=order, kind=NoticeKind.MESSAGE, subject="test", text="test", key="test"
    ),
    Voucher: lambda order: Voucher.objects.create(
        **money(order), code="TEST", key="test", reason="test", made_by="test"
    ),
    OrderTag: lambda order: OrderTag.objects.create(order=order, tag="test", made_by="test"),
    PlaybookRun: make_run,
    PlaybookStepRun: lambda order: PlaybookStepRun.objects.create(
        run=make_run(order), path="steps.0", step_id="a", type="activity"
    ),
    BatchItem: make_item,
    Batch: lambda order: make_item(order).batch,
    Approval: make_approval,
}
TYPED = columns(MASKED)
COLUMNS = [(model, column) for model in MAKE for column in TYPED[model]]


@pytest.mark.parametrize(("model", "column"), COLUMNS, ids=[f"{model.__name__}.{column}" for model, column in COLUMNS])
def test_a_name_that_was_typed_there_is_gone_after_the_erasure(model: type[Model], column: str, tamper: Tamper) -> None:
    order = make_order()
    row = MAKE[model](order)
    field = model._meta.get_field(column)
    typed: Any = f"Mr {NAME} called"
    if isinstance(field, JSONField):
        tamper(f"UPDATE {model._meta.db_table} SET \"{column}\" = jsonb_build_object('a', ARRAY[%s])", typed)
    else:
        tamper(f'UPDATE {model._meta.db_table} SET "{column}" = %s', typed)
    tamper("UPDATE orders_order SET status = 'failed', closed_at = now()")

    assert order.customer is not None
    with rights.of(Role.WEB):
        erasing.erase_customer(order.customer.reference, actor=TEST_ACTOR, reason="Request 17")

    row.refresh_from_db()
    assert getattr(row, column) == ({"a": ["Mr erased called"]} if isinstance(field, JSONField) else "Mr erased called")
