"""Runs of partner calls and kept answers, as people and programs see them: pages, buttons, calls of the API."""

import uuid
from datetime import timedelta

import pytest
from django.db.models import F
from django.urls import reverse
from django.utils import timezone
from pytest_django.fixtures import DjangoAssertNumQueries, Settings

from orders.models import Order, PartnerAnswer, PartnerCall, PartnerHealth, PartnerRun
from orders.partners import breaker
from orders.partners.cached_questions import address_of
from orders.polling import STOP_POLLING
from orders.selectors.partner_answers import shown_for
from orders.services import partner_answers, partner_calls, partner_runs
from orders.vocabulary import PartnerCode, PartnerRunStatus
from orders.wording import Tone
from tests.factories import TEST_ACTOR, make_order
from tests.orders.api_calls import assert_problem, make_user, token_client
from tests.orders.driving import make_order_in_review
from tests.orders.staff import signed_in
from tests.orders.test_partner_runs import booked, make_all, make_shipments, start
from tests.simulator.talk import Http

pytestmark = pytest.mark.django_db
STAFF = ("orders.run_partner_calls", "orders.view_partnerrun", "orders.view_order", "orders.view_partnerhealth")


def time_passes(seconds: float) -> None:
    earlier = {name: F(name) - timedelta(seconds=seconds) for name in ("fetched_at", "fresh_until", "usable_until")}
    PartnerAnswer.objects.update(**earlier)


def page_of(run: PartnerRun) -> str:
    return reverse("admin:orders_partnerrun_change", args=[run.pk])


# --- The admin --------------------------------------------------------------------------------------------------------


def test_the_partners_page_offers_a_run_and_the_button_starts_it() -> None:
    make_shipments(2)
    client = signed_in(*STAFF)
    address = reverse("admin:orders_partnerrun_start", args=["carrier"])
    for listed in ("admin:orders_partnerhealth_changelist", "admin:orders_partnerrun_changelist"):
        assert address in client.get(reverse(listed)).content.decode()
    assert "tracking of all open shipments" in client.get(address).content.decode()

    answer = client.post(address, {"reason": "Where are they?"})

    run = PartnerRun.objects.get()
    assert (answer.status_code, answer["Location"]) == (302, page_of(run))
    assert (run.actor, run.reason, run.total) == ("olivia", "Where are they?", 2)
    assert "0 of 2 calls have their result" in client.get(page_of(run)).content.decode()


def test_whoever_may_not_is_offered_nothing_and_gets_nothing() -> None:
    client = signed_in("orders.view_partnerhealth", "orders.view_partnerrun", "orders.view_order")
    address = reverse("admin:orders_partnerrun_start", args=["carrier"])
    assert address not in client.get(reverse("admin:orders_partnerhealth_changelist")).content.decode()
    assert client.get(address).status_code == client.post(address, {"reason": "x"}).status_code == 403
    run = start()
    assert "Cancel the run" not in client.get(page_of(run)).content.decode()
    assert client.post(reverse("admin:orders_partnerrun_cancel", args=[run.pk]), {"reason": "x"}).status_code == 403
    order = make_order()
    assert "Refresh" not in client.get(f"/orders/{order.number}/").content.decode()


@pytest.mark.parametrize("code", ["payments", "nobody"])
def test_a_partner_without_anything_to_refresh_has_no_page(code: str) -> None:
    assert signed_in(*STAFF).get(reverse("admin:orders_partnerrun_start", args=[code])).status_code == 404


def test_a_second_click_and_a_missing_reason_are_told_why_nothing_happened() -> None:
    client = signed_in(*STAFF)
    address = reverse("admin:orders_partnerrun_start", args=["rates"])
    assert "Say why" in client.post(address, {"reason": " "}, follow=True).content.decode()
    client.post(address, {"reason": "Report"})
    assert "was started by olivia at" in client.post(address, {"reason": "Report"}, follow=True).content.decode()
    assert PartnerRun.objects.count() == 1


def test_the_page_of_a_run_tells_what_failed_what_waits_and_stops_asking_at_the_end(
    partners: Http, settings: Settings
) -> None:
    settings.BREAKER_FAILURES = 2
    shipments = make_shipments(5)
    booked(partners, shipments[1:])
    run, client = start(), signed_in(*STAFF)
    for shipment in shipments[2:]:
        partners.fault(partner="carrier", mode="unavailable", match={"reference": shipment.reference})
    make_all(run)
    live = reverse("admin:orders_partnerrun_live", args=[run.pk])

    told = client.get(live)
    page = told.content.decode()
    assert told.status_code == 200
    assert "The carrier is out of order since" in page
    assert "2 of 5 calls have their result" in page
    assert "The carrier refused: no shipment" in page
    assert "The carrier answered 503." in page
    listed = client.get(reverse("admin:orders_partnerhealth_changelist")).content.decode()
    assert "0 orders, 3 calls of a run" in listed

    client.post(reverse("admin:orders_partnerrun_cancel", args=[run.pk]), {"reason": "Tomorrow"})
    ended = client.get(live)
    assert ended.status_code == STOP_POLLING
    assert "Cancelled by olivia: Tomorrow" in ended.content.decode()
    assert "is out of order" not in ended.content.decode()


