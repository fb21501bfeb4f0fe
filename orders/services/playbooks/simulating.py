"""What a playbook would do with a real order, without doing it: the way taken, each condition's value, each call.

It walks the definition with the facts of the order as they are now and the answers that the author assumes; nothing is
written and nobody is called. Calls are shown with the values that they would be made with.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from orders.actor import Actor
from orders.models import Order
from orders.playbooks import expressions
from orders.playbooks.catalogue import CATALOGUE
from orders.playbooks.definition import (
    ActivityCall,
    ActivityStep,
    AskStep,
    ConditionalStep,
    Definition,
    LoopStep,
    ParallelStep,
    StepType,
    SubPlaybookStep,
    WaitStep,
    walk,
)
from orders.playbooks.expressions import EvaluationFailed
from orders.playbooks.facts import empty_results
from orders.playbooks.validation import given_inputs, is_expression, parse, problem_of
from orders.services.playbooks import facts
from orders.services.playbooks.publishing import known_to

#: lines of a simulation; a longer way is cut, and the answer says so
MAX_LINES = 500


@dataclass(frozen=True, kw_only=True)
class Line:
    """One step on the way that would be taken."""

    path: str
    step: str
    type: str
    #: what would happen, for people
    says: str
    #: of a condition: true or false; None for other steps
    holds: bool | None = None
    #: of a call: the entry of the catalogue and the values that it would be called with
    activity: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    #: why the way ends here; empty for a step that would go on
    problem: str = ""


@dataclass(frozen=True, kw_only=True)
class Simulation:
    definition: Definition
    order_number: str
    inputs: Mapping[str, Any]
    lines: tuple[Line, ...]
    #: whether every step on the way could be judged to the end
    complete: bool


def simulate(
    document: Any,
    order_number: str,
    *,
    actor: Actor,
    inputs: Mapping[str, Any] | None = None,
    answers: Mapping[str, str] | None = None,
) -> Simulation:
    """Follow the document on the order. `answers` are assumed of its questions, by step; else their defaults are.

    Raises `NotPermitted`, `InvalidPlaybook`, or `Order.DoesNotExist`.
    """
    actor.require("orders.edit_playbook")
    actor.require("orders.view_order")
    definition = parse(document, known=known_to(document))
    given = given_inputs(definition.inputs, inputs or {})
    order = Order.objects.get(number=order_number)
    walker = _Walker(facts.of_order(order.pk), answers or {}, known_to(definition.model_dump(mode="json")))
    complete = True
    try:
        walker.follow(definition, given, "")
    except _Stopped:
        complete = False
    return Simulation(
        definition=definition,
        order_number=order.number,
        inputs=given,
        lines=tuple(walker.lines),
        complete=complete,
    )


class _Stopped(Exception):
    """The way ends before the playbook does."""


@dataclass
class _Scope:
    """What the expressions of one definition may name at the moment."""

    definition: Definition
    inputs: Mapping[str, Any]
    prefix: str
    results: dict[str, dict[str, Any]]
    number: int = 0


class _Walker:
    def __init__(
        self, order: Mapping[str, Any], answers: Mapping[str, str], known: Mapping[tuple[str, int], Definition]
    ) -> None:
        self.order = order
        self.answers = answers
        self.known = known
        self.lines: list[Line] = []

    def follow(self, definition: Definition, inputs: Mapping[str, Any], prefix: str) -> None:
        steps = {step.id: step for _, step, _ in walk(definition.steps)}
        scope = _Scope(definition=definition, inputs=inputs, prefix=prefix, results=empty_results(definition, steps))
        self._sequence(definition.steps, f"{prefix}steps", scope)

    def _sequence(self, steps: tuple[StepType, ...], path: str, scope: _Scope) -> None:
        for number, step in enumerate(steps):
            self._step(step, f"{path}.{number}", scope)

    def _step(self, step: StepType, path: str, scope: _Scope) -> None:
        if isinstance(step, ActivityStep):
            self._call(step, path, scope)
        elif isinstance(step, ConditionalStep):
            holds = self._asked(step, path, scope, step.condition)
            steps, name = (step.then, "then") if holds else (step.otherwise, "otherwise")
            self._sequence(steps, f"{path}.{name}", scope)
        elif isinstance(step, LoopStep):
            self._loop(step, path, scope)
        elif isinstance(step, ParallelStep):
            self._tell(step, path, f"{len(step.branches)} ways at once")
            for number, branch in enumerate(step.branches):
                self._sequence(branch, f"{path}.branches.{number}", scope)
        elif isinstance(step, WaitStep):
            until = f", or until {step.until}" if step.until else ""
            self._tell(step, path, f"Would wait {step.seconds} seconds{until}")
            self._done(step, scope, came_true=step.until is not None)
        elif isinstance(step, AskStep):
            answer = self.answers.get(step.id, step.default)
            assumed = answer if answer in step.options else step.default
            self._tell(step, path, f"Would ask: {step.question} Assumed answer: {assumed}")
            self._done(step, scope, answer=assumed, by="somebody", note="")
        else:
            self._sub_playbook(step, path, scope)

    def _call(self, step: ActivityStep, path: str, scope: _Scope) -> None:
        entry = CATALOGUE[step.activity]
        parameters = self._parameters(step, path, step, scope)
        self._tell(step, path, f"Would do: {entry.title}", activity=entry.name, parameters=parameters)
        self._done(step, scope)

    def _parameters(self, step: StepType, path: str, call: ActivityCall, scope: _Scope) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for one in CATALOGUE[call.activity].parameters:
            given = call.parameters.get(one.name)
            if given is None:
                continue
            value = self._value(step, path, given, scope)
            # What a step before would have made (a voucher's code) is not known here, so it may be empty.
            if value != "" and (problem := problem_of(one, value)) is not None:
                self._stop(step, path, f"{one.name}: {problem}")
            found[one.name] = value
        return found

    def _loop(self, step: LoopStep, path: str, scope: _Scope) -> None:
        outer = scope.number
        for number in range(1, step.most + 1):
            scope.number = number
            if not self._asked(step, f"{path}#{number}", scope, step.condition):
                break
            self._sequence(step.body, f"{path}#{number}.body", scope)
        scope.number = outer

    def _sub_playbook(self, step: SubPlaybookStep, path: str, scope: _Scope) -> None:
        other = self.known[step.playbook, step.version]
        given = {name: self._value(step, path, value, scope) for name, value in step.inputs.items()}
        self._tell(step, path, f"Would run version {step.version} of {step.playbook}", parameters=given)
        inputs = {one.name: given.get(one.name, one.default) for one in other.inputs}
        self.follow(other, inputs, f"{path}/")
        self._done(step, scope)

    def _asked(self, step: StepType, path: str, scope: _Scope, condition: str) -> bool:
        holds = bool(self._evaluated(step, path, condition, scope))
        self._tell(step, path, f"{condition}: {'true' if holds else 'false'}", holds=holds)
        return holds

    def _value(self, step: StepType, path: str, given: Any, scope: _Scope) -> Any:
        return self._evaluated(step, path, given[1:], scope) if is_expression(given) else given

    def _evaluated(self, step: StepType, path: str, text: str, scope: _Scope) -> Any:
        known = {"order": dict(self.order), "inputs": dict(scope.inputs), "results": scope.results}
        try:
            return expressions.evaluate(text, {**known, "loop": {"number": scope.number}} if scope.number else known)
        except EvaluationFailed as error:
            self._stop(step, path, str(error))

    def _done(self, step: StepType, scope: _Scope, **results: Any) -> None:
        if step.id in scope.results:
            scope.results[step.id] |= {"done": True, **results}

    def _tell(self, step: StepType, path: str, says: str, **more: Any) -> None:
        if len(self.lines) >= MAX_LINES:
            raise _Stopped
        self.lines.append(Line(path=path, step=step.id, type=step.type, says=says, **more))

    def _stop(self, step: StepType, path: str, problem: str) -> Any:
        self._tell(step, path, "Would fail here", problem=problem)
        raise _Stopped
