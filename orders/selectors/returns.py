"""The returns of an order as its page shows them, and what the reader can do about the open one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.core.paginator import Page, Paginator
from django.db.models import Count, F, OuterRef, Prefetch, QuerySet, Subquery, Sum

from orders.amounts import counted, money
from orders.models import Approval, Order, OrderLine, Refund, ReturnCase, ReturnLine
from orders.returned import Returned
from orders.selectors.offers import May, Offer, is_disputed, is_held_up
from orders.vocabulary import (
    MAX_RETURN_LINES,
    OPEN_REFUNDS,
    OPEN_RETURNS,
    ApprovalStatus,
    CommandKind,
    RefundStatus,
    ReturnStatus,
)
from orders.wording import Tone, status_word

TONES = {
    ReturnStatus.ANNOUNCED: Tone.WAITING,
    ReturnStatus.RECEIVED: Tone.WAITING,
    ReturnStatus.REFUNDED: Tone.DONE,
    ReturnStatus.CLOSED: Tone.NEUTRAL,
    ReturnStatus.WITHDRAWN: Tone.NEUTRAL,
}
#: a page shows the newest so many, and so many lines of each
SHOWN, LINES_SHOWN = 5, 10


@dataclass(frozen=True, kw_only=True)
class Shown:
    """One return on the order's page."""

    id: str
    tone: Tone
    status: str
    reason: str
    announced: str
    announced_by: str
    announced_at: datetime
    received: str
    received_by: str
    received_at: datetime | None
    restocked: str
    due: str
    #: what became of the money, and why
    money: str
    note: str
    lines: list[str]
    hidden: int
    #: links to pages, and buttons that need a reason
    pages: list[Offer]
    buttons: list[Offer]


def counts() -> dict[str, Any]:
    """What the order's row must bring along, so that an order without a return costs no further query."""
    mine = ReturnCase.objects.filter(order=OuterRef("pk")).order_by().values("order")
    lines = ReturnLine.objects.filter(case__order=OuterRef("pk")).order_by().values("case__order")
    return {
        "return_count": Subquery(mine.annotate(n=Count("pk")).values("n")),
        "open_returns": Subquery(mine.filter(status__in=OPEN_RETURNS).annotate(n=Count("pk")).values("n")),
        "pieces_returned": Subquery(lines.annotate(n=Sum("received")).values("n")),
    }


def of_order(order: Order) -> list[ReturnCase]:
    """The newest returns with their lines and refunds: three queries, none for an order without returns."""
    if not getattr(order, "return_count", None):
        return []
    return list(with_lines(ReturnCase.objects.filter(order=order))[:SHOWN])


def with_lines(cases: QuerySet[ReturnCase]) -> QuerySet[ReturnCase]:
    lines = ReturnLine.objects.select_related("order_line__product").order_by("order_line__position")
    return cases.select_related("order").prefetch_related(
        Prefetch("lines", lines), Prefetch("refunds", Refund.objects.order_by("-created_at"))
    )


def returned(order: Order, cases: list[ReturnCase]) -> Returned | None:
    """The facts for the order's sentence; None when nothing came back and nothing will."""
    came = getattr(order, "pieces_returned", None) or 0
    case = open_one(cases)
    if case is None and not came:
        return None
    facts: dict[str, Any] = {"shipped": getattr(order, "pieces_consumed", None) or 0, "came": came}
    if case is not None and case.status == ReturnStatus.ANNOUNCED:
        facts["announced"] = sum(line.announced for line in case.lines.all())
    elif case is not None:
        payable = case.payable_minor(order.payment.left_minor)
        facts |= {"unsettled": True, "due": money(payable, order.currency) if payable else ""}
        facts["due_why"] = _money(case, order)
    return Returned(**facts)


def open_one(cases: list[ReturnCase]) -> ReturnCase | None:
    return next((one for one in cases if one.status in OPEN_RETURNS), None)


def shown(order: Order, cases: list[ReturnCase], may: May) -> list[Shown]:
    return [_shown(order, case, may) for case in cases]


def offers(order: Order, cases: list[ReturnCase], may: May) -> list[Offer]:
    """What can be done about the open return."""
    case = open_one(cases)
    return [*_pages(order, case, may), *_buttons(order, case, may)] if case else []


def returnable_lines(order: Order, page: str | None) -> Page[OrderLine]:
    """The lines of which pieces may still come back, as many to a page as one return takes."""
    rows = (
        OrderLine.objects.filter(order=order, quantity__gt=F("returned") + F("awaited"))
        .select_related("product")
        .order_by("position")
    )
    return Paginator(rows, MAX_RETURN_LINES).get_page(page)


