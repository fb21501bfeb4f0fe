"""What must always be true of orders, stock, money and history, asked from outside the code that keeps it.

Every guard can have a hole; this looks at the results. The partner's books are asked over HTTP, so that a charge which
our own tables forgot is found. Reads only.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

import requests
from django.conf import settings
from django.db.models import Count, Q, Sum
from django.utils import timezone

from orders import history
from orders.amounts import counted
from orders.models import (
    Command,
    LedgerTransfer,
    Order,
    OrderEvent,
    OutboxMessage,
    Payment,
    Recovery,
    Refund,
    Reservation,
    ReviewCase,
    Shipment,
    Step,
    StockItem,
)
from orders.selectors.returns import restocked_by_product
from orders.services import returns_invariants, runs_invariants
from orders.services.violation import Violation as Violation
from orders.vocabulary import (
    OPEN_REFUNDS,
    TERMINAL_STATUSES,
    CommandKind,
    CommandStatus,
    LedgerAccount,
    OrderStatus,
    RefundStatus,
    ReservationStatus,
    ReviewStatus,
    StepName,
    StepStatus,
)

#: a row that is this old and still pending is stuck, not on its way
OUTBOX_PATIENCE = timedelta(seconds=10)
PAGE = 1_000


def check_database() -> Iterator[Violation]:
    """Everything that our own tables can tell."""
    yield from stock_is_conserved()
    yield from reservations_follow_their_orders()
    yield from ledger_follows_status()
    yield from refunds_add_up()
    yield from returns_invariants.check_returns()
    yield from no_step_is_open_on_a_closed_order()
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
    for item in StockItem.objects.select_related("product").iterator(PAGE):
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


def ledger_follows_status() -> Iterator[Violation]:
    """Per closed order: a completed one earned its total, another one left every account at zero.

    Except for money that is still owed, and for money that went back by somebody's word.
    """
    balances, back, owed, by_word = ledger_balances(), _given_back(), _still_owed(), _by_word()
    nothing = dict.fromkeys(LedgerAccount, 0)
    for order in (
        Order.objects.filter(status__in=TERMINAL_STATUSES).only("id", "number", "status", "total_minor").iterator(PAGE)
    ):
        found = balances.get(str(order.id), nothing)
        expected = dict(nothing)
        if order.status == OrderStatus.COMPLETED:
            by_gateway, by_hand = (back.get((order.id, how), 0) for how in (RefundStatus.DONE, RefundStatus.SETTLED))
            expected |= {
                LedgerAccount.GATEWAY: order.total_minor - by_gateway,
                LedgerAccount.SALES: by_gateway + by_hand - order.total_minor,
                LedgerAccount.BY_HAND: -by_hand,
            }
        else:
            expected |= _left_behind(order, owed.get(order.id, 0), by_word.get(order.id, 0))
        if found != expected:
            yield Violation(invariant="ledger", subject=order.number, detail=f"balances {_words(found)}")


def refunds_add_up() -> Iterator[Violation]:
    """A payment's own figures are those of its refunds."""
    back = _given_back()
    # An undo that could give all back has no refund of its own.
    concerned = Q(order__status=OrderStatus.COMPLETED) | Q(order__in=Refund.objects.order_by().values("order"))
    for payment in Payment.objects.filter(concerned).select_related("order").iterator(PAGE):
        sums = {status: back.get((payment.order_id, status), 0) for status in RefundStatus}
        expected = (
            sums[RefundStatus.DONE] + sums[RefundStatus.SETTLED],
            sum(sums[status] for status in OPEN_REFUNDS),
        )
        found = (payment.refunded_minor, payment.refunding_minor)
        if found != expected:
            yield Violation(
                invariant="refunds",
                subject=payment.order.number,
                detail=f"refunded and under way are {found}, the refunds say {expected}",
            )


