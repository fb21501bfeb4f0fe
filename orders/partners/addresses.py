"""The address partner: does such a place exist?

Asked with country and postcode and nothing that names a person. A country may be a code or a name, as feeds have both.
"""

from __future__ import annotations

from typing import Any

from django.conf import settings

from orders.errors import PartnerUnavailable
from orders.partners import questions
from orders.vocabulary import PartnerCode


def check(country: str, postcode: str = "") -> dict[str, Any]:
    """{"plausible": bool, "says": why, for people}. Raises `PartnerUnavailable` or `PartnerRefused`."""
    asked = {"country": country, **({"postcode": postcode} if postcode else {})}
    told: Any = questions.ask(PartnerCode.ADDRESSES, f"{settings.ADDRESSES_URL}/addresses/check", asked)
    try:
        return {"plausible": bool(told["plausible"]), "says": str(told["says"])[:200]}
    except (KeyError, TypeError) as error:
        raise PartnerUnavailable("The address partner gave an answer that cannot be read.") from error
