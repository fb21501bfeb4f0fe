"""What expressions may name, with types: facts of the order, inputs, results of earlier steps, the loop's count."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from orders.playbooks.catalogue import CATALOGUE
from orders.playbooks.definition import (
    ActivityStep,
    AskStep,
    Definition,
    Input,
    StepType,
    SubPlaybookStep,
    ValueType,
    WaitStep,
)
from orders.playbooks.expressions import LIST_OF_STRINGS, Type

#: of the order at the moment of asking; `orders.services.playbooks.facts` reads them
ORDER_FACTS: Mapping[str, Type] = {
    "number": "string",
    "status": "string",
    "currency": "string",
    "country": "string",
    "source": "string",
    "failure_type": "string",
    "customer": "string",
    "is_guest": "bool",
    "is_shipped": "bool",
    "total_minor": "int",
    "captured_minor": "int",
    "refunded_minor": "int",
    "refundable_minor": "int",
    "lines": "int",
    "pieces": "int",
    "score": "int",
    "hours_since_placed": "int",
    "hours_in_status": "int",
    "tags": LIST_OF_STRINGS,
    "skus": LIST_OF_STRINGS,
}
EMPTY: Mapping[ValueType, Any] = {ValueType.STRING: "", ValueType.INT: 0, ValueType.BOOL: False}


def results_of(step: StepType) -> Mapping[str, ValueType] | None:
    """What later steps may read of a step; None when it has no results.

    `done` is false for a step that did not run or failed; its other results are then "", 0 or false, so an expression
    never fails for a way that was not taken.
    """
    if isinstance(step, ActivityStep) and step.activity in CATALOGUE:
        return {"done": ValueType.BOOL, **CATALOGUE[step.activity].results}
    if isinstance(step, AskStep):
        return {"done": ValueType.BOOL, "answer": ValueType.STRING, "by": ValueType.STRING, "note": ValueType.STRING}
    if isinstance(step, WaitStep):
        return {"done": ValueType.BOOL, "came_true": ValueType.BOOL}
    if isinstance(step, SubPlaybookStep):
        return {"done": ValueType.BOOL}
    return None


def scope(
    inputs: tuple[Input, ...], earlier: Mapping[str, Mapping[str, ValueType]], *, in_loop: bool
) -> dict[str, Type]:
    """The types of everything that an expression may name at one place of a document."""
    known: dict[str, Type] = {
        "order": ORDER_FACTS,
        "inputs": {one.name: one.type.value for one in inputs},
        "results": {step: {name: kind.value for name, kind in found.items()} for step, found in earlier.items()},
    }
    if in_loop:
        known["loop"] = {"number": "int"}
    return known


def empty_results(definition: Definition, steps: Mapping[str, StepType]) -> dict[str, dict[str, Any]]:
    """The results of a run in which nothing has happened."""
    return {
        name: {key: EMPTY[kind] for key, kind in found.items()}
        for name, step in steps.items()
        if (found := results_of(step)) is not None
    }
