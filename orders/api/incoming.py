"""What the API takes in. Only what is declared here can be set; status, number and totals are nobody's to send."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.core.validators import RegexValidator
from rest_framework import serializers

from orders import clock
from orders.api.fields import Email, Moment, StrictSerializer, Text, WholeNumber, Word, YesNo
from orders.models.rules import choices
from orders.scopes import Scope
from orders.services import payment_methods, placing
from orders.services.erasing import MOST_CHARACTERS, MOST_WORDS
from orders.services.reviewing import MAX_EXTENSION_HOURS
from orders.services.texts.person import LEAST_LENGTH
from orders.vocabulary import MAX_LINE_QUANTITY, MAX_ORDER_LINES, Currency

# The message does not repeat the value: if it is a card number, it must not reach an answer or a log.
GATEWAY_TOKEN = RegexValidator(
    rf"^{payment_methods.TOKEN.pattern}\Z",
    payment_methods.TOKEN_SAYS,
    "not_a_token",
)
#: clocks of other systems may be ahead of ours, but an order of next month is a mistake
FUTURE_ALLOWED = timedelta(days=1)


class LineInput(StrictSerializer):
    sku = Text(max_length=64)
    quantity = WholeNumber(min_value=1, max_value=MAX_LINE_QUANTITY, help_text="Pieces.")
    description = Text(max_length=200, required=False, allow_blank=True, default="")


class CustomerInput(StrictSerializer):
    reference = Text(max_length=64, help_text="Your own name for the customer; the first order makes the customer.")
    name = Text(max_length=200, required=False, allow_blank=True, default="")
    email = Email(max_length=254, required=False, allow_blank=True, default="")
    country = Text(max_length=80, required=False, allow_blank=True, default="")


class OrderInput(StrictSerializer):
    customer = CustomerInput(required=False, allow_null=True, default=None, help_text="null for a guest.")
    currency = Word(choices=choices(Currency))
    payment_method = Text(
        max_length=128, validators=[GATEWAY_TOKEN], help_text="The gateway's token, never a card number."
    )
    ship_to_country = Text(max_length=80)
    reference = Text(
        max_length=128, required=False, allow_blank=True, default="", help_text="Unique within the source."
    )
    source = Text(max_length=64, required=False, default="api")  # type: ignore[assignment]
    placed_at = Moment(required=False, help_text="When the customer ordered; now unless given.")
    process = YesNo(default=True, help_text="Also start the processing, in the same transaction.")
    lines = LineInput(many=True, min_length=1, max_length=MAX_ORDER_LINES)  # type: ignore[call-arg]

    def validate_placed_at(self, value: Any) -> Any:
        if value > clock.now() + FUTURE_ALLOWED:
            raise serializers.ValidationError("It is more than one day ahead of our clock.")
        return value

    def new_order(self) -> placing.NewOrder:
        """The checked body, as the service takes it."""
        given = dict(self.validated_data)
        given.pop("process")
        customer = given.pop("customer")
        return placing.NewOrder(
            customer=placing.NewCustomer(**customer) if customer else None,
            lines=tuple(placing.NewLine(**line) for line in given.pop("lines")),
            **given,
        )


class StartInput(StrictSerializer):
    reason = Text(max_length=500, required=False, default="Processing requested", help_text="Kept in the history.")


class ErasureInput(StrictSerializer):
    reason = Text(max_length=500, help_text="Who asked for it. Kept in the history, so no names.")
    also = serializers.ListField(
        child=Text(min_length=LEAST_LENGTH, max_length=MOST_CHARACTERS),
        max_length=MOST_WORDS,
        required=False,
        help_text="Other words that name the person, as an address or another spelling; looked for, and not kept.",
    )


class ReasonInput(StrictSerializer):
    reason = Text(max_length=500, help_text="Kept in the history.")


class HoldInput(ReasonInput):
    until = Moment(required=False, help_text="When it goes on by itself; without it, when somebody releases it.")


class PauseInput(ReasonInput):
    minutes = WholeNumber(required=False, min_value=1, help_text="How long; `STEP_PAUSE_MINUTES` unless given.")


class SkipInput(ReasonInput):
    carrier = Text(max_length=64, required=False, help_text="Of a shipment: who takes the parcel that you booked.")
    tracking_number = Text(max_length=64, required=False, help_text="Of a shipment: under which number.")


class PaymentMethodInput(ReasonInput):
    payment_method = Text(
        max_length=128, validators=[GATEWAY_TOKEN], help_text="The gateway's token, never a card number."
    )


class ClaimInput(StrictSerializer):
    reason = Text(max_length=500, required=False, default="Claimed", help_text="Kept in the history.")


class QuestionInput(StrictSerializer):
    question = Text(max_length=500, help_text="What must be known before the case can be decided.")


class ExtendInput(ReasonInput):
    hours = WholeNumber(min_value=1, max_value=MAX_EXTENSION_HOURS, help_text="From now.")


class ImportParameters(StrictSerializer):
    """Query parameters: text, so numbers and yes/no are read from text here."""

    name = Text(max_length=200, required=False, default="upload.csv", help_text="What to call the file.")
    layout = Text(max_length=40, required=False, default="online-retail")
    create_products = serializers.BooleanField(required=False, default=False, help_text="Make unknown products.")
    initial_stock = serializers.IntegerField(
        required=False, default=0, min_value=0, max_value=1_000_000_000, help_text="Pieces of each product made."
    )
    process = serializers.BooleanField(required=False, default=False, help_text="Start every order of the file.")
    dry_run = serializers.BooleanField(
        required=False, default=False, help_text="Store nothing until the import is committed; see `links.report`."
    )
    follows = serializers.UUIDField(
        required=False, default=None, help_text="The import whose rejected rows this file mends."
    )


class TokenInput(StrictSerializer):
    name = Text(max_length=80, help_text="What will use the token.")
    scopes = serializers.ListField(child=Word(choices=choices(Scope)), min_length=1, max_length=len(Scope))
    days = WholeNumber(required=False, allow_null=True, default=None, min_value=1, help_text="How many days it works.")


class ApproveInput(StrictSerializer):
    reason = Text(max_length=500, required=False, allow_blank=True, default="")


class DeclineInput(StrictSerializer):
    reason = Text(max_length=500, help_text="Your colleague reads it.")


class RevokeInput(StrictSerializer):
    reason = Text(max_length=200, required=False, default="Revoked through the API")
