"""One open row of every kind that has a process and is no order, as its own service made it."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone

from orders.models import Batch, FeedImport, GatewayEvent, Notice, Order, OutboxMessage, PartnerRun, PlaybookRun, Refund
from orders.partners.gateway_events import Told
from orders.services import batches, gateway_events, notices, partner_runs, refunding
from orders.vocabulary import BatchAction, EventSource, NoticeKind, PartnerCode, RunKind
from tests.factories import TEST_ACTOR, make_order
from tests.orders import driving, feed_files, playbooks, process_runs
from tests.orders.attempts_exports import make_export


def make_refund() -> Refund:
    asked = refunding.request(driving.drive(make_order()).number, amount_minor=500, actor=TEST_ACTOR, reason="Broken")
    assert isinstance(asked, Refund)
    return asked


def make_gateway_event() -> GatewayEvent:
    told = Told(id="evt_1", type="refund.updated", payment="pi_1", object_id="re_1", created_at=timezone.now())
    assert gateway_events.receive(told, EventSource.WEBHOOK)
    return GatewayEvent.objects.get(pk="evt_1")


def make_notice() -> Notice:
    notice = Notice(order=make_order(), kind=NoticeKind.ORDER_FAILED)
    with transaction.atomic():
        notice.save(force_insert=True)
        notices.publish(notice)
    return notice


def make_import() -> FeedImport:
    return feed_files.receive(feed_files.csv_of(feed_files.row("536365")))


def make_partner_run() -> PartnerRun:
    return partner_runs.start(PartnerCode.RATES, actor=TEST_ACTOR, reason="What is a euro?")


def make_playbook_run() -> PlaybookRun:
    return playbooks.start(make_order(), playbooks.note("a"))


def make_batch() -> Batch:
    chosen = batches.Selection(orders=Order.objects.filter(pk=make_order().pk), asked={})
    return batches.create(chosen, BatchAction.HOLD, actor=TEST_ACTOR, reason="Recall")


MAKE: dict[RunKind, Callable[[], Any]] = {
    RunKind.REFUND: make_refund,
    RunKind.GATEWAY_PAYMENT: make_gateway_event,
    RunKind.NOTICE: make_notice,
    RunKind.PROCESS: process_runs.started,
    RunKind.IMPORT: make_import,
    RunKind.EXPORT: make_export,
    RunKind.PARTNER_RUN: make_partner_run,
    RunKind.PLAYBOOK_RUN: make_playbook_run,
    RunKind.BATCH: make_batch,
}


def told(*, since: int = 0) -> list[tuple[str, str, dict[str, Any]]]:
    """What waits to be told to Temporal."""
    rows = OutboxMessage.objects.filter(delivered_at=None, pk__gt=since).order_by("pk")
    return [(row.topic, row.aggregate, row.body) for row in rows]


def delivered() -> None:
    """Temporal has been told everything."""
    OutboxMessage.objects.filter(delivered_at=None).update(delivered_at=timezone.now())


A_MINUTE = timedelta(minutes=1)
