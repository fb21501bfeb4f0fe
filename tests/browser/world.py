"""An office with something in every list: a row of each model, and the people who look at them."""

from __future__ import annotations

from datetime import timedelta

from axes.models import AccessFailureLog, AccessLog
from django.contrib.auth.models import Group, User
from django.db import transaction
from django.utils import timezone

from orders.access import Role
from orders.models import (
    CreditNote,
    Dispute,
    FeedLayout,
    Finding,
    Order,
    OrderTag,
    PartnerAnswer,
    PartnerHealth,
    ProcessDifference,
    ProcessRun,
    QueueState,
    RefusedAction,
    ScheduleState,
    ServiceBeat,
    TrackingEvent,
    Voucher,
)
from orders.services.playbooks import setting
from orders.services.roles import ensure_roles
from orders.vocabulary import EventType
from tests.browser import factors
from tests.orders import open_runs, playbooks
from tests.orders.access_attempts import Attempt
from tests.orders.test_access_matrix import ATTEMPTS

SUPERUSER = "superuser"
#: they stop calls, and other subjects are made by calling
LAST = ("partner_hold", "partner_probe", "partner_close", "partner_resume")


def fill() -> None:
    """A row of each model of the admin, and somebody of each role."""
    ensure_roles()
    for role in Role:
        User.objects.create_user(role.value, is_staff=True).groups.add(Group.objects.get(name=role))
    User.objects.create_user("invited")
    factors.give_all(User.objects.create_superuser(SUPERUSER))
    for prepare in dict.fromkeys(one.prepare for one in sorted(ATTEMPTS, key=_is_last)):
        with transaction.atomic():
            prepare()
    PartnerHealth.objects.update(state="closed", opened_at=None, next_try_at=None)
    _fill_the_rest()


def _is_last(attempt: Attempt) -> bool:
    return attempt.command in LAST


def _fill_the_rest() -> None:
    now = timezone.now()
    order = Order.objects.filter(status="completed", shipments__isnull=False).earliest("created_at")
    open_runs.make_gateway_event()
    Dispute.objects.create(
        order=order,
        gateway_reference="du_1",
        amount_minor=1000,
        currency="GBP",
        reason="fraudulent",
        status="open",
        gateway_status="needs_response",
        opened_at=now,
        evidence_due_at=now + timedelta(days=7),
    )
    CreditNote.objects.create(source="test", number="C1", currency="GBP", total_minor=1, issued_at=now)
    FeedLayout.objects.get_or_create(
        name="wholesale",
        defaults={"columns": {}, "currency": "EUR", "payment_method": "pm", "made_by": "ada", "reason": "A sender"},
    )
    Finding.objects.create(kind="wedged", order=order, says="Fails", first_seen_at=now, last_seen_at=now)
    ServiceBeat.objects.create(identity="worker", service="worker", at=now)
    TrackingEvent.objects.create(shipment=order.shipments.all()[0], event_id="e1", status="booked", at=now)
    PartnerAnswer.objects.create(
        key="0", partner="rates", endpoint="rates", body={}, fetched_at=now, fresh_until=now, usable_until=now
    )
    playbooks.published(playbooks.note("first"), slug="by_itself")
    setting.set_trigger("by_itself", EventType.HELD, actor=playbooks.chief())
    setting.set_schedule("by_itself", every_hours=2, condition="true", actor=playbooks.chief())
    OrderTag.objects.create(order=order, tag="vip", made_by="ada")
    Voucher.objects.create(order=order, code="V-1", amount_minor=5, currency="GBP", key="k", reason="x", made_by="ada")
    run = ProcessRun.objects.latest("created_at")
    ProcessDifference.objects.create(run=run, kind="stock", order=order, reference=order.number, says="One missing")
    QueueState.objects.create(name="orders", known_since=now, served_at=now, asked_at=now)
    ScheduleState.objects.get_or_create(name="backoffice:day-end-close", defaults={"seen_at": now})
    AccessLog.objects.create(username="ada")
    AccessFailureLog.objects.create(username="ada")
    RefusedAction.objects.create(hour=now, actor="ada", channel="api", action="start", first_at=now, last_at=now)