def test_a_run_that_does_not_exist_is_a_404() -> None:
    client = signed_in(*STAFF)
    assert client.get(f"/admin/orders/partnerrun/{uuid.uuid4()}/change/").status_code == 404
    assert client.get("/admin/orders/partnerrun/x/change/").status_code == 404
    cancel = reverse("admin:orders_partnerrun_cancel", args=[uuid.uuid4()])
    assert client.post(cancel, {"reason": "x"}).status_code == 404
    assert client.get(cancel).status_code == 405


# --- The order's page -------------------------------------------------------------------------------------------------


@pytest.fixture
def order() -> Order:
    return make_order(country="GB")  # £20.00


def shown(order: Order) -> dict[str, tuple[str, str, Tone]]:
    return {one.what: (one.value, one.freshness, one.tone) for one in shown_for(order)}


def test_the_total_is_shown_in_the_reporting_currency_with_the_age_of_the_rate(partners: Http, order: Order) -> None:
    assert shown(order)["Total in EUR"] == ("-", "Not asked yet", Tone.NEUTRAL)
    partner_answers.exchange_rates("GBP")
    at = f"{PartnerAnswer.objects.get().fetched_at:%d %b %H:%M} UTC"
    assert shown(order)["Total in EUR"] == ("≈ €22.99", f"Rate 1.149425 of {at}, 0 s old", Tone.DONE)


def test_an_old_rate_says_that_it_is_old_and_why(partners: Http, order: Order) -> None:
    partner_answers.exchange_rates("GBP")
    time_passes(42 * 60)
    value, freshness, tone = shown(order)["Total in EUR"]
    assert (value, tone) == ("≈ €22.99", Tone.WAITING)
    assert freshness.endswith("42 min old")
    assert freshness.startswith("Stale: rate 1.149425 of")
    PartnerHealth.objects.filter(pk="rates").update(state="held", opened_at=timezone.now())
    assert shown(order)["Total in EUR"][1].endswith("42 min old; the rates partner is held")
    page = signed_in(*STAFF).get(f"/orders/{order.number}/").content.decode()
    assert "≈ €22.99" in page
    assert "42 min old; the rates partner is held" in page
    assert reverse("admin:orders_partnerrun_start", args=["rates"]) in page
    time_passes(2 * 86_400)
    value, freshness, tone = shown(order)["Total in EUR"]
    assert (value, tone) == ("-", Tone.TROUBLE)
    assert freshness.startswith("Too old to be used")


def test_an_order_in_the_reporting_currency_is_not_converted(settings: Settings, order: Order) -> None:
    settings.REPORTING_CURRENCY = "GBP"
    assert list(shown(order)) == ["Address in GB"]


def test_the_reviewer_sees_the_address_check_and_how_old_it_is(partners: Http) -> None:
    order = make_order_in_review()
    partner_answers.address_check(order.ship_to_country)
    partner_answers.get(
        address_of("Nowhere"), lambda: {"plausible": False, "says": "There is no such country in the register"}
    )
    time_passes(2 * 86_400)
    page = signed_in("orders.view_order", "orders.decide_review").get(f"/orders/{order.number}/").content.decode()
    assert "Plausible: The address can exist" in page
    assert "Stale: answer of" in page
    Order.objects.filter(pk=order.pk).update(ship_to_country="Nowhere")
    value, _, tone = shown(Order.objects.get(pk=order.pk))["Address in Nowhere"]
    assert (value, tone) == ("Not plausible: There is no such country in the register", Tone.TROUBLE)


