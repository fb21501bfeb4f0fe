"""Days at the gateway, in seconds of the run: banks decide about debits, customers confirm late, fail or never.

The clock of the gateway's books is turned forward all the time, and the product's own deadlines are as short
(`DEADLINES`), so that what takes a week in a year of business is over within a run. Idempotency keys would end with
the days too, and the product is told of days by its own clock only: they are made to live longer than any run.
"""

import random
import time
from dataclasses import dataclass, field
from typing import Any

from backoffice.chaos import switches

DAY = 86_400
#: between two turns of the clock, and how far each goes
EVERY_SECONDS, TURN = 1.0, DAY / 4
#: until another mood of the customers
MOOD_SECONDS = 4.0
#: days until a customer confirms: at once, late, and when the product has given up
CONFIRM_DAYS = (0.25, 1.0, 4.0, 10.0)
#: a customer has 24 seconds, a bank debit 28 and a refund 44 before staff are asked
DEADLINES = {
    "PAYMENT_ACTION_HOURS": f"{24 / 3600:.6f}",
    "PAYMENT_PROCESSING_DAYS": f"{28 / DAY:.8f}",
    "REFUND_PENDING_DAYS": f"{44 / DAY:.8f}",
    "PARKED_STEP_SECONDS": "20",
}
BEHAVIOUR: dict[str, Any] = {
    # Nothing of ours may rest on a search: it sees nothing of the whole run.
    "search_lag_seconds": 300 * DAY,
    "debit_seconds": 2 * DAY,
    # Some take longer than staff are patient.
    "debit_delayed_seconds": 8 * DAY,
    "refund_seconds": 2 * DAY,
    "dispute_seconds": DAY,
    "evidence_seconds": DAY,
    "key_seconds": 366 * DAY,
}


@dataclass(kw_only=True)
class GatewayDays:
    """Turns the gateway's clock and changes what its customers do; one thread, which calls `tick`."""

    url: str
    seed: int
    _next_turn: float = 0.0
    _next_mood: float = 0.0
    _draw: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self._draw = random.Random(f"{self.seed}:customers")

    def tick(self) -> None:
        now = time.monotonic()
        if now >= self._next_mood:
            self._next_mood = now + MOOD_SECONDS
            self.change_mood()
        if now >= self._next_turn:
            self._next_turn = now + EVERY_SECONDS
            switches.call(f"{self.url}/clock", "POST", {"advance_seconds": TURN})

    def change_mood(self) -> None:
        """Raises RuntimeError when the simulator does not take it."""
        customer = {
            "confirms_after_seconds": self._draw.choice(CONFIRM_DAYS) * DAY,
            "share_never": 0.15,
            "share_fails": 0.15,
        }
        if switches.call(f"{self.url}/behaviour", "PUT", {**BEHAVIOUR, "customer": customer}) is None:
            raise RuntimeError("the simulator did not take the behaviour of this run")
