"""The picture of a playbook as nested text, for whoever cannot see a picture or reads on a narrow screen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from orders.playbooks.definition import Definition, StepType, blocks
from orders.playbooks.graph import State, says

NAMES = {"then": "If so", "otherwise": "Otherwise", "body": "Each time"}


@dataclass(frozen=True, kw_only=True)
class Item:
    """One step, with the sequences inside it."""

    path: str
    kind: str
    title: str
    says: str
    state: State
    blocks: list[tuple[str, list[Item]]] = field(default_factory=list)


def outline(definition: Definition, states: Mapping[str, State] | None = None) -> list[Item]:
    return _items(definition.steps, "steps", states or {})


def _items(steps: tuple[StepType, ...], path: str, states: Mapping[str, State]) -> list[Item]:
    return [_item(step, f"{path}.{number}", states) for number, step in enumerate(steps)]


def _item(step: StepType, path: str, states: Mapping[str, State]) -> Item:
    return Item(
        path=path,
        kind=step.type.replace("_", "-"),
        title=step.title or step.id,
        says=says(step),
        state=states.get(path, State(status="")),
        blocks=[
            (NAMES.get(name) or f"Way {int(name.split('.')[1]) + 1}", _items(inner, f"{path}.{name}", states))
            for name, inner in blocks(step)
            if inner
        ],
    )
