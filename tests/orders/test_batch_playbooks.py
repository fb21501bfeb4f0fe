"""A playbook on many orders: which one must be said and allowed, each order gets one run, and its end is the result."""

import json
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.http import HttpResponse
from django.test import Client

from orders.actor import Actor, person
from orders.errors import InvalidInput, NotPermitted
from orders.models import Batch, BatchItem, Order, OutboxMessage, PlaybookRun
from orders.playbooks.validation import InvalidPlaybook
from orders.services import batches
from orders.services.batches.working import Where
from orders.services.playbooks import publishing, running
from orders.vocabulary import BatchAction, Channel, PlaybookRunStatus, Topic, Verdict
from tests.factories import TEST_ACTOR, make_order
from tests.orders import playbooks
from tests.orders.api_calls import assert_problem, make_token, new_key
from tests.orders.staff import make_user

pytestmark = pytest.mark.django_db
MAY = ("orders.run_batch", "orders.run_playbook", "orders.note_order", "orders.view_batch", "orders.view_order")
TEXT = {"name": "text", "type": "string"}


@pytest.fixture
def olivia() -> User:
    return make_user(*MAY)


@pytest.fixture
def actor(olivia: User) -> Actor:
    return person(olivia, Channel.ADMIN)


def make_batch(actor: Actor, *orders: Order, slug: str = "test", **options: Any) -> Batch:
    chosen = batches.Selection(orders=Order.objects.filter(pk__in=[order.pk for order in orders]), asked={})
    playbook = batches.ChosenPlaybook(slug=slug, **options)
    return batches.create(chosen, BatchAction.PLAYBOOK, actor=actor, reason="Recall", playbook=playbook)


def look(batch: Batch, window: int = 20) -> Verdict:
    return batches.begin_orders(batch.pk, where=Where(), window=window).verdict


def results(batch: Batch) -> list[tuple[str, str]]:
    return [(item.status, item.error_type or item.outcome) for item in batch.items.order_by("position")]


def run_of(item: BatchItem) -> PlaybookRun:
    return PlaybookRun.objects.filter(order=item.order).latest("created_at")


def test_each_order_gets_one_run_in_the_window_and_its_end_is_the_items_result(actor: Actor, olivia: User) -> None:
    version = playbooks.published(playbooks.note("one"))
    orders = [make_order() for _ in range(4)]
    batch = make_batch(actor, *orders)
    assert (batch.playbook, batch.inputs) == (version, {})
    begun = batches.begin_orders(batch.pk, where=Where(), window=3)
    assert (begun.verdict, begun.begun) == (Verdict.GO, [])
    runs = list(PlaybookRun.objects.order_by("order__created_at"))
    assert [(run.order, run.version, run.trigger, run.started_by) for run in runs] == [
        (order, version, "batch", olivia) for order in orders[:3]
    ]
    assert OutboxMessage.objects.filter(topic=Topic.START_PLAYBOOK).count() == 3
    look(batch, window=3)
    assert PlaybookRun.objects.count() == 3, "the window is full"

    running.move(runs[0], PlaybookRunStatus.COMPLETED)
    running.move(runs[1], PlaybookRunStatus.FAILED, message="The gateway said no")
    running.move(runs[2], PlaybookRunStatus.PARKED, message="Step two failed")
    look(batch, window=3)
    running.move(PlaybookRun.objects.get(order=orders[3]), PlaybookRunStatus.CANCELLED, message="By hand")
    assert look(batch) is Verdict.ENDED
    assert results(batch) == [
        ("done", "Completed"),
        ("failed", "playbook_failed"),
        ("failed", "playbook_parked"),
        ("failed", "playbook_cancelled"),
    ]
    told = [item.error_message for item in batch.items.order_by("position")]
    assert told[0] == f"Run {runs[0].pk}"
    assert told[1] == f"Run {runs[1].pk}: The gateway said no"


def test_a_run_that_waits_frees_its_slot(actor: Actor) -> None:
    playbooks.published(playbooks.note("one"))
    batch = make_batch(actor, make_order())
    look(batch)
    run = PlaybookRun.objects.get()
    run.steps.create(path="steps.0", step_id="one", type="ask", status="waiting")
    assert look(batch) is Verdict.ENDED
    assert results(batch) == [("done", "Started; it waits")]


