"""Everything that must be true of a playbook before a version of it exists, each refusal with its path in the document.

A run cannot be mended: what is wrong must be found while the author still looks at it. Shapes, types and limits of
single fields are the definition's own; here are the rules that need the whole document.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from orders.playbooks import definition as limits
from orders.playbooks import expressions, worst_case
from orders.playbooks.catalogue import CATALOGUE, Entry, Parameter
from orders.playbooks.definition import (
    ActivityCall,
    ActivityStep,
    AskStep,
    ConditionalStep,
    Definition,
    Input,
    LoopStep,
    ParallelStep,
    StepType,
    SubPlaybookStep,
    ValueType,
    WaitStep,
    blocks,
    walk,
)
from orders.playbooks.facts import results_of, scope
from orders.playbooks.worst_case import Known

MAX_BYTES = 64_000
MAX_JSON_DEPTH = 32
#: names that expressions use themselves
RESERVED = frozenset({"order", "inputs", "results", "loop", "true", "false", "null", "in"})


@dataclass(frozen=True, kw_only=True)
class Problem:
    """One thing that is wrong."""

    #: "steps.2.then.0.parameters.reason"; "" is the document itself
    path: str
    message: str


class InvalidPlaybook(ValueError):
    """The document is no playbook; `problems` says where and why."""

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = problems
        super().__init__("; ".join(f"{one.path}: {one.message}" if one.path else one.message for one in problems[:5]))


def parse(document: Any, *, known: Known | None = None) -> Definition:
    """The definition that a document holds. Raises `InvalidPlaybook` with every problem that was found."""
    _require_small(document)
    try:
        found = Definition.model_validate(document)
    except ValidationError as error:
        raise InvalidPlaybook([_told(one) for one in error.errors()[:100]]) from None
    except RecursionError:
        raise InvalidPlaybook([Problem(path="", message="It nests too deep.")]) from None
    problems = _Judge(found, known or {}).problems()
    if problems:
        raise InvalidPlaybook(problems)
    return found


def _require_small(document: Any) -> None:
    todo: list[tuple[Any, int]] = [(document, 1)]
    while todo:
        value, depth = todo.pop()
        if depth > MAX_JSON_DEPTH:
            raise InvalidPlaybook([Problem(path="", message=f"It nests deeper than {MAX_JSON_DEPTH} levels.")])
        if isinstance(value, dict):
            todo.extend((one, depth + 1) for one in value.values())
        elif isinstance(value, list | tuple):
            todo.extend((one, depth + 1) for one in value)
        elif isinstance(value, str) and ("\x00" in value or any(0xD800 <= ord(letter) < 0xE000 for letter in value)):
            raise InvalidPlaybook([Problem(path="", message="It has a character that cannot be stored.")])
    try:
        size = len(json.dumps(document, ensure_ascii=False).encode())
    except (TypeError, ValueError):
        raise InvalidPlaybook([Problem(path="", message="It is not JSON.")]) from None
    if size > MAX_BYTES:
        raise InvalidPlaybook([Problem(path="", message=f"{size} bytes; a playbook has at most {MAX_BYTES}.")])


def _told(error: Any) -> Problem:
    # pydantic puts the kind of a step into the path; the document has no such level.
    kinds = {"activity", "parallel", "conditional", "loop", "wait", "ask", "sub_playbook"}
    scalar = {"constrained-int", "constrained-str", "int", "str", "bool"}
    parts: list[str] = []
    for part in error["loc"]:
        after_a_number = bool(parts) and parts[-1].isdigit()
        if (after_a_number and part in kinds) or (isinstance(part, str) and part.split("[")[0] in scalar):
            continue
        parts.append(str(part))
    return Problem(path=".".join(parts), message=str(error["msg"])[:300])


class _Judge:
    """Goes through one document and collects what is wrong with it."""

    def __init__(self, definition: Definition, known: Known) -> None:
        self.definition = definition
        self.known = known
        self.found: list[Problem] = []
        #: results of the steps before the one that is looked at
        self.earlier: dict[str, Mapping[str, ValueType]] = {}

    def problems(self) -> list[Problem]:
        self._inputs()
        steps = list(walk(self.definition.steps))
        if len(steps) > limits.MAX_STEPS:
            self._add("steps", f"{len(steps)} steps; a playbook has at most {limits.MAX_STEPS}.")
            return self.found
        seen: dict[str, str] = {}
        for path, step, depth in steps:
            if depth > limits.MAX_DEPTH:
                self._add(path, f"It nests {depth} deep; steps nest at most {limits.MAX_DEPTH} deep.")
            if step.id in RESERVED:
                self._add(f"{path}.id", f'"{step.id}" is a reserved name.')
            if step.id in seen:
                self._add(f"{path}.id", f'"{step.id}" is the name of {seen[step.id]} already.')
            seen.setdefault(step.id, path)
        self._sequence(self.definition.steps, "steps", in_loop=False)
        self._worst_case(self.definition.steps)
        return self.found

    def _inputs(self) -> None:
        names: set[str] = set()
        for number, one in enumerate(self.definition.inputs):
            path = f"inputs.{number}"
            if one.name in names:
                self._add(f"{path}.name", f'There are two inputs "{one.name}".')
            names.add(one.name)
            if one.default is not None and not fits(one.default, one.type):
                self._add(f"{path}.default", f"It is not of the type {one.type}.")

    def _sequence(self, steps: tuple[StepType, ...], path: str, *, in_loop: bool) -> None:
        for number, step in enumerate(steps):
            self._step(step, f"{path}.{number}", in_loop=in_loop)
            found = results_of(step)
            if found is not None:
                self.earlier[step.id] = found

    def _step(self, step: StepType, path: str, *, in_loop: bool) -> None:
        if isinstance(step, ActivityStep):
            self._call(step, path, in_loop=in_loop)
            if step.undo is not None:
                own = results_of(step)
                with_own = {**self.earlier, **({step.id: own} if own else {})}
                self._call(step.undo, f"{path}.undo", in_loop=in_loop, earlier=with_own)
        elif isinstance(step, ConditionalStep):
            self._expression(step.condition, "bool", f"{path}.condition", in_loop=in_loop)
        elif isinstance(step, LoopStep):
            self._expression(step.condition, "bool", f"{path}.condition", in_loop=True)
        elif isinstance(step, WaitStep) and step.until is not None:
            self._expression(step.until, "bool", f"{path}.until", in_loop=in_loop)
            if (times := worst_case.times_asked(step)) > limits.MAX_ASKED:
                self._add(f"{path}.every_seconds", f"It would be asked {times} times; at most {limits.MAX_ASKED} are.")
        elif isinstance(step, AskStep):
            self._ask(step, path)
        elif isinstance(step, SubPlaybookStep):
            self._sub_playbook(step, path, in_loop=in_loop)
        self._inner(step, path, in_loop=in_loop)

    def _inner(self, step: StepType, path: str, *, in_loop: bool) -> None:
        if not isinstance(step, ParallelStep):
            for name, inner in blocks(step):
                self._sequence(inner, f"{path}.{name}", in_loop=in_loop or isinstance(step, LoopStep))
            return
        # No branch may read what another one does: it may not have happened yet.
        before, after = dict(self.earlier), dict(self.earlier)
        for name, inner in blocks(step):
            self.earlier = dict(before)
            self._sequence(inner, f"{path}.{name}", in_loop=in_loop)
            after |= self.earlier
        self.earlier = after

    def _ask(self, step: AskStep, path: str) -> None:
        if len(set(step.options)) != len(step.options):
            self._add(f"{path}.options", "Two options are the same.")
        if step.default not in step.options:
            self._add(f"{path}.default", "The default is none of the options.")
        if not step.question:
            self._add(f"{path}.question", "A question is needed.")

    def _call(
        self,
        call: ActivityCall,
        path: str,
        *,
        in_loop: bool,
        earlier: Mapping[str, Mapping[str, ValueType]] | None = None,
    ) -> None:
        entry: Entry | None = CATALOGUE.get(call.activity)
        if entry is None:
            names = ", ".join(sorted(CATALOGUE))
            self._add(f"{path}.activity", f'"{call.activity}" is not in the catalogue; it has {names}.')
            return
        wanted = {one.name: one for one in entry.parameters}
        for name in set(call.parameters) - set(wanted):
            self._add(f"{path}.parameters.{name}", f'"{entry.name}" has no such parameter.')
        for name, one in wanted.items():
            here = f"{path}.parameters.{name}"
            value = call.parameters.get(name)
            if value is None:
                if one.required:
                    self._add(here, f"{one.label or name}: it is needed.")
            elif is_expression(value):
                self._expression(str(value)[1:], one.type, here, in_loop=in_loop, earlier=earlier)
            elif (problem := problem_of(one, value)) is not None:
                self._add(here, problem)

    def _sub_playbook(self, step: SubPlaybookStep, path: str, *, in_loop: bool) -> None:
        other = self.known.get((step.playbook, step.version))
        if other is None:
            self._add(path, f'There is no published version {step.version} of "{step.playbook}".')
            return
        wanted = {one.name: one for one in other.inputs}
        for name in set(step.inputs) - set(wanted):
            self._add(f"{path}.inputs.{name}", f'"{step.playbook}" has no such input.')
        for name, one in wanted.items():
            value = step.inputs.get(name)
            here = f"{path}.inputs.{name}"
            if value is None:
                if one.default is None:
                    self._add(here, "It is needed.")
            elif is_expression(value):
                self._expression(str(value)[1:], one.type, here, in_loop=in_loop)
            elif not fits(value, one.type):
                self._add(here, f"It is not of the type {one.type}.")

    def _expression(
        self,
        text: str,
        wanted: str,
        path: str,
        *,
        in_loop: bool,
        earlier: Mapping[str, Mapping[str, ValueType]] | None = None,
    ) -> None:
        names = scope(self.definition.inputs, self.earlier if earlier is None else earlier, in_loop=in_loop)
        try:
            expressions.check(text, names, str(wanted))
        except expressions.BadExpression as error:
            self._add(path, str(error))

    def _worst_case(self, steps: tuple[StepType, ...]) -> None:
        for path, message in worst_case.problems(steps, self.known):
            self._add(path, message)

    def _add(self, path: str, message: str) -> None:
        self.found.append(Problem(path=path, message=message))


def is_expression(value: Any) -> bool:
    return isinstance(value, str) and value.startswith("=")


def fits(value: Any, kind: ValueType) -> bool:
    """Whether a value is of the type; true and false are no numbers."""
    if kind is ValueType.BOOL:
        return isinstance(value, bool)
    if kind is ValueType.INT:
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, str)


def problem_of(parameter: Parameter, value: Any) -> str | None:
    """What is wrong with a parameter's value, as a sentence; None when nothing is."""
    if not fits(value, parameter.type):
        return f"It is not of the type {parameter.type}."
    if isinstance(value, str):
        if parameter.required and not value.strip():
            return f"{parameter.label or parameter.name}: it is needed."
        if len(value) > parameter.max_length:
            return f"{len(value)} characters; at most {parameter.max_length} are allowed."
        if parameter.choices and value not in parameter.choices:
            return f"It is none of {', '.join(parameter.choices)}."
    elif parameter.type is ValueType.INT and not parameter.least <= value <= parameter.most:
        return f"{value} is not within {parameter.least} to {parameter.most}."
    return None


def given_inputs(wanted: tuple[Input, ...], given: Mapping[str, Any]) -> dict[str, Any]:
    """The inputs of a run, defaults filled in. Raises `InvalidPlaybook` naming the input."""
    names = {one.name for one in wanted}
    problems = [Problem(path=f"inputs.{name}", message="There is no such input.") for name in set(given) - names]
    found: dict[str, Any] = {}
    for one in wanted:
        value = given.get(one.name, one.default)
        if value is None:
            problems.append(Problem(path=f"inputs.{one.name}", message="It is needed."))
        elif not fits(value, one.type):
            problems.append(Problem(path=f"inputs.{one.name}", message=f"It is not of the type {one.type}."))
        elif isinstance(value, str) and (len(value) > limits.MAX_TEXT or "\x00" in value):
            problems.append(
                Problem(path=f"inputs.{one.name}", message=f"At most {limits.MAX_TEXT} characters, none of them NUL.")
            )
        elif isinstance(value, int) and abs(value) > 2**53:
            problems.append(Problem(path=f"inputs.{one.name}", message="The number is too large."))
        found[one.name] = value
    if problems:
        raise InvalidPlaybook(problems)
    return found
