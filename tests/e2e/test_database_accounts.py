"""A whole order with web and worker under database accounts that own nothing."""

import json

import pytest
import requests
from django.contrib.auth.models import User
from django.db import connection

from backoffice.database_roles import APPLICATION, name_of
from orders.models import Order, Product
from orders.services import invariants
from orders.vocabulary import OrderStatus
from tests.e2e.engine import Engine, eventually
from tests.orders.api_calls import make_token, order_body

# Five processes start one after the other, which a busy machine may take its time for.
pytestmark = [pytest.mark.e2e, pytest.mark.django_db(transaction=True)]


def accounts_in_use() -> set[str]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT DISTINCT usename FROM pg_stat_activity WHERE datname = current_database()")
        return {name for (name,) in cursor.fetchall()}


def test_an_order_goes_from_the_api_to_its_end_and_staff_sign_in_without_the_rights_of_the_owner(
    running_engine: Engine,
) -> None:
    web = running_engine.start_web()
    root = User.objects.create_superuser("root", password="correct horse battery")
    token = make_token(root, "full")
    headers = {"Authorization": f"Token {token}", "Idempotency-Key": "one", "Content-Type": "application/json"}
    answer = requests.post(f"{web}/api/orders/", data=json.dumps(order_body()), headers=headers, timeout=60)
    assert answer.status_code == 201, answer.text
    number = answer.json()["number"]
    eventually(lambda: Order.objects.get(number=number).closed_at is not None, what="the end of the order")
    assert Order.objects.get(number=number).status == OrderStatus.COMPLETED
    assert {name_of(role) for role in APPLICATION} <= accounts_in_use()

    browser = requests.Session()
    page = browser.get(f"{web}/accounts/login/", timeout=60)
    form = {"login": "root", "csrfmiddlewaretoken": page.cookies["csrftoken"], "next": "/admin/"}
    wrong = browser.post(f"{web}/accounts/login/", data=form | {"password": "wrong"}, timeout=60)
    assert wrong.status_code == 200
    form["csrfmiddlewaretoken"] = browser.cookies["csrftoken"]
    right = browser.post(f"{web}/accounts/login/", data=form | {"password": "correct horse battery"}, timeout=60)
    assert (right.status_code, right.url) == (200, f"{web}/admin/")
    # A product's versions are written by triggers, with the rights of whoever changes the product.
    product = Product.objects.get()
    page = browser.get(f"{web}/admin/orders/product/{product.pk}/change/", timeout=60)
    form = {"csrfmiddlewaretoken": browser.cookies["csrftoken"], "name": "Lamp", "unit_price": "12.50"}
    changed = browser.post(f"{web}/admin/orders/product/{product.pk}/change/", data=form, timeout=60)
    assert (changed.status_code, Product.objects.get().name) == (200, "Lamp"), changed.text

    sealed = running_engine.manage("seal_history")
    assert "Seal 1 of" in sealed.stdout, sealed.stderr
    assert list(invariants.check_books()) == []
