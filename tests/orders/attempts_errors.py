"""How to try the commands about notices and system events (see `access_attempts`)."""

from __future__ import annotations

import uuid
from collections.abc import Callable

from django.http import HttpResponse
from django.test import override_settings

from orders.models import Customer, Notice, Order, SystemEvent
from orders.models.customer import Personal
from orders.vocabulary import Channel
from tests.factories import make_order
from tests.orders import driving
from tests.orders.access_attempts import Attempt, Person


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
