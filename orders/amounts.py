"""Money and moments as people write them.

Amounts are integers of minor units everywhere in the code; here is the one place that turns them into "£1,234.50".
Formatting them by hand in a template is how a page comes to show pence as pounds.
"""

from datetime import timedelta
from decimal import Decimal

from babel import Locale
from babel.numbers import format_currency, format_decimal
from django.conf import settings
from django.utils.translation import to_locale

from orders.vocabulary import MINOR_UNITS_PER_MAJOR

LOCALE = Locale.parse(to_locale(settings.LANGUAGE_CODE))


def money(minor: int, currency: str) -> str:
    """`12345, "GBP"` as "£123.45"."""
    return format_currency(Decimal(minor) / MINOR_UNITS_PER_MAJOR, currency, locale=LOCALE)


def price(major: Decimal, currency: str) -> str:
    """A unit price with up to four decimals, two at least."""
    return format_currency(major, currency, "¤#,##0.00##", locale=LOCALE, currency_digits=False)


def number(value: int) -> str:
    return format_decimal(value, locale=LOCALE)


def counted(count: int, singular: str, plural: str = "") -> str:
    """`1, "line"` as "1 line", `1200, "line"` as "1,200 lines"."""
    return f"{number(count)} {singular if count == 1 else plural or singular + 's'}"


def duration(span: timedelta) -> str:
    """The largest unit of a span, and the next one below while it matters: "45 s", "3 min", "2 h 5 min", "4 d"."""
    seconds = max(0, int(span.total_seconds()))
    if seconds < 60:
        return f"{seconds} s"
    minutes = seconds // 60
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 24:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    return counted(hours // 24, "day")
