"""Pages that offer commands: one form for each, what it moves on its button, and what was typed after a refusal."""

import html
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from orders.models import Command, FeedImport, Order, Payment
from orders.services import batches, feeds, holding
from orders.services.playbooks import following
from orders.vocabulary import BatchAction, CommandKind, FeedStatus, OrderStatus
from tests.factories import TEST_ACTOR, make_order
from tests.orders import driving, playbooks
from tests.orders.attempts_exports import make_export, make_plan
from tests.orders.process_runs import started
from tests.orders.test_admin_batches import make_failed_batch
from tests.orders.test_feed_check import ROWS, checked
from tests.orders.test_partner_runs import make_shipments, start
from tests.orders.test_playbook_run_pages import ASK, fail

pytestmark = pytest.mark.django_db


class Forms(HTMLParser):
    """What each form of a page sends, and which controls send it."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.forms: list[dict[str, Any]] = []
        self.open: dict[str, Any] | None = None
        self.ids: list[str] = []
        self.strays: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.ids += [given["id"]] if given.get("id", "").startswith("command-") else []
        if tag == "form":
            self.open = {"action": given.get("action", ""), "controls": [], "fields": {}}
            self.forms.append(self.open)
            return
        is_control = tag == "button" and given.get("type", "submit") == "submit"
        is_control |= tag == "input" and given.get("type") in {"submit", "image"}
        if is_control and self.open is not None:
            self.open["controls"].append(given)
        elif is_control and "form" in given:
            self.strays.append(str(given))
        elif tag in {"input", "select", "textarea"} and self.open is not None and "name" in given:
            self.open["fields"][given["name"]] = given.get("value", "")

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self.open = None


def order_address(order: Order) -> str:
    return reverse("orders:page", args=[order.number])


def placed() -> str:
    return order_address(make_order())


def on_hold() -> str:
    order = make_order()
    holding.hold(order.number, actor=TEST_ACTOR, reason="Wait")
    return order_address(order)


def in_review() -> str:
    return order_address(driving.make_order_in_review())


def failing() -> str:
    return order_address(driving.drive(make_order(), gateway=driving.outage()))


def completed() -> str:
    return order_address(driving.drive(make_order()))


def owed() -> str:
    return order_address(driving.make_order_that_is_owed())


def cancelling() -> str:
    return reverse("orders:cancel", args=[make_order().number])


def refunding() -> str:
    return reverse("orders:refund", args=[driving.drive(make_order()).number])


def other_method() -> str:
    return reverse("orders:payment-method", args=[make_order().number])


def returning() -> str:
    return reverse("orders:return-announce", args=[driving.drive(make_order()).number])


def failed_batch() -> str:
    return reverse("admin:orders_batch_change", args=[make_failed_batch().pk])


def running_batch() -> str:
    make_order()
    chosen = batches.Selection(orders=Order.objects.all(), asked={})
    batch = batches.create(chosen, BatchAction.HOLD, actor=TEST_ACTOR, reason="Recall")
    return reverse("admin:orders_batch_change", args=[batch.pk])


def new_batch() -> str:
    return f"{reverse('admin:orders_batch_new')}?ids={make_order().pk}&action=hold"


def checked_import() -> str:
    return reverse("admin:orders_feedimport_change", args=[checked(*ROWS).pk])


def process() -> str:
    return reverse("admin:orders_processrun_change", args=[started().pk])


def export() -> str:
    return reverse("admin:orders_export_change", args=[make_export().pk])


def new_export() -> str:
    return f"{reverse('admin:orders_export_new')}?ids={make_order().pk}"


def export_plan() -> str:
    return reverse("admin:orders_exportplan_change", args=[make_plan().pk])


def partner_run() -> str:
    make_shipments(2)
    return reverse("admin:orders_partnerrun_change", args=[start().pk])


def new_partner_run() -> str:
    return reverse("admin:orders_partnerrun_start", args=["carrier"])


def draft() -> str:
    version = playbooks.published(playbooks.note("first"))
    return reverse("orders:playbook", args=[version.playbook.slug])


def question() -> str:
    run = playbooks.start(make_order(), ASK)
    following.settle(str(run.pk), "steps.0", actor=TEST_ACTOR)
    return reverse("orders:playbook-run", args=[run.pk])


def failed_step() -> str:
    run = playbooks.start(make_order(), playbooks.note("first"), playbooks.tag("second"))
    fail(run)
    return reverse("orders:playbook-run", args=[run.pk])


PAGES: tuple[Callable[[], str], ...] = (
    placed,
    on_hold,
    in_review,
    failing,
    completed,
    owed,
    cancelling,
    refunding,
    other_method,
    returning,
    failed_batch,
    running_batch,
    new_batch,
    checked_import,
    process,
    export,
    new_export,
    export_plan,
    partner_run,
    new_partner_run,
    draft,
    question,
    failed_step,
)
#: templates whose pages take more than a row here to set up; their forms are looked at as templates
ELSEWHERE = {"orders/return_refund.html"}


@pytest.fixture
def chief(client: Client) -> Client:
    client.force_login(User.objects.create_superuser("root"))
    return client


def read(client: Client, address: str) -> str:
    answer = client.get(address)
    assert answer.status_code == 200, address
    return answer.content.decode()


def of(page: str, ending: str) -> dict[str, Any]:
    """The form whose address ends so."""
    return next(form for form in Forms(page).forms if form["action"].endswith(ending))


def buttons(page: str) -> list[str]:
    """What the buttons of commands say."""
    found = re.findall(r'id="command-[^"]*-give".*?</span>(.*?)</button>', page, re.DOTALL)
    return [html.unescape(words).strip() for words in found]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.__name__)
def test_no_form_of_a_page_has_two_submit_controls(chief: Client, page: Callable[[], str]) -> None:
    found = Forms(read(chief, page()))
    assert [form["action"] for form in found.forms if len(form["controls"]) > 1] == []
    assert [control for form in found.forms for control in form["controls"] if "formaction" in control] == []
    assert len(found.ids) == len(set(found.ids))
    assert found.strays == []


def test_every_page_that_offers_commands_is_looked_at(chief: Client) -> None:
    templates = Path(settings.BASE_DIR) / "templates"
    offering = {
        str(path.relative_to(templates))
        for path in templates.rglob("*.html")
        if re.search(r'include "orders/(commands|page_form)\.html"', path.read_text())
    }
    rendered = {part.name for page in PAGES for part in chief.get(page()).templates}
    assert offering - rendered - ELSEWHERE == set()


@pytest.mark.parametrize(
    ("page", "says"),
    [
        (placed, "Start processing: takes £20.00"),
        (in_review, "Approve: takes £6,000.00"),
        (in_review, "Reject: 1 piece back into the stock"),
        (failing, "Retry now: takes £20.00"),
        (owed, "Try the refund again: gives back £5.00"),
        (failed_batch, "Retry failed: 1 order"),
        (checked_import, "Commit: places up to 1 order, £5.00"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_a_button_says_how_much_it_moves(chief: Client, page: Callable[[], str], says: str) -> None:
    assert says in buttons(read(chief, page()))


def test_each_command_of_an_order_has_a_reason_of_its_own(chief: Client) -> None:
    order = make_order()
    page = read(chief, order_address(order))
    hold = of(page, "/hold/")
    assert set(hold["fields"]) == {"csrfmiddlewaretoken", "reason", "until"}

    chief.post(hold["action"], {"reason": "Ask the customer first", "until": ""})

    order.refresh_from_db()
    assert order.status == OrderStatus.ON_HOLD
    assert list(Command.objects.values_list("kind", flat=True)) == [CommandKind.HOLD]


def test_a_refused_command_comes_back_with_what_was_typed_and_names_its_field(chief: Client) -> None:
    order = make_order()
    answer = chief.post(
        reverse("orders:hold", args=[order.number]), {"reason": "Until noon", "until": "2020-01-01T12:00"}
    )
    page = answer.content.decode()
    assert answer.status_code == 400
    assert of(page, "/hold/")["fields"]["reason"] == "Until noon"
    assert of(page, "/hold/")["fields"]["until"] == "2020-01-01T12:00"
    assert of(page, "/start/")["fields"]["reason"] == ""
    assert "Nothing was done. Hold until: 01 Jan 2020 12:00 UTC is not within" in page
    assert re.search(r'<details [^>]*id="command-hold"[^>]* open', page)
    assert not Command.objects.exists()


def test_a_refused_refund_keeps_its_reason_and_shows_what_is_left_now(chief: Client) -> None:
    order = driving.drive(make_order())
    address = reverse("orders:refund", args=[order.number])
    Payment.objects.filter(order=order).update(refunded_minor=500)
    answer = chief.post(address, {"reason": "Broken", "amount": "12.40", "left_minor": "2000"})
    fields = Forms(answer.content.decode()).forms[-1]["fields"]
    assert answer.status_code == 409
    assert (fields["reason"], fields["amount"], fields["left_minor"]) == ("Broken", "12.40", "1500")
    assert "are left to refund, not £20.00" in html.unescape(answer.content.decode())


def test_words_of_a_command_that_is_offered_no_more_are_told_back(chief: Client) -> None:
    order = make_order()
    holding.hold(order.number, actor=TEST_ACTOR, reason="First")
    told = chief.post(reverse("orders:hold", args=[order.number]), {"reason": "Called her at 5"}, follow=True)
    assert "You wrote: Called her at 5" in html.unescape(told.content.decode())


@pytest.mark.parametrize(
    ("page", "ending"),
    [
        (running_batch, "/cancel/"),
        (process, "/drive/"),
        (export_plan, "/run/"),
        (partner_run, "/cancel/"),
        (failed_step, "/skip/"),
        (draft, "/retire/"),
        (export, "/cancel/"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_a_reason_that_is_refused_stands_in_its_form_again(chief: Client, page: Callable[[], str], ending: str) -> None:
    form = of(read(chief, page()), ending)
    typed = "x" * 501
    given = {name: value for name, value in form["fields"].items() if name != "csrfmiddlewaretoken"}
    answer = chief.post(form["action"], {**given, "reason": typed})
    shown = [one for one in Forms(answer.content.decode()).forms if one["fields"].get("reason") == typed]
    assert answer.status_code == 400
    assert [one["action"] for one in shown] == [form["action"]]
    assert "Nothing was done. Reason: " in answer.content.decode()


def test_a_poll_leaves_the_fields_of_a_command_alone(chief: Client) -> None:
    order = make_order()
    part = chief.get(reverse("orders:live", args=[order.number])).content.decode()
    for fields in re.findall(r'<div class="bo-fields"[^>]*>', part):
        assert re.search(r'id="command-[a-z-]+-fields" data-own', fields)
    assert 'id="command-hold" data-keep' in part


def test_an_import_that_failed_has_no_full_bar_and_a_check_no_chart(chief: Client) -> None:
    feed: FeedImport = checked(*ROWS)
    page = read(chief, reverse("admin:orders_feedimport_change", args=[feed.pk]))
    assert "Nothing is stored yet" in page
    assert "invoices stored" not in page
    FeedImport.objects.update(status=FeedStatus.FAILED, failure_message="no header", rows_read=0, documents_found=0)
    assert 'value="1"' not in read(chief, reverse("admin:orders_feedimport_change", args=[feed.pk]))
    assert feeds.possible(FeedImport.objects.get()) == []


def test_a_batch_with_failures_has_no_green_bar(chief: Client) -> None:
    assert 'class="bo-progress bo-tone-trouble"' in read(chief, failed_batch())
