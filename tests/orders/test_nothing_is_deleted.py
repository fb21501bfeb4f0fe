"""No door deletes orders, money or history, and no address writes that the table of commands does not name."""

from collections.abc import Iterator

import pytest
from django.contrib import admin
from django.contrib.auth.models import User
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

from orders.access import DOORS
from orders.api import urls as api_urls
from orders.models import Order, OrderEvent
from orders.vocabulary import Channel
from tests.factories import make_order

pytestmark = pytest.mark.django_db
#: rows that staff may delete; everything else that the admin shows stays for ever
DELETABLE = {door.split(".")[0] for channel, door in DOORS if channel is Channel.ADMIN and door.endswith(".delete")}
UUID = "00000000-0000-0000-0000-000000000000"
SAMPLES = {
    "<uuid:pk>": UUID,
    "<uuid:feed_id>": UUID,
    "<uuid:run_id>": UUID,
    "<uuid:batch_id>": UUID,
    "<uuid:export_id>": UUID,
    "<path:object_id>": UUID,
    "<int:sequence>": "1",
    "<str:number>": "SO-1",
    "<str:code>": "rates",
    "<slug:slug>": "late_delivery",
    "<int:version>": "1",
    "<int:number>": "1",
}
#: pages that every admin has; what they write are the actions and forms that test_access_table.py finds
USUAL = ("changelist", "history", "add", "change", "delete")


@pytest.fixture
def chief(client: Client) -> Client:
    """A superuser, who holds every permission."""
    client.force_login(User.objects.create_superuser("chief"))
    client.raise_request_exception = False
    return client


def addresses(patterns: list[URLPattern | URLResolver], path: str = "/", names: str = "") -> Iterator[tuple[str, str]]:
    """(name, an address) of every view of ours."""
    for pattern in patterns:
        here = f"{path}{pattern.pattern}"
        if isinstance(pattern, URLResolver):
            inner = f"{names}{pattern.namespace}:" if pattern.namespace else names
            yield from addresses(pattern.url_patterns, here, inner)
        elif pattern.callback.__module__.split(".")[0] == "orders":
            for converter, value in SAMPLES.items():
                here = here.replace(converter, value)
            yield f"{names}{pattern.name}", here


def test_nothing_in_the_admin_is_deleted_but_what_the_table_names(chief: Client) -> None:
    order = make_order()
    kept = [(model, one) for model, one in admin.site._registry.items() if type(one).__name__ not in DELETABLE]
    assert Order in dict(kept)
    for model, _ in kept:
        base = f"/admin/{model._meta.app_label}/{model._meta.model_name}/"
        pk = str(order.pk) if model is Order else "1"
        assert chief.post(f"{base}{pk}/delete/", {"post": "yes"}).status_code in {403, 404}, model
        forged = {"action": "delete_selected", "_selected_action": [pk], "post": "yes"}
        assert chief.post(base, forged).status_code == 403, model
        for address in (base, f"{base}{pk}/change/", f"{base}{pk}/delete/"):
            assert chief.delete(address).status_code < 500, address
    assert Order.objects.count() == OrderEvent.objects.count() == User.objects.count() == 1


@pytest.mark.parametrize("method", ["delete", "put", "patch"])
def test_no_call_of_the_api_deletes_or_overwrites(chief: Client, method: str) -> None:
    order = make_order()
    for pattern in api_urls.urlpatterns[:-1]:
        route = str(pattern.pattern).removeprefix("^").removesuffix(r"\Z")
        route = route.replace("(?P<number>[A-Za-z0-9-]{1,32})", order.number).replace("<uuid:pk>", UUID)
        answer = getattr(chief, method)(f"/api/{route}", b"{}", content_type="application/json")
        assert answer.status_code in {404, 405}, route
    assert Order.objects.count() == OrderEvent.objects.count() == 1


def test_an_address_that_the_table_does_not_name_takes_no_post(chief: Client) -> None:
    actions = {door.rpartition(".")[2] for channel, door in DOORS if channel is Channel.ADMIN and "." in door}
    tried = 0
    for name, address in addresses(get_resolver().url_patterns):
        is_door = (Channel.ADMIN, name) in DOORS or any(name.endswith(f"_{action}") for action in (*actions, *USUAL))
        if not address.startswith("/api/") and not is_door:
            tried += 1
            assert chief.post(address).status_code == 405, f"{name}: make it require_safe, or name it in orders/access/"
    assert tried >= 5
