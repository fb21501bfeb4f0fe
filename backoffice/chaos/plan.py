"""What a chaos run will do, drawn from its seed before anything starts.

Faults and orders are plain data with a moment each. Drawn while the run is under way they would depend on how fast the
machine was, and the seed of a run that found something at night would prove nothing in the morning.
"""

import random
from dataclasses import dataclass
from typing import Any

from backoffice.chaos import methods, poisons
from backoffice.chaos.acts import PROFILE_SECONDS, PROFILES, Act, drawn

#: seconds of the run for each fault and for each order; the longer sum wins
SECONDS_PER_FAULT, SECONDS_PER_ORDER = 3.0, 0.6
HOT_SKU = "DEMO-CLOCK"
#: in every customer's name; Temporal must not have it anywhere
CANARY = "Chaos Canary"
SKUS = ("DEMO-LANTERN", "DEMO-KETTLE", "DEMO-BLANKET", "DEMO-MUG", "DEMO-CANDLE", "DEMO-ROPE")
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
#: a run with poison is as long at least: half of it is what the other half is compared with
POISON_SECONDS = 90.0
#: orders that come so shortly before the poison that it may hold them up are compared with nothing
BEFORE_POISON = 15.0
#: and one whose database is set back has orders from before the copy, after it, and after the restore
RESTORED_SECONDS = 100.0


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
    #: the payment waits: staff look at what its page says, and may give it another method
    waits: bool = False
    another_method: str = ""

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
    #: it waits for this status before it changes its mind, and may then do so behind the product's back
    cancel_when: str = ""
    cancel_at_engine: bool = False
    errands: Errands = Errands()
    #: the name of what is wrong with it for good; the order then has nothing else of interest
    poison: str = ""

    @property
    def is_plain(self) -> bool:
        """Whether nothing is to happen to it but that it completes."""
        wanted = {line["sku"] for line in self.body["lines"]}
        return (
            not self.poison
            and self.cancel_after is None
            and self.errands.verdict == ""
            and self.errands.hold_after is None
            and self.errands.end_after is None
            and self.body["payment_method"] in {methods.PLAIN, methods.SLOW}
            and self.body["ship_to_country"] != UNSERVED_COUNTRY
            and HOT_SKU not in wanted
        )


@dataclass(frozen=True, kw_only=True)
class Mix:
    """Which orders there are, as shares of all."""

    #: the client changes its mind
    cancelled: float = 0.15
    #: the payment method is one of `methods.KINDS` and not plain success
    methods: float = 0.3
    #: of these, the payment that waits is given another method, or its order is cancelled
    changed: float = 0.25
    cancelled_waiting: float = 0.2
    #: the carrier does not go there, the card takes its time, the hot SKU is wanted
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
    #: there are jobs over many orders too, and faults beyond those of processes and partners
    jobs: bool = True
    beyond: bool = True
    #: the status in which it does so; without one, seconds after our answer
    cancel_when: str = ""
    cancel_at_engine: bool = False
    #: an undo is hindered at the gateway for most of the run
    hindered_undo: bool = False
    #: Temporal is away for so many seconds in one piece
    engine_away: float = 0.0
    #: refused for good, all of them in the second half of the run
    poison: float = 0.0
    #: once, in the middle: Temporal loses all that it has stored
    engine_lost: bool = False
    #: near the end: the database is set back to what it was a minute before
    restored: bool = False


@dataclass(frozen=True, kw_only=True)
class Plan:
    seed: int
    seconds: float
    acts: tuple[Act, ...]
    purchases: tuple[Purchase, ...]
    #: pieces of the hot SKU: fewer than will be asked for
    hot_stock: int
    jobs: tuple[Job, ...] = ()

    @property
    def poison_from(self) -> float | None:
        """Seconds after the start at which the first poisoned order may come; None without any."""
        return self.seconds / 2 if any(one.poison for one in self.purchases) else None

    def compared(self) -> dict[str, bool]:
        """Keys of the plain orders whose time is compared -> whether they come among poison; none without any."""
        begins = self.poison_from
        if begins is None:
            return {}
        apart = (one for one in self.purchases if one.is_plain and not begins - BEFORE_POISON < one.at < begins)
        return {one.key: one.at >= begins for one in apart}


