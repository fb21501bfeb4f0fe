"""How to try the commands about notices and system events (see `access_attempts`)."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from functools import partial

from django.http import HttpResponse
from django.test import override_settings
from django.utils import timezone

from orders.models import Customer, Incident, Notice, Order, RestoreDifference, SystemEvent
from orders.models.customer import Personal
from orders.services import incidents, tasks
from orders.vocabulary import Channel, RestoreKind, RunKind, TaskKind, TaskLevel
from tests.factories import TEST_ACTOR, make_order
from tests.orders import driving
from tests.orders.access_attempts import Attempt, Person
from tests.orders.test_sweep_runs import open_run


def make_order_with_unsent_notice() -> Order:
    """A declined order whose customer gave an address; its notice was given up."""
    order = make_order()
    customer = Customer.objects.select_related("key").get(pk=order.customer_id)
    assert customer.key is not None
    customer.personal = customer.key.encrypt(Personal(name="Ada Buyer", email="ada@example.com"))
    customer.save(update_fields=["personal"])
    order = driving.drive(order, gateway=driving.decline())
    assert Notice.objects.filter(order=order, status="dropped").exists(), "no mail server is configured in tests"
    return order


def _system_event() -> SystemEvent:
    return SystemEvent.objects.create(workflow_id=f"order:{uuid.uuid4()}", error_type="unexpected", message="KeyError")


def _incident() -> Incident:
    """Two orders whose charge fails, told to staff as one."""
    for _ in range(2):
        order = driving.drive(make_order(), gateway=driving.outage())
        tasks.open_task(TaskKind.OVERDUE, order, level=TaskLevel.AGENT, says="Late", actor=TEST_ACTOR, cause="Late")
    incidents.settle_all()
    return Incident.objects.get(closed_at=None)


def _decide_in_admin(verb: str) -> Callable[[Person, Incident], HttpResponse]:
    form = {"_form_submitted": "on", "note": "Mended", "orders": ""}
    return lambda person, incident: person.post(f"admin:orders_incident_{verb}", form, incident.pk)


def _difference(kind: RestoreKind) -> RestoreDifference:
    if kind == RestoreKind.RUN_BEHIND:
        name = f"{RunKind.EXPORT}:{open_run(RunKind.EXPORT).pk}"
        return RestoreDifference.objects.create(kind=kind, reference=name, name=name)
    order = make_order(started=True)
    found = {"reference": str(order.pk), "name": order.number, "asked_at": timezone.now()}
    return RestoreDifference.objects.create(kind=kind, **found)


def _decide_difference_in_admin(verb: str) -> Callable[[Person, RestoreDifference], HttpResponse]:
    form = {"_form_submitted": "on", "note": "Wanted"}
    return lambda person, found: person.post(f"admin:orders_restoredifference_{verb}", form, found.pk)


def _with_mail_server(give: Callable[[Person, Order], HttpResponse]) -> Callable[[Person, Order], HttpResponse]:
    """Sending again only queues; that a server is configured is all it asks."""

    def do(person: Person, order: Order) -> HttpResponse:
        with override_settings(EMAIL_HOST="127.0.0.1"):
            return give(person, order)

    return do


ATTEMPTS: tuple[Attempt, ...] = (
    Attempt(
        command="notice_send",
        channel=Channel.ADMIN,
        door="orders:notice-send",
        prepare=make_order_with_unsent_notice,
        do=_with_mail_server(
            lambda person, order: person.post("orders:notice-send", {"reason": "Server is back"}, order.number)
        ),
    ),
    Attempt(
        command="notice_send",
        channel=Channel.API,
        door="Notices.send",
        prepare=make_order_with_unsent_notice,
        do=_with_mail_server(
            lambda person, order: person.call(f"/api/orders/{order.number}/notice/send/", {"reason": "Server is back"})
        ),
    ),
    *(
        Attempt(
            command="decide_incident",
            channel=Channel.ADMIN,
            door=f"IncidentAdmin.{verb}",
            prepare=_incident,
            do=_decide_in_admin(verb),
        )
        for verb in ("try_again", "resolve_all")
    ),
    *(
        Attempt(
            command="decide_restore",
            channel=Channel.ADMIN,
            door=f"RestoreDifferenceAdmin.{verb}",
            prepare=partial(_difference, kind),
            do=_decide_difference_in_admin(verb),
        )
        for verb, kind in (
            ("undo", RestoreKind.ORDER_BEHIND),
            ("finish", RestoreKind.ORDER_BEHIND),
            ("again", RestoreKind.RUN_BEHIND),
            ("keep", RestoreKind.RUN_BEHIND),
        )
    ),
    Attempt(
        command="decide_restore",
        channel=Channel.API,
        door="RestoreDifferences.decide",
        prepare=partial(_difference, RestoreKind.ORDER_BEHIND),
        do=lambda person, found: person.call(
            "/api/restore-differences/decide/", {"decision": "undo", "note": "Wanted", "names": [found.name]}
        ),
    ),
    Attempt(
        command="decide_incident",
        channel=Channel.API,
        door="Incidents.decide",
        prepare=_incident,
        do=lambda person, incident: person.call(
            f"/api/incidents/{incident.pk}/decide/", {"decision": "resolve", "note": "Seen"}
        ),
    ),
    Attempt(
        command="acknowledge_system_event",
        channel=Channel.ADMIN,
        door="SystemEventAdmin.acknowledge",
        prepare=_system_event,
        do=lambda person, event: person.post(
            "admin:orders_systemevent_acknowledge", {"_form_submitted": "on", "note": "Mended"}, event.pk
        ),
    ),
    Attempt(
        command="acknowledge_system_event",
        channel=Channel.API,
        door="SystemEvents.acknowledge",
        prepare=_system_event,
        do=lambda person, event: person.call(f"/api/system-events/{event.pk}/acknowledge/", {"note": "Mended"}),
    ),
)
