"""One person who may do everything, with all accounts that he can make, walks at random within the limits.

Whatever he tries, no more leaves than the limits of one person allow.
`WALK_STEPS` says how many steps; the seed of a walk that fails is in its name.
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
from orders.services import accounts, catalogue, deciding, fraud_rules, holding, refunding, reviewing, role_giving
from orders.services.fraud import current_rules
from orders.services.playbooks import actions, following, publishing, running, setting, triggering
from orders.services.roles import ensure_roles
from orders.vocabulary import ApprovalStatus, Channel, EventType, ReviewStatus
from tests.factories import TEST_ACTOR, make_order, make_product
from tests.orders import driving
from tests.orders.playbooks import document

pytestmark = pytest.mark.django_db
STEPS = int(os.environ.get("WALK_STEPS", "150"))
FULL_REFUND: dict[str, Any] = {
    "type": "activity",
    "id": "give",
    "activity": "refund_order",
    "parameters": {"amount_minor": "=order.total_minor", "reason": "Full refund"},
}
ORDER, CUSTOMER, DAY = 600, 900, 1_500
EVERYTHING = ["orders.decide_approval", "orders.refund_order", "orders.view_approval"]
PRICE = Decimal("10.00")


class Walk:
    """The person's choices; each step is one command, and most of them are refused.

    Accounts that he makes get all rights, as if their gift needed nobody, in a walk of one day: a fresh account is no
    second person. In a walk of several days they have what two people give them.
    """

    def __init__(self, seed: int, clock: time_machine.Traveller, *, days: bool) -> None:
        self.draw, self.clock = random.Random(seed), clock
        self.takes_days, self.days = days, 1
        self.boss = User.objects.get(username="boss")
        self.people = [self.boss]
        self.orders = [driving.drive(make_order(guest=number == 0)) for number in range(4)]
        Order.objects.filter(pk=self.orders[2].pk).update(customer=self.orders[1].customer)
        self.review = driving.make_order_in_review("30000.00")
        self.product = make_product(unit_price=str(PRICE))
        self.rules = current_rules().version
        self.taken: Counter[str] = Counter()

    def actor(self) -> Actor:
        one = self.draw.choice([self.boss, self.draw.choice(self.people)])
        return person(User.objects.get(pk=one.pk), Channel.ADMIN)

    def order(self) -> Order:
        return self.draw.choice(self.orders)

    def step(self) -> None:
        # Sums reach their limits only when much is given.
        name = self.draw.choice([*sorted(STEPS_OF_A_WALK), *["refund"] * 8, *["voucher"] * 4])
        with suppress(DomainError), transaction.atomic():
            STEPS_OF_A_WALK[name](self)
            self.taken[name] += 1

    def make_account(self) -> None:
        if len(self.people) < 5:
            with accounts.changed_by(self.boss):
                puppet = User.objects.create_user(f"puppet{len(self.people)}", is_staff=True)
                if not self.takes_days:
                    puppet.groups.add(Group.objects.get(name="lead"))
                    puppet.user_permissions.set(Permission.objects.filter(content_type__app_label="orders"))
            self.people.append(puppet)

    def give_role(self) -> None:
        wanted = self.draw.choice([{"groups": ["lead"]}, {"is_superuser": True}, {"permissions": EVERYTHING}])
        name = self.draw.choice(self.people).username
        role_giving.change_account(name, wanted, actor=self.actor(), reason="Help")

    def give_group(self) -> None:
        role_giving.change_group("viewer", EVERYTHING, actor=self.actor(), reason="Help")

    def wait(self) -> None:
        if self.takes_days and self.days < 20:
            self.clock.shift(timedelta(hours=25))
            self.days += 1

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
        amount = self.draw.choice([100, 300, 600, 601])
        refunding.request(self.order().number, amount_minor=amount, actor=self.actor(), reason="Broken")
        # It has gone through, so that the next one may be asked for.
        done = {"status": "done", "gateway_reference": "re_1", "finished_at": timezone.now()}
        Refund.objects.filter(status="requested").update(**done)

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
            assert sum(by_order.values()) <= DAY * self.days


STEPS_OF_A_WALK: dict[str, Callable[[Walk], None]] = {
    name: getattr(Walk, name)
    for name in (
        "approve",
        "approve_review",
        "cause_event",
        "change_price",
        "change_rules",
        "give_group",
        "give_password",
        "give_role",
        "make_account",
        "refund",
        "run_playbook",
        "save_playbook",
        "set_trigger",
        "voucher",
        "wait",
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


@pytest.mark.parametrize("days", [False, True], ids=["one day", "several days"])
@pytest.mark.parametrize("seed", range(2))
def test_one_person_with_any_accounts_he_makes_gives_no_more_than_the_limit(
    seed: int, days: bool, limits: None, settings: Any
) -> None:
    settings.FRESH_APPROVER_HOURS = 24
    # The boss himself has been here for long; whoever he makes has not.
    begin = timezone.now() + timedelta(hours=25)
    with time_machine.travel(begin, tick=True) as clock:
        User.objects.create_superuser("boss")
        clock.shift(timedelta(hours=25))
        walk = Walk(seed, clock, days=days)
        for _ in range(STEPS):
            walk.step()
        walk.look()
    assert walk.taken["refund"], "a walk in which nothing is possible shows nothing"
