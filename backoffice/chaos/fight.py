"""One run of orders under faults: the faults while they last, the mending, the drain, and the facts for the verdict."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from backoffice.chaos import evidence, poison, verdict
from backoffice.chaos.arena import Arena
from backoffice.chaos.clients import Clients
from backoffice.chaos.faults import Tormentor
from backoffice.chaos.gateway_days import GatewayDays
from backoffice.chaos.intrusion import Intrusion
from backoffice.chaos.memory import Memory
from backoffice.chaos.plan import Plan
from backoffice.chaos.readers import Readers
from backoffice.chaos.restoring import Restoring
from backoffice.chaos.watch import MANY, Watch
from backoffice.devstack import terminal

#: seconds that poison stays after everything else: at least, so that orders that it holds up are late for all to see,
#: and at most, when whoever must hear of it had time for that
POISON_STAYS, POISON_STAYS_AT_MOST = 45.0, 150.0
#: so long a lead looks at a restored database before they decide: the sweep comes by twice
STANDS_UNDECIDED = 70.0
#: what happened to the first few that something is wrong with is told
TIMELINES_SHOWN = 5


@dataclass(kw_only=True)
class Fight:
    arena: Arena
    plan: Plan
    say: Callable[[str], None]
    #: None leaves the stranger out
    stranger: Intrusion | None
    #: seconds after the drain for attempts that sleep and would do their damage unseen
    zombies: float
    clients: Clients = field(init=False)
    watch: Watch = field(init=False)
    readers: Readers = field(init=False)
    restoring: Restoring = field(init=False)
    tormentor: Tormentor = field(init=False)
    memory: Memory = field(init=False)
    days: GatewayDays = field(init=False)

    def __post_init__(self) -> None:
        self.watch = Watch(arena=self.arena)
        self.clients = Clients(
            doors=self.arena.doors,
            acknowledgements=self.arena.home.path / "acknowledged.tsv",
            on_poison=lambda number, name: poison.watched(self.watch, number, name),
        )
        self.readers = Readers(asker=self.clients.asker)
        self.restoring = Restoring(arena=self.arena, say=self.say)
        self.tormentor = Tormentor(
            arena=self.arena, say=self.say, watch=self.watch, readers=self.readers, restoring=self.restoring
        )
        self.memory = Memory(arena=self.arena)
        self.days = GatewayDays(url=self.arena.wiring.simulator_url, seed=self.plan.seed)

    def report(self) -> dict[str, Any]:
        """Fight to the end, and judge. Raises RuntimeError when something of the harness itself failed."""
        if self.plan.poison_from is not None:
            poison.install(self.arena)
        start = time.monotonic()
        self.days.change_mood()
        self.tormentor.begin()
        self.watch.begin()
        if self.stranger is not None:
            self.stranger.begin()
        self.clients.begin(self.plan, start)
        try:
            self._hurt(start)
            self._mend()
            drained = self._drain()
            terminal.passing("verifying")
            facts = evidence.gather(
                self.arena,
                self.clients,
                hits=self.tormentor.hits,
                deeds=self.stranger.deeds() if self.stranger else None,
                watch=self.watch,
                setback=self.restoring.setback(),
            )
            facts.complaints.extend(self.readers.complaints)
        finally:
            if self.stranger is not None:
                self.stranger.stop()
            self.watch.leave()
            self.clients.leave()
        judged = verdict.judge(facts)
        report = {"orders": judged.pop("orders"), "faults": self.tormentor.done, **judged}
        report |= {"drain_seconds": round(drained, 1), "memory": self.memory.report()}
        report |= {"answers_ms": self.clients.answers_ms(), "clerk": self.clients.clerk.figures()}
        report |= {"office": self.clients.office.figures(), "desk": self.clients.desk.figures()}
        report["readers"] = {"stalled": self.readers.stalled, "answered": self.readers.answered}
        tell_timelines(self.arena, report, say=self.say)
        return report

    def _hurt(self, start: float) -> None:
        """Every act at its moment, until the last one has begun and the time is over."""
        acts = list(self.plan.acts)
        while (passed := time.monotonic() - start) < self.plan.seconds or acts or self.tormentor.aiming:
            while acts and acts[0].at <= passed:
                self.tormentor.perform(acts.pop(0))
            self.tormentor.tick()
            self._tend()
            self.memory.look()
            self._progress(passed)
            time.sleep(0.02)

    def _mend(self) -> None:
        """Nothing hurts any more; poison stays until everybody could hear of it, and is mended then."""
        self.tormentor.end_all()
        if self.stranger is not None:
            self.stranger.end()
        accepted = len(self.clients.accepted)
        self.say(f"faults are over; {self.clients.acknowledged} acknowledged, {accepted} cancellations")
        if self.plan.poison_from is not None:
            over = time.monotonic()
            while (passed := time.monotonic() - over) < POISON_STAYS_AT_MOST:
                if passed > POISON_STAYS and self.watch.done:
                    break
                self._tend()
                time.sleep(0.05)
            self.arena.tend_until_up("postgres")
            poison.mend(self.arena)
            self.say(f"poison is mended {time.monotonic() - over:.0f} s later")
        if self.restoring.restored_at is not None:
            self._let_a_lead_decide()
        self.clients.asker.mended.set()

    def _let_a_lead_decide(self) -> None:
        """Once there is a task about the restored database, and after several sweeps that might not wait for it."""
        over = time.monotonic()
        while not self.restoring.is_told() and time.monotonic() - over < MANY:
            self._tend()
            time.sleep(0.1)
        self.say(f"the restored database is {'' if self.restoring.is_told() else 'NOT '}a lead's task")
        until = time.monotonic() + STANDS_UNDECIDED
        while time.monotonic() < until:
            self._tend()
            time.sleep(0.1)
        self.restoring.decided_at = time.time()
        self.clients.asker.undecided.clear()

    def _drain(self) -> float:
        """Seconds until nothing moved any more."""
        over = time.monotonic()
        calm = evidence.drain(
            self.arena, self.clients, tick=self._tend, awaited=lambda: self.watch.done and self.readers.done
        )
        drained = time.monotonic() - over
        self.say(f"drained in {drained:.1f} s" if calm else f"something still moves after {drained:.0f} s")
        self.arena.tend_for(self.zombies)
        return drained

    def _tend(self) -> None:
        self.arena.tend()
        self.days.tick()

    def _progress(self, passed: float) -> None:
        bar = "#" * round(30 * min(1.0, passed / self.plan.seconds))
        done, orders = self.tormentor.done, self.clients.acknowledged
        terminal.passing(
            f"[{bar:<30}] {passed:4.0f} of {self.plan.seconds:.0f} s, {done} faults, {orders} orders acknowledged"
        )


def tell_timelines(arena: Arena, report: dict[str, Any], *, say: Callable[[str], None]) -> None:
    """Say what happened to the first few orders that something is wrong with."""
    for number in list(dict.fromkeys(one["subject"] for one in report["violations"]))[:TIMELINES_SHOWN]:
        for line in evidence.timeline(arena, number):
            say(f"  {number}: {line}")
