"""One person who may do everything, with all accounts that he can make, walks at random within the limits.

Whatever he tries, no more leaves than the limits of one person allow.
`BACKOFFICE_WALK_STEPS` says how many steps; the seed of a walk that fails is in its name.
"""

from __future__ import annotations

import os
import random
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
import time_machine
from django.contrib.auth.models import Group, Permission, User
from django.db import transaction
from django.utils import timezone

from orders import history
from orders.actor import Actor, person
from orders.errors import DomainError
from orders.models import (
    Approval,
    FraudRules,
    Order,
    OrderEvent,
    PlaybookRun,
    PlaybookTrigger,
    Product,
    Refund,
    ReviewCase,
    Voucher,
)
from orders.services import accounts, catalogue, deciding, fraud_rules, holding, refunding, reviewing
from orders.services.fraud import current_rules
from orders.services.playbooks import actions, following, publishing, running, setting, triggering
from orders.services.roles import ensure_roles
from orders.vocabulary import ApprovalStatus, Channel, EventType, ReviewStatus
from tests.factories import TEST_ACTOR, make_order, make_product
from tests.orders import driving
from tests.orders.playbooks import document

pytestmark = pytest.mark.django_db
STEPS = int(os.environ.get("BACKOFFICE_WALK_STEPS", "40"))
FULL_REFUND: dict[str, Any] = {
    "type": "activity",
    "id": "give",
    "activity": "refund_order",
    "parameters": {"amount_minor": "=order.total_minor", "reason": "Full refund"},
}
ORDER, CUSTOMER, DAY = 600, 900, 1_500
PRICE = Decimal("10.00")


class Walk:
    """The person's choices; each step is one command, and most of them are refused."""

    def __init__(self, seed: int) -> None:
        self.draw = random.Random(seed)
        self.boss = User.objects.create_superuser("boss")
        self.people = [self.boss]
        self.orders = [driving.drive(make_order(guest=number == 0)) for number in range(4)]
        Order.objects.filter(pk=self.orders[2].pk).update(customer=self.orders[1].customer)
        self.review = driving.make_order_in_review("30000.00")
        self.product = make_product(unit_price=str(PRICE))
        self.rules = current_rules().version
        self.taken: Counter[str] = Counter()

    def actor(self) -> Actor:
        return person(User.objects.get(pk=self.draw.choice(self.people).pk), Channel.ADMIN)

    def order(self) -> Order:
        return self.draw.choice(self.orders)

    def step(self) -> None:
        name = self.draw.choice(sorted(STEPS_OF_A_WALK))
        with suppress(DomainError), transaction.atomic():
            STEPS_OF_A_WALK[name](self)
            self.taken[name] += 1

    def make_account(self) -> None:
        if len(self.people) < 5:
            with accounts.changed_by(self.boss):
                puppet = User.objects.create_user(f"puppet{len(self.people)}", is_staff=True)
                puppet.groups.add(Group.objects.get(name="lead"))
                puppet.user_permissions.set(Permission.objects.filter(content_type__app_label="orders"))
            self.people.append(puppet)

    def give_password(self) -> None:
        with accounts.changed_by(self.boss):
            puppet = self.draw.choice(self.people[1:] or self.people)
            puppet.set_password("correct horse battery")
            puppet.save(update_fields=["password"])

    def change_price(self) -> None:
        price = Product.objects.get(pk=self.product.pk).unit_price * Decimal(
            self.draw.choice(["0.5", "0.1", "2", "1.5"])
        )
        catalogue.change_product(self.product.sku, name="Lamp", unit_price=round(price, 4), actor=self.actor())

    def refund(self) -> None:
        amount = self.draw.choice([100, 300, 600, 601, 2_000])
        refunding.request(self.order().number, amount_minor=amount, actor=self.actor(), reason="Broken")
        # It has gone through, so that the next one may be asked for.
        Refund.objects.filter(status="requested").update(status="done", gateway_reference="re_1")

    def voucher(self) -> None:
        order = history.lock_order(str(self.order().pk))
        given = {"amount_minor": self.draw.choice([100, 400, 601]), "reason": "Late"}
        actions.carry_out("issue_voucher", order, given, None, key=f"k{Voucher.objects.count()}", actor=self.actor())

    def withdraw_vouchers(self) -> None:
        Voucher.objects.update(withdrawn_at=timezone.now())

    def save_playbook(self) -> None:
        version = publishing.save(
            "all", document({**FULL_REFUND, "title": str(self.draw.random())}), actor=self.actor()
        )
        publishing.publish("all", version.number, actor=self.actor(), reason="Needed")

    def set_trigger(self) -> None:
        condition = self.draw.choice(["true", "order.is_guest"])
        setting.set_trigger("colleagues", EventType.HELD, condition=condition, actor=self.actor())

    def run_playbook(self) -> None:
        slug = self.draw.choice(["all", "colleagues"])
        run = running.start(self.order().number, slug, actor=self.actor(), reason="Now")
        following.execute(str(run.pk), "steps.0", actor=TEST_ACTOR)

    def cause_event(self) -> None:
        order = make_order()
        holding.hold(order.number, actor=self.actor(), reason="Wait")
        triggering.fire(OrderEvent.objects.get(order=order, type=EventType.HELD).pk)
        for run in PlaybookRun.objects.filter(status="running"):
            following.execute(str(run.pk), "steps.0", actor=TEST_ACTOR)

    def change_rules(self) -> None:
        values = {name: getattr(current_rules(), name) for name in fraud_rules.FIELDS}
        fraud_rules.change({**values, "suspicious_from": 30_000}, actor=self.actor(), reason="Quiet")

    def approve(self) -> None:
        waiting = list(Approval.objects.filter(status=ApprovalStatus.WAITING))
        if waiting:
            deciding.approve(self.draw.choice(waiting).pk, actor=self.actor())

    def approve_review(self) -> None:
        reviewing.approve(self.review.number, actor=self.actor(), reason="Known")

    def look(self) -> None:
        """Everything that a second person must have been asked for has not happened."""
        agreed = Approval.objects.filter(status=ApprovalStatus.DONE).exclude(subject="colleagues v1")
        assert not agreed.exists(), f"One person was two: {agreed.values_list('says', flat=True)}"
        assert PRICE / 2 <= Product.objects.get(pk=self.product.pk).unit_price <= PRICE * 2
        assert FraudRules.objects.latest("version").version == self.rules
        assert not PlaybookTrigger.objects.exists()
        assert ReviewCase.objects.get(order=self.review).status == ReviewStatus.OPEN
        for gone in (list(Refund.objects.all()), list(Voucher.objects.filter(withdrawn_at=None))):
            by_order: Counter[Any] = Counter()
            by_customer: Counter[Any] = Counter()
            for one in gone:
                by_order[one.order_id] += one.amount_minor
                by_customer[one.order.customer_id or one.order_id] += one.amount_minor
            assert max(by_order.values(), default=0) <= ORDER
            assert max(by_customer.values(), default=0) <= CUSTOMER
            assert sum(by_order.values()) <= DAY


