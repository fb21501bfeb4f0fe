"""The buttons of an order's page: each gives one command with a reason, and says at once what became of it.

A table of buttons, because a view of its own for each is how one of them comes to forget the permission or the lock.
The services do both.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_http_methods, require_POST

from orders.actor import person
from orders.amounts import money
from orders.command_forms import (
    OptionalReasonForm,
    ReasonForm,
    Refused,
    bound,
    empty,
    page_command,
    refuse,
    tell_problems,
    with_words,
)
from orders.errors import InvalidInput, NotPermitted, WrongState
from orders.frames import in_frame, order_not_found
from orders.models import Approval, Order, ReturnCase, ReviewCase
from orders.order_commands import (
    ExtendForm,
    HoldForm,
    NoteForm,
    PauseForm,
    PaymentMethodForm,
    QuestionForm,
    RefundForm,
    SkipForm,
)
from orders.services import (
    cancelling,
    holding,
    notices,
    payment_methods,
    placing,
    placing_again,
    refunding,
    reviewing,
    skipping,
    stepping,
)
from orders.views import order_page_with
from orders.vocabulary import MINOR_UNITS_PER_MAJOR, Channel, OrderStatus, ReviewStatus


@dataclass(frozen=True, kw_only=True)
class Button:
    """One command that the page offers; `service` takes the number, an actor and the form's fields."""

    service: Callable[..., Any]
    form: type[forms.Form]
    permission: str
    #: said when it was taken; {number} is the order's, {made} what the service answered
    taken: str | Callable[[Any], str]
    #: the reason that is kept when the person gave none
    unsaid: str = ""

    def told(self, number: str, made: Any) -> str:
        taken = self.taken if isinstance(self.taken, str) else self.taken(made)
        return taken.format(number=number, made=made)


def _ask(number: str, *, actor: Any, reason: str) -> Any:
    return reviewing.ask(number, question=reason, actor=actor)


def _refund(number: str, *, actor: Any, reason: str, amount: Decimal, left_minor: int) -> Any:
    minor = int(amount * MINOR_UNITS_PER_MAJOR)
    return refunding.request(number, amount_minor=minor, left_minor=left_minor, actor=actor, reason=reason)


def asked_refund(made: Any) -> str:
    """What became of a refund that was asked for."""
    if isinstance(made, Approval):
        return "The refund of {number} is asked for and waits for a second person. No money has moved."
    return f"The refund of {money(made.amount_minor, made.currency)} for {{number}} goes to the gateway."


def _approved(case: ReviewCase) -> str:
    if case.status == ReviewStatus.OPEN:
        return "Your approval of {number} waits for a second person's. No money has moved."
    return "{number} is approved and goes on."


BUTTONS: dict[str, Button] = {
    "start": Button(
        service=placing.start,
        form=OptionalReasonForm,
        permission="orders.start_order",
        taken="Processing of {number} was asked for. It goes on by itself from here.",
        unsaid="Processing requested",
    ),
    "place-again": Button(
        service=placing_again.place_again,
        form=ReasonForm,
        permission="orders.place_order",
        taken="{number} was placed again as {made}.",
    ),
    "hold": Button(
        service=holding.hold,
        form=HoldForm,
        permission="orders.hold_order",
        taken="{number} stands still before its next step.",
    ),
    "release": Button(
        service=holding.release, form=ReasonForm, permission="orders.hold_order", taken="{number} goes on."
    ),
    "cancel": Button(
        service=cancelling.cancel,
        form=ReasonForm,
        permission="orders.cancel_order",
        taken="You cancelled {number}; this page shows what is undone.",
    ),
    "step-retry": Button(
        service=stepping.retry,
        form=ReasonForm,
        permission="orders.drive_step",
        taken="The step of {number} is tried again at once.",
    ),
    "step-pause": Button(
        service=stepping.pause,
        form=PauseForm,
        permission="orders.drive_step",
        taken="{number}: no further attempt is made until the pause is over or somebody resumes the step.",
    ),
    "step-resume": Button(
        service=stepping.resume,
        form=ReasonForm,
        permission="orders.drive_step",
        taken="The step of {number} goes on at once.",
    ),
    "step-skip": Button(
        service=skipping.skip,
        form=SkipForm,
        permission="orders.skip_step",
        taken="{number}: the step does without the partner from its next attempt on.",
    ),
    "payment-method": Button(
        service=payment_methods.change,
        form=PaymentMethodForm,
        permission="orders.change_payment_method",
        taken="{number} is charged with the new payment method, unless the old one has paid already.",
    ),
    "refund": Button(
        service=_refund,
        form=RefundForm,
        permission="orders.refund_order",
        taken=asked_refund,
    ),
    "refund-retry": Button(
        service=refunding.retry,
        form=ReasonForm,
        permission="orders.refund_order",
        taken="The refund of {number} is tried again.",
    ),
    "notice-send": Button(
        service=notices.send_again,
        form=ReasonForm,
        permission="orders.send_notice",
        taken="The mail about {number} will be sent again.",
    ),
    "review-claim": Button(
        service=reviewing.claim,
        form=OptionalReasonForm,
        permission="orders.decide_review",
        taken="The case of {number} is yours.",
        unsaid="Claimed",
    ),
    "review-ask": Button(
        service=_ask, form=QuestionForm, permission="orders.decide_review", taken="The question is noted on {number}."
    ),
    "review-extend": Button(
        service=reviewing.extend,
        form=ExtendForm,
        permission="orders.extend_review",
        taken="The case of {number} has more time.",
    ),
    "review-approve": Button(
        service=reviewing.approve,
        form=NoteForm,
        permission="orders.decide_review",
        taken=_approved,
    ),
    "review-reject": Button(
        service=reviewing.reject,
        form=ReasonForm,
        permission="orders.decide_review",
        taken="You rejected {number}; its stock goes back.",
    ),
}


