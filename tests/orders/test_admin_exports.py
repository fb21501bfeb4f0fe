"""Exports in the back office: from the list to the form, the page, the file; and the pages of plans."""

from urllib.parse import urlencode

import pytest
from django.conf import LazySettings
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from orders.models import Command, Export, ExportPlan, Order
from orders.polling import STOP_POLLING
from orders.services import exports
from orders.vocabulary import CommandKind
from tests.factories import TEST_ACTOR, make_order
from tests.orders.api_calls import make_user
from tests.orders.attempts_exports import make_export, make_plan, make_written

pytestmark = pytest.mark.django_db
NEW = "/admin/orders/export/new/"
FORM = {"format": "csv", "reason": "Books"}


@pytest.fixture
def chief(client: Client) -> Client:
    client.force_login(User.objects.create_superuser("chief"))
    return client


def test_ticked_orders_come_to_the_form_and_become_an_export(chief: Client) -> None:
    order = make_order()
    make_order()
    choice = {"action": "export_orders", "_selected_action": [str(order.pk)], "index": "0"}
    form = chief.post(reverse("admin:orders_order_changelist"), choice)
    assert form["Location"] == f"{NEW}?ids={order.pk}"
    assert "Export 1 order" in chief.get(form["Location"]).content.decode()
    page = chief.post(form["Location"], FORM, follow=True)
    export = Export.objects.get()
    assert page.redirect_chain[0][0] == reverse("admin:orders_export_change", args=[export.pk])
    assert "1 order ticked" in page.content.decode()
    assert export.parts.get().order_ids == [order.pk]


def test_all_that_match_are_those_that_the_list_shows(chief: Client) -> None:
    wanted, other, guest = make_order(quantity=5), make_order(), make_order(guest=True, quantity=5)
    shown = "total_from=30&buyer=known"
    choice = {"action": "export_orders", "_selected_action": [str(other.pk)], "select_across": "1", "index": "0"}
    form = chief.post(f"{reverse('admin:orders_order_changelist')}?{shown}", choice)
    assert form["Location"] == f"{NEW}?{urlencode({'filter': shown})}"
    chief.post(form["Location"], FORM)
    export = Export.objects.get()
    assert export.parts.get().order_ids == [wanted.pk]
    words = "Buyer: Known customers; Total: from 30.00"
    assert export.selection == {"list": {"total_from": ["30"], "buyer": ["known"]}, "words": words}
    assert guest.pk not in export.parts.get().order_ids


def test_a_search_chooses_as_it_does_in_the_list(chief: Client) -> None:
    wanted = make_order()
    make_order()
    chief.post(f"{NEW}?{urlencode({'filter': f'q={wanted.number}'})}", FORM)
    assert Export.objects.get().parts.get().order_ids == [wanted.pk]


@pytest.mark.parametrize(
    ("query", "status"),
    [("ids=nonsense", 404), ("ids=", 404), ("", 404), ("filter=nonsense%3D1", 400), ("filter=q%3Da%2500", 400)],
)
def test_a_selection_that_is_none_is_refused(chief: Client, query: str, status: int) -> None:
    chief.raise_request_exception = False
    assert chief.get(f"{NEW}?{query}").status_code == status


def test_the_form_names_what_is_wrong(chief: Client, settings: LazySettings) -> None:
    order = make_order()
    refused = chief.post(f"{NEW}?ids={order.pk}", {"format": "pdf", "reason": ""})
    assert refused.status_code == 400
    assert "Nothing was done. The form below says why." in refused.content.decode()
    settings.EXPORT_MAX_ROWS = 1
    make_order()
    page = chief.get(f"{NEW}?filter=").content.decode()
    assert "More than 1 orders" in page
    assert "One export takes 1 order at most." in page
    assert chief.post(f"{NEW}?filter=", FORM).status_code == 400
    assert not Export.objects.exists()


def test_the_page_follows_an_export_until_its_file_is_there(chief: Client) -> None:
    export = make_export()
    live = reverse("admin:orders_export_live", args=[export.pk])
    assert (
        'hx-trigger="every 2s"' in chief.get(reverse("admin:orders_export_change", args=[export.pk])).content.decode()
    )
    moving = chief.get(live)
    assert (moving.status_code, "0 of 1 rows written" in moving.content.decode()) == (200, True)
    exports.write(export.pk, beat=lambda _: None)
    done = chief.get(live)
    assert done.status_code == STOP_POLLING
    assert f"Download {export.file_name}" in done.content.decode()
    assert "Download" in chief.get(reverse("admin:orders_export_changelist")).content.decode()
    file = chief.get(reverse("admin:orders_export_download", args=[export.pk]))
    assert file["Content-Disposition"] == f'attachment; filename="{export.file_name}"'
    assert b"".join(file.streaming_content).startswith(b"\xef\xbb\xbfnumber,status,")
    assert "chief" in chief.get(live).content.decode()
    assert Command.objects.get(kind=CommandKind.EXPORT_DOWNLOAD).actor == "chief"


