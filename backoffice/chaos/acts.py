"""What hurts a chaos run: kills, freezes, cuts and partner faults, each at its moment."""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import cycle
from typing import Any

from backoffice.chaos.runs import SCHEDULES, STRUCK
from orders.vocabulary import RunKind

WORKERS = ("worker-1", "worker-2")
#: kind: how often it is drawn, after each kind had its turn once
KINDS = {
    "kill worker": 3,
    "kill worker in a step": 5,
    "freeze worker": 4,
    "freeze worker in a step": 1,
    "partner": 8,
    "events": 3,
    "kill postgres": 2,
    "cut connections": 2,
    "kill temporal": 2,
    "kill web": 2,
    "terminate worker": 2,
    "slow partner": 2,
    "terminate run": 4,
    "delete schedule": 1,
    "wrong clock": 1,
    "slow readers": 1,
}
#: of these, what tells of more than processes and partners; a run without a guard looks for one thing and has none
BEYOND = frozenset({"slow partner", "terminate run", "delete schedule", "wrong clock", "slow readers"})
#: partner, operation, mode; every one leaves the caller without the answer, with or without the effect. What is saved
#: is answered under the same key for as long as the gateway remembers it
PARTNER_FAULTS = (
    ("payments", "payment_intents.create", "saved_error"),
    ("payments", "payment_intents.create", "saved_error_after"),
    ("payments", "payment_intents.confirm", "saved_error"),
    ("payments", "payment_intents.confirm", "saved_error_after"),
    ("payments", "payment_intents.cancel", "saved_error"),
    ("payments", "payment_intents.cancel", "drop_after"),
    ("payments", "payment_intents.retrieve", "hang_before"),
    ("payments", "refunds.create", "saved_error"),
    ("payments", "refunds.create", "saved_error_after"),
    ("payments", "refunds.create", "drop_after"),
    ("payments", None, "rate_limit"),
    ("payments", "payment_intents.create", "error_after"),
    ("payments", "payment_intents.create", "drop_after"),
    ("payments", "payment_intents.confirm", "error_before"),
    ("payments", "payment_intents.confirm", "error_after"),
    ("payments", "payment_intents.confirm", "drop_after"),
    ("payments", "payment_intents.confirm", "hang_after"),
    ("payments", "refunds.create", "error_after"),
    ("payments", None, "unavailable"),
    ("carrier", "shipments.book", "error_before"),
    ("carrier", "shipments.book", "error_after"),
    ("carrier", "shipments.book", "drop_after"),
    ("carrier", "shipments.book", "hang_after"),
    ("carrier", "shipments.cancel", "error_after"),
    ("carrier", None, "unavailable"),
)
#: what becomes of the gateway's events on their way to us
EVENT_FAULTS = ("lost", "late", "duplicate", "disorder")
EVENT_SECONDS = {"late": 6.0, "duplicate": 1.0, "disorder": 3.0}
#: those that a run of an order calls; one of them answers after so many seconds, the others as ever
SLOW_PARTNERS = ("payments", "carrier", "fraud")
SLOW_SECONDS = 3.0
#: how far a worker's clock goes wrong, in seconds and either way
CLOCK_SECONDS = (600, 3_600)
#: so many readers that stall; more than a web server has connections to PostgreSQL
STALLED_READERS = 12
#: how old the copy is to which a database is set back
RESTORED_AFTER = 60.0
#: told to `worker`: seconds by which its clock is ahead, and how many workflow tasks it takes at a time
CLOCK, PLACES = "BACKOFFICE_CHAOS_CLOCK", "BACKOFFICE_CHAOS_PLACES"
#: longer than the caller's patience, whatever that is
HANG_SECONDS = 6.0
#: outlasts the timeout of a partner call, so that the frozen attempt wakes up as a stale one
STALE_SECONDS = 17.0


@dataclass(frozen=True, kw_only=True)
class Act:
    """One fault: begins `at` seconds after the start and lasts `seconds` (a kill lasts no time)."""

    at: float
    kind: str
    target: str = ""
    seconds: float = 0.0
    rule: dict[str, Any] = field(default_factory=dict)
    #: kinds of run of which the first one that is under way is struck
    kinds: tuple[RunKind, ...] = ()
    #: seconds by which a clock goes ahead; behind when negative
    shift: int = 0

    def __str__(self) -> str:
        what = self.target
        if self.rule and not what:
            what = " ".join(str(self.rule.get(name) or "all") for name in ("partner", "operation", "mode"))
        if self.shift:
            what += f" {self.shift:+d} s"
        return f"{self.kind} {what}".rstrip() + (f" for {self.seconds:.1f} s" if self.seconds else "")


