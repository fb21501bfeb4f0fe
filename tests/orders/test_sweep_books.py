"""Closed orders against the payment gateway's own books, a few at a time."""

from collections.abc import Callable

import pytest
from django.utils import timezone
from pytest_django.fixtures import Settings

from orders.actor import system
from orders.errors import PartnerUnavailable
from orders.models import Finding, Order, PartnerHealth, StaffTask, SweepProgress
from orders.partners.payments import Intent
from orders.services.sweeping import books
from orders.vocabulary import FindingKind, SweepPart, TaskKind
from tests.factories import make_order
from tests.orders import driving

pytestmark = pytest.mark.django_db
SWEEPER = system("sweeper")


class Gateway:
    """Its books: for each order what was taken and what went back."""

    def __init__(self) -> None:
        self.taken: dict[str, list[int]] = {}
        self.back: dict[str, int] = {}
        self.asked: list[str] = []
        self.away = False

    def find_for_order(self, order: str) -> list[Intent]:
        if self.away:
            raise PartnerUnavailable("The payment gateway answered 503")
        self.asked.append(order)
        amounts = self.taken.get(order, [])
        return [Intent(id=f"pi_{order}", status="succeeded", amount_minor=amount) for amount in amounts]

    def refunded_minor(self, intent: str) -> int:
        return self.back.get(intent.removeprefix("pi_"), 0)


@pytest.fixture
def gateway(monkeypatch: pytest.MonkeyPatch) -> Gateway:
    stand_in = Gateway()
    for name in ("find_for_order", "refunded_minor"):
        monkeypatch.setattr(books.gateway, name, getattr(stand_in, name))
    return stand_in


@pytest.fixture
def completed(gateway: Gateway) -> Callable[[], Order]:
    def make() -> Order:
        order = driving.drive(make_order())
        gateway.taken[str(order.pk)] = [order.total_minor]
        return order

    return make


def drifting() -> list[str]:
    return list(
        Finding.objects.filter(kind=FindingKind.DRIFT, resolved_at=None).values_list("order__number", flat=True)
    )


def test_books_that_agree_are_no_finding(gateway: Gateway, completed: Callable[[], Order]) -> None:
    order, failed = completed(), driving.drive(make_order(), gateway=driving.decline())
    assert books.sweep(actor=SWEEPER) == 0
    assert set(gateway.asked) == {str(order.pk), str(failed.pk)}


def test_captured_there_and_cancelled_here_is_a_task_until_the_books_agree(gateway: Gateway) -> None:
    order = driving.drive(make_order(), gateway=driving.decline())
    gateway.taken[str(order.pk)] = [order.total_minor]
    assert books.sweep(actor=SWEEPER) == 1
    assert books.sweep(actor=SWEEPER) == 0
    assert drifting() == [order.number]
    task = StaffTask.objects.get()
    assert (task.kind, task.level) == (TaskKind.DRIFT, "lead")
    assert "gateway holds £20.00" in task.says
    gateway.back[str(order.pk)] = order.total_minor
    books.sweep(actor=SWEEPER)
    assert drifting() == []
    assert StaffTask.objects.get().status == "done"


def test_refunded_there_and_not_here_or_charged_twice_is_found(
    gateway: Gateway, completed: Callable[[], Order]
) -> None:
    refunded, twice, good = completed(), completed(), completed()
    gateway.back[str(refunded.pk)] = 500
    gateway.taken[str(twice.pk)] *= 2
    books.sweep(actor=SWEEPER)
    assert set(drifting()) == {refunded.number, twice.number}
    assert good.number not in drifting()


def test_all_get_their_turn(gateway: Gateway, completed: Callable[[], Order], settings: Settings) -> None:
    settings.SWEEP_BOOKS_AT_ONCE = 2
    orders = [completed() for _ in range(3)]
    books.sweep(actor=SWEEPER)
    assert len(gateway.asked) == 2
    books.sweep(actor=SWEEPER)
    assert set(gateway.asked) == {str(order.pk) for order in orders}
    books.sweep(actor=SWEEPER)
    assert len(gateway.asked) == 5


def test_a_gateway_that_is_away_is_no_finding_and_the_same_orders_are_asked_about_later(
    gateway: Gateway, completed: Callable[[], Order]
) -> None:
    completed()
    gateway.away = True
    assert books.sweep(actor=SWEEPER) == 0
    assert "503" in SweepProgress.objects.get(part=SweepPart.BOOKS).skipped
    gateway.away = False
    books.sweep(actor=SWEEPER)
    assert len(gateway.asked) == 1


def test_a_gateway_that_is_out_of_order_is_not_asked(gateway: Gateway, completed: Callable[[], Order]) -> None:
    completed()
    row, _ = PartnerHealth.objects.get_or_create(partner="payments")
    PartnerHealth.objects.filter(pk=row.pk).update(state="open", opened_at=timezone.now(), next_try_at=timezone.now())
    books.sweep(actor=SWEEPER)
    assert gateway.asked == []
    assert "not called" in SweepProgress.objects.get().skipped


def test_an_order_with_a_refund_under_way_is_left_alone(gateway: Gateway, completed: Callable[[], Order]) -> None:
    from orders.services import refunding

    order = completed()
    refunding.request(order.number, amount_minor=500, actor=system("test"), reason="Broken")
    books.sweep(actor=SWEEPER)
    assert gateway.asked == []