def test_the_page_asks_no_partner_and_costs_one_query(
    partners: Http, order: Order, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    partners.fault(partner="*", mode="unavailable")
    with django_assert_num_queries(1):
        assert len(shown_for(order)) == 2
    assert not PartnerHealth.objects.exists()


def test_stale_use_is_on_the_partners_page(partners: Http) -> None:
    partner_answers.exchange_rates("GBP")
    time_passes(3_600)
    partners.fault(partner="rates", mode="unavailable")
    run = start(PartnerCode.RATES)
    make_all(run)
    call = run.calls.get(subject="GBP")
    assert call.status == "done"
    assert call.outcome.startswith("Stale, of")
    page = signed_in(*STAFF).get(reverse("admin:orders_partnerhealth_changelist")).content.decode()
    assert "1 time, last" in page
    (told,) = token_client("view_partnerhealth").get("/api/partners/").json()
    assert (told["partner"], told["stale_uses"], told["waiting_calls"]) == ("rates", 1, 2)
    assert told["last_used_stale_at"]


# --- The API ----------------------------------------------------------------------------------------------------------


def test_a_run_is_started_followed_and_cancelled_through_the_api(partners: Http) -> None:
    booked(partners, make_shipments(3))
    client = token_client(user=make_user("run_partner_calls", "view_partnerrun"))
    started = client.post("/api/partners/carrier/runs/", {"reason": "Where?"}, content_type="application/json")
    assert (started.status_code, started.json()["status"], started.json()["total"]) == (202, "running", 3)
    address = started["Location"]
    run = PartnerRun.objects.get()
    partner_calls.make(partner_calls.pending(run.pk, limit=1)[0], actor=TEST_ACTOR)

    told = client.get(address).json()
    assert {name: told[name] for name in ("done", "failed", "cancelled", "waiting", "why")} == {
        "done": 1,
        "failed": 0,
        "cancelled": 0,
        "waiting": 0,
        "why": "",
    }
    assert told["per_second"] == 0.1
    page = client.get(f"{told['links']['calls']}?page_size=2").json()
    assert [call["status"] for call in page["results"]] == ["done", "pending"]
    rest = client.get(page["next"]).json()
    assert [call["status"] for call in rest["results"]] == ["pending"]

    again = client.post("/api/partners/carrier/runs/", {"reason": "Where?"}, content_type="application/json")
    assert_problem(again, 409, None, "was started by")
    ended = client.post(f"{address}cancel/", {"reason": "Enough"}, content_type="application/json")
    assert (ended.status_code, ended.json()["status"], ended.json()["cancelled"]) == (202, "cancelled", 2)
    assert_problem(
        client.post(f"{address}cancel/", {"reason": "Enough"}, content_type="application/json"), 409, None, "cancelled"
    )


def test_the_same_request_with_its_key_starts_one_run() -> None:
    client = token_client("run_partner_calls")
    post = {"data": {"reason": "Where?"}, "content_type": "application/json", "headers": {"Idempotency-Key": "k1"}}
    first, second = (client.post("/api/partners/carrier/runs/", **post) for _ in range(2))  # type: ignore[arg-type]
    assert (first.status_code, second.status_code, first.content) == (202, 202, second.content)
    assert PartnerRun.objects.count() == 1


@pytest.mark.parametrize(
    ("code", "body", "status"),
    [
        ("carrier", {}, 400),
        ("carrier", {"reason": ""}, 400),
        ("carrier", {"reason": "x" * 501}, 400),
        ("carrier", {"reason": "x", "limit": 5}, 400),
        ("payments", {"reason": "x"}, 409),
        ("nobody", {"reason": "x"}, 404),
    ],
)
def test_a_bad_request_starts_nothing(code: str, body: dict[str, object], status: int) -> None:
    client = token_client("run_partner_calls")
    answer = client.post(f"/api/partners/{code}/runs/", body, content_type="application/json")
    assert_problem(answer, status)
    assert not PartnerRun.objects.exists()


def test_a_run_of_nobody_and_a_bad_cursor_are_refused() -> None:
    client = token_client("run_partner_calls")
    for path in ("", "calls/"):
        assert_problem(client.get(f"/api/partner-runs/{uuid.uuid4()}/{path}"), 404)
    run = start()
    assert_problem(client.get(f"/api/partner-runs/{run.pk}/calls/?cursor=cD14"), 400, "cursor")
    assert_problem(client.get(f"/api/partner-runs/{run.pk}/calls/?status=done"), 400)


def test_answers_of_an_order_through_the_api(partners: Http, order: Order) -> None:
    partner_answers.exchange_rates("GBP")
    told = token_client("view_order").get(f"/api/orders/{order.number}/answers/").json()
    assert [(row["partner"], row["value"]) for row in told] == [("rates", "≈ €22.99"), ("addresses", "-")]
    assert_problem(token_client("view_order").get("/api/orders/SO-NONE/answers/"), 404)
    assert_problem(token_client("view_partnerhealth").get(f"/api/orders/{order.number}/answers/"), 404)


def test_a_run_ends_with_its_calls_in_the_lists() -> None:
    run = start(PartnerCode.RATES)
    partner_runs.end(run.pk)
    client = signed_in(*STAFF, "orders.view_partnercall")
    assert client.get(f"{reverse('admin:orders_partnercall_changelist')}?q={run.pk}").status_code == 200
    assert PartnerCall.objects.filter(run=run).count() == 3
    assert PartnerRun.objects.get().status == PartnerRunStatus.CANCELLED
    assert breaker.waiting_calls(PartnerCode.RATES).count() == 0
