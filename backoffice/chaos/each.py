"""`./dev chaos --failpoints each`: every point of every step is struck once, by a pause and by a crash.

Drawn failpoints leave it to luck which points a run meets. Here each point has an order of its own: the orders are
placed while no worker runs, the points are listed, and only then the workers start. The steps of the undo are met by
orders that the carrier refuses after they were charged.
"""

import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg

from backoffice.chaos import evidence
from backoffice.chaos.acts import WORKERS
from backoffice.chaos.arena import Arena
from backoffice.chaos.clients import Clients, read_acknowledgements
from backoffice.chaos.facts import Facts
from backoffice.chaos.plan import SKUS, UNSERVED_COUNTRY, Plan, Purchase, body
from backoffice.devstack import terminal
from orders.failpoints import POINTS
from orders.vocabulary import StepName

UNDO = frozenset({StepName.RECALL, StepName.REFUND, StepName.RELEASE, StepName.CLOSE})
MODES = ("pause", "crash")
TOKENS = "SELECT s.key, s.token FROM orders_step s"


@dataclass(frozen=True, kw_only=True)
class Case:
    """One failpoint, one order."""

    mode: str
    step: StepName
    point: str

    @property
    def key(self) -> str:
        return f"each-{self.mode}-{self.step}-{self.point}"

    @property
    def runs_again(self) -> bool:
        """Whether another attempt must claim the step; after the commit there is nothing left to claim."""
        return self.point != "committed"


def cases(mode: str) -> list[Case]:
    return [Case(mode=mode, step=step, point=point) for step, points in POINTS.items() for point in points]


def plan_for(some: list[Case]) -> Plan:
    purchases = [
        Purchase(
            at=0.0,
            key=case.key,
            body=body(
                number,
                card="pm_card_visa",
                country=UNSERVED_COUNTRY if case.step in UNDO else "United Kingdom",
                lines=[{"sku": SKUS[number % len(SKUS)], "quantity": 1}],
            ),
        )
        for number, case in enumerate(some, start=1)
    ]
    return Plan(seed=0, seconds=0.0, acts=(), purchases=tuple(purchases), hot_stock=0)


def strike_each(arena: Arena, folder: Path, *, zombies: float) -> tuple[Facts, float]:
    """Run all cases; answers what was found, and how long the slowest half took from its start to its last order."""
    listed: list[tuple[Case, str]] = []
    clients = Clients(doors=arena.doors, acknowledgements=arena.home.path / "acknowledged.tsv")
    took = []
    for mode in MODES:
        _rest(arena)
        some = cases(mode)
        arena.say(f"{len(some)} orders, each with a {mode} at a point of its own")
        listed += _place(arena, clients, some, folder)
        started = time.monotonic()
        for name in WORKERS:
            arena.start(name)
        evidence.drain(arena, clients, tick=arena.tend)
        took.append(time.monotonic() - started)
        arena.say(f"all over after {took[-1]:.1f} s")
        if mode == "pause":
            # Paused attempts must wake up and try their worst before they are killed.
            arena.tend_for(zombies)
    terminal.passing("verifying")
    facts = evidence.gather(arena, clients, hits=0)
    facts.complaints.extend(_unproved(arena, listed, folder))
    return facts, max(took)


def _rest(arena: Arena) -> None:
    """No worker runs; nobody starts one."""
    for name in WORKERS:
        member = arena.members[name]
        if member.send(signal.SIGKILL) and member.process is not None:
            member.process.wait()
        member.process = None


def _place(arena: Arena, clients: Clients, some: list[Case], folder: Path) -> list[tuple[Case, str]]:
    """Place one order for each case and list its point; answers the cases with the keys of their steps."""
    clients.begin(plan_for(some), time.monotonic())
    while not clients.done:
        arena.tend()
        time.sleep(0.05)
    with psycopg.connect(arena.wiring.database_url) as connection:
        ids = {row[0]: row[1] for row in connection.execute("SELECT number, id::text FROM orders_order")}
    numbers = dict(read_acknowledgements(clients.acknowledgements))
    placed = [(case, f"{ids[numbers[case.key]]}:{case.step}") for case in some]
    for case, step in placed:
        (folder / f"{step}.{case.point}").write_text(case.mode)
    return placed


def _unproved(arena: Arena, listed: list[tuple[Case, str]], folder: Path) -> Iterator[str]:
    """Which points were never reached, and which strikes made nobody repeat the step."""
    with psycopg.connect(arena.wiring.database_url) as connection:
        tokens = {row[0]: row[1] for row in connection.execute(TOKENS)}
    for case, step in listed:
        if (folder / f"{step}.{case.point}").exists():
            yield f"{case.key}: the point was never reached"
        elif case.runs_again and tokens.get(step, 0) < 2:
            yield f"{case.key}: no second attempt claimed the step"
