"""Exchange rates: a fixed table, so that a conversion in a test can be checked by hand.

Rates travel as decimal texts. As JSON numbers they would become floats on the way, and a float that touches money is a
penny lost somewhere.
"""

from datetime import UTC, datetime
from decimal import Decimal

from simulator.wire import Request, Response, answer, refuse

PER_EUR = {
    "EUR": Decimal("1"),
    "USD": Decimal("1.1500"),
    "GBP": Decimal("0.8700"),
    "CHF": Decimal("0.9400"),
    "SEK": Decimal("11.0000"),
    "NOK": Decimal("11.7000"),
    "DKK": Decimal("7.4600"),
    "PLN": Decimal("4.2500"),
    "CZK": Decimal("24.4000"),
    "JPY": Decimal("175.0000"),
    "AUD": Decimal("1.7700"),
    "CAD": Decimal("1.6100"),
}


def quote(request: Request) -> Response:
    """GET /rates?base=GBP: how many of each currency one `base` buys, six decimals. 400 for an unknown base."""
    base = request.query.get("base", "EUR").upper()
    if base not in PER_EUR:
        refuse(400, "unknown_currency", f"base must be one of {', '.join(PER_EUR)}", field="base")
    rates = {code: str((rate / PER_EUR[base]).quantize(Decimal("0.000001"))) for code, rate in PER_EUR.items()}
    return answer(200, {"base": base, "as_of": datetime.now(UTC).isoformat(timespec="seconds"), "rates": rates})
