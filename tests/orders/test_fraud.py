"""The fraud check: which orders are suspicious by the rules, and that the score is written once."""

import pytest
from pytest_django.fixtures import Settings

from orders.errors import OnHold, PartnerUnavailable, RequestRefused
from orders.models import FraudCheck, FraudRules, Order, ReviewCase
from orders.services import fraud, holding
from orders.vocabulary import EventType, OrderStatus, ReviewStatus, StepName, TaskKind
from tests.factories import TEST_ACTOR, make_product, make_reserved_order
from tests.orders import driving
from tests.orders.answering import answering
from tests.simulator.talk import Http

pytestmark = pytest.mark.django_db

CREATE = {"partner": "fraud", "operation": "scores.create"}


def check(order: Order) -> bool:
    return fraud.check(str(order.pk), actor=TEST_ACTOR)


@pytest.mark.parametrize(
    ("unit_price", "quantity", "guest", "rules", "score"),
    [
        ("5000.00", 1, False, [], 0),
        ("5000.01", 1, False, ["total"], 60),
        ("0.01", 999, False, [], 0),
        ("0.01", 1000, False, ["line"], 40),
        ("0.01", 1000, True, ["line", "guest"], 60),
        ("10.00", 1, True, ["guest"], 20),
        ("6.00", 1000, True, ["total", "line", "guest"], 120),
    ],
)
def test_the_rules_that_the_product_comes_with(
    partners: Http, unit_price: str, quantity: int, guest: bool, rules: list[str], score: int
) -> None:
    product = make_product(stock=10_000, unit_price=unit_price)
    order = make_reserved_order(product=product, quantity=quantity, guest=guest)
    assert check(order) is (score >= 60)
    found = FraudCheck.objects.get(order=order)
    assert ([hit["rule"] for hit in found.hits], found.score) == (rules, score)
    order.refresh_from_db()
    assert order.status == (OrderStatus.IN_REVIEW if score >= 60 else OrderStatus.CHARGING)
    assert ReviewCase.objects.filter(order=order, status=ReviewStatus.OPEN).exists() is (score >= 60)


def test_an_order_that_the_partner_flags_is_suspicious_with_the_partners_points(partners: Http) -> None:
    order = make_reserved_order()
    partners.fault(**CREATE, mode="decline", match={"order": str(order.pk)})
    assert check(order) is True
    found = FraudCheck.objects.get(order=order)
    assert (found.score, found.partner_score, found.hits[0]["rule"]) == (100, 100, "partner")


def test_a_second_attempt_asks_nobody_and_answers_the_same(partners: Http) -> None:
    order = make_reserved_order()
    check(order)
    partners.fault(**CREATE, mode="unavailable")
    assert check(order) is False
    assert FraudCheck.objects.count() == 1
    assert order.events.filter(type=EventType.FRAUD_CHECKED).count() == 1


def test_a_partner_that_does_not_answer_lets_no_order_pass(partners: Http) -> None:
    order = make_reserved_order()
    partners.fault(**CREATE, mode="unavailable", match={"order": str(order.pk)})
    with pytest.raises(PartnerUnavailable):
        check(order)
    order.refresh_from_db()
    assert order.status == OrderStatus.CHECKING
    assert order.steps.get(name=StepName.FRAUD).last_error == "The fraud partner answered 503."


def test_an_order_that_the_partner_refuses_to_score_does_not_pass_as_harmless_and_holds_up_no_other(
    settings: Settings,
) -> None:
    settings.BREAKER_FAILURES = 1
    bad, good = make_reserved_order(), make_reserved_order()
    with answering(settings) as server:
        server.status = 400
        for _ in range(5):
            with pytest.raises(RequestRefused, match=r"refuses our request: bad_field .amount."):
                check(bad)
    with driving.partners():
        assert check(good) is False
    bad.refresh_from_db()
    assert bad.status == OrderStatus.CHECKING
    assert not FraudCheck.objects.filter(order=bad).exists()
    assert bad.tasks.get().kind == TaskKind.REQUEST_REFUSED


def test_a_held_order_is_not_told_to_the_partner(partners: Http) -> None:
    order = make_reserved_order()
    holding.hold(order.number, actor=TEST_ACTOR, reason="Wait")
    with pytest.raises(OnHold):
        check(order)
    assert not FraudCheck.objects.exists()


def test_the_newest_version_of_the_rules_counts_and_the_old_score_keeps_its_version(partners: Http) -> None:
    before = make_reserved_order()
    check(before)
    strict = FraudRules.objects.create(total_over_minor=1, made_by="lea", reason="A bad week")
    after = make_reserved_order()
    assert check(after) is True
    assert FraudCheck.objects.get(order=before).rules_id != strict.pk
    assert FraudCheck.objects.get(order=after).rules_id == strict.pk


def test_an_order_of_a_large_amount_needs_two_people(partners: Http) -> None:
    order = make_reserved_order(product=make_product(unit_price="20000.01"), quantity=1)
    check(order)
    assert order.review.needs_second is True
