"""How much a playbook may do at most, loops multiplied out and sub-playbooks followed.

Temporal ends a history that grows too long, and a run can begin a new one only between two steps outside of a parallel.
So what may happen in the worst case is counted before a version exists: a run that is ended from outside undoes
nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from orders.playbooks import definition as limits
from orders.playbooks.definition import (
    ConditionalStep,
    Definition,
    LoopStep,
    ParallelStep,
    StepType,
    SubPlaybookStep,
    WaitStep,
    blocks,
    walk,
)

#: (playbook, version) -> its definition, for the versions that steps may name
Known = Mapping[tuple[str, int], Definition]


def problems(steps: tuple[StepType, ...], known: Known) -> Iterator[tuple[str, str]]:
    """(path, what is too much there)."""
    if (most := executions(steps, known)) > limits.MAX_EXECUTIONS:
        yield "steps", f"In the worst case {most} steps run; at most {limits.MAX_EXECUTIONS} may."
    if (depth := nesting(steps, known)) > limits.MAX_DEPTH:
        yield "steps", f"With its sub-playbooks it nests {depth} deep; at most {limits.MAX_DEPTH} is allowed."
    for path, step, _ in walk(steps):
        if isinstance(step, ParallelStep):
            yield from ((path, message) for message in _in_parallel(step, known))


def _in_parallel(step: ParallelStep, known: Known) -> Iterator[str]:
    if (inside := executions((step,), known) - 1) > limits.MAX_EXECUTIONS_IN_PARALLEL:
        yield f"In the worst case {inside} steps run in here; at most {limits.MAX_EXECUTIONS_IN_PARALLEL} may."
    if (ways := width(step, known)) > limits.MAX_PARALLEL:
        yield f"{ways} ways at once; at most {limits.MAX_PARALLEL} are allowed."
    if (times := asked((step,), known)) > limits.MAX_ASKED_IN_PARALLEL:
        yield f"Its waits would ask {times} times in all; at most {limits.MAX_ASKED_IN_PARALLEL} may."


def _inside(step: StepType, known: Known) -> list[tuple[StepType, ...]]:
    """The sequences that a step runs, those of a sub-playbook included."""
    if isinstance(step, SubPlaybookStep):
        other = known.get((step.playbook, step.version))
        return [other.steps] if other is not None else []
    return [inner for _, inner in blocks(step)]


def executions(steps: tuple[StepType, ...], known: Known) -> int:
    """How many steps run in the worst case."""
    return _added_up(steps, known, lambda step: 1)


def asked(steps: tuple[StepType, ...], known: Known) -> int:
    """How often waits ask their conditions in the worst case."""
    return _added_up(steps, known, lambda step: times_asked(step) if isinstance(step, WaitStep) else 0)


def times_asked(step: WaitStep) -> int:
    return step.seconds // step.every_seconds if step.until else 0


def _added_up(steps: tuple[StepType, ...], known: Known, of_one: Callable[[StepType], int]) -> int:
    total = 0
    for step in steps:
        inner = [_added_up(one, known, of_one) for one in _inside(step, known)]
        if isinstance(step, ConditionalStep):
            total += of_one(step) + max(inner)
        else:
            total += of_one(step) + sum(inner) * (step.most if isinstance(step, LoopStep) else 1)
    return total


def nesting(steps: tuple[StepType, ...], known: Known) -> int:
    """How deep the steps nest, sub-playbooks included."""
    return 1 + max((nesting(one, known) for step in steps for one in _inside(step, known)), default=0)


def width(step: StepType, known: Known) -> int:
    """How many steps may be under way at once inside a step."""
    inner = [max((width(one, known) for one in steps), default=1) for steps in _inside(step, known)]
    if isinstance(step, ParallelStep):
        return sum(inner)
    return max(inner, default=1)