def _left_behind(order: Order, owed: int, by_hand: int) -> dict[LedgerAccount, int]:
    """What an order that was undone may leave in the books."""
    return {
        LedgerAccount.GATEWAY: owed + by_hand,
        LedgerAccount.CUSTOMER: -owed,
        LedgerAccount.BY_HAND: -by_hand,
    }


def _still_owed() -> dict[UUID, int]:
    rows = Refund.objects.filter(status__in=OPEN_REFUNDS).values_list("order_id").annotate(Sum("amount_minor"))
    return dict(rows.order_by())


def _by_word() -> dict[UUID, int]:
    """What people said that went back outside of the gateway."""
    rows = LedgerTransfer.objects.filter(credit_account=LedgerAccount.BY_HAND).values_list("order_id")
    return dict(rows.annotate(Sum("amount_minor")).order_by())


def _given_back() -> dict[tuple[UUID, str], int]:
    """(order id, status of refunds) -> sum of their amounts."""
    rows = Refund.objects.values_list("order_id", "status").annotate(Sum("amount_minor")).order_by()
    return {(order_id, status): amount for order_id, status, amount in rows}


def ledger_balances(order_ids: Iterable[UUID] | None = None) -> dict[str, dict[LedgerAccount, int]]:
    """Balance of each account per order id, in minor units; debits are positive, so the balances add up to zero.

    `order_ids` limits the look to those orders.
    """
    transfers = LedgerTransfer.objects.all()
    if order_ids is not None:
        transfers = transfers.filter(order_id__in=list(order_ids))
    balances: dict[str, dict[LedgerAccount, int]] = defaultdict(lambda: dict.fromkeys(LedgerAccount, 0))
    for side, sign in (("debit_account", 1), ("credit_account", -1)):
        sums = transfers.values_list("order_id", side).annotate(Sum("amount_minor")).order_by()
        for order_id, account, amount in sums:
            balances[str(order_id)][LedgerAccount(account)] += sign * amount
    return dict(balances)


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
    late = OutboxMessage.objects.filter(delivered_at=None, due_at__lt=timezone.now() - OUTBOX_PATIENCE)
    for message in late.order_by("id")[:100]:
        yield Violation(
            invariant="outbox",
            subject=message.aggregate,
            detail=f"{message.topic} waits: {message.last_error or 'pending'}",
        )


def history_verifies(numbers: Sequence[str] | None = None) -> Iterator[Violation]:
    """Every order's chain holds from its first event to its head; `numbers` limits the look to those orders."""
    orders = Order.objects.only("id", "number", "event_count", "chain_head")
    if numbers is not None:
        orders = orders.filter(number__in=numbers)
    for order in orders.iterator(PAGE):
        broken = history.verify_chain(order, OrderEvent.objects.filter(order=order).order_by("sequence"))
        if broken:
            yield Violation(
                invariant="history", subject=order.number, detail=f"event {broken.sequence}: {broken.problem}"
            )


def unknown_numbers(numbers: Sequence[str]) -> list[str]:
    """Which of the numbers no order has."""
    known = set(Order.objects.filter(number__in=numbers).values_list("number", flat=True))
    return [number for number in numbers if number not in known]


def check_books() -> Iterator[Violation]:
    """Our ledger against the partners' own books, order by order. Raises `requests.RequestException`."""
    balances = ledger_balances()
    orders = {
        str(order.id): order
        for order in Order.objects.only("id", "number", "status", "total_minor", "currency").iterator(PAGE)
    }
    # Between the gateway's answer and our booking the two differ rightly.
    under_way = set(Refund.objects.filter(status=RefundStatus.SENT).values_list("order_id", flat=True))
    tried = dict(Payment.objects.filter(generation__gt=1).values_list("order_id", "generation"))
    by_hand = set(Shipment.objects.filter(by_hand=True).values_list("order_id", flat=True))
    settled = _undos_settled_by_hand()
    seen = set()
    for order_id, books in partner_books():
        seen.add(order_id)
        order = orders.get(order_id)
        if order is None:
            yield Violation(
                invariant="books", subject=order_id or "no order", detail="the partner knows an order that we do not"
            )
        elif order.is_terminal and order.pk not in under_way:
            ours = balances.get(order_id, {}).get(LedgerAccount.GATEWAY, 0)
            yield from _compare(
                order,
                books,
                ours,
                settled.get(order.pk, set()),
                tried=tried.get(order.pk, 1),
                by_hand=order.pk in by_hand,
            )
    for order_id, order in orders.items():
        if order.status == OrderStatus.COMPLETED and order_id not in seen:
            yield Violation(
                invariant="books", subject=order.number, detail="completed, but the partners never heard of it"
            )


