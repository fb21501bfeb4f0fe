"""Where a step stands: paths of runs, the step of the definition that a path means, and what it may read.

A path is the whole identity of a step that runs: `steps.2#3.body.0` is the first step in the third time round the loop
`steps.2`; `steps.4/steps.1` is a step of the sub-playbook that `steps.4` runs.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from orders.models import PlaybookRun
from orders.playbooks import expressions
from orders.playbooks.definition import Definition, StepType, SubPlaybookStep, walk
from orders.playbooks.facts import empty_results
from orders.playbooks.validation import is_expression
from orders.services.playbooks import facts
from orders.services.playbooks.publishing import definition_of, known_to
from orders.vocabulary import PlaybookStepStatus

ROUND = re.compile(r"#\d+")


@dataclass(frozen=True, kw_only=True)
class Place:
    """A step of a run, with everything that its expressions may name."""

    path: str
    step: StepType
    definition: Definition
    inputs: Mapping[str, Any]
    #: of the sub-playbook that the step belongs to: "" or "steps.4/"
    prefix: str
    #: the time round the innermost loop, from 1; 0 outside of loops
    number: int


def find(run: PlaybookRun, path: str) -> Place:
    """The step that `path` means. Raises `KeyError` for a path that is none of this run's."""
    definition, inputs, prefix = definition_of(run.version), dict(run.inputs), ""
    known = known_to(run.version.document) if "/" in path else {}
    *outer, last = path.split("/")
    for part in outer:
        place = _place(definition, inputs, prefix, part, f"{prefix}{part}")
        if not isinstance(place.step, SubPlaybookStep):
            raise KeyError(path)
        given = {name: value_of(value, place, run) for name, value in place.step.inputs.items()}
        definition = known[place.step.playbook, place.step.version]
        inputs = {one.name: given.get(one.name, one.default) for one in definition.inputs}
        prefix = f"{prefix}{part}/"
    return _place(definition, inputs, prefix, last, path)


def value_of(value: Any, place: Place, run: PlaybookRun) -> Any:
    """A parameter as it stands, or the value of its expression. Raises `EvaluationFailed`."""
    if not is_expression(value):
        return value
    return expressions.evaluate(value[1:], facts_at(place, run))


def holds(condition: str, place: Place, run: PlaybookRun) -> bool:
    """Whether a condition is true now. Raises `EvaluationFailed`."""
    return bool(expressions.evaluate(condition, facts_at(place, run)))


def facts_at(place: Place, run: PlaybookRun) -> dict[str, Any]:
    """Everything that an expression may name at this place, as it is now."""
    steps = {step.id: step for _, step, _ in walk(place.definition.steps)}
    empty = empty_results(place.definition, steps)
    results = {name: dict(nothing) for name, nothing in empty.items()}
    # What a step that is being undone did is what its undo is about.
    happened = {PlaybookStepStatus.DONE, PlaybookStepStatus.UNDOING}
    # Of each step the newest row: the latest time round a loop counts.
    here = run.steps.filter(path__regex=rf"^{re.escape(place.prefix)}[^/]*$")
    for row in here.order_by("step_id", "-id").distinct("step_id"):
        if row.step_id in results and row.status in happened:
            known = {name: value for name, value in row.result.items() if name in empty[row.step_id]}
            results[row.step_id] = {**empty[row.step_id], **known, "done": True}
    found = {"order": facts.of_order(run.order_id), "inputs": dict(place.inputs), "results": results}
    return {**found, "loop": {"number": place.number}} if place.number else found


def _place(definition: Definition, inputs: Mapping[str, Any], prefix: str, part: str, path: str) -> Place:
    written = ROUND.sub("", part)
    steps = {where: step for where, step, _ in walk(definition.steps)}
    rounds = ROUND.findall(part)
    number = int(rounds[-1][1:]) if rounds else 0
    return Place(path=path, step=steps[written], definition=definition, inputs=inputs, prefix=prefix, number=number)
