"""The review of a suspicious order: one verdict, two people above the limit, and no charge without it."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import IntegrityError, connection, transaction
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from orders.actor import Actor, person
from orders.errors import InvalidInput, NotPermitted, ReviewRejected, WrongState
from orders.models import Command, FraudCheck, FraudRules, Order, OutboxMessage, ReviewCase
from orders.services import holding, payments, process, reviewing
from orders.vocabulary import Channel, CommandKind, EventType, FailureType, OrderStatus, ReviewStatus, Topic
from tests.factories import TEST_ACTOR, make_reserved_order
from tests.orders import driving
from tests.orders.api_calls import token_client
from tests.orders.connections import PATIENCE, connections, wait_for_a_blocked_connection
from tests.orders.staff import make_user

pytestmark = pytest.mark.django_db

DECIDE, EXTEND = "orders.decide_review", "orders.extend_review"


def reviewer(name: str = "rita", *permissions: str) -> Actor:
    return person(make_user(*(permissions or (DECIDE,)), name=name), Channel.ADMIN)


def suspicious(unit_price: str = "6000.00") -> Order:
    return driving.make_order_in_review(unit_price)


def fresh(order: Order) -> Order:
    return Order.objects.get(pk=order.pk)


def settle(order: Order) -> reviewing.Standing:
    return reviewing.settle(str(order.pk), actor=TEST_ACTOR)


def pass_deadline(order: Order) -> None:
    ReviewCase.objects.filter(order=order).update(deadline_at=timezone.now() - timedelta(seconds=1))


def test_an_approved_order_goes_on_and_its_history_says_who_approved() -> None:
    order = suspicious()
    reviewing.approve(order.number, actor=reviewer(), reason="Known wholesaler")
    assert settle(order).approved
    assert fresh(order).status == OrderStatus.CHARGING
    event = order.events.get(type=EventType.REVIEW_DECIDED)
    assert (event.actor, event.reason, event.data["verdict"]) == ("rita", "Known wholesaler", "approved")
    assert OutboxMessage.objects.order_by("id").last().topic == Topic.TELL_ORDER  # type: ignore[union-attr]


def test_a_rejected_order_ends_as_cancelled_with_its_stock_back() -> None:
    order = suspicious()
    reviewing.reject(order.number, actor=reviewer(), reason="Stolen card")
    with pytest.raises(ReviewRejected, match="Stolen card"):
        settle(order)
    driving.undo(order, FailureType.REVIEW_REJECTED, "Rejected in review: Stolen card")
    assert (order.status, order.failure_type) == (OrderStatus.CANCELLED, FailureType.REVIEW_REJECTED)
    assert not order.reservations.filter(status="held").exists()


def test_no_money_moves_without_a_verdict_whatever_the_engine_believes() -> None:
    order = suspicious()
    with pytest.raises(ReviewRejected, match="Nobody approved"):
        payments.charge(str(order.pk), actor=TEST_ACTOR)
    assert not hasattr(fresh(order), "payment")


def test_the_second_reviewer_is_told_who_decided_and_when() -> None:
    order = suspicious()
    case = reviewing.approve(order.number, actor=reviewer(), reason="Fine")
    with pytest.raises(WrongState, match=rf"was approved by rita at {case.decided_at:%Y-%m-%d %H:%M:%S}"):
        reviewing.reject(order.number, actor=reviewer("rob"), reason="No")
    assert Command.objects.filter(kind=CommandKind.REVIEW_REJECT).count() == 0


def test_an_amount_above_the_limit_takes_two_different_people() -> None:
    order, rita = suspicious("20000.01"), reviewer()
    reviewing.approve(order.number, actor=rita, reason="Fine")
    assert not settle(order).approved
    with pytest.raises(WrongState, match="a second person must approve"):
        reviewing.approve(order.number, actor=rita, reason="Fine again")
    assert not settle(order).approved
    reviewing.approve(order.number, actor=reviewer("rob"), reason="Called them")
    assert settle(order).approved


def test_a_superuser_is_one_person_too() -> None:
    order = suspicious("20000.01")
    root = person(User.objects.create_superuser("root"), Channel.ADMIN)
    reviewing.approve(order.number, actor=root, reason="Fine")
    with pytest.raises(WrongState, match="a second person"):
        reviewing.approve(order.number, actor=root, reason="I say so")


def test_postgresql_refuses_one_person_in_both_places() -> None:
    order = suspicious("20000.01")
    user = make_user(name="rita")
    with pytest.raises(IntegrityError, match="review_two_people"), transaction.atomic():
        ReviewCase.objects.filter(order=order).update(
            status=ReviewStatus.APPROVED, first_by=user, decided_by=user, decided_at=timezone.now()
        )


def test_a_program_is_no_second_person() -> None:
    order = suspicious("20000.01")
    with pytest.raises(WrongState, match="a program cannot be one of them"):
        reviewing.approve(order.number, actor=TEST_ACTOR, reason="Script")


def test_a_case_has_one_owner_until_it_is_decided() -> None:
    order, rita = suspicious(), reviewer()
    reviewing.claim(order.number, actor=rita)
    reviewing.claim(order.number, actor=rita)
    with pytest.raises(WrongState, match="is rita's"):
        reviewing.claim(order.number, actor=reviewer("rob"))


def test_the_queue_over_the_api_says_why_how_old_until_when_and_whose(
    django_assert_max_num_queries: DjangoAssertNumQueries,
) -> None:
    orders = [suspicious() for _ in range(3)]
    reviewing.claim(orders[0].number, actor=reviewer())
    api = token_client("view_reviewcase")
    api.get("/api/reviews/")  # what only the first request asks for

    with django_assert_max_num_queries(12):
        cases = {case["order"]: case for case in api.get("/api/reviews/").json()["results"]}

    assert cases.keys() == {order.number for order in orders}
    assert [cases[order.number]["owner"] for order in orders] == ["rita", None, None]
    case = cases[orders[0].number]
    check = FraudCheck.objects.get(order=orders[0])
    assert (case["score"], [hit["rule"] for hit in case["hits"]]) == (check.score, [hit["rule"] for hit in check.hits])
    assert case["partner_asked_at"] is not None
    assert case["deadline_at"] > case["opened_at"]
    assert case["links"]["answers"].endswith(f"/api/orders/{orders[0].number}/answers/")


def test_a_question_and_more_time_stand_in_the_case_and_in_the_history() -> None:
    order = suspicious()
    reviewing.ask(order.number, question="Is the phone number right?", actor=reviewer())
    case = reviewing.extend(order.number, hours=72, actor=reviewer("lea", EXTEND), reason="Weekend")
    assert case.deadline_at > timezone.now() + timedelta(hours=71)
    assert ReviewCase.objects.get().question == "Is the phone number right?"
    assert [event.type for event in order.events.order_by("sequence")][-2:] == [
        EventType.REVIEW_ASKED,
        EventType.REVIEW_EXTENDED,
    ]


@pytest.mark.parametrize("hours", [0, -1, 337])
def test_more_time_than_the_limit_is_refused(hours: int) -> None:
    order = suspicious()
    with pytest.raises(InvalidInput, match="1 to 336"):
        reviewing.extend(order.number, hours=hours, actor=reviewer("lea", EXTEND), reason="Long")


def test_a_passed_deadline_goes_to_the_lead_and_then_takes_the_default() -> None:
    order = suspicious()
    pass_deadline(order)
    standing = settle(order)
    case = ReviewCase.objects.get()
    assert case.escalated_at is not None
    assert 0 < standing.wait_seconds <= 24 * 3600
    pass_deadline(order)
    with pytest.raises(ReviewRejected, match="default of the rules"):
        settle(order)
    assert order.events.filter(type=EventType.REVIEW_ESCALATED).count() == 1


def test_a_default_of_approval_lets_a_small_order_go_on_and_never_one_that_needs_two() -> None:
    FraudRules.objects.create(default_verdict=ReviewStatus.APPROVED)
    small, large = suspicious(), suspicious("20000.01")
    for order in (small, large):
        pass_deadline(order)
        settle(order)
        pass_deadline(order)
    assert settle(small).approved
    with pytest.raises(ReviewRejected):
        settle(large)


def test_an_order_that_ends_before_the_verdict_leaves_the_queue() -> None:
    order = suspicious()
    process.begin_undo(
        str(order.pk), failure_type=FailureType.CANCELLED, message="The order was cancelled", actor=TEST_ACTOR
    )
    assert ReviewCase.objects.get().status == ReviewStatus.CLOSED
    with pytest.raises(WrongState, match="was closed"):
        reviewing.approve(order.number, actor=reviewer(), reason="Too late")


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("decide", "refusal"),
    [
        (lambda order: reviewing.approve(order.number, actor=TEST_ACTOR, reason="Fine"), WrongState),
        (lambda order: reviewing.reject(order.number, actor=TEST_ACTOR, reason="No"), WrongState),
        (settle, ReviewRejected),
    ],
    ids=["approve", "reject", "deadline"],
)
def test_a_verdict_waits_for_whoever_is_closing_the_case_and_does_not_open_it_again(
    decide: Callable[[Order], Any], refusal: type[Exception]
) -> None:
    order = suspicious()
    pass_deadline(order)
    with connections(1) as others:
        with transaction.atomic():
            reviewing.close_case(order, reason="The order ended before a verdict.")
            deciding = others.begin(decide, order)
            wait_for_a_blocked_connection()
        with pytest.raises(refusal):
            deciding.result(PATIENCE)
    case = ReviewCase.objects.get()
    assert (case.status, case.escalated_at) == (ReviewStatus.CLOSED, None)


def test_an_order_that_is_held_in_review_goes_on_to_the_charge_after_verdict_and_release() -> None:
    order = suspicious()
    holding.hold(order.number, actor=TEST_ACTOR, reason="Wait")
    settle(order)
    assert fresh(order).status == OrderStatus.ON_HOLD
    reviewing.approve(order.number, actor=reviewer(), reason="Fine")
    assert settle(order).approved
    assert fresh(order).status == OrderStatus.ON_HOLD
    holding.release(order.number, actor=TEST_ACTOR, reason="Go")
    assert fresh(order).status == OrderStatus.CHARGING


def test_an_order_that_is_not_in_review_has_nothing_to_decide() -> None:
    order = make_reserved_order()
    with pytest.raises(WrongState, match="is not in review"):
        reviewing.approve(order.number, actor=reviewer(), reason="Fine")


@pytest.mark.parametrize("kind", ["claim", "ask", "approve", "reject", "extend"])
def test_nobody_touches_a_case_without_the_permission(kind: str) -> None:
    order = suspicious()
    more = {"ask": {"question": "?"}, "extend": {"hours": 1, "reason": "x"}, "claim": {}}.get(kind, {"reason": "x"})
    before = Command.objects.count()
    with pytest.raises(NotPermitted):
        getattr(reviewing, kind)(order.number, actor=reviewer("eve", "orders.view_order"), **more)
    assert (Command.objects.count(), ReviewCase.objects.get().status) == (before, ReviewStatus.OPEN)
    assert FraudCheck.objects.count() == 1


def test_a_first_approval_lapses_when_that_person_leaves() -> None:
    order = suspicious("30000.00")
    rita, ben = reviewer(), reviewer("ben")
    reviewing.approve(order.number, actor=rita, reason="Known")
    User.objects.filter(username="rita").update(is_active=False)

    case = reviewing.approve(order.number, actor=ben, reason="Known to me too")
    assert (case.status, case.first_by, case.decided_by) == (ReviewStatus.OPEN, ben.user, None)

    case = reviewing.approve(order.number, actor=reviewer("carl"), reason="Known")
    assert case.status == ReviewStatus.APPROVED


def test_whoever_placed_an_order_does_not_approve_it_in_review() -> None:
    order = suspicious()
    placed = order.events.get(type=EventType.PLACED)
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
        cursor.execute("UPDATE orders_orderevent SET actor_kind = 'person', actor = 'rita' WHERE id = %s", [placed.pk])
        cursor.execute("SET LOCAL session_replication_role = DEFAULT")

    rita = reviewer()
    with pytest.raises(NotPermitted, match="You placed order"):
        reviewing.approve(order.number, actor=rita, reason="Mine")
    reviewing.reject(order.number, actor=rita, reason="A mistake of mine")
    assert ReviewCase.objects.get(order=order).status == ReviewStatus.REJECTED
