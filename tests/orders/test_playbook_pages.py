"""The pages of playbooks: what they show, what they refuse, and what is kept when they refuse."""

import json
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from orders.models import Approval, PartnerEndpoint, Playbook, PlaybookSchedule, PlaybookTrigger, PlaybookVersion
from orders.playbooks.examples import EXAMPLES
from orders.services.playbooks import installing, publishing
from orders.vocabulary import VersionStatus
from tests.factories import make_order
from tests.orders import playbooks
from tests.orders.playbooks import note, tag
from tests.orders.staff import signed_in

pytestmark = pytest.mark.django_db
ASK = {"type": "ask", "id": "question", "question": "Go on?", "options": ["yes", "no"], "default": "no"}


@pytest.fixture
def browser() -> Client:
    client = Client()
    client.force_login(playbooks.chief().user)  # type: ignore[arg-type]
    return client


def text(client: Client, name: str, *args: Any, status: int = 200, **query: Any) -> str:
    answer = client.get(reverse(f"orders:{name}", args=args), query)
    assert answer.status_code == status
    return answer.content.decode()


def test_the_list_tells_versions_and_open_runs(browser: Client) -> None:
    playbooks.start(make_order(), note("first"), slug="known")
    publishing.save("known", playbooks.document(note("other")), actor=playbooks.chief())

    shown = text(browser, "playbooks")

    row = shown[shown.index("/orders/playbooks/known/") :].split("</tr>")[0]
    assert [cell.split("<")[0] for cell in row.split('<td class="bo-num">')[1:]] == ["2", "1", "1"]


@pytest.mark.parametrize("slug", EXAMPLES)
def test_every_shipped_playbook_has_a_page_with_each_step_in_picture_and_text(browser: Client, slug: str) -> None:
    version = publishing.save(slug, EXAMPLES[slug], actor=playbooks.chief())

    shown = text(browser, "playbook", slug)

    definition = publishing.definition_of(version)
    assert shown.count('class="bo-node ') == len(list(publishing.walk(definition.steps))) + 2
    assert "If so" in shown or "conditional" not in json.dumps(version.document)


def test_a_draft_is_published_by_two_people_and_retired_by_one(browser: Client) -> None:
    version = publishing.save("test", playbooks.document(note("first")), actor=playbooks.chief())

    told = browser.post(reverse("orders:playbook-publish", args=["test", 1]), {"reason": "Tried it"}, follow=True)

    assert "waits for a second person" in told.content.decode()
    version.refresh_from_db()
    assert version.status == VersionStatus.DRAFT
    assert Approval.objects.get().subject == "test v1"
    again = browser.post(reverse("orders:playbook-publish", args=["test", 1]), {"reason": "Twice"}, follow=True)
    assert "This waits for a second person since" in again.content.decode()

    playbooks.published(note("first"), slug="live")
    browser.post(reverse("orders:playbook-retire", args=["live", 1]), {"reason": "Not needed"})
    assert PlaybookVersion.objects.get(playbook__slug="live").status == VersionStatus.RETIRED


def test_without_a_reason_nothing_is_published(browser: Client) -> None:
    publishing.save("test", playbooks.document(note("first")), actor=playbooks.chief())

    told = browser.post(reverse("orders:playbook-publish", args=["test", 1]), {"reason": " "}, follow=True)

    assert "Nothing was done. Reason" in told.content.decode()
    assert not Approval.objects.exists()


def test_two_versions_are_compared_step_by_step_and_line_by_line(browser: Client) -> None:
    publishing.save("test", playbooks.document(note("first", "old words"), tag("gone")), actor=playbooks.chief())
    publishing.save("test", playbooks.document(note("first", "new words"), note("come")), actor=playbooks.chief())

    shown = text(browser, "playbook-diff", "test")

    for what, kind in (("Step first", "changed"), ("Step come", "added"), ("Step gone", "removed")):
        assert f'{what} <span class="bo-chip">{kind}</span>' in shown
    assert "old words" in shown
    assert 'class="bo-diff-added">+' in shown


