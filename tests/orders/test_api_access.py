"""Who may do what through the API: nobody, unless a row here says so."""

from collections.abc import Iterator

import pytest
from django.test import Client
from django.urls import URLPattern, get_resolver, reverse
from rest_framework.views import APIView

from orders.api import urls
from orders.api.permissions import PerAction
from orders.models import OutboxMessage
from tests.factories import make_order
from tests.orders.api_calls import (
    PLACER,
    assert_problem,
    make_user,
    order_body,
    post_order,
    post_start,
    row_counts,
    token_client,
)

ADDRESSES = (
    "/api/",
    "/api/orders/",
    "/api/orders/SO-1/",
    "/api/orders/SO-1/history/",
    "/api/orders/SO-1/why/",
    "/api/imports/00000000-0000-0000-0000-000000000000/",
    "/api/imports/00000000-0000-0000-0000-000000000000/rejected/",
    "/api/schema/",
    "/api/docs/",
)


def api_views() -> Iterator[tuple[URLPattern, type[APIView]]]:
    for pattern in urls.urlpatterns:
        yield pattern, getattr(pattern.callback, "cls", None) or pattern.callback.view_class


@pytest.mark.parametrize(("pattern", "view"), list(api_views()), ids=lambda value: getattr(value, "name", ""))
def test_every_view_says_itself_who_may_use_it(pattern: URLPattern, view: type[APIView]) -> None:
    says = [cls for cls in view.__mro__ if cls.__module__.startswith("orders.") and "permission_classes" in vars(cls)]
    assert says, f"{view.__name__} takes its permission from a default; name permission_classes on the class."
    if PerAction in view.permission_classes:
        actions = set(pattern.callback.actions.values())
        missing = actions - set(view.action_permissions)
        assert not missing, f"{view.__name__} has no permission for {missing}; add it to action_permissions."


def test_no_view_of_the_api_stands_outside_its_urls() -> None:
    prefixes = [str(entry.pattern) for entry in get_resolver().url_patterns if getattr(entry, "app_name", "") == "api"]
    assert prefixes == ["api/"]


@pytest.mark.django_db
@pytest.mark.parametrize("address", ADDRESSES)
def test_nobody_is_answered_without_signing_in(client: Client, address: str) -> None:
    response = client.get(address)
    assert_problem(response, 401)
    assert response["WWW-Authenticate"] == "Token"


@pytest.mark.django_db
@pytest.mark.parametrize(
    "header", ["Token wrong", "Token", "Token a b", "Token \xff\xfe", f"Token {'0' * 64}", f"Token {'é' * 8}"]
)
def test_a_wrong_token_is_no_token(client: Client, header: str) -> None:
    assert_problem(client.get("/api/orders/", headers={"Authorization": header}), 401)


@pytest.mark.django_db
def test_a_token_in_the_address_is_not_a_token(client: Client) -> None:
    assert_problem(client.get("/api/orders/?token=abc"), 401)


@pytest.mark.django_db
def test_an_inactive_user_is_refused() -> None:
    user = make_user(*PLACER)
    client = token_client(user=user)
    user.is_active = False
    user.save()
    assert_problem(client.get("/api/orders/"), 401)


@pytest.mark.django_db
@pytest.mark.parametrize("address", ["/api/", "/api/schema/", "/api/docs/"])
def test_any_signed_in_user_reads_what_the_api_is(address: str) -> None:
    assert token_client().get(address).status_code == 200


@pytest.mark.django_db
def test_a_viewer_reads_and_changes_nothing() -> None:
    order = make_order()
    viewer = token_client("view_order")
    before = row_counts()
    assert viewer.get("/api/orders/").status_code == 200
    assert viewer.get(f"/api/orders/{order.number}/").status_code == 200
    assert_problem(post_order(viewer, order_body()), 403, None, "orders.place_order")
    assert_problem(post_start(viewer, order.number), 403, None, "orders.start_order")
    upload = viewer.post("/api/imports/", b"a,b\n", content_type="text/csv")
    assert_problem(upload, 403, None, "orders.import_feed")
    assert row_counts() == before


@pytest.mark.django_db
def test_who_may_only_place_may_not_list() -> None:
    placer = token_client("place_order")
    assert_problem(placer.get("/api/orders/"), 403, None, "orders.view_order")
    assert_problem(post_start(placer, make_order().number), 403)
    assert not OutboxMessage.objects.exists()


@pytest.mark.django_db
def test_the_session_of_the_admin_signs_in_too(client: Client) -> None:
    client.force_login(make_user("view_order"))
    assert client.get("/api/orders/").status_code == 200


@pytest.mark.django_db
def test_the_root_leads_to_everything() -> None:
    client = token_client("view_order")
    links = client.get("/api/").json()
    assert links["orders"] == f"http://testserver{reverse('api:orders')}"
    assert client.get(links["orders"]).status_code == 200
    assert client.get(links["schema"]).status_code == 200
    assert client.get(links["docs"]).status_code == 200
