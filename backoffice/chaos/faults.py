"""The acts of a chaos run: what each kind of fault does to the arena, and how it ends.

One thread, the one that also starts processes again. Whatever lasts (a frozen worker, a partner's fault rule) is ended
here, at its time or when the run stops; a rule that was left on would make the drain hang and look like a defect.
"""

import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import psycopg

from backoffice.chaos import strikes, switches
from backoffice.chaos.acts import CLOCK, STALLED_READERS, WORKERS, Act
from backoffice.chaos.aim import inside_a_step
from backoffice.chaos.arena import WORSE, Arena
from backoffice.chaos.readers import Readers
from backoffice.chaos.restoring import Restoring
from backoffice.chaos.watch import Watch

AIMED = " in a step"
#: waits like an aimed one, until a run of its kind is under way
TERMINATE = "terminate run"
#: an aimed act strikes after so long whatever its target does then
AIM_SECONDS = 12.0
#: between two looks at what the target does
AIM_PAUSE = 0.1
#: how long a real partner takes to answer
PARTNER_SECONDS = 0.4
TERMINATE_ALL = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"


@dataclass(kw_only=True)
class Tormentor:
    """Carries out acts, and takes back what lasts."""

    arena: Arena
    say: Callable[[str], None]
    watch: Watch
    readers: Readers
    restoring: Restoring
    #: (moment, end of a lasting act)
    pending: list[tuple[float, Callable[[], None]]] = field(default_factory=list)
    #: (moment to strike at the latest, act that waits until its target is inside a step)
    aiming: list[tuple[float, Act]] = field(default_factory=list)
    next_look: float = 0.0
    #: a frozen worker is left alone: its step is to wake up as a stale one
    frozen: set[str] = field(default_factory=set)
    done: int = 0
    #: aimed acts that found what they waited for
    hits: int = 0

    def begin(self) -> None:
        """Partners that answer at once would leave a kill nothing to interrupt."""
        for partner in ("payments", "carrier"):
            self._call("POST", "/faults", {"partner": partner, "mode": "latency", "seconds": PARTNER_SECONDS})

    def perform(self, act: Act) -> None:
        self.done += 1
        if act.kind.endswith(AIMED) or act.kind == TERMINATE:
            self.aiming.append((time.monotonic() + AIM_SECONDS, act))
        else:
            self._strike(act)

    def _strike(self, act: Act) -> None:
        self.say(str(act))
        match act.kind.removesuffix(AIMED):
            case "kill worker" | "kill postgres" | "kill temporal" | "kill web":
                self._send(act.target, signal.SIGKILL)
            case "take away":
                self.arena.members[act.target].held_until = time.monotonic() + act.seconds
                self._send(act.target, signal.SIGKILL)
            case "terminate worker":
                self._send(act.target, signal.SIGTERM)
            case "freeze worker":
                self._freeze(act)
            case "exhaust":
                self._exhaust(act)
            case "cut connections":
                self._cut()
            case "partner" | "events" | "slow partner":
                self._partner(act)
            case "delete schedule":
                if not strikes.delete_schedule(self.arena, self.watch, act.target):
                    self.say("  Temporal was down already")
            case "lose engine":
                strikes.lose_engine(self.arena, self.watch, say=self.say)
            case "copy database":
                self.restoring.copy()
            case "restore database":
                self.readers.asker.undecided.set()
                self.restoring.restore()
            case "wrong clock":
                self._set_clock(act)
            case "slow readers":
                self.readers.stall(STALLED_READERS, act.seconds)

    def tick(self) -> None:
        """Strike whom an act waits for, and end what has lasted long enough."""
        now = time.monotonic()
        if self.aiming and now >= self.next_look:
            self.next_look = now + AIM_PAUSE
            latest, act = self.aiming[0]
            if self._aim(act, last_chance=now >= latest):
                self.aiming.pop(0)
        due = [end for moment, end in self.pending if moment <= now]
        self.pending = [(moment, end) for moment, end in self.pending if moment > now]
        for end in due:
            end()

    def _aim(self, act: Act, *, last_chance: bool) -> bool:
        """True when the act was carried out: on its target, or on the other worker when that one has work."""
        if act.kind == TERMINATE:
            return self._terminate(act, last_chance=last_chance)
        awake = [name for name in (act.target, *WORKERS) if name not in self.frozen]
        busy = next((name for name in awake if inside_a_step(self.arena, name)), None)
        if busy is None and not last_chance:
            return False
        if busy is None:
            self.say(f"  no worker was inside a step for {AIM_SECONDS:.0f} s")
        else:
            self.hits += 1
            act = replace(act, target=busy)
        self._strike(act)
        return True

    def _terminate(self, act: Act, *, last_chance: bool) -> bool:
        """End a run of the kinds that are preferred, or in the end of any kind."""
        run = strikes.pick(self.arena, act.kinds if last_chance else act.kinds[: strikes.PREFERRED])
        if run is not None and strikes.terminate(self.arena, self.watch, run):
            self.say(f"{act.kind} {run.workflow}")
            return True
        if last_chance:
            self.say(f"  no run was under way for {AIM_SECONDS:.0f} s")
        return last_chance

    def end_all(self) -> None:
        """Nothing hurts any more, whatever was still under way."""
        for _, end in self.pending:
            end()
        self.pending = []
        self.arena.calm()
        self._call("DELETE", "/faults")

    def _send(self, name: str, number: signal.Signals) -> None:
        if not self.arena.members[name].send(number):
            self.say(f"  {name} was down already")

    def _freeze(self, act: Act) -> None:
        member = self.arena.members[act.target]
        frozen = member.process
        if not member.send(signal.SIGSTOP) or frozen is None:
            self.say(f"  {act.target} was down already")
            return

        def thaw() -> None:
            # Popen never signals a process that it has seen ending, so this cannot hit a successor or a stranger.
            frozen.send_signal(signal.SIGCONT)
            self.frozen.discard(act.target)

        self.frozen.add(act.target)
        self.pending.append((time.monotonic() + act.seconds, thaw))

    def _set_clock(self, act: Act) -> None:
        """Have the worker begin anew with a wrong clock, and anew with the right one when that is over."""
        member = self.arena.members[act.target]
        right = member.service
        wrong = {**(right.environment or {}), CLOCK: str(act.shift)}
        member.service = replace(right, command=lambda: [sys.executable, "-P", "-m", WORSE], environment=wrong)
        self._send(act.target, signal.SIGKILL)

        def set_right() -> None:
            member.service = right
            member.send(signal.SIGKILL)

        self.pending.append((time.monotonic() + act.seconds, set_right))

    def _exhaust(self, act: Act) -> None:
        """Take every connection that PostgreSQL still gives to an ordinary account."""
        taken: list[psycopg.Connection[Any]] = []
        try:
            while True:
                taken.append(psycopg.connect(self.arena.variables["DATABASE_URL"], connect_timeout=2))
        except psycopg.Error as full:
            self.say(f"  {len(taken)} connections taken, then: {str(full).strip().splitlines()[-1][-80:]}")

        def give_back() -> None:
            for connection in taken:
                connection.close()

        self.pending.append((time.monotonic() + act.seconds, give_back))

    def _cut(self) -> None:
        try:
            with psycopg.connect(self.arena.wiring.database_url, connect_timeout=2) as connection:
                row = connection.execute(TERMINATE_ALL).fetchone()
        except psycopg.Error as error:
            self.say(f"  PostgreSQL was down already ({type(error).__name__})")
            return
        self.say(f"  {row[0] if row else 0} connections cut")

    def _partner(self, act: Act) -> None:
        made = self._call("POST", "/faults", act.rule)
        if made is None:
            raise RuntimeError(f"the simulator did not take the rule {act.rule}")
        path = f"/faults/{made['id']}"
        self.pending.append((time.monotonic() + act.seconds, lambda: self._forget(path)))

    def _forget(self, path: str) -> None:
        self._call("DELETE", path)

    def _call(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any] | None:
        return switches.call(f"{self.arena.wiring.simulator_url}{path}", method, body)
