"""Named points inside every step, at which a chaos run pauses or kills the worker.

Random kills almost never hit the few milliseconds in which a missing fence would show: measured, a saga without any
fence came through them unharmed. Here the moment is chosen instead:

    claim       the step is claimed, nothing was done yet
    call        the fence was checked, the partner is asked next
    effect      the partner has acted, nothing of it is stored
    commit      the transaction of the business write is about to begin
    committed   it is stored, and the engine does not know it

BACKOFFICE_FAILPOINTS is `pause:PROBABILITY:SECONDS:SEED` or `crash:PROBABILITY:SEED`, and is read in a chaos run only
(BACKOFFICE_ENV=chaos).
"""

import logging
import os
import random
import time
from collections.abc import Mapping
from dataclasses import dataclass

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Failpoints:
    """What happens at the points, and how often."""

    probability: float
    #: length of a pause, longer than an activity's timeout; None ends the process instead
    seconds: float | None
    seed: str

    def strikes(self, key: str, token: int, point: str) -> bool:
        """Drawn for each attempt anew; a draw for the step alone would hit all its retries, for ever."""
        return random.Random(f"{self.seed}:{key}:{token}:{point}").random() < self.probability

    def strike(self, key: str, token: int, point: str) -> None:
        if not self.strikes(key, token, point):
            return
        logger.warning("Failpoint %s of %s, attempt %d: %s", point, key, token, self.seconds or "crash")
        if self.seconds is None:
            os._exit(137)
        time.sleep(self.seconds)


def asked_for(environ: Mapping[str, str]) -> Failpoints | None:
    """What the environment asks for. Raises ValueError for a text that means nothing."""
    text = environ.get("BACKOFFICE_FAILPOINTS", "")
    if environ.get("BACKOFFICE_ENV") != "chaos" or not text:
        return None
    match text.split(":"):
        case ["pause", probability, seconds, seed]:
            return Failpoints(probability=float(probability), seconds=float(seconds), seed=seed)
        case ["crash", probability, seed]:
            return Failpoints(probability=float(probability), seconds=None, seed=seed)
    raise ValueError(f"BACKOFFICE_FAILPOINTS={text} is neither pause:probability:seconds:seed nor crash:...:seed")


ACTIVE = asked_for(os.environ)


def reach(key: str, token: int, point: str) -> None:
    """Say that this attempt of the step has come to the point."""
    if ACTIVE is not None:
        ACTIVE.strike(key, token, point)
