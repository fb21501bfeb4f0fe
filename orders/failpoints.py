"""Named points inside every step, at which a chaos run pauses or kills the worker.

Random kills almost never hit the few milliseconds in which a missing fence would show: measured, a saga without any
fence came through them unharmed. Here the moment is chosen instead:

    claim       the step is claimed, nothing was done yet
    call        the fence was checked, the partner is asked next
    effect      the partner has acted, nothing of it is stored
    commit      the transaction of the business write is about to begin
    committed   it is stored, and the engine does not know it

BACKOFFICE_FAILPOINTS is `pause:PROBABILITY:SECONDS:SEED`, `crash:PROBABILITY:SEED` or `listed:SECONDS:FOLDER`, and is
read in a chaos run only (BACKOFFICE_ENV=chaos).
"""

import logging
import os
import random
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from orders.vocabulary import StepName

logger = logging.getLogger(__name__)
EVERYWHERE = ("claim", "commit", "committed")
#: the points of each step, as `reach` is called in it
POINTS: dict[StepName, tuple[str, ...]] = {
    **dict.fromkeys(StepName, EVERYWHERE),
    StepName.CHARGE: (*EVERYWHERE, "call", "effect"),
    StepName.FRAUD: (*EVERYWHERE, "effect"),
    StepName.SHIP: (*EVERYWHERE, "call", "effect"),
    StepName.REFUND: (*EVERYWHERE, "effect"),
    StepName.RECALL: (*EVERYWHERE, "effect"),
}


@dataclass(frozen=True, kw_only=True)
class Failpoints:
    """Points that are drawn: what happens at them, and how often."""

    probability: float
    #: length of a pause, longer than an activity's timeout; None ends the process instead
    seconds: float | None
    seed: str

    def strikes(self, key: str, token: int, point: str) -> bool:
        """Drawn for each attempt anew; a draw for the step alone would hit all its retries, for ever."""
        return random.Random(f"{self.seed}:{key}:{token}:{point}").random() < self.probability

    def strike(self, key: str, token: int, point: str) -> None:
        if self.strikes(key, token, point):
            _hurt(key, token, point, self.seconds)


@dataclass(frozen=True, kw_only=True)
class Listed:
    """Points that are named by files `<order id>:<step>.<point>`, which say "pause" or "crash"; each strikes once."""

    seconds: float
    folder: Path

    def strike(self, key: str, token: int, point: str) -> None:
        wish = self.folder / f"{key}.{point}"
        try:
            what = wish.read_text()
            # Two attempts may come at once; the file belongs to the one that removes it.
            wish.unlink()
        except FileNotFoundError:
            return
        _hurt(key, token, point, None if what == "crash" else self.seconds)


def _hurt(key: str, token: int, point: str, seconds: float | None) -> None:
    logger.warning("Failpoint %s of %s, attempt %d: %s", point, key, token, seconds or "crash")
    if seconds is None:
        os._exit(137)
    time.sleep(seconds)


def asked_for(environ: Mapping[str, str]) -> Failpoints | Listed | None:
    """What the environment asks for. Raises ValueError for a text that means nothing."""
    text = environ.get("BACKOFFICE_FAILPOINTS", "")
    if environ.get("BACKOFFICE_ENV") != "chaos" or not text:
        return None
    match text.split(":"):
        case ["pause", probability, seconds, seed]:
            return Failpoints(probability=float(probability), seconds=float(seconds), seed=seed)
        case ["crash", probability, seed]:
            return Failpoints(probability=float(probability), seconds=None, seed=seed)
        case ["listed", seconds, folder]:
            return Listed(seconds=float(seconds), folder=Path(folder))
    raise ValueError(f"BACKOFFICE_FAILPOINTS={text} is not pause:chance:seconds:seed, crash:... or listed:...")


ACTIVE = asked_for(os.environ)


def reach(key: str, token: int, point: str) -> None:
    """Say that this attempt of the step has come to the point."""
    if ACTIVE is not None:
        ACTIVE.strike(key, token, point)
