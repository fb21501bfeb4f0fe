"""The quality control of shipped orders: drawn once a day, answered once by a person."""

from datetime import timedelta

import pytest
from django.urls import reverse
from pytest_django.fixtures import Settings

from orders.actor import person
from orders.errors import InvalidInput, NotPermitted, WrongState
from orders.models import Command, QualityCheck, QualitySample, StaffTask
from orders.services import quality
from orders.vocabulary import Channel, EventType, QualityStatus, TaskKind
from tests.factories import TEST_ACTOR, make_order
from tests.orders import driving
from tests.orders.api_calls import assert_problem, token_client
from tests.orders.sampling import DAY, DRAWER, make_check, make_shipped
from tests.orders.staff import make_user, signed_in

pytestmark = pytest.mark.django_db
CHECK, VIEW = "orders.check_quality", "orders.view_qualitycheck"


def test_the_frame_is_what_was_completed_on_the_day(settings: Settings) -> None:
    settings.QUALITY_SAMPLE_SHARE, settings.QUALITY_SAMPLE_MOST = 0.5, 25
    make_shipped(3)
    make_shipped(2, day=DAY + timedelta(days=1))
    driving.drive(make_order(), gateway=driving.decline())
    assert quality.frame(DAY) == quality.Frame(shipped=3, size=2)
    assert quality.frame(DAY - timedelta(days=1)) == quality.Frame(shipped=0, size=0)
    settings.QUALITY_SAMPLE_MOST = 1
    assert quality.frame(DAY).size == 1


def test_positions_mean_orders_in_the_order_of_their_end() -> None:
    orders = make_shipped(4)
    assert quality.store(DAY, shipped=4, positions=(1, 3), actor=DRAWER) == 2
    drawn = set(QualityCheck.objects.values_list("order__number", flat=True))
    assert drawn == {orders[1].number, orders[3].number}
    assert QualitySample.objects.get().run_id == "run-1"
    assert orders[1].events.filter(type=EventType.QUALITY_SAMPLED).count() == 1
    assert not orders[0].events.filter(type=EventType.QUALITY_SAMPLED).exists()


def test_a_second_draw_of_the_day_changes_nothing() -> None:
    orders = make_shipped(4)
    quality.store(DAY, shipped=4, positions=(1, 3), actor=DRAWER)
    assert quality.frame(DAY).size == 0
    assert quality.store(DAY, shipped=4, positions=(0, 2), actor=DRAWER) == 2
    assert set(QualityCheck.objects.values_list("order_id", flat=True)) == {orders[1].pk, orders[3].pk}


def test_a_failed_check_opens_a_task_and_a_passed_one_does_not() -> None:
    actor = person(make_user(CHECK), Channel.API)
    good, bad = make_check(driving.drive(make_order())), make_check(driving.drive(make_order()))
    quality.passed(good.pk, note="As ordered", actor=actor)
    assert not StaffTask.objects.exists()
    quality.failed(bad.pk, note="The wrong lantern", actor=actor)
    task = StaffTask.objects.get()
    assert (task.kind, task.order_id) == (TaskKind.QUALITY_FAILED, bad.order_id)
    assert "The wrong lantern" in task.says
    assert set(Command.objects.filter(kind__startswith="quality").values_list("kind", "status")) == {
        ("quality_pass", "done"),
        ("quality_fail", "done"),
    }
    assert bad.order.events.get(type=EventType.QUALITY_CHECKED).reason == "The wrong lantern"


def test_the_second_answer_is_told_who_was_first() -> None:
    check = make_check(driving.drive(make_order()))
    quality.passed(check.pk, note="As ordered", actor=person(make_user(CHECK), Channel.API))
    with pytest.raises(WrongState, match=r"olivia checked .*: passed"):
        quality.failed(check.pk, note="No", actor=person(make_user(CHECK, name="oscar"), Channel.API))
    assert QualityCheck.objects.get().status == QualityStatus.PASSED


def test_an_answer_needs_a_note_a_person_and_the_permission() -> None:
    check = make_check(driving.drive(make_order()))
    with pytest.raises(InvalidInput):
        quality.passed(check.pk, note="  ", actor=person(make_user(CHECK), Channel.API))
    with pytest.raises(NotPermitted):
        quality.passed(check.pk, note="Good", actor=person(make_user(VIEW, name="victor"), Channel.API))
    with pytest.raises(NotPermitted):
        quality.passed(check.pk, note="Good", actor=TEST_ACTOR)
    assert QualityCheck.objects.get().status == QualityStatus.TO_CHECK


def test_it_is_answered_over_the_api_once() -> None:
    check = make_check(driving.drive(make_order()))
    client = token_client("view_qualitycheck", "check_quality")
    listed = client.get("/api/quality-checks/").json()["results"]
    assert [(one["id"], one["status"]) for one in listed] == [(str(check.pk), "to_check")]
    address = f"/api/quality-checks/{check.pk}/fail/"
    answer = client.post(address, {"note": "Broken"}, content_type="application/json")
    assert (answer.status_code, answer.json()["status"], answer.json()["note"]) == (200, "failed", "Broken")
    assert client.get("/api/quality-checks/").json()["results"] == []
    again = client.post(address, {"note": "Broken"}, content_type="application/json")
    assert_problem(again, 409)
    assert_problem(client.post(address, {"note": "", "x": 1}, content_type="application/json"), 400, "x")


def test_the_buttons_of_the_list_answer_it() -> None:
    check = make_check(driving.drive(make_order()))
    browser = signed_in(VIEW, CHECK)
    page = browser.get(reverse("admin:orders_qualitycheck_changelist")).content.decode()
    assert check.order.number in page
    browser.post(
        reverse("admin:orders_qualitycheck_pass_one", args=[check.pk]), {"_form_submitted": "on", "note": "As ordered"}
    )
    check.refresh_from_db()
    assert (check.status, check.note) == ("passed", "As ordered")
