"""The read model of an order's page: everything it shows, out of a handful of queries, from PostgreSQL only.

An order may have two thousand lines and the page is polled by everybody who has it open, so what depends on the number
of lines is counted by the database or read one page at a time, and the part that is polled never touches the lines.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.core.paginator import Page, Paginator
from django.db.models import Count, Max, OuterRef, QuerySet, Subquery, Sum

from orders import clock, outbox, sentences
from orders.amounts import counted, money, number, price
from orders.facts import Facts, OpenStep, Review, Standing
from orders.models import (
    Command,
    CreditNote,
    Dispute,
    Order,
    OrderLine,
    Reservation,
    ReturnCase,
    ServiceBeat,
    Shipment,
    StaffTask,
    Step,
)
from orders.selectors import approvals, disputes, findings, health, offers, order_money, returns
from orders.selectors.marks import Mark, marks
from orders.selectors.notices import Shown, notices_of
from orders.selectors.offers import Case, May, Offer
from orders.selectors.timeline import CHANNELS, Timeline, run_url, timeline
from orders.selectors.undoing import Undo, is_undone, undo_of
from orders.vocabulary import (
    CommandKind,
    EventType,
    OrderStatus,
    RefundStatus,
    ReservationStatus,
    StepName,
    StepStatus,
)
from orders.wording import Tone, order_tone, order_word

LINES_PER_PAGE = 50
#: commands of which one waits at a time on an order
REFUNDS = (CommandKind.REFUND, CommandKind.RETURN_REFUND)
BACKWARD = (StepName.RECALL, StepName.REFUND, StepName.RELEASE, StepName.CLOSE)
#: which step an order of that status works on; the first that is open counts
STEPS_OF_STATUS = {
    OrderStatus.QUEUED: (StepName.VALIDATE,),
    OrderStatus.RESERVING: (StepName.RESERVE,),
    OrderStatus.CHECKING: (StepName.FRAUD,),
    OrderStatus.CHARGING: (StepName.CHARGE,),
    OrderStatus.AWAITING_PAYMENT: (StepName.CHARGE,),
    OrderStatus.SHIPPING: (StepName.SHIP, StepName.COMPLETE),
    OrderStatus.UNDOING: BACKWARD,
}


@dataclass(frozen=True, kw_only=True)
class Line:
    position: int
    sku: str
    description: str
    quantity: str
    unit_price: str
    total: str


@dataclass(frozen=True, kw_only=True)
class LivePart:
    """What changes while the engine works; the part that polls itself."""

    standing: Standing
    order: Order
    status: str
    tone: Tone
    since: datetime
    #: the door through which the order came
    channel: str
    marks: list[Mark]
    money: list[tuple[str, str]]
    transfers: list[order_money.Transfer]
    stock: list[tuple[str, str]]
    shipments: list[Shipment]
    timeline: Timeline
    offers: list[Offer]
    #: where the customer confirms the payment; empty when nobody has to
    payment_url: str
    #: the open review, if the order waits for a verdict
    case: Case | None
    #: once the order is being cancelled or undone
    undo: Undo | None
    returns: list[returns.Shown]
    outside: list[disputes.Outside]
    disputes: list[disputes.Shown]
    notices: list[Shown]
    run_url: str
    engine_trouble: str

    @property
    def is_terminal(self) -> bool:
        """Nothing moves any more; a refund under way still does."""
        payment = getattr(self.order, "payment", None)
        return self.order.is_terminal and not (payment and payment.refunding_minor)


@dataclass(frozen=True, kw_only=True)
class Told:
    """The sentence of an order, and what it was made of."""

    standing: Standing
    step: OpenStep | None
    commands: offers.Standing
    case: Case | None
    returns: list[ReturnCase]
    disputes: list[Dispute]
    engine_trouble: str


def find(order_number: str) -> Order | None:
    """The order with all that its sentence needs, annotated in one query; None for an unknown number."""
    if "\x00" in order_number:
        return None
    return findings.with_standstill(_with_surroundings(Order.objects.filter(number=order_number))).first()


def _with_surroundings(orders: QuerySet[Order]) -> QuerySet[Order]:
    mine = Reservation.objects.filter(order=OuterRef("pk")).values("order")
    waiting = outbox.of_outer_order().filter(outbox.PENDING).order_by("id")
    parked = StaffTask.of_parked_steps().filter(order=OuterRef("pk"))
    beats = ServiceBeat.objects.filter(service=health.WORKER).order_by().values("service")
    pieces = {
        f"pieces_{status}": Subquery(mine.filter(status=status).annotate(n=Sum("quantity")).values("n"))
        for status in ReservationStatus
    }
    notes = CreditNote.objects.filter(order=OuterRef("pk")).order_by().values("order").annotate(n=Count("pk"))
    return orders.select_related(
        "customer__key", "payment", "fraud_check", "review__owner", "review__first_by"
    ).annotate(
        worker_seen_at=Subquery(beats.annotate(newest=Max("at")).values("newest")),
        outbox_error=Subquery(waiting.values("last_error")[:1]),
        parked_says=Subquery(parked.values("says")[:1]),
        reserved_products=Subquery(mine.annotate(n=Count("pk")).values("n")),
        credit_note_count=Subquery(notes.values("n")),
        refund_waits=approvals.waits(REFUNDS, "number"),
        **pieces,
        **returns.counts(),
        **disputes.counts(),
    )


def steps_of(order: Order) -> list[Step]:
    """With the outage that each may wait for, in one query."""
    return list(health.with_outages(order.steps.all()))


def version(order: Order, steps: list[Step], *, may: May) -> str:
    """Changes exactly when the live part would; the browser's ETag."""
    now = clock.now()
    state = (
        order.event_count,
        order.status,
        sorted(
            (
                step.name,
                step.token,
                step.status,
                str(step.last_error_at),
                str(health.outage_of(step)) if step.last_error else "",
            )
            for step in steps
            if step.status == StepStatus.OPEN
        ),
        sorted((step.name, step.status) for step in steps),
        # The words, not only whether: they tell for how long, and a page must not stand still at "3 min".
        _engine_trouble(order, now),
        getattr(order, "outbox_error", None),
        getattr(order, "credit_note_count", None),
        [may(permission) for permission in offers.PERMISSIONS],
    )
    return hashlib.sha256(f"{order.pk}{state}".encode()).hexdigest()[:32]