STEPS_OF_A_WALK: dict[str, Callable[[Walk], None]] = {
    name: getattr(Walk, name)
    for name in (
        "approve",
        "approve_review",
        "cause_event",
        "change_price",
        "change_rules",
        "give_password",
        "make_account",
        "refund",
        "run_playbook",
        "save_playbook",
        "set_trigger",
        "voucher",
        "withdraw_vouchers",
    )
}


def colleagues_publish_a_full_refund() -> None:
    """Two honest people, long ago: what they published is what he would like to use."""
    two = []
    for name in ("lena", "otto"):
        user = User.objects.create_user(name, is_staff=True)
        user.user_permissions.set(Permission.objects.filter(content_type__app_label="orders"))
        two.append(person(user, Channel.ADMIN))
    version = publishing.save("colleagues", document(FULL_REFUND), actor=two[0])
    approval = publishing.publish("colleagues", version.number, actor=two[0], reason="Needed")
    deciding.approve(approval.pk, actor=two[1])


@pytest.fixture
def limits(settings: Any) -> None:
    settings.REFUND_SECOND_PERSON_OVER_MINOR = settings.VOUCHERS_PER_ORDER_MINOR = ORDER
    settings.REFUND_ALONE_PER_CUSTOMER_MINOR = settings.VOUCHERS_PER_CUSTOMER_MINOR = CUSTOMER
    settings.REFUND_ALONE_PER_DAY_MINOR = settings.VOUCHERS_PER_DAY_MINOR = DAY
    ensure_roles()
    colleagues_publish_a_full_refund()


@pytest.mark.parametrize("seed", range(2))
def test_one_person_with_any_accounts_he_makes_gives_no_more_than_the_limit(
    seed: int, limits: None, settings: Any
) -> None:
    walk = Walk(seed)
    settings.FRESH_APPROVER_HOURS = 24
    # The boss himself has been here for long; whoever he makes has not.
    with time_machine.travel(timezone.now() + timedelta(hours=25), tick=True):
        for _ in range(STEPS):
            walk.step()
        walk.look()
    assert walk.taken["refund"], "a walk in which nothing is possible shows nothing"
