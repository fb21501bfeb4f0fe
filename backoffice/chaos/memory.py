"""How much memory each process holds in the course of a run, and whether it grows.

A leak of a kilobyte an order shows in no test and stops a worker after a week. A process that was started again begins
anew, so only the longest life of each is judged.
"""

import time
from dataclasses import dataclass, field

import psutil  # type: ignore[import-untyped]

from backoffice.chaos.arena import Arena

PAUSE = 2.0
#: the first part of a life is warming up: imports, pools, caches
WARM_UP = 0.25
#: shorter lives say nothing about growth
ENOUGH = 30


@dataclass(kw_only=True)
class Memory:
    arena: Arena
    #: (name, how often it was started): (moment, megabytes), every two seconds
    lives: dict[tuple[str, int], list[tuple[float, float]]] = field(default_factory=dict)
    next_look: float = 0.0

    def look(self) -> None:
        now = time.monotonic()
        if now < self.next_look:
            return
        self.next_look = now + PAUSE
        for name, member in self.arena.members.items():
            if member.process is not None and member.alive:
                megabytes = resident(member.process.pid)
                self.lives.setdefault((name, member.starts), []).append((now, megabytes))

    def report(self) -> dict[str, dict[str, float]]:
        """Of each process: megabytes at most, and megabytes a minute that its longest life grew after warming up."""
        found: dict[str, dict[str, float]] = {}
        for name in self.arena.members:
            lives = [life for (whose, _), life in self.lives.items() if whose == name]
            if not lives:
                continue
            longest = max(lives, key=len)
            found[name] = {"most_mb": round(max(megabytes for life in lives for _, megabytes in life), 1)}
            if len(longest) >= ENOUGH:
                found[name]["mb_a_minute"] = round(slope(longest[int(WARM_UP * len(longest)) :]), 2)
        return found


def resident(pid: int) -> float:
    """Megabytes of the process itself; PostgreSQL's children share most of theirs."""
    try:
        return float(psutil.Process(pid).memory_info().rss) / 1_000_000
    except psutil.Error:
        return 0.0


def slope(samples: list[tuple[float, float]]) -> float:
    """Least squares, a minute."""
    mean_x = sum(x for x, _ in samples) / len(samples)
    mean_y = sum(y for _, y in samples) / len(samples)
    spread = sum((x - mean_x) ** 2 for x, _ in samples)
    return 60 * sum((x - mean_x) * (y - mean_y) for x, y in samples) / spread if spread else 0.0
