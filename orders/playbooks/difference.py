"""What changed between two versions of a playbook: step by step for people, line by line for whoever wants it all."""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from orders.playbooks.definition import Definition, walk

#: fields that hold other steps; those have rows of their own
INNER = frozenset({"then", "otherwise", "body", "branches"})


@dataclass(frozen=True, kw_only=True)
class Change:
    """One step, input or heading that is not the same in both; steps are the same by their name."""

    what: str
    #: "added", "removed" or "changed"
    kind: str
    #: field, before, after
    fields: list[tuple[str, str, str]]


def changes(before: Definition | None, after: Definition) -> list[Change]:
    """Step by step; all of `after` is added where there was nothing before."""
    old, new = _parts(before) if before else {}, _parts(after)
    found = []
    for name in [*new, *(name for name in old if name not in new)]:
        found += of_values(name, old.get(name, {}), new.get(name, {}))
    return found


def of_values(what: str, was: Mapping[str, Any], becomes: Mapping[str, Any]) -> list[Change]:
    """At most one change: the fields that differ; an empty side is what is not there."""
    fields = [
        (key.replace("_", " "), _text(was.get(key)), _text(becomes.get(key)))
        for key in dict.fromkeys([*was, *becomes])
        if was.get(key) != becomes.get(key)
    ]
    kind = "changed" if was and becomes else "added" if becomes else "removed"
    return [Change(what=what, kind=kind, fields=fields)] if fields else []


def text(before: Definition, after: Definition, names: tuple[str, str]) -> list[str]:
    """A unified comparison of both documents."""
    was, becomes = (
        json.dumps(one.model_dump(mode="json"), indent=2, ensure_ascii=False).splitlines() for one in (before, after)
    )
    return list(difflib.unified_diff(was, becomes, *names, lineterm=""))


def _parts(definition: Definition) -> dict[str, dict[str, Any]]:
    document = definition.model_dump(mode="json")
    parts: dict[str, dict[str, Any]] = {
        "The playbook": {"title": document["title"], "description": document["description"]},
        **{f"Input {one['name']}": one for one in document["inputs"]},
    }
    for path, step, _ in walk(definition.steps):
        fields = {name: value for name, value in step.model_dump(mode="json").items() if name not in INNER}
        parts[f"Step {step.id}"] = {"place": path, **fields}
    return parts


def _text(value: Any) -> str:
    if value is None or value == "":
        return "nothing"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
