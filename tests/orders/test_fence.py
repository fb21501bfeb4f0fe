"""The fence: one commit a step, none after an undo, whatever attempts do in between."""

import threading
from contextlib import AbstractContextManager
from typing import Any

import pytest
from django.db import transaction

from orders import fence
from orders.errors import StaleAttempt, StepVoided
from orders.models import Order, Step
from orders.vocabulary import StepName, StepStatus
from tests.factories import make_order
from tests.orders.connections import PATIENCE, connections, wait_for_a_blocked_connection


@pytest.fixture
def order(db: None) -> Order:
    return make_order()


def step(order: Order) -> Step:
    return Step.objects.get(pk=fence.step_key(order.id, StepName.CHARGE))


def test_first_claim_opens_the_step_with_token_one(order: Order) -> None:
    held = fence.claim(order.id, StepName.CHARGE)

    assert (held.token, held.is_first, held.is_done, held.result) == (1, True, False, None)
    assert (step(order).status, step(order).token) == (StepStatus.OPEN, 1)


def test_key_is_order_and_step_and_nothing_of_the_attempt(order: Order) -> None:
    first, second = fence.claim(order.id, StepName.CHARGE), fence.claim(str(order.id), StepName.CHARGE)

    assert first.key == second.key == f"{order.id}:charge"


def test_each_later_claim_gets_a_higher_token_and_knows_it_is_not_the_first(order: Order) -> None:
    tokens = [fence.claim(order.id, StepName.CHARGE).token for _ in range(3)]

    assert tokens == [1, 2, 3]
    assert not fence.claim(order.id, StepName.CHARGE).is_first


def test_commit_keeps_the_result_for_every_later_attempt(order: Order) -> None:
    with fence.commit(fence.claim(order.id, StepName.CHARGE), {"paid": 5}):
        pass

    later = fence.claim(order.id, StepName.CHARGE)
    assert (later.is_done, later.result) == (True, {"paid": 5})
    assert step(order).finished_at is not None


def test_commit_without_a_result_still_counts_as_done(order: Order) -> None:
    with fence.commit(fence.claim(order.id, StepName.CHARGE), {}):
        pass

    assert fence.claim(order.id, StepName.CHARGE).is_done


def test_claiming_a_done_step_does_not_open_it_again(order: Order) -> None:
    with fence.commit(fence.claim(order.id, StepName.CHARGE), {}):
        pass
    fence.claim(order.id, StepName.CHARGE)

    assert (step(order).status, step(order).token) == (StepStatus.DONE, 1)


@pytest.mark.parametrize("guarded", [lambda held: fence.commit(held, {}), fence.progress])
def test_attempt_that_lost_its_claim_can_neither_commit_nor_progress(order: Order, guarded: Any) -> None:
    stalled = fence.claim(order.id, StepName.CHARGE)
    fence.claim(order.id, StepName.CHARGE)

    with pytest.raises(StaleAttempt), guarded(stalled):
        pytest.fail("the guarded write was reached")


def test_attempt_that_lost_its_claim_is_stopped_before_it_asks_a_partner(order: Order) -> None:
    stalled = fence.claim(order.id, StepName.CHARGE)
    fence.check(stalled)
    fence.claim(order.id, StepName.CHARGE)

    with pytest.raises(StaleAttempt):
        fence.check(stalled)


def test_same_attempt_cannot_commit_twice(order: Order) -> None:
    held = fence.claim(order.id, StepName.CHARGE)
    with fence.commit(held, {"first": True}):
        pass

    with pytest.raises(StaleAttempt), fence.commit(held, {"first": False}):
        pytest.fail("the guarded write was reached")
    assert step(order).result == {"first": True}


def test_write_that_fails_leaves_the_step_open_and_nothing_written(order: Order) -> None:
    held = fence.claim(order.id, StepName.CHARGE)

    def half_done() -> None:
        with fence.commit(held, {}):
            Order.objects.filter(pk=order.pk).update(failure_message="half done")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        half_done()

    order.refresh_from_db()
    assert (step(order).status, order.failure_message) == (StepStatus.OPEN, "")
    with fence.commit(held, {}):
        pass


def test_undo_that_comes_first_leaves_a_tombstone_that_refuses_the_step(order: Order) -> None:
    assert fence.void(order.id, StepName.CHARGE) is StepStatus.VOID

    with pytest.raises(StepVoided):
        fence.claim(order.id, StepName.CHARGE)


