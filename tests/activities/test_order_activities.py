"""The activities of an order: what leaves them is typed, short, rightly final or not, and tells nobody's secrets."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import IntegrityError, OperationalError, connection, transaction
from psycopg_pool import PoolTimeout
from pytest_django.fixtures import Settings
from temporalio.api.failure.v1 import Failure
from temporalio.converter import DataConverter
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory, CancelledError
from temporalio.testing import ActivityEnvironment

from orders import errors
from orders.models import Incident, Order, Reservation, Step, SystemEvent
from orders.partners import payments as gateway
from orders.services import cancelling, incidents, payments, process, shipping, stock, tasks
from orders.services.sweeping import restoring
from orders.vocabulary import FailureType, OrderStatus, StepName, StepStatus, TaskKind, TaskLevel
from temporal_app.activities import orders as activities
from temporal_app.payloads import OrderStep, UndoOrder
from tests.factories import TEST_ACTOR, make_order, make_prepared_order, make_product
from tests.orders.database_trouble import of_state

CANARY = "ada.canary@example.com"
FORWARD = {
    "validate": (activities.prepare_order, process),
    "charge": (activities.charge_payment, payments),
    "ship": (activities.ship_order, shipping),
    "complete": (activities.complete_order, process),
}
UNDO = {
    "undo_ship": (activities.undo_shipment, shipping),
    "undo_charge": (activities.undo_payment, payments),
    "release": (activities.release_stock, stock),
    "close": (activities.close_order, process),
    "begin_proven_undo": (activities.begin_undo, process),
}
FINAL = [
    errors.InvalidInput("total_minor", "no"),
    errors.WrongState("no"),
    errors.OutOfStock("no"),
    errors.PaymentDeclined("no"),
    gateway.Declined("card_declined", "no"),
    errors.CarrierRejected("no"),
    errors.StepVoided("no"),
    errors.NotTheProcess("no"),
    # A refused request that nobody parked with a task.
    errors.RequestRefused("no"),
]
PASSING = [errors.PartnerUnavailable("no"), errors.StaleAttempt("no")]


def name_of(value: object) -> str | None:
    return type(value).__name__ if isinstance(value, Exception) else None


pytestmark = pytest.mark.django_db
#: an order that does not exist
NOBODY = "00000000-0000-4000-8000-000000000000"


def step(order_id: object = NOBODY, run_id: str = "a run") -> OrderStep:
    return OrderStep(order_id=str(order_id), run_id=run_id)


def run(activity: Callable[..., Any], argument: object) -> Any:
    """Run the activity as a worker would, here and now."""
    return ActivityEnvironment().run(activity, argument)


def argument_of(activity: Callable[..., Any]) -> object:
    if activity is activities.begin_undo:
        return UndoOrder(order_id=NOBODY, failure_type=FailureType.CANCELLED, message="no")
    return step()


def failure_of(
    monkeypatch: pytest.MonkeyPatch, activity: Callable[..., Any], module: object, service: str, error: Exception
) -> ApplicationError:
    """What leaves the activity when its service raises `error`."""

    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(process, "adopt", lambda *_, **__: None)
    monkeypatch.setattr(module, service, fail)
    with pytest.raises(ApplicationError) as left:
        run(activity, argument_of(activity))
    return left.value


def stored_by_temporal(error: BaseException) -> bytes:
    """The failure as it is written into a history, with message, stack trace and causes."""
    failure = Failure()
    converter = DataConverter.default
    converter.failure_converter.to_failure(error, converter.payload_converter, failure)
    return failure.SerializeToString()


# --- What is final and what is not ------------------------------------------------------------------------------------


@pytest.mark.parametrize("error", FINAL, ids=name_of)
@pytest.mark.parametrize("service", FORWARD)
def test_answer_that_will_not_change_is_final_typed_and_no_alarm(
    monkeypatch: pytest.MonkeyPatch, service: str, error: errors.DomainError
) -> None:
    failure = failure_of(monkeypatch, *FORWARD[service], service, error)

    assert failure.non_retryable
    assert failure.type in set(FailureType)
    assert (failure.type, failure.message) == (error.failure_type, "no")
    assert failure.category is ApplicationErrorCategory.BENIGN


@pytest.mark.parametrize("error", PASSING, ids=name_of)
@pytest.mark.parametrize("service", [*FORWARD, *UNDO])
def test_what_may_pass_is_retried(monkeypatch: pytest.MonkeyPatch, service: str, error: errors.DomainError) -> None:
    failure = failure_of(monkeypatch, *(FORWARD | UNDO)[service], service, error)

    assert not failure.non_retryable
    assert failure.type == error.failure_type


@pytest.mark.parametrize("error", FINAL, ids=name_of)
@pytest.mark.parametrize("service", UNDO)
def test_undo_is_never_given_up_and_its_refusals_are_an_alarm(
    monkeypatch: pytest.MonkeyPatch, service: str, error: errors.DomainError
) -> None:
    failure = failure_of(monkeypatch, *UNDO[service], service, error)

    assert not failure.non_retryable
    assert failure.category is ApplicationErrorCategory.UNSPECIFIED


@pytest.mark.parametrize("service", [*FORWARD, *UNDO])
def test_trouble_with_the_database_is_retried(monkeypatch: pytest.MonkeyPatch, service: str) -> None:
    failure = failure_of(monkeypatch, *(FORWARD | UNDO)[service], service, OperationalError("server closed"))

    assert (failure.type, failure.non_retryable) == ("database", False)


@pytest.mark.parametrize("state", ["25006", "53100", "53300", "57P01", "58030", "40P01", "55P03"])
@pytest.mark.parametrize("wrapped", [False, True], ids=["as it is", "as the cause of another error"])
def test_whatever_means_that_postgresql_cannot_now_is_trouble_with_the_database(
    monkeypatch: pytest.MonkeyPatch, state: str, wrapped: bool
) -> None:
    error: Exception = of_state(state)
    if wrapped:
        error, error.__cause__ = RuntimeError("while it was written"), error
    failure = failure_of(monkeypatch, *FORWARD["charge"], "charge", error)

    assert (failure.type, failure.non_retryable) == ("database", False)


def test_no_free_connection_is_trouble_with_the_database(monkeypatch: pytest.MonkeyPatch) -> None:
    failure = failure_of(monkeypatch, *FORWARD["charge"], "charge", PoolTimeout("no connection after 5 s"))

    assert (failure.type, failure.non_retryable) == ("database", False)


@pytest.mark.parametrize("service", [*FORWARD, *UNDO])
def test_bug_of_ours_is_retried_so_that_a_new_version_can_mend_it(
    monkeypatch: pytest.MonkeyPatch, service: str
) -> None:
    failure = failure_of(monkeypatch, *(FORWARD | UNDO)[service], service, KeyError("no"))

    assert (failure.type, failure.non_retryable) == ("unexpected", False)


def test_cancellation_is_not_translated(monkeypatch: pytest.MonkeyPatch) -> None:
    def cancelled(*_: object, **__: object) -> None:
        raise CancelledError("told to stop")

    monkeypatch.setattr(payments, "charge", cancelled)
    with pytest.raises(CancelledError):
        run(activities.charge_payment, step())


@pytest.mark.parametrize(
    ("error", "attempt", "kind"),
    [
        (KeyError(CANARY), 1, "unexpected"),
        (OperationalError(CANARY), 3, "database"),
        (OperationalError(CANARY), 2, None),
        (errors.PartnerUnavailable("no"), 9, None),
        (errors.OutOfStock("no"), 1, None),
    ],
    ids=str,
)
def test_what_the_system_did_wrong_is_a_system_event_without_values(
    monkeypatch: pytest.MonkeyPatch, error: Exception, attempt: int, kind: str | None
) -> None:
    order = make_order(started=True)

    def fail(*_: object, **__: object) -> None:
        try:
            raise ValueError(CANARY)
        except ValueError as cause:
            raise error from cause

    monkeypatch.setattr(payments, "charge", fail)
    worker = ActivityEnvironment()
    worker.info = replace(worker.info, workflow_id=f"order:{order.pk}", attempt=attempt, activity_type="charge_payment")
    with pytest.raises(ApplicationError):
        worker.run(activities.charge_payment, step(order.pk))

    found = list(SystemEvent.objects.all())
    assert [one.error_type for one in found] == ([kind] if kind else [])
    for one in found:
        assert (one.order, one.activity, one.attempt) == (order, "charge_payment", attempt)
        assert one.message.startswith(f"{type(error).__name__}, caused by ValueError at ")
        assert CANARY not in one.message


def test_orders_whose_prepare_a_trigger_refuses_are_one_incident() -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no'; END $$;"
            "CREATE TRIGGER refuse BEFORE INSERT ON orders_reservation FOR EACH ROW EXECUTE FUNCTION refuse()"
        )
    orders = [make_order(started=True) for _ in range(3)]
    for order in orders:
        worker = ActivityEnvironment()
        worker.info = replace(worker.info, workflow_id=f"order:{order.pk}", attempt=3, activity_type="prepare_order")
        with pytest.raises(ApplicationError, match="The database did not answer"):
            worker.run(activities.prepare_order, replace(step(order.pk), run_id=f"run of {order.number}"))
    incidents.settle_all()
    incident = Incident.objects.get()
    assert incident.most == 3
    assert "prepare_order: ProgrammingError, caused by RaiseException at orders/services/" in incident.says
    assert all(str(order.pk) not in incident.cause and order.number not in incident.cause for order in orders)


# --- What is told -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("service", [*FORWARD, *UNDO])
def test_values_of_a_row_that_the_database_refused_are_not_told(monkeypatch: pytest.MonkeyPatch, service: str) -> None:
    monkeypatch.setattr(restoring, "require_row", lambda order_id: None)
    make_product(CANARY)
    with pytest.raises(IntegrityError, match=CANARY) as refusal, transaction.atomic():
        make_product(CANARY)

    failure = failure_of(monkeypatch, *(FORWARD | UNDO)[service], service, refusal.value)

    assert failure.message == "The database did not answer: IntegrityError"
    assert CANARY.encode() not in stored_by_temporal(failure)


@pytest.mark.parametrize("error", [KeyError(CANARY), ValueError(CANARY), RuntimeError(CANARY)], ids=name_of)
def test_words_of_an_unexpected_error_are_not_told(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    error.__cause__ = ValueError(CANARY)

    failure = failure_of(monkeypatch, activities.charge_payment, payments, "charge", error)

    assert failure.message == f"An unexpected error: {type(error).__name__}"
    assert CANARY.encode() not in stored_by_temporal(failure)


def test_cause_behind_our_own_error_is_not_told(monkeypatch: pytest.MonkeyPatch) -> None:
    error = errors.PartnerUnavailable("The carrier did not answer.")
    error.__cause__ = ValueError(CANARY)

    failure = failure_of(monkeypatch, activities.ship_order, shipping, "ship", error)

    assert CANARY.encode() not in stored_by_temporal(failure)


@pytest.mark.parametrize(
    ("activity", "module", "service"),
    [(activities.ship_order, shipping, "ship"), (activities.undo_shipment, shipping, "undo_ship")],
    ids=["step", "undo"],
)
@pytest.mark.parametrize("called", [True, False])
def test_partner_that_is_out_of_order_is_waited_for_as_long_as_the_breaker_says(
    monkeypatch: pytest.MonkeyPatch, activity: Callable[..., Any], module: object, service: str, called: bool
) -> None:
    wait = timedelta(seconds=12)
    error = errors.PartnerDown("no", since=datetime.now(UTC), retry_after=wait)
    if called:
        error = errors.PartnerUnavailable("no")
        error.retry_after = wait

    failure = failure_of(monkeypatch, activity, module, service, error)

    assert (failure.type, failure.non_retryable) == (FailureType.PARTNER_DOWN, False)
    assert failure.next_retry_delay == wait


@pytest.mark.parametrize("service", [*FORWARD, *UNDO])
def test_step_that_is_parked_is_tried_again_after_its_pause_also_in_an_undo(
    monkeypatch: pytest.MonkeyPatch, service: str
) -> None:
    error = errors.RequestRefused("no")
    error.retry_after = timedelta(hours=1)

    failure = failure_of(monkeypatch, *(FORWARD | UNDO)[service], service, error)

    assert (failure.type, failure.non_retryable) == (FailureType.REQUEST_REFUSED, False)
    assert failure.next_retry_delay == timedelta(hours=1)


def test_partner_that_is_busy_is_asked_again_when_it_says(monkeypatch: pytest.MonkeyPatch) -> None:
    error = errors.PartnerBusy("later")
    error.retry_after = timedelta(seconds=9)

    failure = failure_of(monkeypatch, activities.ship_order, shipping, "ship", error)

    assert (failure.non_retryable, failure.next_retry_delay) == (False, timedelta(seconds=9))


def test_long_message_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    failure = failure_of(monkeypatch, activities.charge_payment, payments, "charge", errors.OutOfStock("x" * 10_000))

    assert len(failure.message) == 500


def test_partner_that_is_not_there_is_told_without_address_or_key(settings: Settings) -> None:
    settings.PAYMENTS_URL, settings.STRIPE_API_KEY = "http://127.0.0.1:9", "sk_test_canary"
    gateway.client.cache_clear()
    order = make_prepared_order()

    with pytest.raises(ApplicationError) as left:
        run(activities.charge_payment, step(order.id))
    gateway.client.cache_clear()

    assert (left.value.type, left.value.non_retryable) == (FailureType.PARTNER_UNAVAILABLE, False)
    stored = stored_by_temporal(left.value)
    assert order.customer is not None
    for secret in ("sk_test_canary", "127.0.0.1", order.customer.name, order.customer.reference, "pm_card_visa"):
        assert secret.encode() not in stored


# --- With the database ------------------------------------------------------------------------------------------------


def test_preparing_adopts_the_run_validates_and_reserves_and_may_be_repeated() -> None:
    order = make_order(started=True)

    run(activities.prepare_order, step(order.id, "run-1"))
    run(activities.prepare_order, step(order.id, "run-1"))

    order.refresh_from_db()
    assert (order.status, order.process_run_id) == (OrderStatus.CHARGING, "run-1")
    assert Reservation.objects.filter(order=order).count() == 1
    assert set(Step.objects.values_list("name", "status")) == {
        (StepName.VALIDATE, StepStatus.DONE),
        (StepName.RESERVE, StepStatus.DONE),
    }


def test_second_run_of_an_order_is_turned_away_for_good() -> None:
    order = make_order(started=True)
    run(activities.prepare_order, step(order.id, "run-1"))

    with pytest.raises(ApplicationError) as left:
        run(activities.prepare_order, step(order.id, "run-2"))

    assert (left.value.type, left.value.non_retryable) == (FailureType.NOT_THE_PROCESS, True)


@pytest.mark.parametrize(
    "activity",
    [
        activities.prepare_order,
        activities.check_fraud,
        activities.settle_review,
        activities.settle_hold,
        activities.charge_payment,
        activities.ship_order,
        activities.complete_order,
        activities.begin_undo,
        activities.undo_payment,
        activities.release_stock,
        activities.close_order,
    ],
)
@pytest.mark.django_db(transaction=True)
def test_the_process_of_an_order_without_a_row_ends(activity: Callable[..., Any]) -> None:
    with pytest.raises(ApplicationError) as left:
        run(activity, argument_of(activity))
    assert (left.value.type, left.value.non_retryable) == (FailureType.NOT_THE_PROCESS, True)


@pytest.mark.django_db(transaction=True)
def test_it_waits_while_a_lead_has_still_to_decide_about_a_restored_database() -> None:
    tasks.open_task(TaskKind.RESTORED, restoring.SUBJECT, level=TaskLevel.LEAD, says="Older", actor=TEST_ACTOR)
    with pytest.raises(ApplicationError) as left:
        run(activities.charge_payment, step())
    assert not left.value.non_retryable


def test_missing_stock_is_told_with_its_numbers() -> None:
    order = make_order(product=make_product("LAMP", stock=1), started=True)

    with pytest.raises(ApplicationError, match="LAMP: wanted 2, available 1") as left:
        run(activities.prepare_order, step(order.id))

    assert (left.value.type, left.value.non_retryable) == (FailureType.OUT_OF_STOCK, True)


def test_history_names_the_workflow_the_run_and_the_attempt_that_acted() -> None:
    order = make_order(started=True)
    environment = ActivityEnvironment()

    environment.run(activities.prepare_order, step(order.id))

    event = order.events.last()
    assert event is not None
    assert (event.actor, event.workflow_id, event.run_id, event.attempt) == (
        "order process",
        environment.info.workflow_id,
        environment.info.workflow_run_id,
        environment.info.attempt,
    )


def test_undoing_an_order_that_did_nothing_closes_it() -> None:
    order = make_order(started=True)
    cancelling.cancel(order.number, actor=replace(TEST_ACTOR, name="ada"), reason="The customer called")
    undo = UndoOrder(order_id=str(order.id), failure_type=FailureType.CANCELLED, message="The order was cancelled")

    assert run(activities.begin_undo, undo) is True
    run(activities.undo_payment, step(order.id))
    run(activities.release_stock, step(order.id))

    assert run(activities.close_order, step(order.id)) is OrderStatus.CANCELLED
    assert Order.objects.get(pk=order.pk).failure_message == "Cancelled by ada: The customer called"