def restocked_by_product() -> dict[int, int]:
    """Pieces that came back into the stock, of all orders."""
    lines = ReturnLine.objects.filter(restocked__gt=0).order_by().values_list("order_line__product_id")
    return dict(lines.annotate(Sum("restocked")))


def open_return(order: Order, status: ReturnStatus) -> ReturnCase | None:
    return with_lines(order.returns.filter(status=status)).first()


def _shown(order: Order, case: ReturnCase, may: May) -> Shown:
    lines = list(case.lines.all())
    came, restocked = sum(line.received for line in lines), sum(line.restocked for line in lines)
    counted_it = case.received_at is not None
    return Shown(
        id=str(case.pk),
        tone=TONES[ReturnStatus(case.status)],
        status=status_word(case.status),
        reason=case.reason,
        announced=counted(sum(line.announced for line in lines), "piece"),
        announced_by=case.actor,
        announced_at=case.created_at,
        received=counted(came, "piece") if counted_it else "",
        received_by=case.received_by,
        received_at=case.received_at,
        restocked=f"{counted(restocked, 'piece')} in the stock again" + _unsellable(came - restocked),
        due=money(case.due_minor(), order.currency) if counted_it else "",
        money=_money(case, order),
        note=case.note,
        lines=[_line(line, counted_it) for line in lines[:LINES_SHOWN]],
        hidden=max(0, len(lines) - LINES_SHOWN),
        pages=_pages(order, case, may),
        buttons=_buttons(order, case, may),
    )


def _unsellable(pieces: int) -> str:
    return f", {counted(pieces, 'piece')} not to be sold" if pieces else ""


def _line(line: ReturnLine, counted_it: bool) -> str:
    sku = line.order_line.product.sku
    if not counted_it:
        return f"{sku}: {line.announced} announced"
    why = f", {line.received - line.restocked} {status_word(line.unsellable_reason).lower()}"
    return f"{sku}: {line.received} of {line.announced} came" + (why if line.unsellable_reason else "")


def _money(case: ReturnCase, order: Order) -> str:
    """What became of the money for what came back."""
    refund = next(iter(case.refunds.all()), None)
    if refund is not None and refund.status != RefundStatus.DROPPED:
        return f"{money(refund.amount_minor, refund.currency)}: {status_word(refund.status).lower()}"
    if case.status != ReturnStatus.RECEIVED:
        return ""
    asked = (
        Approval.objects.filter(
            command=CommandKind.RETURN_REFUND, subject=order.number, parameters__return=str(case.pk)
        )
        .select_related("requested_by", "decided_by")
        .order_by("-requested_at")
        .first()
    )
    if asked is not None and asked.status == ApprovalStatus.WAITING:
        return f"Not refunded: it waits for a second person since {asked.requested_by} asked for it."
    if asked is not None and asked.status == ApprovalStatus.DECLINED:
        return f"Not refunded: {asked.decided_by} declined it: {asked.decision}"
    if refund is not None:
        return f"Not refunded: {refund.note}"
    return "Not refunded: nobody has asked for it."


def _pages(order: Order, case: ReturnCase, may: May) -> list[Offer]:
    if case.status == ReturnStatus.ANNOUNCED and may("orders.receive_return"):
        return [_offer(order, "return-receive", "Receive…", "move_to_inbox", by_page=True, primary=True)]
    if case.status == ReturnStatus.RECEIVED and may("orders.refund_order") and _can_pay(order, case):
        return [_offer(order, "return-refund", "Refund what came back…", "undo", by_page=True, primary=True)]
    return []


def _buttons(order: Order, case: ReturnCase, may: May) -> list[Offer]:
    if case.status == ReturnStatus.ANNOUNCED and may("orders.announce_return"):
        return [_offer(order, "return-withdraw", "Withdraw", "close")]
    if case.status == ReturnStatus.RECEIVED and may("orders.refund_order") and not _is_refunded(case):
        keeps = f"keeps {money(case.due_minor(), order.currency)}"
        return [_offer(order, "return-close", "Close without a refund", "task_alt", moves=keeps)]
    return []


def _can_pay(order: Order, case: ReturnCase) -> bool:
    if _is_refunded(case) or is_held_up(order) or is_disputed(order):
        return False
    return case.payable_minor(order.payment.left_minor) > 0


def _is_refunded(case: ReturnCase) -> bool:
    """A refund of it is under way, on its way or owed."""
    return any(refund.status in OPEN_REFUNDS for refund in case.refunds.all())


def _offer(order: Order, name: str, title: str, icon: str, **more: Any) -> Offer:
    return Offer(order_number=order.number, name=name, title=title, icon=icon, **more)
