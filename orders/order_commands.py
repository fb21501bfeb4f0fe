"""The commands of an order's page, with the fields of each and what its button says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from django import forms

from orders.command_forms import (
    NothingForm,
    OfferedCommand,
    OptionalReasonForm,
    ReasonForm,
    Refused,
    empty,
    line,
)
from orders.models import Order
from orders.selectors.offers import Offer
from orders.selectors.orders import LivePart
from orders.selectors.returns import Shown
from orders.services.reviewing import MAX_EXTENSION_HOURS

#: hours that a review's extension suggests
MORE_HOURS = 24


class NoteForm(forms.Form):
    reason = forms.CharField(max_length=500, label="Note", widget=line())


class QuestionForm(forms.Form):
    reason = forms.CharField(max_length=500, label="Question", widget=line())


class ExtendForm(forms.Form):
    hours = forms.IntegerField(min_value=1, max_value=MAX_EXTENSION_HOURS, label="More hours")
    reason = forms.CharField(max_length=500, label="Reason for more time", widget=line())


class HoldForm(ReasonForm):
    until = forms.DateTimeField(
        required=False,
        label="Hold until (UTC, may be left out)",
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}),
    )


class PauseForm(ReasonForm):
    minutes = forms.IntegerField(min_value=1, required=False, label="Pause for minutes (may be left out)")


class SkipForm(ReasonForm):
    carrier = forms.CharField(max_length=64, required=False, widget=line())
    tracking_number = forms.CharField(max_length=64, required=False, label="Tracking number", widget=line())


class PaymentMethodForm(ReasonForm):
    payment_method = forms.CharField(max_length=128, label="The gateway's token (pm_…)", widget=line())


class RefundForm(ReasonForm):
    amount = forms.DecimalField(max_digits=12, decimal_places=2, min_value=Decimal("0.01"))
    #: what the person saw as refundable: a second click, or a colleague's refund in between, is told
    left_minor = forms.IntegerField(min_value=0, widget=forms.HiddenInput)


class ReturnForm(ReasonForm):
    return_id = forms.UUIDField(widget=forms.HiddenInput)


class ReturnRefundForm(ReturnForm):
    #: the sum that the person saw and confirms
    amount_minor = forms.IntegerField(min_value=1, widget=forms.HiddenInput)


#: what the commands ask that ask for more or less than a reason
FORMS: Mapping[str, type[forms.Form]] = {
    "start": OptionalReasonForm,
    "hold": HoldForm,
    "step-pause": PauseForm,
    "review-approve": NoteForm,
    "review-ask": QuestionForm,
    "review-claim": NothingForm,
    "review-extend": ExtendForm,
    "return-withdraw": ReturnForm,
    "return-close": ReturnForm,
}


@dataclass(frozen=True, kw_only=True)
class Offered:
    """The commands of each part of an order's page."""

    order: list[OfferedCommand]
    review: list[OfferedCommand]
    #: each return with what can be done about it
    returns: list[tuple[Shown, list[OfferedCommand]]]

    def all(self) -> list[OfferedCommand]:
        return [*self.order, *self.review, *(one for _, found in self.returns for one in found)]


def offered(order: Order, live: LivePart, refused: Refused | None = None) -> Offered:
    """The commands that `live` offers; `refused` comes back as it was sent."""
    review = [] if live.case is None else [*live.case.offers]
    if live.case is not None and live.case.may_extend:
        review.append(Offer(order_number=order.number, name="review-extend", title="Extend", icon="more_time"))
    return Offered(
        order=[_command(offer, refused) for offer in live.offers],
        review=[_command(offer, refused) for offer in review],
        returns=[
            (case, [_command(offer, refused, return_id=case.id) for offer in (*case.pages, *case.buttons)])
            for case in live.returns
        ],
    )


def _command(offer: Offer, refused: Refused | None, **initial: object) -> OfferedCommand:
    form = None
    if not offer.by_page:
        if offer.name == "review-extend":
            initial["hours"] = MORE_HOURS
        form = empty(FORMS.get(offer.name, ReasonForm), offer.name, refused, **initial)
    asks = form is not None and form.fields
    return OfferedCommand(
        key=offer.name,
        title=f"{offer.title.rstrip('…')}…" if asks or offer.by_page else offer.title,
        verb=f"{offer.title}: {offer.moves}" if offer.moves else offer.title,
        icon=offer.icon,
        address=offer.address,
        form=form,
        primary=offer.primary,
    )
