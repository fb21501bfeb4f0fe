"""The rates partner: how much of each currency one unit of a base currency buys.

Rates are decimal texts from the wire to the sum: as floats they would lose pennies.
"""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Any

from django.conf import settings

from orders.errors import PartnerUnavailable
from orders.partners import questions
from orders.vocabulary import Currency, PartnerCode


def quote(base: str) -> dict[str, str]:
    """Currency -> rate, for the currencies that we trade in. Raises `PartnerUnavailable` or `PartnerRefused`."""
    told: Any = questions.ask(PartnerCode.RATES, f"{settings.RATES_URL}/rates", {"base": base})
    try:
        rates = {str(code): str(told["rates"][code]) for code in Currency}
        readable = all(0 < Decimal(rate) < Decimal("1e9") for rate in rates.values())
    except (KeyError, TypeError, InvalidOperation) as error:
        raise PartnerUnavailable("The rates partner gave an answer that cannot be read.") from error
    if not readable:
        raise PartnerUnavailable("The rates partner gave a rate that cannot be.")
    return rates