def test_a_worker_that_dies_before_its_commit_starts_no_second_run(actor: Actor) -> None:
    playbooks.published(playbooks.note("one"))
    batch = make_batch(actor, make_order())
    look(batch)
    # As if the look had been rolled back and the run had not.
    batch.items.update(status="pending", tries=0, started_at=None)
    look(batch)
    assert PlaybookRun.objects.count() == 1
    assert batch.items.get().status == "running"


def test_a_failed_item_is_tried_again_by_another_run_once_its_cause_is_mended(actor: Actor) -> None:
    playbooks.published(playbooks.note("one"))
    good, bad = make_order(), make_order()
    batch = make_batch(actor, good, bad)
    look(batch)
    first, second = PlaybookRun.objects.order_by("order__created_at")
    running.move(first, PlaybookRunStatus.COMPLETED)
    running.move(second, PlaybookRunStatus.FAILED, message="No")
    assert look(batch) is Verdict.ENDED
    batches.retry_failed(batch.pk, actor=actor, reason="Mended")
    look(batch)
    assert PlaybookRun.objects.filter(order=bad).count() == 2
    assert PlaybookRun.objects.filter(order=good).count() == 1
    running.move(run_of(batch.items.get(order=bad)), PlaybookRunStatus.COMPLETED)
    assert look(batch) is Verdict.ENDED
    assert results(batch) == [("done", "Completed"), ("done", "Completed")]


def test_what_stands_against_it_for_one_order_fails_that_item_only(actor: Actor) -> None:
    playbooks.published(playbooks.note("one"))
    busy, free = make_order(), make_order()
    running.start(busy.number, "test", actor=actor, reason="By hand")
    batch = make_batch(actor, busy, free)
    look(batch)
    assert results(batch) == [("failed", "wrong_state"), ("running", "")]
    assert "runs on order" in batch.items.get(order=busy).error_message


def test_a_version_that_was_retired_and_a_permission_that_was_lost_are_results(actor: Actor, olivia: User) -> None:
    version = playbooks.published(playbooks.note("one"))
    batch = make_batch(actor, make_order())
    publishing.retire("test", version.number, actor=playbooks.chief(), reason="Old")
    look(batch)
    assert results(batch) == [("failed", "playbook_refused")]
    playbooks.published(playbooks.note("two"))
    again = make_batch(actor, make_order())
    User.objects.get(pk=olivia.pk).user_permissions.filter(codename="note_order").delete()
    look(again)
    assert results(again) == [("failed", "not_permitted")]


def test_what_the_batch_must_say_is_asked_for_before_anything_is_frozen(actor: Actor) -> None:
    playbooks.published(playbooks.note("one"), inputs=[TEXT])
    order = make_order()
    selection = batches.Selection(orders=Order.objects.all(), asked={})
    with pytest.raises(InvalidInput, match="Say which playbook") as missing:
        batches.create(selection, BatchAction.PLAYBOOK, actor=actor, reason="x")
    with pytest.raises(InvalidInput, match="There is no published playbook nothing") as unknown:
        make_batch(actor, order, slug="nothing")
    with pytest.raises(InvalidInput, match="no published version 7") as other:
        make_batch(actor, order, version=7)
    with pytest.raises(InvalidPlaybook, match=r"inputs\.text: It is needed"):
        make_batch(actor, order)
    with pytest.raises(InvalidInput, match="hold runs no playbook") as hold:
        batches.create(
            selection,
            BatchAction.HOLD,
            actor=TEST_ACTOR,
            reason="x",
            playbook=batches.ChosenPlaybook(slug="test"),
        )
    assert [one.value.field for one in (missing, unknown, other, hold)] == [
        "playbook",
        "playbook",
        "version",
        "playbook",
    ]
    assert not Batch.objects.exists()


@pytest.mark.parametrize("lacks", ["orders.run_batch", "orders.run_playbook", "orders.note_order"])
def test_it_needs_the_permissions_of_batches_of_playbooks_and_of_all_its_steps(lacks: str) -> None:
    playbooks.published(playbooks.note("one"))
    poor = person(make_user(*(set(MAY) - {lacks})), Channel.ADMIN)
    with pytest.raises(NotPermitted, match=lacks):
        make_batch(poor, make_order())