def _undos_settled_by_hand() -> dict[UUID, set[str]]:
    """Order -> its undo steps that ended by a person's word; where the partner then stands is that person's to say."""
    found: dict[UUID, set[str]] = defaultdict(set)
    for order_id, name in Step.objects.filter(result__has_key="by_hand").values_list("order_id", "name"):
        found[order_id].add(name)
    return found


def _compare(
    order: Order, books: dict[str, Any], ours: int, settled: set[str], *, tried: int, by_hand: bool
) -> Iterator[Violation]:
    completed = order.status == OrderStatus.COMPLETED
    money_by_word, parcel_by_word = StepName.REFUND in settled, StepName.RECALL in settled
    rules = (
        (
            money_by_word or books["net_minor"] == ours,
            f"the gateway holds {books['net_minor']}, our ledger says {ours}",
        ),
        (books["charged_minor"] <= order.total_minor, f"charged {books['charged_minor']} of {order.total_minor}"),
        (books["captures"] <= 1, f"charged {books['captures']} times"),
        # One for each payment method that was tried; all but one are cancelled.
        (
            books["intents"] <= tried,
            f"{books['intents']} payments at the gateway for {counted(tried, 'payment method')}",
        ),
        (
            books["uncancelled_intents"] <= 1,
            f"{books['uncancelled_intents']} payments stand at the gateway",
        ),
        (money_by_word or books["open_authorized_minor"] == 0, f"{books['open_authorized_minor']} still authorised"),
        (not completed or books["currency"] == order.currency.lower(), f"charged in {books['currency']}"),
        (
            parcel_by_word or books["shipments_booked"] == int(completed and not by_hand),
            f"{books['shipments_booked']} shipments on their way",
        ),
    )
    for holds, detail in rules:
        if not holds:
            yield Violation(invariant="books", subject=order.number, detail=detail)


def partner_books() -> Iterator[tuple[str, dict[str, Any]]]:
    """(order id, books) of every order that the simulator knows."""
    after = ""
    while True:
        answer = requests.get(
            f"{settings.SIMULATOR_URL}/oracle/orders", params={"after": after, "limit": str(PAGE)}, timeout=30
        )
        answer.raise_for_status()
        page = answer.json()
        yield from page["orders"].items()
        after = page["next"]
        if not after:
            return


def numbers_and_statuses(order_ids: Iterable[str]) -> dict[str, tuple[str, str]]:
    """(number, status) by order id, for those of the ids that are orders of ours."""
    wanted = set(order_ids)
    rows = Order.objects.values_list("id", "number", "status").iterator(PAGE)
    return {str(pk): (number, status) for pk, number, status in rows if str(pk) in wanted}


def recovered_orders() -> set[str]:
    """Ids of the orders that a recovery run has brought to their end."""
    ended = Recovery.objects.filter(order__status__in=TERMINAL_STATUSES).exclude(run_id="")
    return {str(pk) for pk in ended.values_list("order_id", flat=True)}


def order_count() -> int:
    return Order.objects.count()


def _pieces_by_product(status: ReservationStatus) -> dict[int, int]:
    rows = Reservation.objects.filter(status=status).values_list("product_id").annotate(Sum("quantity")).order_by()
    return dict(rows)


def _words(balances: dict[LedgerAccount, int]) -> str:
    return ", ".join(f"{account} {amount}" for account, amount in balances.items())
