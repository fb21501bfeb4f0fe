"""The currencies of the gateway and their smallest charges, in minor units.

docs.stripe.com/currencies#minimum-and-maximum-charge-amounts; amounts have up to eight digits.
"""

MINIMUM_AMOUNTS = {
    "aed": 200,
    "aud": 50,
    "bgn": 100,
    "brl": 50,
    "cad": 50,
    "chf": 50,
    "czk": 1500,
    "dkk": 250,
    "eur": 50,
    "gbp": 30,
    "hkd": 400,
    "huf": 17500,
    "inr": 50,
    "jpy": 50,
    "mxn": 1000,
    "myr": 200,
    "nok": 300,
    "nzd": 50,
    "pln": 200,
    "ron": 200,
    "sek": 300,
    "sgd": 50,
    "thb": 1000,
    "usd": 50,
}
MAXIMUM_AMOUNT = 99_999_999
ZERO_DECIMAL = frozenset({"jpy"})


def words(amount: int, currency: str) -> str:
    """Return an amount of minor units as people write it: `25.00 GBP`, `500 JPY`."""
    whole = str(amount) if currency in ZERO_DECIMAL else f"{amount // 100}.{amount % 100:02d}"
    return f"{whole} {currency.upper()}"
