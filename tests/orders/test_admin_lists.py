"""Every registered admin page: it renders, it is closed without its permission, and it changes nothing it must not."""

from decimal import Decimal

import pytest
from django.contrib import admin
from django.contrib.auth.models import User
from django.db.models import Model
from django.test import Client
from unfold.admin import ModelAdmin

from orders.models import CreditNote, CreditNoteLine, Order, Product
from tests.factories import make_order, make_product
from tests.orders import driving
from tests.orders.staff import make_user, signed_in

pytestmark = pytest.mark.django_db
REGISTERED = sorted(admin.site._registry, key=lambda model: model._meta.label)
EDITABLE = {
    "orders.Product",
    "orders.FraudRules",
    "orders.FeedLayout",
    "orders.PartnerEndpoint",
    "auth.User",
    "auth.Group",
}


def url_of(model: type[Model]) -> str:
    return f"/admin/{model._meta.app_label}/{model._meta.model_name}/"


@pytest.mark.parametrize("model", REGISTERED, ids=lambda model: model._meta.label)
def test_list_renders_for_who_may_view_it_and_for_nobody_else(model: type[Model]) -> None:
    driving.drive(make_order(), gateway=driving.decline())
    driving.drive(make_order())
    permission = f"{model._meta.app_label}.view_{model._meta.model_name}"

    response = signed_in(permission).get(url_of(model))

    assert response.status_code == 200
    assert signed_in(name="nobody").get(url_of(model)).status_code == 403
    assert isinstance(admin.site._registry[model], ModelAdmin), "plain admins look broken inside Unfold"


@pytest.mark.parametrize("model", REGISTERED, ids=lambda model: model._meta.label)
def test_not_even_a_superuser_edits_what_services_write(model: type[Model]) -> None:
    if model._meta.label in EDITABLE:
        return
    request = type("Request", (), {"user": User(username="root", is_superuser=True, is_active=True)})()
    registered = admin.site._registry[model]

    assert not registered.has_add_permission(request)
    assert not registered.has_change_permission(request)
    if model._meta.app_label == "orders":
        assert not registered.has_delete_permission(request)


def test_detail_pages_are_for_reading() -> None:
    order = driving.drive(make_order())
    client = Client()
    client.force_login(User.objects.create_superuser("root"))
    pages = [
        f"/admin/orders/payment/{order.payment.pk}/change/",
        f"/admin/orders/orderevent/{order.events.first().pk}/change/",  # type: ignore[union-attr]
        f"/admin/orders/ledgertransfer/{order.transfers.first().pk}/change/",  # type: ignore[union-attr]
        f"/admin/orders/command/{order.commands.get().pk}/change/",
        f"/admin/orders/customer/{order.customer_id}/change/",
    ]

    for page in pages:
        response = client.get(page)
        assert response.status_code == 200, page
        assert 'name="_save"' not in response.content.decode()
        assert client.post(page, {"status": "x"}).status_code == 403


def test_price_of_a_product_is_changed_with_the_permission_only() -> None:
    product = make_product("LAMP")
    page = f"/admin/orders/product/{product.pk}/change/"
    form = {"name": "Lamp", "unit_price": "12.50", "sku": "OTHER", "currency": "EUR"}

    assert signed_in("orders.view_product", name="viewer").post(page, form).status_code == 403
    assert signed_in("orders.view_product", "orders.change_product").post(page, form).status_code == 302

    product.refresh_from_db()
    assert (product.unit_price, product.name, product.sku, product.currency) == (
        Decimal("12.50"),
        "Lamp",
        "LAMP",
        "GBP",
    )
    assert Product.objects.count() == 1


def test_credit_notes_are_found_by_whether_an_order_matches() -> None:
    order = make_order()
    matched = CreditNote.objects.create(
        source="s", number="C1", currency="GBP", total_minor=100, issued_at=order.created_at, order=order
    )
    CreditNote.objects.create(source="s", number="C2", currency="GBP", total_minor=100, issued_at=order.created_at)
    CreditNoteLine.objects.create(
        credit_note=matched, position=1, sku="LAMP", quantity=1, unit_price=Decimal(1), total_minor=100
    )
    client = signed_in("orders.view_creditnote")

    def found(**query: str) -> list[str]:
        return [note.number for note in client.get("/admin/orders/creditnote/", query).context["cl"].result_list]

    assert found(matched="no") == ["C2"]
    assert found(matched="yes") == found(order__id__exact=str(order.pk)) == ["C1"]
    assert "LAMP" in client.get(f"/admin/orders/creditnote/{matched.pk}/change/").content.decode()


def test_user_manager_cannot_make_a_superuser_of_anyone() -> None:
    manager = signed_in("auth.view_user", "auth.change_user")
    someone, root = make_user(name="someone"), User.objects.create_superuser("root")
    form = {
        "username": "someone",
        "is_superuser": "on",
        "is_active": "on",
        "date_joined_0": "2026-01-01",
        "date_joined_1": "00:00",
    }

    manager.post(f"/admin/auth/user/{someone.pk}/change/", form)
    response = manager.post(f"/admin/auth/user/{root.pk}/change/", {**form, "username": "root"})

    someone.refresh_from_db()
    assert not someone.is_superuser
    assert response.status_code == 403


@pytest.mark.parametrize("model", [Order, User], ids=lambda model: model._meta.label)
def test_the_gap_between_far_pages_leads_nowhere(model: type[Model], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(admin.site._registry[model]), "list_per_page", 1)
    for number in range(12):
        make_order() if model is Order else make_user(name=f"user-{number}")
    client = signed_in(f"{model._meta.app_label}.view_{model._meta.model_name}")

    page = client.get(url_of(model)).content.decode()

    assert "?p=12" in page
    assert "…</div>" in page
    assert "?p=%E2%80%A6" not in page
