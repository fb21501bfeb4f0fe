"""Every filter of every list: what cannot be read shows no row and says so, and what is set stands above the list."""

import json
from typing import Any
from urllib.parse import urlencode

import pytest
from django.contrib import admin
from django.contrib.auth.models import User
from django.db.models import Model
from django.http import HttpResponse
from django.test import Client, RequestFactory
from django.urls import reverse

from orders.admin.filtering import StatedFilters, parameters_of
from orders.admin.filters import DayField
from orders.models import Batch, Export
from tests.factories import make_order, make_product

pytestmark = pytest.mark.django_db
LIST = "/admin/orders/order/"
REGISTERED = sorted(admin.site._registry, key=lambda model: model._meta.label)
PARAMETERS = [
    (model, name)
    for model in REGISTERED
    for one in admin.site._registry[model].list_filter
    for name in parameters_of(one)
]


@pytest.fixture
def root() -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("root"))
    return client


def address(model: type[Model]) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")


def is_refused(answer: HttpResponse) -> bool:
    context: Any = answer.context  # type: ignore[attr-defined]
    assert not answer.content or "Nothing is shown, because a filter cannot be read." in answer.content.decode()
    return answer.status_code == 400 and not list(context["cl"].result_list)


@pytest.mark.parametrize(("model", "name"), PARAMETERS, ids=lambda part: getattr(part, "__name__", part))
def test_value_that_cannot_be_read_is_refused_by_every_filter(root: Client, model: type[Model], name: str) -> None:
    make_order()
    assert is_refused(root.get(address(model), {name: "\u2603 nonsense"}))
    assert is_refused(root.get(address(model), {name: "a\x00b"}))


@pytest.mark.parametrize("model", REGISTERED, ids=lambda model: model._meta.label)
def test_every_list_refuses_filters_that_it_does_not_have(root: Client, model: type[Model]) -> None:
    for query in ({"nonsense": "1"}, {"id__gte": "0"}, {"pk__in": "1"}, {"p": "rubbish"}):
        assert is_refused(root.get(address(model), query)), query


@pytest.mark.parametrize("model", REGISTERED, ids=lambda model: model._meta.label)
def test_the_names_of_a_list_are_those_that_its_forms_send(model: type[Model]) -> None:
    request = RequestFactory().get("/")
    request.user = User.objects.create_superuser("root")
    changelist = admin.site._registry[model].get_changelist_instance(request)

    assert isinstance(changelist, StatedFilters)
    sent = {name for spec in changelist.filter_specs for name in next(iter(spec.choices(changelist)))["form"].fields}
    assert sent == {name for one in changelist.list_filter for name in parameters_of(one)}


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ({"created_at_from": "2026-11-31"}, "Created at from: “2026-11-31” is no day"),
        ({"created_at_to": "9999-12-31"}, "is outside the years 2000 to 2999"),
        ({"created_at_from": "2026-12-01", "created_at_to": "2026-11-30"}, "is before the beginning"),
        ({"total_from": "abc"}, "Total from: “abc” is no amount"),
        ({"total_to": "NaN"}, "is no amount"),
        ({"total_from": "-5"}, "is below 0"),
        ({"total_from": "999999999999999999999999"}, "is above"),
        ({"total_from": "0.001"}, "more than two decimal places"),
        ({"attention": "zzz"}, "Attention: “zzz” It is none of the choices"),
        ({"incident": "not-an-id"}, "Incident: “not-an-id” It is none of the choices"),
        ({"status__exact": ["placed", "failed"]}, "status__exact: It stands in the address twice"),
        ({"q": "a\x00"}, "Search: It holds a character that is no text"),
    ],
)
def test_mistake_names_its_field_and_what_is_wrong(root: Client, query: dict[str, Any], said: str) -> None:
    answer = root.get(LIST, query)

    assert is_refused(answer)
    assert said in answer.content.decode()


@pytest.mark.parametrize("text", ["30/11/2026", "2026-11-30", "30.11.2026", "30 Nov 2026", "30 November 2026"])
def test_a_day_is_read_as_our_pages_write_it(text: str) -> None:
    day = DayField(widget=None).clean(text)
    assert day is not None
    assert day.isoformat() == "2026-11-30"


def test_what_is_filtered_stands_above_the_list(root: Client) -> None:
    make_order()
    query = {"status__exact": "placed", "total_from": "1250.5", "created_at_to": "30/11/2999", "q": "SO-1"}
    text = root.get(LIST, query).content.decode()

    for words in ("Status: Placed", "Total: from 1,250.50", "Created at: up to 30 Nov 2999", "Search: SO-1"):
        assert words in text
    assert "bo-filtered" not in root.get(LIST).content.decode()


def test_action_on_a_list_with_a_mistake_does_nothing(root: Client) -> None:
    order = make_order()
    choice = {"action": "start_processing", "_selected_action": [str(order.pk)], "index": "0"}
    answer = root.post(f"{LIST}?created_at_from=31.31.2026", choice, follow=True)

    order.refresh_from_db()
    assert order.status == "placed"
    assert answer.status_code == 400
    assert "Nothing was done" in answer.content.decode()


@pytest.mark.parametrize("page", ["admin:orders_batch_new", "admin:orders_export_new"])
def test_batch_and_export_are_refused_when_the_filter_cannot_be_read(root: Client, page: str) -> None:
    make_order()
    new = f"{reverse(page)}?{urlencode({'filter': 'created_at_from=2026-11-31', 'action': 'hold'})}"
    form = {"format": "csv", "reason": "x", "seen_count": "1", "seen_sums": "{}", "auto_pause_percent": "0"}

    for answer in (root.get(new), root.post(new, form)):
        assert answer.status_code == 400
        assert "“2026-11-31” is no day" in answer.content.decode()
    assert not Batch.objects.exists()
    assert not Export.objects.exists()


def test_batch_and_export_keep_the_words_of_their_filter(root: Client) -> None:
    make_order(product=make_product(unit_price="500.00"), quantity=1)
    chosen = urlencode({"filter": "total_from=100&status__exact=placed", "action": "hold"})
    words = "Chosen: Status: Placed; Total: from 100.00"
    export_form, batch_form = (f"{reverse(f'admin:orders_{one}_new')}?{chosen}" for one in ("export", "batch"))
    assert words in root.get(export_form).content.decode()
    look = root.get(batch_form)
    assert words in look.content.decode()

    root.post(export_form, {"format": "csv", "reason": "Audit"})
    seen = {"seen_count": "1", "seen_sums": json.dumps(look.context["form"].initial["seen_sums"])}
    root.post(batch_form, {"reason": "Recall", "auto_pause_percent": "0", **seen})

    for made in (Export.objects.get(), Batch.objects.get()):
        name = f"admin:orders_{type(made).__name__.lower()}_change"
        assert words in root.get(reverse(name, args=[made.pk])).content.decode()
