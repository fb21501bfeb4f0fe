"""Pages of a return: announce it, say what came, refund what came; and the buttons that withdraw or close it.

Each page lists lines with a field for each, and posts the return's id with what the person saw: a second click, or a
colleague who was faster, is told so instead of acting on another return.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_http_methods, require_POST

from orders.actor import Actor, person
from orders.amounts import money
from orders.command_forms import ReasonForm, Refused, empty, page_command, with_words
from orders.command_views import Button, asked_refund, press
from orders.errors import InvalidInput, NotPermitted, WrongState
from orders.frames import in_frame, order_not_found
from orders.models import Order, ReturnCase
from orders.models.rules import choices
from orders.order_commands import ReturnForm, ReturnRefundForm
from orders.selectors import returns as selectors
from orders.services import returning
from orders.services.returning import Announced, Received
from orders.vocabulary import MAX_LINE_QUANTITY, Channel, OrderStatus, ReturnStatus, UnsellableReason


def _of(number: str, return_id: Any) -> Any:
    """The id, if it is a return of this order. Raises `ReturnCase.DoesNotExist`."""
    return ReturnCase.objects.only("pk").get(pk=return_id, order__number=number).pk


def _withdraw(number: str, *, return_id: Any, actor: Actor, reason: str) -> Any:
    return returning.withdraw(_of(number, return_id), actor=actor, reason=reason)


def _close(number: str, *, return_id: Any, actor: Actor, reason: str) -> Any:
    return returning.close(_of(number, return_id), actor=actor, reason=reason)


def _refund(number: str, *, return_id: Any, amount_minor: int, actor: Actor, reason: str) -> Any:
    return returning.refund(_of(number, return_id), amount_minor=amount_minor, actor=actor, reason=reason)


WITHDRAW = Button(
    service=_withdraw,
    form=ReturnForm,
    permission="orders.announce_return",
    taken="The return of {number} is withdrawn.",
)
CLOSE = Button(
    service=_close,
    form=ReturnForm,
    permission="orders.refund_order",
    taken="The return of {number} is closed without a refund.",
)
REFUND = Button(
    service=_refund,
    form=ReturnRefundForm,
    permission="orders.refund_order",
    taken=asked_refund,
)


@require_POST
@login_required
def withdraw(request: HttpRequest, number: str) -> HttpResponse:
    return press(request, number, "return-withdraw", WITHDRAW)


@require_POST
@login_required
def close(request: HttpRequest, number: str) -> HttpResponse:
    return press(request, number, "return-close", CLOSE)


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def refund(request: HttpRequest, number: str) -> HttpResponse:
    """GET shows what came and what is due for it; POST asks for the refund."""

    def page(refused: Refused | None = None, status: int = 200) -> HttpResponse:
        order = _order(request, number, "orders.refund_order")
        if order is None:
            return order_not_found(request, number)
        case = selectors.open_return(order, ReturnStatus.RECEIVED)
        if case is None:
            nothing = f"No return of order {number} waits for a refund."
            return _nothing(request, number, with_words(refused.form) if refused else nothing)
        payable, due = case.payable_minor(order.payment.left_minor), case.due_minor()
        if refused is not None and not payable:
            messages.warning(request, with_words(refused.form))
        amount = money(payable, order.currency)
        form = empty(ReturnRefundForm, "return-refund", refused, return_id=case.pk, amount_minor=payable)
        if refused is not None:
            # Whoever sends it again has read what is due now.
            form.data = {**form.data.dict(), "return_id": str(case.pk), "amount_minor": str(payable)}  # type: ignore[attr-defined]
        shown = {
            "order": order,
            "amount": amount if payable else "",
            "due": money(due, order.currency) if due != payable else "",
            "lines": [(line, money(line.refund_minor, order.currency)) for line in case.lines.all() if line.received],
            "command": page_command("return-refund", f"Refund {amount}", "undo", form),
        }
        title = f"Refund the return of {order.number}"
        return in_frame(request, "orders/return_refund.html", title, shown, status=status)

    return press(request, number, "return-refund", REFUND, page) if request.method == "POST" else page()


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def announce(request: HttpRequest, number: str) -> HttpResponse:
    """GET lists the lines of which pieces may come back; POST announces the return."""
    order = _order(request, number, "orders.announce_return")
    if order is None:
        return order_not_found(request, number)

    def work(reason: str, actor: Actor) -> str:
        lines = [
            Announced(position=position, quantity=pieces)
            for position, pieces in _numbers(request.POST, "pieces").items()
            if pieces
        ]
        returning.announce(order.number, lines=lines, actor=actor, reason=reason)
        return f"The return of {number} is announced."

    def form(said: str) -> HttpResponse:
        lines = selectors.returnable_lines(order, request.GET.get("page"))
        rows = [(line, request.POST.get(f"pieces-{line.position}", "")) for line in lines]
        shown = {"order": order, "lines": lines, "rows": rows, "said": said}
        return _page(request, "orders/return_announce.html", f"Return of {order.number}", shown)

    if request.method == "POST":
        return _give(request, number, work, form)
    if order.status != OrderStatus.COMPLETED:
        return _nothing(request, number, f"Order {number} is not completed, so nothing can come back.")
    return form("")


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def receive(request: HttpRequest, number: str) -> HttpResponse:
    """GET lists what was announced; POST says what came of it."""
    order = _order(request, number, "orders.receive_return")
    if order is None:
        return order_not_found(request, number)
    case = selectors.open_return(order, ReturnStatus.ANNOUNCED)

    def work(reason: str, actor: Actor) -> str:
        came, unsellable = _numbers(request.POST, "received"), _numbers(request.POST, "unsellable")
        lines = [
            Received(
                position=position,
                received=pieces,
                unsellable=unsellable.get(position, 0),
                unsellable_reason=request.POST.get(f"why-{position}", "") if unsellable.get(position) else "",
            )
            for position, pieces in came.items()
        ]
        returning.receive(_posted_return(request, number), lines=lines, actor=actor, reason=reason)
        return f"What came back of {number} is recorded. No money has moved yet."

    def form(said: str) -> HttpResponse:
        if case is None:
            return _nothing(request, number, f"No return of order {number} waits to be received.")
        rows = [
            {
                "line": line,
                "received": request.POST.get(f"received-{line.order_line.position}", ""),
                "unsellable": request.POST.get(f"unsellable-{line.order_line.position}", ""),
                "why": request.POST.get(f"why-{line.order_line.position}", ""),
            }
            for line in case.lines.all()
        ]
        shown = {"order": order, "case": case, "rows": rows, "whys": choices(UnsellableReason), "said": said}
        return _page(request, "orders/return_receive.html", f"Receive the return of {order.number}", shown)

    return _give(request, number, work, form) if request.method == "POST" else form("")


def _give(
    request: HttpRequest,
    number: str,
    work: Callable[[str, Actor], str],
    form: Callable[[str], HttpResponse],
) -> HttpResponse:
    """Do `work`; a mistake in the form shows it again with what was typed, anything else goes to the order's page."""
    given = ReasonForm(request.POST)
    try:
        if not given.is_valid():
            raise InvalidInput("reason", f"Reason: {' '.join(map(str, given.errors['reason']))}")
        says = work(given.cleaned_data["reason"].strip(), person(request.user, Channel.ADMIN))
    except InvalidInput as mistake:
        return form(f"Nothing was done. {mistake}")
    except NotPermitted as refusal:
        raise PermissionDenied(str(refusal)) from refusal
    except ReturnCase.DoesNotExist:
        return order_not_found(request, number)
    except WrongState as refusal:
        messages.warning(request, str(refusal))
    else:
        messages.success(request, says)
    return redirect("orders:page", number=number)


