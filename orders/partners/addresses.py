"""The address partner: does such a place exist?

Asked with country and postcode and nothing that names a person. A country may be a code or a name, as feeds have both.
"""

from __future__ import annotations

from typing import Any

from django.conf import settings

from orders.partners import questions
from orders.vocabulary import PartnerCode


def check(country: str, postcode: str = "") -> dict[str, Any]:
    """{"plausible": bool, "says": why, for people}. Raises `PartnerUnavailable` or `PartnerRefused`."""
    asked = {"country": country, **({"postcode": postcode} if postcode else {})}
    return questions.ask(PartnerCode.ADDRESSES, f"{settings.ADDRESSES_URL}/addresses/check", asked, read=_judgement)


def _judgement(told: Any) -> dict[str, Any]:
    return {"plausible": bool(told["plausible"]), "says": str(told["says"])[:200]}