def test_the_editor_saves_a_new_version(browser: Client) -> None:
    document = playbooks.document(note("first"))

    told = browser.post(reverse("orders:playbook-new"), {"name": "fresh", "document": json.dumps(document)})

    assert told.headers["Location"] == reverse("orders:playbook", args=["fresh"])
    saved = PlaybookVersion.objects.get(playbook__slug="fresh")
    assert (saved.number, saved.status) == (1, VersionStatus.DRAFT)
    assert "&quot;noted&quot;" in text(browser, "playbook-edit", "fresh")


@pytest.mark.parametrize(
    ("document", "path"),
    [
        ("{", ""),
        ("[" * 100_000, ""),
        ("x" * 300_000, ""),
        ("[]", ""),
        ('{"title": "\\u0000", "steps": []}', ""),
        (json.dumps(playbooks.document({**note("first"), "activity": "shell"})), "steps.0.activity"),
        (json.dumps(playbooks.document(note("first", "=order.nothing"))), "steps.0.parameters.text"),
    ],
)
def test_the_editor_keeps_what_was_typed_and_names_the_place(browser: Client, document: str, path: str) -> None:
    told = browser.post(reverse("orders:playbook-new"), {"name": "fresh", "document": document})

    shown = told.content.decode()
    assert "Nothing was saved" in shown
    assert f'"path": "{path}"' in shown
    assert 'value="fresh"' in shown
    assert not Playbook.objects.exists()


@pytest.mark.parametrize("name", ["", "Capital", "9", "a" * 41, "a\x00b", "a/b"])
def test_the_editor_refuses_names_that_are_none(browser: Client, name: str) -> None:
    document = json.dumps(playbooks.document(note("first")))

    told = browser.post(reverse("orders:playbook-new"), {"name": name, "document": document})

    assert told.status_code == 200
    assert '"path": "name"' in told.content.decode()
    assert not Playbook.objects.exists()


def test_a_new_playbook_does_not_take_the_place_of_another(browser: Client) -> None:
    playbooks.published(note("first"), slug="taken")
    document = json.dumps(playbooks.document(note("other")))

    told = browser.post(reverse("orders:playbook-new"), {"name": "taken", "document": document})

    assert "There is a playbook taken already" in told.content.decode()
    assert PlaybookVersion.objects.count() == 1


def test_a_simulation_shows_the_way_and_changes_nothing(browser: Client) -> None:
    order = make_order()
    check = {"type": "conditional", "id": "check", "condition": "order.total_minor > inputs.least"}
    steps = ({**check, "then": [note("dear", '="for " + order.number')], "otherwise": [note("cheap")]}, ASK)
    inputs = [{"name": "least", "type": "int"}]
    publishing.save("test", playbooks.document(*steps, inputs=inputs), actor=playbooks.chief())
    events = order.events.count()

    shown = text(browser, "playbook-simulate", "test", **{"order": order.number, "input-least": "1"})

    assert f"text: for {order.number}" in shown
    assert "order.total_minor &gt; inputs.least: true" in shown
    assert "Assumed answer: no" in shown
    assert shown.count("bo-step-done") == 3
    assert order.events.count() == events


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ({"order": "SO-9", "input-least": "1"}, "There is no such order."),
        ({"order": "SO\x00", "input-least": "1"}, "Null characters are not allowed."),
        ({"order": "SO-9"}, "This field is required."),
        ({"order": "SO-9", "input-least": "many"}, "Enter a whole number."),
        ({"order": "SO-9", "input-least": "9" * 30}, "less than or equal to"),
        ({"order": "SO-9", "input-least": "1", "answer-question": "perhaps"}, "perhaps is not one"),
    ],
)
def test_a_simulation_says_what_it_cannot_use(browser: Client, query: dict[str, str], says: str) -> None:
    inputs = [{"name": "least", "type": "int"}]
    publishing.save("test", playbooks.document(ASK, inputs=inputs), actor=playbooks.chief())

    assert says in text(browser, "playbook-simulate", "test", **query)


