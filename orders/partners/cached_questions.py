"""The questions whose answers are kept, and the key that each is kept under.

The key is a digest of canonical JSON. Python's own `hash` of a text differs from process to process, and a dict has
none: with it every process would keep answers of its own, and a worker that starts would find nothing.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

from orders.vocabulary import PartnerCode


@dataclass(frozen=True, kw_only=True)
class Question:
    partner: PartnerCode
    #: a name in `settings.ANSWER_SECONDS`
    endpoint: str
    #: what identifies the question; plain JSON, no personal data
    parameters: dict[str, Any]
    #: raised when the body of the answer changes its form
    version: int = 1

    @property
    def key(self) -> str:
        """The same in every process and for every order of the parameters."""
        asked = {
            "partner": self.partner.value,
            "endpoint": self.endpoint,
            "parameters": self.parameters,
            "version": self.version,
        }
        canonical = json.dumps(asked, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
        return hashlib.sha256(canonical.encode()).hexdigest()


def rates_of(base: str) -> Question:
    return Question(partner=PartnerCode.RATES, endpoint="rates", parameters={"base": base})


def address_of(country: str) -> Question:
    return Question(partner=PartnerCode.ADDRESSES, endpoint="address_check", parameters={"country": country})
