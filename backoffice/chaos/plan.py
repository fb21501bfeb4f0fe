"""What a chaos run will do, drawn from its seed before anything starts.

Faults and orders are plain data with a moment each. Drawn while the run is under way they would depend on how fast the
machine was, and the seed of a run that found something at night would prove nothing in the morning.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import cycle
from typing import Any

#: seconds of the run for each fault and for each order; the longer sum wins
SECONDS_PER_FAULT, SECONDS_PER_ORDER = 3.0, 0.4
WORKERS = ("worker-1", "worker-2")
#: kind: how often it is drawn, after each kind had its turn once
KINDS = {
    "kill worker": 3,
    "kill worker in a step": 5,
    "freeze worker": 4,
    "freeze worker in a step": 1,
    "partner": 6,
    "kill postgres": 2,
    "cut connections": 2,
    "kill temporal": 2,
    "kill web": 2,
    "terminate worker": 2,
}
#: partner, operation, mode; every one leaves the caller without the answer, with or without the effect
PARTNER_FAULTS = (
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
#: longer than the caller's patience, whatever that is
HANG_SECONDS = 6.0
#: outlasts the timeout of a partner call, so that the frozen attempt wakes up as a stale one
STALE_SECONDS = 17.0
HOT_SKU = "DEMO-CLOCK"
#: in every customer's name; Temporal must not have it anywhere
CANARY = "Chaos Canary"
SKUS = ("DEMO-LANTERN", "DEMO-KETTLE", "DEMO-BLANKET", "DEMO-MUG", "DEMO-CANDLE", "DEMO-ROPE")
DECLINED = ("pm_card_chargeDeclined", "pm_card_chargeDeclinedInsufficientFunds")
UNSERVED_COUNTRY = "AQ"
#: cheap by the piece; so many of it for a guest are suspicious by the rules that the product comes with
BULK_SKU, BULK_PIECES = "DEMO-ROPE", 1_000
#: less than any order costs, and than a refund may be that one person decides
REFUND_MINOR = (50, 70)
#: shipped with the product; it pays a part back to those who waited for more than two days
PLAYBOOK, PLAYBOOK_REFUND_MINOR = "late_delivery", 500
PLAYBOOK_INPUTS = {"hours_late": 72, "voucher_minor": 300}
#: what runs over many orders; each kind has its turn once for so many orders, and never with fewer than ten
JOBS = ("partner run", "hold batch", "export", "day-end close", "import")
ORDERS_PER_JOB, FEWEST_FOR_JOBS = 40, 10
#: orders in an imported file
IMPORTED = 4


@dataclass(frozen=True, kw_only=True)
class Act:
    """One fault: begins `at` seconds after the start and lasts `seconds` (a kill lasts no time)."""

    at: float
    kind: str
    target: str = ""
    seconds: float = 0.0
    rule: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        what = self.target or " ".join(str(self.rule[name] or "all") for name in ("partner", "operation", "mode"))
        return f"{self.kind} {what}".rstrip() + (f" for {self.seconds:.1f} s" if self.seconds else "")


@dataclass(frozen=True, kw_only=True)
class Errands:
    """What the clerk does about an order."""

    #: approve or reject; empty for an order that is not suspicious
    verdict: str = ""
    #: held so many seconds after our answer, and for how long
    hold_after: float | None = None
    hold_for: float = 0.0
    #: given back when it is completed, in minor units
    refund_minor: int = 0
    #: then a piece of it comes back, and the playbook runs
    comes_back: bool = False
    playbook: bool = False
    #: so many seconds after our answer an operator terminates its workflow at Temporal
    end_after: float | None = None

    @property
    def after_completion(self) -> bool:
        return bool(self.refund_minor or self.comes_back or self.playbook)


@dataclass(frozen=True, kw_only=True)
class Job:
    """Something over many orders that the office starts."""

    at: float
    kind: str


@dataclass(frozen=True, kw_only=True)
class Purchase:
    """One simulated client: what it orders and when, and when it changes its mind (seconds after our answer)."""

    at: float
    key: str
    body: dict[str, Any]
    cancel_after: float | None = None
    #: it waits for this status before it changes its mind
    cancel_when: str = ""
    errands: Errands = Errands()


@dataclass(frozen=True, kw_only=True)
class Mix:
    """Which orders there are, as shares of all."""

    #: the client changes its mind
    cancelled: float = 0.15
    #: the card is declined, the carrier does not go there, the card takes its time, the hot SKU is wanted
    declined: float = 0.08
    unserved: float = 0.08
    slow: float = 0.2
    hot: float = 0.25
    #: the clerk must decide about it, holds it for a while, gives some of it back
    suspicious: float = 0.1
    held: float = 0.1
    refunded: float = 0.15
    #: a piece comes back, a playbook runs on it, an operator terminates its workflow
    returned: float = 0.12
    playbook: float = 0.1
    terminated: float = 0.06
    #: there are jobs over many orders too
    jobs: bool = True
    #: the status in which it does so; without one, seconds after our answer
    cancel_when: str = ""
    #: an undo is hindered at the gateway for most of the run
    hindered_undo: bool = False
    #: Temporal is away for so many seconds in one piece
    engine_away: float = 0.0


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


@dataclass(frozen=True, kw_only=True)
class Plan:
    seed: int
    seconds: float
    acts: tuple[Act, ...]
    purchases: tuple[Purchase, ...]
    #: pieces of the hot SKU: fewer than will be asked for
    hot_stock: int
    jobs: tuple[Job, ...] = ()


def make(*, seed: int, orders: int, faults: int, mix: Mix) -> Plan:
    """The run of this seed."""
    seconds = max(faults * SECONDS_PER_FAULT, orders * SECONDS_PER_ORDER, 5.0)
    return Plan(
        seed=seed,
        seconds=seconds,
        acts=_acts(random.Random(f"{seed}:acts"), faults, seconds, mix),
        purchases=_purchases(random.Random(f"{seed}:purchases"), orders, seconds, mix),
        hot_stock=max(3, orders // 12),
        jobs=_jobs(random.Random(f"{seed}:jobs"), orders, seconds, mix),
    )


def profile(name: str, *, seed: int, orders: int, seconds: float | None, mix: Mix) -> Plan:
    """The run of a named schedule; orders are drawn from the seed over all of it."""
    length = seconds or PROFILE_SECONDS[name]
    return Plan(
        seed=seed,
        seconds=length,
        acts=PROFILES[name],
        purchases=_purchases(random.Random(f"{seed}:purchases"), orders, length, mix),
        hot_stock=max(3, orders // 12),
        jobs=_jobs(random.Random(f"{seed}:jobs"), orders, length, mix),
    )


def _acts(draw: random.Random, faults: int, seconds: float, mix: Mix) -> tuple[Act, ...]:
    first = list(KINDS)
    draw.shuffle(first)
    drawn = first[:faults] + draw.choices(list(KINDS), weights=list(KINDS.values()), k=max(0, faults - len(first)))
    slot = seconds / max(faults, 1)
    # In turn: a schedule that keeps both workers down has nothing under way that a fault could hit.
    workers = cycle(draw.sample(WORKERS, len(WORKERS)))
    acts = [_act(draw, kind, workers, at=(number + 0.8 * draw.random()) * slot) for number, kind in enumerate(drawn)]
    if mix.hindered_undo:
        hindrance = {"partner": "payments", "operation": "refunds.create", "mode": "error_before"}
        acts.insert(0, Act(at=0.0, kind="partner", seconds=0.8 * seconds, rule=hindrance))
    if mix.engine_away:
        acts.insert(0, Act(at=0.1 * seconds, kind="take away", target="temporal", seconds=mix.engine_away))
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
            rule |= {"probability": round(draw.uniform(0.4, 0.9), 2), "seconds": HANG_SECONDS if "hang" in mode else 0}
            return Act(at=at, kind=kind, seconds=draw.uniform(2, 6), rule=rule)
        case _:
            verb, target = kind.split(" ", 1)
            return Act(at=at, kind=kind, target="postgres" if verb == "cut" else target)


def _purchases(draw: random.Random, orders: int, seconds: float, mix: Mix) -> tuple[Purchase, ...]:
    moments = sorted(draw.uniform(0, seconds) for _ in range(orders))
    # Of its own: what the clerk does must not change what the clients of a known seed order.
    clerk = random.Random(str(draw.random()))
    return tuple(_purchase(draw, clerk, number, at, mix) for number, at in enumerate(moments, start=1))


def _jobs(draw: random.Random, orders: int, seconds: float, mix: Mix) -> tuple[Job, ...]:
    if not mix.jobs or orders < FEWEST_FOR_JOBS:
        return ()
    times = 1 + orders // ORDERS_PER_JOB
    # Not at once: a batch or an export over no orders shows nothing.
    jobs = [Job(at=draw.uniform(0.2, 0.9) * seconds, kind=kind) for kind in JOBS for _ in range(times)]
    return tuple(sorted(jobs, key=lambda job: job.at))


def _errands(draw: random.Random, mix: Mix) -> Errands:
    suspicious, held, refunded = (draw.random() < share for share in (mix.suspicious, mix.held, mix.refunded))
    verdict, after, length = draw.choice(("approve", "approve", "reject")), draw.uniform(0, 2), draw.uniform(1, 4)
    amount = draw.randint(*REFUND_MINOR)
    returned, playbook, ended = (draw.random() < share for share in (mix.returned, mix.playbook, mix.terminated))
    end_after = draw.uniform(0.5, 4)
    return Errands(
        verdict=verdict if suspicious else "",
        hold_after=after if held else None,
        hold_for=length if held else 0.0,
        refund_minor=amount if refunded else 0,
        comes_back=returned,
        playbook=playbook,
        end_after=end_after if ended else None,
    )


def _purchase(draw: random.Random, clerk: random.Random, number: int, at: float, mix: Mix) -> Purchase:
    card = "pm_card_slow" if draw.random() < mix.slow else "pm_card_visa"
    country = "United Kingdom"
    lines = [{"sku": sku, "quantity": draw.randint(1, 5)} for sku in draw.sample(SKUS, draw.randint(1, 3))]
    if draw.random() < mix.hot:
        lines.insert(draw.randint(0, len(lines)), {"sku": HOT_SKU, "quantity": 1})
    fate = draw.random()
    if fate < mix.declined:
        card = draw.choice(DECLINED)
    elif fate < mix.declined + mix.unserved:
        country = UNSERVED_COUNTRY
    errands = _errands(clerk, mix)
    if errands.verdict:
        lines = [line for line in lines if line["sku"] != BULK_SKU] + [{"sku": BULK_SKU, "quantity": BULK_PIECES}]
    return Purchase(
        at=at,
        key=f"chaos-{number}-{draw.getrandbits(64):016x}",
        body=body(number, card=card, country=country, lines=lines, guest=bool(errands.verdict)),
        cancel_after=draw.uniform(0, 4) if draw.random() < mix.cancelled else None,
        cancel_when=mix.cancel_when,
        errands=errands,
    )


def body(number: int, *, card: str, country: str, lines: list[dict[str, Any]], guest: bool = False) -> dict[str, Any]:
    """What a client sends to the API."""
    return {
        "customer": None if guest else {"reference": f"CHAOS-{number}", "name": f"{CANARY} {number}"},
        "currency": "GBP",
        "payment_method": card,
        "ship_to_country": country,
        "lines": lines,
    }