#: named schedules in place of the drawn one: what one machine after the other does to a back office in a bad week
PROFILES: dict[str, tuple[Act, ...]] = {
    "outages": (
        Act(at=5, kind="take away", target="temporal", seconds=60),
        Act(at=85, kind="take away", target="postgres", seconds=60),
        Act(at=165, kind="exhaust", target="postgres", seconds=20),
        *(Act(at=200 + 6 * number, kind="kill postgres", target="postgres") for number in range(10)),
    ),
    "steady": (),
}
#: how long a profile lasts unless told otherwise
PROFILE_SECONDS = {"outages": 270.0, "steady": 1800.0}


def drawn(
    draw: random.Random,
    faults: int,
    seconds: float,
    *,
    hindered_undo: bool = False,
    engine_away: float = 0.0,
    engine_lost: bool = False,
    restored: bool = False,
    beyond: bool = True,
) -> tuple[Act, ...]:
    """So many acts within the seconds; each kind has its turn once before any comes twice."""
    weights = {kind: weight for kind, weight in KINDS.items() if beyond or kind not in BEYOND}
    first = list(weights)
    draw.shuffle(first)
    kinds = first[:faults] + draw.choices(list(weights), weights=list(weights.values()), k=max(0, faults - len(first)))
    slot = seconds / max(faults, 1)
    # In turn: a schedule that keeps both workers down has nothing under way that a fault could hit.
    workers = cycle(draw.sample(WORKERS, len(WORKERS)))
    acts = [_act(draw, kind, workers, at=(number + 0.8 * draw.random()) * slot) for number, kind in enumerate(kinds)]
    if hindered_undo:
        hindrance = {"partner": "payments", "operation": "refunds.create", "mode": "error_before"}
        acts.insert(0, Act(at=0.0, kind="partner", seconds=0.8 * seconds, rule=hindrance))
    if engine_away:
        acts.insert(0, Act(at=0.1 * seconds, kind="take away", target="temporal", seconds=engine_away))
    if engine_lost:
        acts.append(Act(at=0.5 * seconds, kind="lose engine", target="temporal"))
    if restored:
        acts.append(Act(at=0.9 * seconds - RESTORED_AFTER, kind="copy database", target="postgres"))
        acts.append(Act(at=0.9 * seconds, kind="restore database", target="postgres"))
    return tuple(sorted(acts, key=lambda act: act.at))


def _act(draw: random.Random, kind: str, workers: Iterator[str], *, at: float) -> Act:
    match kind:
        case "kill worker" | "kill worker in a step" | "terminate worker":
            return Act(at=at, kind=kind, target=next(workers))
        case "freeze worker":
            return Act(at=at, kind=kind, target=next(workers), seconds=draw.uniform(2, 5))
        case "freeze worker in a step":
            return Act(at=at, kind=kind, target=next(workers), seconds=STALE_SECONDS)
        case "partner":
            partner, operation, mode = draw.choice(PARTNER_FAULTS)
            rule: dict[str, Any] = {"partner": partner, "operation": operation, "mode": mode}
            rule["seed"] = str(draw.random())
            seconds = HANG_SECONDS if "hang" in mode else float(mode == "rate_limit")
            rule |= {"probability": round(draw.uniform(0.4, 0.9), 2), "seconds": seconds}
            return Act(at=at, kind=kind, seconds=draw.uniform(2, 6), rule=rule)
        case "events":
            mode = draw.choice(EVENT_FAULTS)
            rule = {"partner": "events", "operation": "deliveries.send", "mode": mode, "seed": str(draw.random())}
            rule |= {"probability": round(draw.uniform(0.4, 0.9), 2), "seconds": EVENT_SECONDS.get(mode, 0)}
            return Act(at=at, kind=kind, seconds=draw.uniform(6, 12), rule=rule)
        case "slow partner":
            rule = {"partner": draw.choice(SLOW_PARTNERS), "mode": "latency", "seconds": SLOW_SECONDS}
            return Act(at=at, kind=kind, seconds=draw.uniform(8, 12), rule=rule)
        case "terminate run":
            return Act(at=at, kind=kind, kinds=tuple(draw.sample(STRUCK, len(STRUCK))))
        case "delete schedule":
            return Act(at=at, kind=kind, target=draw.choice(SCHEDULES))
        case "wrong clock":
            shift = draw.choice((-1, 1)) * draw.randint(*CLOCK_SECONDS)
            return Act(at=at, kind=kind, target=next(workers), seconds=draw.uniform(8, 14), shift=shift)
        case "slow readers":
            return Act(at=at, kind=kind, target=f"{STALLED_READERS} of them", seconds=draw.uniform(8, 10))
        case _:
            verb, target = kind.split(" ", 1)
            return Act(at=at, kind=kind, target="postgres" if verb == "cut" else target)