def _posted_return(request: HttpRequest, number: str) -> Any:
    field = ReturnForm({"return_id": request.POST.get("return_id", ""), "reason": "x"})
    if not field.is_valid():
        raise InvalidInput("return_id", "The form does not say which return it is about; open it again.")
    return _of(number, field.cleaned_data["return_id"])


def _numbers(given: Mapping[str, Any], name: str) -> dict[int, int]:
    """`name-<position>` fields as position -> pieces; an empty field is not a zero and is left out."""
    found = {}
    for field, value in given.items():
        prefix, _, position = field.rpartition("-")
        text = str(value).strip()
        if prefix != name or not text:
            continue
        # isdecimal alone would let Arabic digits and a thousand digits through.
        if not (position.isascii() and position.isdecimal() and len(position) <= 6):
            raise InvalidInput("lines", "The form names a line that cannot be.")
        if not (text.isascii() and text.isdecimal() and len(text) <= len(str(MAX_LINE_QUANTITY))):
            raise InvalidInput("lines", f"Line {position}: {text[:20]!r} is not a number of pieces.")
        found[int(position)] = int(text)
    return found


def _order(request: HttpRequest, number: str, permission: str) -> Order | None:
    if not request.user.has_perm(permission):  # type: ignore[union-attr]
        raise PermissionDenied(f"This needs the permission {permission}.")
    return None if "\x00" in number else Order.objects.filter(number=number).select_related("payment").first()


def _nothing(request: HttpRequest, number: str, says: str) -> HttpResponse:
    messages.warning(request, says)
    return redirect("orders:page", number=number)


def _page(request: HttpRequest, template: str, title: str, shown: dict[str, Any]) -> HttpResponse:
    return in_frame(request, template, title, shown, status=400 if shown["said"] else 200)