def make(*, seed: int, orders: int, faults: int, mix: Mix) -> Plan:
    """The run of this seed."""
    least = RESTORED_SECONDS if mix.restored else POISON_SECONDS if mix.poison else 5.0
    seconds = max(faults * SECONDS_PER_FAULT, orders * SECONDS_PER_ORDER, least)
    return Plan(
        seed=seed,
        seconds=seconds,
        acts=drawn(
            random.Random(f"{seed}:acts"),
            faults,
            seconds,
            hindered_undo=mix.hindered_undo,
            engine_away=mix.engine_away,
            engine_lost=mix.engine_lost,
            restored=mix.restored,
            beyond=mix.beyond,
        ),
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


def _purchases(draw: random.Random, orders: int, seconds: float, mix: Mix) -> tuple[Purchase, ...]:
    moments = sorted(draw.uniform(0, seconds) for _ in range(orders))
    # Of its own: what the clerk does must not change what the clients of a known seed order.
    clerk = random.Random(str(draw.random()))
    made = [_purchase(draw, clerk, number, at, mix) for number, at in enumerate(moments, start=1)]
    return _poisoned(made, seconds, mix.poison, random.Random(str(clerk.random()))) if mix.poison else tuple(made)


def _poisoned(made: list[Purchase], seconds: float, share: float, draw: random.Random) -> tuple[Purchase, ...]:
    """Replace so many of the second half; each kind of poison has its turn once before any comes twice."""
    late = [place for place, one in enumerate(made) if one.at >= seconds / 2]
    wanted = min(len(late), max(1, round(share * len(made))))
    names = draw.sample(list(poisons.POISONS), len(poisons.POISONS))
    for turn, place in enumerate(sorted(draw.sample(late, wanted))):
        name = names[turn % len(names)]
        one, poison = made[place], poisons.POISONS[name]
        refund = poisons.REFUND_MINOR if poison.step is None else 0
        made[place] = Purchase(
            at=one.at,
            key=one.key,
            body={
                **one.body,
                "customer": {"reference": f"CHAOS-{place + 1}", "name": f"{CANARY} {place + 1}"},
                "payment_method": methods.PLAIN,
                "ship_to_country": poison.country,
                "lines": poisons.lines(name),
            },
            errands=Errands(refund_minor=refund),
            poison=name,
        )
    return tuple(made)


def _jobs(draw: random.Random, orders: int, seconds: float, mix: Mix) -> tuple[Job, ...]:
    if not mix.jobs or orders < FEWEST_FOR_JOBS:
        return ()
    times = 1 + orders // ORDERS_PER_JOB
    # Not at once: a batch or an export over no orders shows nothing.
    jobs = [Job(at=draw.uniform(0.2, 0.9) * seconds, kind=kind) for kind in JOBS for _ in range(times)]
    return tuple(sorted(jobs, key=lambda job: job.at))


def _errands(draw: random.Random, mix: Mix, kind: methods.Kind) -> Errands:
    suspicious, held, refunded = (draw.random() < share for share in (mix.suspicious, mix.held, mix.refunded))
    verdict, after, length = draw.choice(("approve", "approve", "reject")), draw.uniform(0, 2), draw.uniform(1, 4)
    amount = draw.randint(*REFUND_MINOR)
    returned, playbook, ended = (draw.random() < share for share in (mix.returned, mix.playbook, mix.terminated))
    end_after = draw.uniform(0.5, 4)
    changes = draw.random() < mix.changed
    return Errands(
        verdict=verdict if suspicious else "",
        hold_after=after if held else None,
        hold_for=length if held else 0.0,
        refund_minor=amount if refunded or kind.refunded else 0,
        comes_back=returned and kind.refundable,
        playbook=playbook and kind.refundable,
        end_after=end_after if ended else None,
        waits=kind.waits,
        another_method=methods.PLAIN if kind.can_change and changes else "",
    )


def _purchase(draw: random.Random, clerk: random.Random, number: int, at: float, mix: Mix) -> Purchase:
    card = methods.SLOW if draw.random() < mix.slow else methods.PLAIN
    country = "United Kingdom"
    lines = [{"sku": sku, "quantity": draw.randint(1, 5)} for sku in draw.sample(SKUS, draw.randint(1, 3))]
    if draw.random() < mix.hot:
        lines.insert(draw.randint(0, len(lines)), {"sku": HOT_SKU, "quantity": 1})
    kind, drawn = methods.Kind(tokens=(card,)), draw.random()
    if drawn < mix.methods:
        kinds = list(methods.KINDS.values())
        [kind] = draw.choices(kinds, weights=[one.weight for one in kinds])
        card = draw.choice(kind.tokens)
    if draw.random() < mix.unserved:
        country = UNSERVED_COUNTRY
    errands = _errands(clerk, mix, kind)
    if errands.verdict:
        lines = [line for line in lines if line["sku"] != BULK_SKU] + [{"sku": BULK_SKU, "quantity": BULK_PIECES}]
    cancelled = draw.uniform(0, 4) if draw.random() < mix.cancelled else None
    cancel_when = mix.cancel_when
    if kind.waits and not cancel_when and draw.random() < mix.cancelled_waiting:
        cancelled, cancel_when = 0.0, "awaiting_payment"
    return Purchase(
        at=at,
        key=f"chaos-{number}-{draw.getrandbits(64):016x}",
        body=body(number, card=card, country=country, lines=lines, guest=bool(errands.verdict)),
        cancel_after=cancelled,
        cancel_when=cancel_when,
        cancel_at_engine=mix.cancel_at_engine,
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
