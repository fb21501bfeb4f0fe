"""What must always be true of orders, stock, money and history, asked from outside the code that keeps it.

Every guard can have a hole; this looks at the results. Outside books are asked too (`orders.services.books`), so that a
charge which our own tables forgot is found. Reads only.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta

from django.db.models import Count, Q, Sum

from orders import clock, history, outbox
from orders.models import (
    Command,
    Order,
    OrderEvent,
    OutboxMessage,
    Payment,
    Recovery,
    Reservation,
    RestoreDifference,
    ReviewCase,
    Step,
    StockItem,
)
from orders.paging import pages
from orders.selectors.returns import restocked_by_product
from orders.services import effects_invariants, money_invariants, returns_invariants, runs_invariants
from orders.services.books.checking import check_books as check_books
from orders.services.books.ours import ledger_balances as ledger_balances
from orders.services.money_invariants import refunds_add_up as refunds_add_up
from orders.services.violation import Violation as Violation
from orders.vocabulary import (
    TERMINAL_STATUSES,
    CommandKind,
    CommandStatus,
    OrderStatus,
    ReservationStatus,
    RestoreDecision,
    ReviewStatus,
    StepStatus,
)

#: a row that is this old and still pending is stuck, not on its way
OUTBOX_PATIENCE = timedelta(seconds=10)
PAGE = 1_000


def check_database() -> Iterator[Violation]:
    """Everything that our own tables can tell."""
    yield from stock_is_conserved()
    yield from reservations_follow_their_orders()
    yield from money_invariants.check_money()
    yield from returns_invariants.check_returns()
    yield from no_step_is_open_on_a_closed_order()
    yield from effects_invariants.check_effects()
    yield from no_money_moves_without_its_approval()
    yield from accepted_cancellations_are_kept()
    yield from nothing_waits_on_a_closed_order()
    yield from every_begun_order_has_its_run()
    yield from runs_invariants.check_runs()
    yield from outbox_is_empty()
    yield from history_verifies()


def stock_is_conserved() -> Iterator[Violation]:
    """reserved = held reservations, shipped = consumed ones that did not come back into the stock.

    received = on hand + shipped is a CHECK of its own.
    """
    held = _pieces_by_product(ReservationStatus.HELD)
    consumed = _pieces_by_product(ReservationStatus.CONSUMED)
    restocked = restocked_by_product()
    for item in pages(StockItem.objects.select_related("product"), PAGE):
        shipped = consumed.get(item.product_id, 0) - restocked.get(item.product_id, 0)
        expected = (held.get(item.product_id, 0), shipped)
        found = (item.reserved, item.shipped)
        if found != expected or item.received != item.on_hand + item.shipped or item.reserved > item.on_hand:
            yield Violation(
                invariant="stock",
                subject=item.product.sku,
                detail=f"reserved and shipped are {found}, the orders say {expected}",
            )


def reservations_follow_their_orders() -> Iterator[Violation]:
    """A closed order holds nothing; only a completed one has consumed anything."""
    wrong = Reservation.objects.filter(
        Q(status=ReservationStatus.HELD, order__status__in=TERMINAL_STATUSES)
        | Q(status=ReservationStatus.CONSUMED, order__status__in=[OrderStatus.CANCELLED, OrderStatus.FAILED])
        | Q(status=ReservationStatus.RELEASED, order__status=OrderStatus.COMPLETED)
    )
    for number, status, count in (
        wrong.values("order__number", "status").annotate(n=Count("id")).values_list("order__number", "status", "n")
    ):
        yield Violation(invariant="reservations", subject=number, detail=f"{count} still {status} on a closed order")


def no_step_is_open_on_a_closed_order() -> Iterator[Violation]:
    """Every begun step is committed or undone, the undo steps too."""
    left = Step.objects.filter(status=StepStatus.OPEN, order__status__in=TERMINAL_STATUSES)
    for number, name in left.values_list("order__number", "name"):
        yield Violation(invariant="steps", subject=number, detail=f"step {name} is still open on a closed order")


def no_money_moves_without_its_approval() -> Iterator[Violation]:
    """Who was found suspicious is charged after a person's yes, or never; a later refund is no excuse."""
    suspicious = Q(order__fraud_check__suspicious=True) | Q(order__review__isnull=False)
    charged = Payment.objects.filter(suspicious, captured_minor__gt=0)
    for payment in charged.exclude(order__review__status=ReviewStatus.APPROVED).select_related("order__review"):
        case = getattr(payment.order, "review", None)
        detail = f"{payment.captured_minor} charged, its review is {case.status if case else 'missing'}"
        yield Violation(invariant="review", subject=payment.order.number, detail=detail)