def tell(order: Order, steps: list[Step], *, may: May) -> Told:
    """The order's sentence and what it was made of: one more query (commands)."""
    now = clock.now()
    payment = getattr(order, "payment", None)
    trouble = "" if order.is_terminal else _engine_trouble(order, now)
    status = OrderStatus(order.status)
    commands = offers.standing_commands(order)
    case = offers.open_case(order, may)
    step = _open_step(status, steps)
    owed = offers.open_refunds(order, RefundStatus.REFUSED)
    on_its_way = offers.open_refunds(order, RefundStatus.PENDING)
    back = returns.of_order(order)
    disputed = disputes.of_order(order)
    facts = Facts(
        now=now,
        status=status,
        since=order.status_since,
        total=money(order.total_minor, order.currency),
        line_count=order.line_count,
        step=step,
        engine_trouble=trouble,
        outbox_error=order.outbox_error or "",  # type: ignore[attr-defined]
        failure_type=order.failure_type,
        failure_message=order.failure_message,
        refunded=money(payment.refunded_minor, order.currency) if payment and payment.refunded_minor else "",
        kept=order_money.kept(payment),
        owed=order_money.total(owed),
        owed_why=owed[0].note if owed else "",
        on_its_way=order_money.total(on_its_way),
        disputed=disputes.that_matters(disputed),
        refunding=money(payment.refunding_minor, order.currency) if payment and payment.refunding_minor else "",
        may_start=may("orders.start_order"),
        held=_said(commands.hold),
        held_until=commands.hold.until if commands.hold else None,
        paused_until=commands.pause.until if commands.pause else None,
        told=_said(commands.skip or commands.payment_method),
        cancelled=_said(commands.cancel),
        placed_as=_placed_as(order),
        parked=order.parked_says or "",  # type: ignore[attr-defined]
        paused=_said(commands.pause) if commands.pause and step and commands.pause.step == step.name else "",
        review=_review(case),
        returned=returns.returned(order, back),
        standstill=findings.standstill_of(order),
        payment_waits=order_money.payment_waits(payment),
    )
    return Told(
        standing=sentences.standing(facts),
        step=step,
        commands=commands,
        case=case,
        returns=back,
        disputes=disputed,
        engine_trouble=trouble,
    )