@pytest.mark.parametrize("number", ["9", "x", "", "-1", "9" * 40, "\x00", "²"])
def test_a_version_that_is_none_is_not_found(browser: Client, number: str) -> None:
    publishing.save("test", playbooks.document(note("first")), actor=playbooks.chief())

    text(browser, "playbook", "test", version=number, status=404)
    text(browser, "playbook-diff", "test", to=number, status=404)
    text(browser, "playbook", "nothing", status=404)
    text(browser, "playbook-edit", "nothing", status=404)
    text(browser, "playbook-simulate", "nothing", status=404)
    text(browser, "playbook-trigger", "nothing", status=404)
    assert browser.post(f"/orders/playbooks/test/{'9' * 30}/publish/", {"reason": "Why"}).status_code == 404


def test_what_starts_a_playbook_is_set_on_its_page(browser: Client) -> None:
    playbooks.published(note("first"))
    where = reverse("orders:playbook-trigger", args=["test"])

    event = {"start": "event", "event": "order.failed", "condition": "order.total_minor > 5", "enabled": "on"}
    assert browser.post(where, event).status_code == 302
    schedule = {"start": "schedule", "every_hours": "12", "condition": 'order.status == "on_hold"'}
    assert browser.post(where, schedule).status_code == 302

    assert PlaybookTrigger.objects.get().condition == "order.total_minor > 5"
    assert (PlaybookSchedule.objects.get().every_hours, PlaybookSchedule.objects.get().enabled) == (12, False)
    shown = text(browser, "playbook-trigger", "test")
    assert "Every 12 h" in shown
    assert "switched off" in shown


@pytest.mark.parametrize(
    ("form", "says"),
    [
        ({"start": "event", "event": "order.nothing", "condition": "true"}, "Select a valid choice"),
        ({"start": "event", "event": "order.failed", "condition": "order.nothing"}, "bo-problem"),
        ({"start": "event", "event": "order.failed", "condition": "\x00"}, "Null characters"),
        ({"start": "schedule", "every_hours": "0", "condition": "true"}, "greater than or equal to 1"),
        ({"start": "schedule", "every_hours": "9" * 30, "condition": "true"}, "less than or equal to"),
        ({"start": "schedule", "every_hours": "5", "condition": "order.total_minor"}, "bo-problem"),
        ({"start": "never"}, "it is started by hand only"),
    ],
)
def test_the_page_of_starts_refuses_what_is_none(browser: Client, form: dict[str, str], says: str) -> None:
    playbooks.published(note("first"))

    told = browser.post(reverse("orders:playbook-trigger", args=["test"]), form)

    assert told.status_code == 200
    assert says in told.content.decode()
    assert not PlaybookTrigger.objects.exists()
    assert not PlaybookSchedule.objects.exists()


def test_who_may_not_publish_a_shipped_playbook_is_told_so_and_it_starts_by_nothing() -> None:
    installing.install_examples()
    some = signed_in("orders.view_playbooktrigger", "orders.set_trigger", name="somebody")
    form = {"start": "event", "event": "order.failed", "condition": "true", "enabled": "on"}
    told = some.post(reverse("orders:playbook-trigger", args=["vip_fast_lane"]), form)
    assert told.status_code == 200
    assert "orders.publish_playbook" in told.content.decode()
    assert not PlaybookTrigger.objects.exists()


@pytest.mark.parametrize("url", ["http://1.1.1.1/", "https://127.0.0.1/", "https://[::1]/", "https://10.0.0.1/"])
def test_an_endpoint_inside_of_a_network_cannot_be_named(browser: Client, url: str) -> None:
    told = browser.post(reverse("admin:orders_partnerendpoint_add"), {"name": "inside", "url": url, "enabled": "on"})

    assert told.status_code == 200
    assert not PartnerEndpoint.objects.exists()
