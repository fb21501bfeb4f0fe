"""Dialogs of rows say what they are about, and how much their button moves."""

import pytest
from django.db.models import Model
from django.test import Client
from django.urls import reverse

from orders.models import Order, RestoreDifference, StaffTask
from tests.factories import make_order
from tests.orders import attempts_errors, driving
from tests.orders.staff import signed_in

pytestmark = pytest.mark.django_db
MAY = ("orders.start_order", "orders.decide_incident", "orders.decide_restore", "orders.work_task")


@pytest.fixture
def browser() -> Client:
    return signed_in(*MAY)


def dialog(browser: Client, verb: str, row: Model) -> str:
    name = f"admin:{row._meta.app_label}_{row._meta.model_name}_{verb}"
    answer = browser.get(reverse(name, args=[row.pk]))
    assert answer.status_code == 200
    return " ".join(answer.content.decode().split())


def test_starting_an_order_says_which_and_how_much_it_takes(browser: Client) -> None:
    order: Order = make_order()
    page = dialog(browser, "start_one", order)
    assert f"Order {order.number}, £20.00" in page
    assert "Start processing: takes £20.00" in page


def test_a_decision_for_all_orders_of_an_incident_says_how_many_and_how_much(browser: Client) -> None:
    incident = attempts_errors._incident()
    assert "Try again: 2 orders, £40.00" in dialog(browser, "try_again", incident)
    assert "Resolve: 2 orders, £40.00" in dialog(browser, "resolve_all", incident)


def test_undoing_what_a_restored_database_forgot_says_how_much_goes_back(browser: Client) -> None:
    found = RestoreDifference.objects.create(
        kind="order_unknown", reference="1", name="SO-9", taken_minor=2000, currency="GBP"
    )
    assert "Undo: gives back £20.00" in dialog(browser, "undo", found)
    assert "SO-9: the gateway took £20.00" in dialog(browser, "keep", found)


def test_resolving_a_task_says_what_was_asked_and_of_which_order(browser: Client) -> None:
    task = StaffTask.objects.get(order=driving.make_order_that_is_owed())
    assert f"{task.order}, £20.00: {task.says}"[:60] in dialog(browser, "resolve", task).replace("&#x27;", "'")


def test_a_dialog_about_no_row_says_nothing(browser: Client) -> None:
    name = reverse("admin:orders_order_start_one", args=["nonsense"])
    assert browser.get(name).status_code == 200
