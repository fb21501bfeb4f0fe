"""Documents of steps for tests of what a run decides."""

from typing import Any

from tests.orders.playbooks import note

DAY = 86_400


def wait(step_id: str = "wait", seconds: int = DAY, **more: Any) -> dict[str, Any]:
    return {"type": "wait", "id": step_id, "seconds": seconds, **more}


def ask(step_id: str = "ask", **more: Any) -> dict[str, Any]:
    return {"type": "ask", "id": step_id, "question": "?", "options": ["yes", "no"], "default": "no", **more}


def choose(condition: str, then: list[Any], otherwise: list[Any] | None = None, step_id: str = "if") -> dict[str, Any]:
    chosen = {"type": "conditional", "id": step_id, "condition": condition, "then": then}
    return {**chosen, "otherwise": otherwise or []}


def loop(*body: dict[str, Any], condition: str = "true", most: int = 3, step_id: str = "loop") -> dict[str, Any]:
    return {"type": "loop", "id": step_id, "condition": condition, "most": most, "body": list(body)}


def parallel(*branches: list[dict[str, Any]], step_id: str = "both") -> dict[str, Any]:
    return {"type": "parallel", "id": step_id, "branches": list(branches)}


def sub(name: str = "other", step_id: str = "sub") -> dict[str, Any]:
    return {"type": "sub_playbook", "id": step_id, "playbook": name, "version": 1}


#: kind of step -> (the step, the activity steps that it does)
KINDS: dict[str, tuple[dict[str, Any], list[str]]] = {
    "activity": (note("one"), ["steps.0"]),
    "parallel": (parallel([note("l")], [note("r")]), ["steps.0.branches.0.0", "steps.0.branches.1.0"]),
    "conditional, then": (choose("true", [note("yes")], [note("no")]), ["steps.0.then.0"]),
    "conditional, otherwise": (choose("false", [note("yes")], [note("no")]), ["steps.0.otherwise.0"]),
    "conditional, neither": (choose("false", [note("yes")]), []),
    "loop to its most": (loop(note("n"), most=2), ["steps.0#1.body.0", "steps.0#2.body.0"]),
    "loop while it holds": (loop(note("n"), condition="loop.number < 2"), ["steps.0#1.body.0"]),
    "loop in a loop": (
        loop(loop(note("n"), most=2, step_id="inner"), most=2),
        [f"steps.0#{outer}.body.0#{inner}.body.0" for outer in (1, 2) for inner in (1, 2)],
    ),
    "wait": (wait(), []),
    "ask": (ask(), []),
    "sub-playbook": (sub(), ["steps.0/steps.0", "steps.0/steps.1#1.body.0"]),
}
SUBS = {"other@1": [note("in"), loop(note("deep"), most=1)]}
