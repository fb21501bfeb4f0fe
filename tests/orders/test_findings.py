"""Where findings show: the API, the admin list, the order's sentence, the health card."""

from datetime import timedelta

import pytest
from django.db import transaction
from django.urls import reverse
from django.utils import timezone

from orders import history
from orders.models import Order, SweepProgress
from orders.services.sweeping import findings, progress
from orders.vocabulary import FindingKind, SweepPart
from tests.factories import TEST_ACTOR, make_order, make_prepared_order
from tests.orders import driving
from tests.orders.api_calls import assert_problem, token_client
from tests.orders.staff import VIEW_ORDER, signed_in

pytestmark = pytest.mark.django_db


def note(order: Order, kind: FindingKind, says: str = "Attempt 7.", repair: str = "") -> None:
    with transaction.atomic():
        findings.note(kind, history.lock_order(order.pk), says=says, repair=repair, actor=TEST_ACTOR)


def resolve(order: Order, kind: FindingKind) -> None:
    with transaction.atomic():
        findings.resolve(kind, history.lock_order(order.pk), resolution="Gone.", actor=TEST_ACTOR)


def test_open_findings_are_listed_over_the_api_newest_first() -> None:
    first, second, gone = make_prepared_order(), make_prepared_order(), make_prepared_order()
    note(first, FindingKind.WEDGED)
    note(gone, FindingKind.WEDGED)
    note(second, FindingKind.PROCESS_LOST, repair="its start is handed over again")
    resolve(gone, FindingKind.WEDGED)
    rows = token_client("view_finding").get("/api/findings/").json()["results"]
    assert [(row["order"], row["kind"]) for row in rows] == [
        (second.number, "process_lost"),
        (first.number, "wedged"),
    ]
    assert rows[0]["repair"] == "its start is handed over again"
    assert_problem(token_client("view_order").get("/api/findings/"), 403)
    assert_problem(token_client("view_finding").get("/api/findings/?kind=wedged"), 400, "kind")


def test_the_admin_lists_them_with_their_standing() -> None:
    order, gone = make_prepared_order(), make_prepared_order()
    note(order, FindingKind.WEDGED)
    note(gone, FindingKind.WEDGED)
    resolve(gone, FindingKind.WEDGED)
    browser = signed_in("orders.view_finding")
    page = browser.get(reverse("admin:orders_finding_changelist"), {"standing": "open"})
    assert [one.order.number for one in page.context["cl"].result_list] == [order.number]


@pytest.mark.parametrize(
    ("kind", "headline", "who"),
    [
        (FindingKind.WEDGED, "Wedged", "Whoever deploys"),
        (FindingKind.PROCESS_ENDED, "Without a process", "A lead"),
        (FindingKind.PROCESS_LOST, "Without a process", "Nothing"),
    ],
)
def test_the_order_says_what_since_when_and_who_can_act(kind: FindingKind, headline: str, who: str) -> None:
    order = make_prepared_order()
    client = token_client("view_order")
    before = client.get(f"/api/orders/{order.number}/why/").json()
    note(order, kind)
    told = client.get(f"/api/orders/{order.number}/why/").json()
    text = str(told)
    assert headline in text
    assert "Attempt 7." in text
    assert f"Found by the sweep at {timezone.now():%d %b}" in text
    assert who in text
    resolve(order, kind)
    assert headline not in str(client.get(f"/api/orders/{order.number}/why/").json())
    assert headline not in str(before)


def test_other_findings_leave_the_sentence_alone() -> None:
    order = make_prepared_order()
    note(order, FindingKind.OVERDUE, says="Charging for 2 h.")
    assert "Without a process" not in str(token_client("view_order").get(f"/api/orders/{order.number}/why/").json())


def test_the_page_of_a_wedged_order_changes_its_etag_and_says_so() -> None:
    order = make_prepared_order()
    browser = signed_in(VIEW_ORDER)
    address = reverse("orders:live", args=[order.number])
    before = browser.get(address)
    note(order, FindingKind.WEDGED)
    after = browser.get(address)
    assert before["ETag"] != after["ETag"]
    assert "Wedged" in after.content.decode()


def test_the_landing_page_says_when_the_sweep_looked() -> None:
    browser = signed_in(VIEW_ORDER)

    def page() -> str:
        return browser.get("/admin/").content.decode()

    assert "No sweep has looked for trouble yet" in page()
    for part in SweepPart:
        progress.ran(part, looked_at=3)
    assert "Nothing found" in page()
    note(driving.adopt(make_order(started=True)), FindingKind.WEDGED)
    assert "1 open finding" in page()
    progress.ran(SweepPart.PROCESSES, looked_at=0, skipped="Temporal did not answer about 3 of 3 processes")
    assert "Temporal did not answer about 3 of 3 processes" in page()
    SweepProgress.objects.filter(part=SweepPart.BOOKS).update(ran_at=timezone.now() - timedelta(minutes=9))
    assert "nobody looks for trouble" in page()
