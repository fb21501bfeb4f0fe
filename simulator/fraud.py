"""Fraud scores: a pure function of the order, so that the same order meets the same review every time.

A score that changed between two attempts of one activity would send an order down two roads. The two e-mail domains at
the end of the table let a person provoke either verdict on purpose.

    +0..19   by the seed and the order id           +15  guest checkout
    +20      500.00 or more                         +25  country we seldom ship to
    +20      a further 2,000.00 or more
    95       e-mail at high-risk.example            5    e-mail at low-risk.example
"""

from simulator.wire import Request, Response, answer, code_field, draw, integer_field, read_object, refuse, text_field

MAX_AMOUNT_MINOR = 9_999_999_999
FAMILIAR_COUNTRIES = frozenset(
    {
        "GB",
        "IE",
        "FR",
        "DE",
        "NL",
        "BE",
        "LU",
        "ES",
        "PT",
        "IT",
        "AT",
        "CH",
        "DK",
        "SE",
        "NO",
        "FI",
        "IS",
        "PL",
        "CZ",
        "GR",
        "CY",
        "MT",
        "LT",
        "US",
        "CA",
        "AU",
        "NZ",
        "JP",
        "SG",
    }
)


def score(request: Request, *, seed: str, forced: bool) -> Response:
    """POST /fraud/scores: {order, amount_minor, currency, guest?, country?, email?, ...} -> {score, reasons}.

    The score is 0 (harmless) to 100; `forced` is a fault switch that makes it 100. 400 names a bad field.
    """
    body = read_object(request)
    order = text_field(body, "order")
    amount_minor = integer_field(body, "amount_minor", 0, MAX_AMOUNT_MINOR)
    currency = code_field(body, "currency", 3)
    country = code_field(body, "country", 2) if body.get("country") is not None else None
    guest, email = body.get("guest", False), body.get("email")
    if not isinstance(guest, bool):
        refuse(400, "bad_field", "guest must be true or false", field="guest")
    if email is not None and not isinstance(email, str):
        refuse(400, "bad_field", "email must be a text", field="email")
    domain = (email or "").rpartition("@")[2].lower()
    reasons = {
        f"amount of 500.00 {currency} or more": 20 * (amount_minor >= 50_000),
        f"amount of 2000.00 {currency} or more": 20 * (amount_minor >= 200_000),
        "guest checkout": 15 * guest,
        f"unfamiliar country {country}": 25 * (country is not None and country not in FAMILIAR_COUNTRIES),
    }
    points = min(100, int(draw(seed, "fraud", order) * 20) + sum(reasons.values()))
    named = [reason for reason, weight in reasons.items() if weight]
    if domain == "high-risk.example":
        points, named = 95, ["e-mail domain known for fraud"]
    elif domain == "low-risk.example":
        points, named = 5, ["long-standing e-mail domain"]
    if forced:
        points, named = 100, ["flagged by the partner"]
    return answer(200, {"order": order, "score": points, "reasons": named})
