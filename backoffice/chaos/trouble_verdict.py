"""Was what was broken looked after, and did healthy orders pass? Apart from the rest, because time is the witness."""

import math
from collections.abc import Iterable, Sequence
from typing import Any

from backoffice.chaos.facts import Facts, Healthy, Violation

#: how many times as long a healthy order may take among poisoned ones, and how many seconds longer at least: a frozen
#: worker alone may cost one order that much
TIMES, FLOOR_SECONDS = 2.0, 10.0
#: fewer orders say nothing about one in twenty
ENOUGH = 5
POISON = "poison at "


def judge_troubles(facts: Facts) -> Iterable[Violation]:
    """Every broken thing that nobody looked after in time, and every healthy order that was held up by others."""
    for one in facts.troubles:
        if not one.how or one.waited > one.patience:
            detail = f"{one.what}: neither mended nor anybody's task within {one.patience:.0f} s"
            yield Violation(rule="unattended", subject=one.name, detail=detail)
    if facts.poisoned:
        yield from _latency(facts)


def proves_nothing(facts: Facts) -> str:
    """Why a run with poison could not have found anything; empty when it could."""
    if not facts.poisoned:
        return ""
    reached = sum(one.what.startswith(POISON) for one in facts.troubles)
    if not reached:
        return f"none of {facts.poisoned} poisoned orders came to what is refused"
    alone, among = split(facts.healthy)
    if min(len(alone), len(among)) < ENOUGH:
        return f"{len(alone)} healthy orders came before the poison and {len(among)} with it, too few to compare"
    return ""


def figures(facts: Facts) -> dict[str, Any]:
    """For the report: how long broken things waited, by what they are, and how long healthy orders took."""
    kinds = sorted({one.what for one in facts.troubles})
    most = {kind: max(one.waited for one in facts.troubles if one.what == kind) for kind in kinds}
    found: dict[str, Any] = {"longest_wait": most}
    if facts.poisoned:
        alone, among = split(facts.healthy)
        found |= {"poisoned": facts.poisoned, "healthy": len(among)}
        found |= {"p95_alone": round(p95(alone), 1), "p95_among_poison": round(p95(among), 1)}
    return found


def split(healthy: Sequence[Healthy]) -> tuple[list[float], list[float]]:
    """Seconds of those that came before the poison, and with it; one that never ended took for ever."""
    seconds = [(math.inf if one.seconds is None else one.seconds, one.among_poison) for one in healthy]
    return [took for took, among in seconds if not among], [took for took, among in seconds if among]


def p95(seconds: Sequence[float]) -> float:
    """The least that 95 of 100 did not exceed; 0 of none."""
    ordered = sorted(seconds)
    return ordered[math.ceil(0.95 * len(ordered)) - 1] if ordered else 0.0


def _latency(facts: Facts) -> Iterable[Violation]:
    alone, among = (p95(some) for some in split(facts.healthy))
    limit = max(TIMES * alone, alone + FLOOR_SECONDS)
    if among > limit:
        detail = (
            f"95 of 100 healthy orders took {among:.1f} s among {facts.poisoned} poisoned ones, {alone:.1f} s alone"
        )
        yield Violation(rule="held_up", subject="healthy orders", detail=detail)