def test_an_export_without_a_file_says_why_instead_of_handing_one_out(chief: Client) -> None:
    export = make_export()
    chief.post(reverse("admin:orders_export_cancel", args=[export.pk]), {"reason": ""})
    assert Export.objects.get().status == "queued"
    chief.post(reverse("admin:orders_export_cancel", args=[export.pk]), {"reason": "Wrong filter"})
    answer = chief.get(reverse("admin:orders_export_download", args=[export.pk]), follow=True)
    assert "The export is cancelled: there is no file." in answer.content.decode()
    assert "Cancelled by chief: Wrong filter" in answer.content.decode()
    again = chief.post(reverse("admin:orders_export_cancel", args=[export.pk]), {"reason": "Again"}, follow=True)
    assert "cancelled already" in again.content.decode()


def test_who_may_see_but_not_export_gets_no_link_and_no_file(client: Client) -> None:
    export = make_written()
    viewer = make_user("view_export", "view_order")
    User.objects.filter(pk=viewer.pk).update(is_staff=True)
    client.force_login(viewer)
    page = client.get(reverse("admin:orders_export_change", args=[export.pk])).content.decode()
    assert export.file_name not in page
    assert "Download" not in client.get(reverse("admin:orders_export_changelist")).content.decode()
    assert client.get(reverse("admin:orders_export_download", args=[export.pk])).status_code == 403
    assert client.get(f"{NEW}?filter=").status_code == 403


PLAN = {"name": "Daily books", "format": "xlsx", "daily_at": "06:30", "reason": "Books"}


def test_a_plan_is_made_shown_paused_resumed_and_run(chief: Client) -> None:
    make_order()
    filters = {"last_hours": "24", "status": ["placed", "failed"], "total_min": "0"}
    made = chief.post(reverse("admin:orders_exportplan_new"), {**PLAN, **filters}, follow=True)
    plan = ExportPlan.objects.get()
    assert plan.filter == {"last_hours": 24, "status": ["placed", "failed"], "total_min": 0}
    assert "Every day at 06:30 UTC" in made.content.decode()
    assert "status: placed, failed" in made.content.decode()
    for button, says in (("pause", "Paused"), ("resume", "Active"), ("run", "was asked for")):
        address = reverse(f"admin:orders_exportplan_{button}", args=[plan.pk])
        chief.post(address, {"reason": ""})
        assert says in chief.post(address, {"reason": "Why"}, follow=True).content.decode()
    again = chief.post(reverse("admin:orders_exportplan_run", args=[plan.pk]), {"reason": "Why"}, follow=True)
    assert "still being made" in again.content.decode()
    export = Export.objects.get()
    assert reverse("admin:orders_export_change", args=[export.pk]) in again.content.decode()
    assert "Daily books" in chief.get(reverse("admin:orders_export_change", args=[export.pk])).content.decode()
    assert "Daily books" in chief.get(reverse("admin:orders_exportplan_changelist")).content.decode()


@pytest.mark.parametrize(
    "changes", [{"daily_at": ""}, {"daily_at": "25:00"}, {"every_hours": "3"}, {"name": ""}, {"status": ["lost"]}]
)
def test_a_bad_plan_is_shown_again_and_not_saved(chief: Client, changes: dict[str, object]) -> None:
    assert chief.post(reverse("admin:orders_exportplan_new"), {**PLAN, **changes}).status_code == 400
    assert not ExportPlan.objects.exists()


def test_a_second_plan_of_a_name_is_refused_and_a_skipped_round_is_shown(chief: Client) -> None:
    make_order()
    plan = make_plan()
    taken = chief.post(reverse("admin:orders_exportplan_new"), {**PLAN, "name": plan.name})
    assert "There is a plan" in taken.content.decode()
    exports.run_now(plan.pk, actor=TEST_ACTOR, reason="Now")
    ExportPlan.objects.update(next_at=plan.created_at)
    exports.run_due()
    page = chief.get(reverse("admin:orders_exportplan_change", args=[plan.pk])).content.decode()
    assert "1 round skipped" in page
    assert Order.objects.count() == Export.objects.count() == 1
