"""The fraud rules decide of whom nobody is asked: two people change them, and every version says who they were."""

from typing import Any

import pytest

from orders.actor import Actor, person
from orders.errors import InvalidInput, NotPermitted, WrongState
from orders.models import Approval, FraudRules
from orders.services import deciding, fraud_rules
from orders.services.fraud import current_rules
from orders.vocabulary import ApprovalStatus, Channel
from tests.orders.staff import make_user, signed_in

pytestmark = pytest.mark.django_db
PERMISSIONS = ("orders.add_fraudrules", "orders.view_fraudrules", "orders.decide_approval")


def somebody(name: str) -> Actor:
    return person(make_user(*PERMISSIONS, name=name), Channel.ADMIN)


def values(**changed: Any) -> dict[str, Any]:
    now = current_rules()
    return {name: getattr(now, name) for name in fraud_rules.FIELDS} | changed


def test_rules_count_when_a_second_person_agreed_and_say_who_they_were() -> None:
    anna, ben = somebody("anna"), somebody("ben")
    asked = fraud_rules.change(values(suspicious_from=30_000), actor=anna, reason="A quiet week")
    assert asked.says == "The fraud rules change: suspicious from 60 \u2192 30000."
    assert current_rules().suspicious_from == 60
    with pytest.raises(NotPermitted, match="another person must decide"):
        deciding.approve(asked.pk, actor=anna)

    deciding.approve(asked.pk, actor=ben)

    rules = current_rules()
    assert (rules.suspicious_from, rules.made_by, rules.reason, rules.approval) == (
        30_000,
        "anna",
        "A quiet week",
        asked,
    )


def test_a_change_in_view_of_rules_that_do_not_count_any_more_is_void() -> None:
    asked = fraud_rules.change(values(guest_points=0), actor=somebody("anna"), reason="Guests pay")
    FraudRules.objects.create()
    with pytest.raises(WrongState, match="counts by now"):
        deciding.approve(asked.pk, actor=somebody("ben"))
    assert Approval.objects.get().status == ApprovalStatus.VOID


def test_what_changes_nothing_or_cannot_be_is_refused_when_it_is_asked_for() -> None:
    anna = somebody("anna")
    with pytest.raises(WrongState, match="says exactly this"):
        fraud_rules.change(values(), actor=anna, reason="Why not")
    with pytest.raises(InvalidInput, match="fraud_hours_positive"):
        fraud_rules.change(values(review_hours=0), actor=anna, reason="Faster")
    with pytest.raises(InvalidInput, match="Say why"):
        fraud_rules.change(values(guest_points=0), actor=anna, reason=" ")
    assert not Approval.objects.exists()
    assert FraudRules.objects.count() == 1


def test_the_form_says_that_it_waits_and_writes_no_version() -> None:
    current_rules()
    form = {name: str(value) for name, value in values(guest_points=0).items()} | {"reason": "Guests pay"}
    answer = signed_in(*PERMISSIONS).post("/admin/orders/fraudrules/add/", form, follow=True)
    assert "It waits for a second person." in answer.content.decode()
    assert (FraudRules.objects.count(), Approval.objects.get().reason) == (1, "Guests pay")