@pytest.mark.parametrize("guarded", [lambda held: fence.commit(held, {}), fence.progress])
def test_undo_stops_the_attempt_that_is_under_way(order: Order, guarded: Any) -> None:
    held = fence.claim(order.id, StepName.CHARGE)
    assert fence.void(order.id, StepName.CHARGE) is StepStatus.VOID

    with pytest.raises(StepVoided):
        fence.check(held)
    with pytest.raises(StepVoided), guarded(held):
        pytest.fail("the guarded write was reached")


def test_undo_of_a_done_step_says_that_there_is_something_to_undo(order: Order) -> None:
    with fence.commit(fence.claim(order.id, StepName.CHARGE), {"paid": 5}):
        pass

    assert fence.void(order.id, StepName.CHARGE) is StepStatus.DONE
    assert (step(order).status, step(order).result) == (StepStatus.DONE, {"paid": 5})


def test_voiding_twice_answers_the_same(order: Order) -> None:
    assert [fence.void(order.id, StepName.CHARGE) for _ in range(2)] == [StepStatus.VOID, StepStatus.VOID]


def test_steps_of_one_order_and_of_two_orders_do_not_touch_each_other(order: Order) -> None:
    other = make_order()
    fence.void(order.id, StepName.CHARGE)

    assert fence.claim(order.id, StepName.SHIP).is_first
    assert fence.claim(other.id, StepName.CHARGE).is_first


def test_only_the_newest_attempt_says_why_the_step_fails(order: Order) -> None:
    stalled = fence.claim(order.id, StepName.CHARGE)
    newest = fence.claim(order.id, StepName.CHARGE)

    fence.note_failure(newest, "no answer " * 100)
    fence.note_failure(stalled, "old news")

    assert step(order).last_error.startswith("no answer")
    assert len(step(order).last_error) == 500
    assert step(order).last_error_at is not None


# --- Several connections ----------------------------------------------------------------------------------------------


def commit(held: fence.Claim) -> AbstractContextManager[None]:
    return fence.commit(held, {})


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("guarded", "left"), [(commit, StepStatus.DONE), (fence.progress, StepStatus.VOID)])
def test_undo_waits_for_the_guarded_write_that_is_under_way(guarded: Any, left: StepStatus) -> None:
    order = make_order()
    held = fence.claim(order.id, StepName.CHARGE)
    inside, go = threading.Event(), threading.Event()

    def write() -> None:
        with guarded(held):
            inside.set()
            assert go.wait(PATIENCE)

    with connections(2) as others:
        writing = others.begin(write)
        assert inside.wait(PATIENCE)
        voiding = others.begin(fence.void, order.id, StepName.CHARGE)
        try:
            wait_for_a_blocked_connection()
        finally:
            go.set()
        writing.result(PATIENCE)
        assert voiding.result(PATIENCE) is left


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("guarded", [commit, fence.progress])
def test_guarded_write_waits_for_the_undo_that_is_under_way_and_is_then_refused(guarded: Any) -> None:
    order = make_order()
    held = fence.claim(order.id, StepName.CHARGE)

    def write() -> None:
        with guarded(held):
            pytest.fail("the guarded write was reached")

    with connections(1) as others:
        with transaction.atomic():
            fence.void(order.id, StepName.CHARGE)
            writing = others.begin(write)
            wait_for_a_blocked_connection()
        with pytest.raises(StepVoided):
            writing.result(PATIENCE)


@pytest.mark.django_db(transaction=True)
def test_of_many_attempts_at_once_each_gets_its_own_token_and_one_commits() -> None:
    order = make_order()
    all_claimed = threading.Barrier(8)
    tokens: list[int] = []
    committed: list[int] = []

    def attempt() -> None:
        held = fence.claim(order.id, StepName.CHARGE)
        tokens.append(held.token)
        all_claimed.wait(PATIENCE)
        with fence.commit(held, {}):
            committed.append(held.token)

    with connections(8) as others:
        attempts = [others.begin(attempt) for _ in range(8)]
        lost = [future for future in attempts if isinstance(future.exception(PATIENCE), StaleAttempt)]

    assert sorted(tokens) == list(range(1, 9))
    assert committed == [8]
    assert len(lost) == 7