def live_part(order: Order, steps: list[Step], *, may: May) -> LivePart:
    """The polled part: at most four more queries (events, commands, shipments, transfers)."""
    told = tell(order, steps, may=may)
    status = OrderStatus(order.status)
    payment = getattr(order, "payment", None)
    done = {step.name for step in steps if step.status == StepStatus.DONE}
    return LivePart(
        standing=told.standing,
        order=order,
        status=order_word(status, refund_outstanding=bool(order.refund_outstanding_minor)),
        tone=order_tone(status, refund_outstanding=bool(order.refund_outstanding_minor)),
        since=order.status_since,
        channel=CHANNELS.get(order.channel, order.channel),
        marks=marks(order, {step.name: step for step in steps}),
        money=order_money.rows_of(order, payment),
        transfers=order_money.transfers(order) if StepName.CHARGE in done or StepName.REFUND in done else [],
        stock=_stock(order),
        shipments=list(order.shipments.order_by("pk")) if StepName.SHIP in done else [],
        timeline=timeline(order),
        offers=[
            *offers.offers(order, told.commands, may),
            *offers.step_offers(order, told.commands, told.step, may),
        ],
        payment_url=payment.action_url if payment and payment.waits_for else "",
        case=told.case,
        undo=undo_of(order) if told.commands.cancel or is_undone(order) else None,
        returns=returns.shown(order, told.returns, may),
        disputes=disputes.shown(told.disputes),
        outside=disputes.outside_of(order),
        notices=notices_of(order),
        run_url=run_url(f"order:{order.pk}", order.process_run_id),
        engine_trouble=told.engine_trouble,
    )


def lines(order: Order, page: str | None) -> Page[Line]:
    """One page of the order's lines: one query, whatever their number."""
    rows = OrderLine.objects.filter(order=order).select_related("product").order_by("position")
    paginator: Paginator[Any] = Paginator(rows, LINES_PER_PAGE)
    # Counted when the order was placed, and lines never change.
    paginator.__dict__["count"] = order.line_count
    shown = paginator.get_page(page)
    shown.object_list = [
        Line(
            position=row.position,
            sku=row.product.sku,
            description=row.description,
            quantity=number(row.quantity),
            unit_price=price(row.unit_price, order.currency),
            total=money(row.total_minor, order.currency),
        )
        for row in shown.object_list
    ]
    return shown


def _said(command: Command | None) -> str:
    return f"{command.actor}: {command.reason}" if command else ""


def _placed_as(order: Order) -> str:
    if order.status != OrderStatus.FAILED:
        return ""
    told = order.events.filter(type=EventType.PLACED_AGAIN).values_list("data__placed_as", flat=True).first()
    return str(told or "")


def _review(case: Case | None) -> Review | None:
    if case is None:
        return None
    return Review(
        why="; ".join(case.hits),
        owner=case.owner,
        question=case.question,
        deadline_at=case.deadline_at,
        escalated=case.escalated,
        needs_second=case.needs_second,
        first_by=case.first_by,
    )


def _engine_trouble(order: Order, now: datetime) -> str:
    seen = order.worker_seen_at  # type: ignore[attr-defined]
    return sentences.engine_trouble(seen, now=now, silent_after=health.SILENT_AFTER)


def _open_step(status: OrderStatus, steps: list[Step]) -> OpenStep | None:
    by_name = {step.name: step for step in steps}
    for name in STEPS_OF_STATUS.get(status, ()):
        step = by_name.get(name)
        if step is not None and step.status == StepStatus.OPEN:
            return OpenStep(
                name=name,
                attempt=step.token,
                claimed_at=step.claimed_at,
                last_error=step.last_error,
                last_error_at=step.last_error_at,
                outage=health.outage_of(step),
            )
    return None


def _stock(order: Order) -> list[tuple[str, str]]:
    words = {
        ReservationStatus.HELD: "Held",
        ReservationStatus.CONSUMED: "Shipped",
        ReservationStatus.RELEASED: "Given back",
    }
    products = order.reserved_products  # type: ignore[attr-defined]
    if not products:
        return []
    rows = [("Products", number(products))]
    for status, label in words.items():
        pieces = getattr(order, f"pieces_{status}")
        if pieces:
            rows.append((label, counted(pieces, "piece")))
    return rows
