"""What an order's page shows of the partners' answers, with how old each is. Reads rows, never asks a partner."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from django.conf import settings
from django.db.models import OuterRef, Subquery
from django.db.models.functions import Now

from orders.amounts import duration, money
from orders.models import Order, PartnerAnswer, PartnerHealth
from orders.partners.cached_questions import Question, address_of, rates_of
from orders.vocabulary import BreakerState, PartnerCode
from orders.wording import PARTNERS, Tone


@dataclass(frozen=True, kw_only=True)
class Shown:
    """One answer on a page."""

    what: str
    value: str
    #: when it was given, and that it is old if it is
    freshness: str
    tone: Tone
    partner: PartnerCode


def shown_for(order: Order) -> list[Shown]:
    """The total in the reporting currency and the check of the address: one query."""
    rates, address = rates_of(order.currency), address_of(order.ship_to_country)
    asked = [address] if order.currency == settings.REPORTING_CURRENCY else [rates, address]
    state = PartnerHealth.objects.filter(pk=OuterRef("partner")).values("state")[:1]
    rows = PartnerAnswer.objects.filter(pk__in=[question.key for question in asked]).annotate(
        clock=Now(), state=Subquery(state)
    )
    known = {row.pk: row for row in rows}
    shown = [_address(address, known.get(address.key))]
    if rates in asked:
        shown.insert(0, _converted(order, known.get(rates.key)))
    return shown


def _freshness(row: PartnerAnswer, said: str) -> tuple[Tone, str]:
    """How old `said` is. `row` is annotated with `clock` and with `state`, that of the partner's breaker."""
    clock, state = row.clock, row.state  # type: ignore[attr-defined]
    words = f"{said} of {row.fetched_at:%d %b %H:%M} UTC, {duration(clock - row.fetched_at)} old"
    if clock < row.fresh_until:
        return Tone.DONE, f"{words[0].upper()}{words[1:]}"
    if state in {None, BreakerState.CLOSED}:
        return Tone.WAITING, f"Stale: {words}"
    how = "held" if state == BreakerState.HELD else "out of order"
    return Tone.WAITING, f"Stale: {words}; {PARTNERS[PartnerCode(row.partner)]} is {how}"


def _body(row: PartnerAnswer) -> dict[str, Any]:
    body: dict[str, Any] = row.body or {}
    return body


def _usable(row: PartnerAnswer | None) -> bool:
    return row is not None and row.clock < row.usable_until  # type: ignore[attr-defined]


def _missing(label: str, row: PartnerAnswer | None, partner: PartnerCode) -> Shown:
    said = "Not asked yet" if row is None else f"Too old to be used: of {row.fetched_at:%d %b %H:%M} UTC"
    tone = Tone.NEUTRAL if row is None else Tone.TROUBLE
    return Shown(what=label, value="-", freshness=said, tone=tone, partner=partner)


def _converted(order: Order, row: PartnerAnswer | None) -> Shown:
    label = f"Total in {settings.REPORTING_CURRENCY}"
    if row is None or not _usable(row) or settings.REPORTING_CURRENCY not in _body(row):
        return _missing(label, row, PartnerCode.RATES)
    rate = Decimal(_body(row)[settings.REPORTING_CURRENCY])
    minor = int((order.total_minor * rate).quantize(Decimal(1), rounding=ROUND_HALF_UP))
    tone, said = _freshness(row, f"rate {rate.normalize():f}")
    return Shown(
        what=label,
        value=f"≈ {money(minor, settings.REPORTING_CURRENCY)}",
        freshness=said,
        tone=tone,
        partner=PartnerCode.RATES,
    )


def _address(question: Question, row: PartnerAnswer | None) -> Shown:
    label = f"Address in {question.parameters['country']}"
    if row is None or not _usable(row):
        return _missing(label, row, PartnerCode.ADDRESSES)
    tone, said = _freshness(row, "answer")
    plausible = bool(_body(row)["plausible"])
    return Shown(
        what=label,
        value=f"{'Plausible' if plausible else 'Not plausible'}: {_body(row)['says']}",
        freshness=said,
        tone=tone if plausible else Tone.TROUBLE,
        partner=PartnerCode.ADDRESSES,
    )
