"""What `verify_invariants` asks of outside books: every order's money and parcels, as each witness has them."""

from __future__ import annotations

from collections.abc import Iterator

from orders import clock
from orders.amounts import counted
from orders.models import Order
from orders.paging import pages
from orders.services.books.comparing import is_booked, is_uuid
from orders.services.books.ours import Ours, ledger_balances, of_orders
from orders.services.books.witnesses import PAGE, Sums, Witness, witnesses
from orders.services.violation import Violation
from orders.vocabulary import LedgerAccount, OrderStatus, StepName


def check_books() -> Iterator[Violation]:
    """What any witness of ours contradicts, each thing once. Raises what `Witness.books` raises."""
    yield from dict.fromkeys(found for witness in witnesses() for found in hear(witness))


def hear(witness: Witness) -> Iterator[Violation]:
    """Our books against one witness's, order by order."""
    began, heard = clock.now(), set[str]()
    for page in witness.books():
        known = of_orders([order_id for order_id in page if is_uuid(order_id)], settled_before=began)
        for order_id, sums in page.items():
            ours = known.get(order_id)
            if ours is None:
                yield from _of_nobody(order_id, sums)
            elif ours.order.is_terminal and not ours.is_moving:
                yield from _compare(ours, sums)
        heard |= set(page)
    yield from _unheard(heard)


def _of_nobody(order_id: str, sums: Sums) -> Iterator[Violation]:
    """An account may be shared with others: what names no order, and moved nothing, is none of ours."""
    if order_id or sums.received_minor or sums.authorised_minor or sums.parcels:
        yield Violation(
            invariant="books", subject=order_id or "no order", detail="the partner knows an order that we do not"
        )


def _unheard(heard: set[str]) -> Iterator[Violation]:
    balances = ledger_balances()
    for order_id, number, status in pages(Order.objects.values_list("pk", "number", "status"), PAGE):
        if str(order_id) in heard:
            continue
        holds = balances.get(str(order_id), {}).get(LedgerAccount.GATEWAY, 0)
        if status == OrderStatus.COMPLETED:
            yield Violation(invariant="books", subject=number, detail="completed, but the partners never heard of it")
        elif holds:
            yield Violation(
                invariant="books",
                subject=number,
                detail=f"our ledger says {holds}, but the partners never heard of it",
            )


def _compare(ours: Ours, sums: Sums) -> Iterator[Violation]:
    order = ours.order
    completed = order.status == OrderStatus.COMPLETED
    money_by_word, parcel_by_word = StepName.REFUND in ours.by_word, StepName.RECALL in ours.by_word
    currencies, unknown = sums.currencies - {order.currency.lower()}, sums.refunds - set(ours.refunds)
    rules = (
        (is_booked(ours, sums.net_minor), f"the gateway holds {sums.net_minor}, our ledger says {ours.balance_minor}"),
        (sums.received_minor <= order.total_minor, f"charged {sums.received_minor} of {order.total_minor}"),
        (sums.captures <= 1, f"charged {sums.captures} times"),
        # One for each payment method that was tried; all but one are cancelled.
        (
            sums.payments <= ours.tried,
            f"{sums.payments} payments at the gateway for {counted(ours.tried, 'payment method')}",
        ),
        (sums.standing <= 1, f"{sums.standing} payments stand at the gateway"),
        (money_by_word or sums.authorised_minor == 0, f"{sums.authorised_minor} still authorised"),
        (not completed or not currencies, f"charged in {', '.join(sorted(currencies))}"),
        (money_by_word or not unknown, f"no row for refund {', '.join(sorted(unknown))}"),
        (
            sums.parcels is None or parcel_by_word or sums.parcels == int(completed and not ours.shipped_by_hand),
            f"{sums.parcels} shipments on their way",
        ),
    )
    for holds, detail in rules:
        if not holds:
            yield Violation(invariant="books", subject=order.number, detail=detail)