#: shows the page that the command was given on, with the refused form and this status
Back = Callable[[Refused, int], HttpResponse]


@require_POST
@login_required
def give(request: HttpRequest, number: str, command: str) -> HttpResponse:
    """Give the command; a second click is told who was first and when."""
    return press(request, number, command, BUTTONS[command])


def press(request: HttpRequest, number: str, name: str, button: Button, back: Back | None = None) -> HttpResponse:
    """Do what the button says with the form that was sent, and go to the order's page.

    A refused form is shown again with what was typed: by `back`, or on the order's page while that offers it.
    """
    if not request.user.has_perm(button.permission):  # type: ignore[union-attr]
        raise PermissionDenied(f"This needs the permission {button.permission}.")
    if "\x00" in number:  # PostgreSQL refuses the question itself
        return order_not_found(request, number)
    form = bound(button.form, name, request.POST)
    back = back or (lambda refused, status: _on_the_order(request, number, refused, status))
    if not form.is_valid():
        tell_problems(request, form)
        return back(Refused(key=name, form=form), 400)
    given = dict(form.cleaned_data)
    given["reason"] = given.get("reason", "").strip() or button.unsaid
    try:
        made = button.service(number, actor=person(request.user, Channel.ADMIN), **given)
    except (Order.DoesNotExist, ReturnCase.DoesNotExist):
        return order_not_found(request, number)
    except NotPermitted as refusal:
        raise PermissionDenied(str(refusal)) from refusal
    except InvalidInput as refusal:
        refuse(form, refusal)
        tell_problems(request, form)
        return back(Refused(key=name, form=form), 400)
    except WrongState as refusal:
        refuse(form, refusal)
        return back(Refused(key=name, form=form), 409)
    messages.success(request, button.told(number, made))
    return redirect("orders:page", number=number)


def _on_the_order(request: HttpRequest, number: str, refused: Refused, status: int) -> HttpResponse:
    """The order's page with the refused form; without it when the order offers the command no more."""
    page = order_page_with(request, number, refused, status=status)
    if page is not None:
        return page
    if status == 409:
        messages.warning(request, with_words(refused.form))
    return redirect("orders:page", number=number)


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def cancel(request: HttpRequest, number: str) -> HttpResponse:
    """GET shows what a cancellation would do; POST does it."""

    def page(refused: Refused | None = None, status: int = 200) -> HttpResponse:
        order = order_of(number)
        if order is None:
            return order_not_found(request, number)
        try:
            plan = cancelling.plan(order)
        except WrongState as refusal:
            messages.warning(request, with_words(refused.form) if refused else str(refusal))
            return redirect("orders:page", number=number)
        payment = getattr(order, "payment", None)
        taken = payment.captured_minor if payment is not None else 0
        moves = f": gives back {money(taken, order.currency)}" if taken else ""
        command = page_command("cancel", f"Cancel the order{moves}", "cancel", empty(ReasonForm, "cancel", refused))
        shown = {"order": order, "plan": plan, "command": command}
        return in_frame(request, "orders/cancel.html", f"Cancel {order.number}", shown, status=status)

    return ask_or_press(request, number, "cancel", page)


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def refund(request: HttpRequest, number: str) -> HttpResponse:
    """GET shows what may be refunded; POST asks for it."""

    def page(refused: Refused | None = None, status: int = 200) -> HttpResponse:
        order = order_of(number)
        if order is None:
            return order_not_found(request, number)
        left = order.payment.left_minor if order.status == OrderStatus.COMPLETED else 0
        if not left:
            nothing = f"Nothing of order {number} can be refunded."
            messages.warning(request, with_words(refused.form) if refused else nothing)
            return redirect("orders:page", number=number)
        most = f"{left // MINOR_UNITS_PER_MAJOR}.{left % MINOR_UNITS_PER_MAJOR:02}"
        form = empty(RefundForm, "refund", refused, left_minor=left, amount=most)
        form.fields["amount"].label = f"Amount in {order.currency}"
        form.fields["amount"].widget.attrs["max"] = most
        if refused is not None:
            # Whoever sends it again has read what is left now.
            form.data = {**form.data.dict(), "left_minor": str(left)}  # type: ignore[attr-defined]
        words = f"Refund this amount: {money(left, order.currency)} at most"
        command = page_command("refund", words, "undo", form)
        shown = {"order": order, "left": money(left, order.currency), "command": command}
        return in_frame(request, "orders/refund.html", f"Refund {order.number}", shown, status=status)

    return ask_or_press(request, number, "refund", page)


def ask_or_press(request: HttpRequest, number: str, command: str, page: Callable[..., HttpResponse]) -> HttpResponse:
    """`page` on GET; on POST the command, with `page` again when it is refused."""
    button = BUTTONS[command]
    if request.method == "POST":
        return press(request, number, command, button, page)
    if not request.user.has_perm(button.permission):  # type: ignore[union-attr]
        raise PermissionDenied(f"This needs the permission {button.permission}.")
    return page()


def order_of(number: str) -> Order | None:
    return None if "\x00" in number else Order.objects.filter(number=number).select_related("payment").first()