def accepted_cancellations_are_kept() -> Iterator[Violation]:
    """A completed order refuses to be cancelled, so a cancellation that it has was accepted before, and broken."""
    broken = Command.objects.filter(kind=CommandKind.CANCEL, order__status=OrderStatus.COMPLETED)
    for number, actor in broken.values_list("order__number", "actor"):
        detail = f"completed, although its cancellation by {actor} was accepted"
        yield Violation(invariant="cancellation", subject=number, detail=detail)


def nothing_waits_on_a_closed_order() -> Iterator[Violation]:
    """Every command was answered and every review case has left the queue."""
    commands = Command.objects.filter(status=CommandStatus.ACCEPTED, order__status__in=TERMINAL_STATUSES)
    for number, kind in commands.values_list("order__number", "kind"):
        yield Violation(invariant="commands", subject=number, detail=f"command {kind} is still open on a closed order")
    cases = ReviewCase.objects.filter(status=ReviewStatus.OPEN, order__status__in=TERMINAL_STATUSES)
    for number in cases.values_list("order__number", flat=True):
        yield Violation(invariant="review", subject=number, detail="its review is still open on a closed order")


def every_begun_order_has_its_run() -> Iterator[Violation]:
    """An order that is past the queue names the one run that processes it."""
    begun = Order.objects.exclude(status__in=[OrderStatus.PLACED, OrderStatus.QUEUED])
    held_before = Q(status=OrderStatus.ON_HOLD, resume_status__in=[OrderStatus.PLACED, OrderStatus.QUEUED])
    never_prepared = Q(status=OrderStatus.CANCELLED) | Q(status=OrderStatus.UNDOING) | held_before
    for number in begun.filter(process_run_id="").exclude(never_prepared).values_list("number", flat=True):
        yield Violation(invariant="one run", subject=number, detail="no run is bound to the order")


def outbox_is_empty() -> Iterator[Violation]:
    """Nothing waits for Temporal longer than a moment."""
    late = OutboxMessage.objects.filter(outbox.PENDING, due_at__lt=clock.now() - OUTBOX_PATIENCE)
    for message in late.order_by("id")[:100]:
        yield Violation(
            invariant="outbox",
            subject=message.aggregate,
            detail=f"{message.topic} waits: {message.last_error or 'pending'}",
        )


def history_verifies(numbers: Sequence[str] | None = None) -> Iterator[Violation]:
    """Every order's chain holds from its first event to its head; `numbers` limits the look to those orders."""
    orders = Order.objects.only("id", "number", "status", "event_count", "chain_head")
    if numbers is not None:
        orders = orders.filter(number__in=numbers)
    for order in pages(orders, PAGE):
        broken = history.verify_chain(order, OrderEvent.objects.filter(order=order).order_by("sequence"))
        if broken:
            yield Violation(
                invariant="history", subject=order.number, detail=f"event {broken.sequence}: {broken.problem}"
            )


def unknown_numbers(numbers: Sequence[str]) -> list[str]:
    """Which of the numbers no order has."""
    known = set(Order.objects.filter(number__in=numbers).values_list("number", flat=True))
    return [number for number in numbers if number not in known]


def numbers_and_statuses(order_ids: Iterable[str]) -> dict[str, tuple[str, str]]:
    """(number, status) by order id, for those of the ids that are orders of ours."""
    wanted = set(order_ids)
    rows = pages(Order.objects.values_list("id", "number", "status"), PAGE)
    return {str(pk): (number, status) for pk, number, status in rows if str(pk) in wanted}


def recovered_orders() -> set[str]:
    """Ids of the orders that a recovery run has brought to their end, or a lead after the database was restored."""
    ended = Recovery.objects.filter(order__status__in=TERMINAL_STATUSES).exclude(run_id="")
    decided = RestoreDifference.objects.exclude(decision="").values_list("reference", flat=True)
    return {*(str(pk) for pk in ended.values_list("order_id", flat=True)), *decided}


def finished_after_a_restore() -> set[str]:
    """Ids of the orders whose process a lead had begun again, because the database had forgotten its end."""
    begun_again = RestoreDifference.objects.filter(decision=RestoreDecision.FINISH)
    return set(begun_again.values_list("reference", flat=True))


def order_count() -> int:
    return Order.objects.count()


def _pieces_by_product(status: ReservationStatus) -> dict[int, int]:
    rows = Reservation.objects.filter(status=status).values_list("product_id").annotate(Sum("quantity")).order_by()
    return dict(rows)
