"""The rates partner: how much of each currency one unit of a base currency buys.

Rates are decimal texts from the wire to the sum: as floats they would lose pennies.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django.conf import settings

from orders.errors import PartnerFailed
from orders.partners import questions
from orders.vocabulary import Currency, PartnerCode


def quote(base: str) -> dict[str, str]:
    """Currency -> rate, for the currencies that we trade in. Raises `PartnerUnavailable` or `PartnerRefused`."""
    return questions.ask(PartnerCode.RATES, f"{settings.RATES_URL}/rates", {"base": base}, read=_rates)


def _rates(told: Any) -> dict[str, str]:
    rates = {str(code): str(told["rates"][code]) for code in Currency}
    if not all(0 < Decimal(rate) < Decimal("1e9") for rate in rates.values()):
        raise PartnerFailed("The rates partner gave a rate that cannot be.")
    return rates