def test_a_program_of_ours_is_nobody_whom_a_playbook_could_act_for() -> None:
    playbooks.published(playbooks.note("one"))
    with pytest.raises(NotPermitted, match="acts for a person"):
        make_batch(TEST_ACTOR, make_order())


# --- The doors --------------------------------------------------------------------------------------------------------


def post(user: User, path: str, body: dict[str, Any]) -> HttpResponse:
    return Client().post(
        f"/api/batches/{path}",
        json.dumps({"action": "playbook", **body}),
        content_type="application/json",
        headers={"Authorization": f"Token {make_token(user, 'full')}", "Idempotency-Key": new_key()},
    )


def test_a_program_names_playbook_version_and_inputs(olivia: User) -> None:
    version = playbooks.published(playbooks.note("one"), inputs=[TEXT])
    order = make_order()
    body = {"numbers": [order.number], "playbook": "test", "inputs": {"text": "Hello"}}
    assert post(olivia, "preview/", body).json()["expected"]["count"] == 1
    answer = post(olivia, "", {**body, "version": version.number, "reason": "Recall"})
    assert answer.status_code == 202, answer.content
    assert (answer.json()["playbook"], answer.json()["version"]) == ("test", version.number)
    batch = Batch.objects.get()
    look(batch)
    assert PlaybookRun.objects.get().inputs == {"text": "Hello"}


@pytest.mark.parametrize("path", ["", "preview/"])
def test_what_is_wrong_with_its_parameters_is_named(olivia: User, path: str) -> None:
    playbooks.published(playbooks.note("one"), inputs=[TEXT])
    body = {"numbers": [make_order().number], **({} if path else {"reason": "Recall"})}
    assert_problem(post(olivia, path, body), 400, "playbook", "Say which playbook")
    assert_problem(post(olivia, path, {**body, "playbook": "none"}), 400, "playbook", "no published playbook none")
    assert_problem(post(olivia, path, {**body, "playbook": "test", "version": 9}), 400, "version")
    assert_problem(post(olivia, path, {**body, "playbook": "test"}), 400, "inputs.text", "It is needed.")
    assert_problem(post(olivia, path, {**body, "version": 1}), 400, "playbook", "Name the playbook, too.")
    assert_problem(post(olivia, path, {**body, "playbook": "test", "inputs": []}), 400, "inputs")
    assert not Batch.objects.exists()


def test_in_the_admin_the_playbook_is_chosen_first_and_asks_for_its_inputs(olivia: User, client: Client) -> None:
    playbooks.published(playbooks.note("one"), inputs=[{**TEXT, "label": "What to note"}])
    client.force_login(olivia)
    order = make_order()
    address = f"/admin/orders/batch/new/?ids={order.pk}&action=playbook"
    page = client.get(address).content.decode()
    assert '<option value="test"' in page
    assert "Choose a playbook, then look at the preview." in page
    page = client.get(f"{address}&playbook=test").content.decode()
    assert "What to note" in page
    form = {
        "reason": "Recall",
        "auto_pause_percent": "20",
        "seen_count": "1",
        "seen_sums": json.dumps({order.currency: order.total_minor}),
    }
    refused = client.post(f"{address}&playbook=test", form)
    assert refused.status_code == 400
    assert not Batch.objects.exists()
    client.post(f"{address}&playbook=test", {**form, "input-text": "Hello"})
    batch = Batch.objects.get()
    assert (str(batch.playbook), batch.inputs) == ("test v1", {"text": "Hello"})
    assert "test v1 on 1 orders" in client.get(f"/admin/orders/batch/{batch.pk}/change/").content.decode()


def test_without_a_playbook_the_form_freezes_nothing(olivia: User, client: Client) -> None:
    client.force_login(olivia)
    order = make_order()
    address = f"/admin/orders/batch/new/?ids={order.pk}&action=playbook"
    assert "No playbook is published." in client.get(address).content.decode()
    form = {"reason": "x", "auto_pause_percent": "20", "seen_count": "1", "seen_sums": '{"GBP": 2000}'}
    answer = client.post(address, form)
    assert answer.status_code == 409
    assert "Say which playbook to run." in answer.content.decode()
    assert not Batch.objects.exists()
