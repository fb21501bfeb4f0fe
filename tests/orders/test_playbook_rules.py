"""What a playbook may say: every refusal names its path in the document, and what is saved cannot surprise a run."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orders.playbooks import validation
from orders.playbooks.definition import Definition
from orders.playbooks.validation import InvalidPlaybook
from tests.orders.playbooks import document, note, tag


def problems(*steps: dict[str, Any], **more: Any) -> dict[str, str]:
    with pytest.raises(InvalidPlaybook) as caught:
        validation.parse(document(*steps, **more))
    return {problem.path: problem.message for problem in caught.value.problems}


def loop(*body: dict[str, Any], step_id: str = "round", most: int = 3, **more: Any) -> dict[str, Any]:
    return {"type": "loop", "id": step_id, "most": most, "body": list(body), **more}


def nested(depth: int) -> dict[str, Any]:
    step = note("deepest")
    for number in range(depth - 1):
        step = loop(step, step_id=f"level{number}", most=1)
    return step


ASK = {"type": "ask", "id": "ask", "question": "Yes?", "options": ["yes", "no"], "default": "no"}


def waiting(step_id: str, *, asked: int) -> dict[str, Any]:
    """A wait that may ask its condition so often."""
    return {"type": "wait", "id": step_id, "seconds": asked * 10, "until": "order.is_guest", "every_seconds": 10}


@pytest.mark.parametrize(
    ("steps", "path", "words"),
    [
        ([{"type": "dance", "id": "a"}], "steps.0", "does not match any of the expected tags"),
        ([{**note("a"), "activity": "delete_everything"}], "steps.0.activity", "is not in the catalogue"),
        ([{**note("a"), "parameters": {}}], "steps.0.parameters.text", "is needed"),
        ([{**note("a"), "parameters": {"text": "x", "to": "y"}}], "steps.0.parameters.to", "no such parameter"),
        ([note("a", 7)], "steps.0.parameters.text", "not of the type string"),
        ([note("a", "=order.total_minor")], "steps.0.parameters.text", "a text is needed"),
        ([note("a", "=results.later.done"), note("later")], "steps.0.parameters.text", '"later" is not known'),
        ([note("a"), note("a")], "steps.1.id", "is the name of steps.0 already"),
        ([note("order")], "steps.0.id", "reserved"),
        ([note("a", timeout_seconds=4)], "steps.0.timeout_seconds", "greater than or equal to 5"),
        ([note("a", attempts=0)], "steps.0.attempts", "greater than or equal to 1"),
        ([note("a", surprise=1)], "steps.0.surprise", "Extra inputs are not permitted"),
        ([loop(note("a"), most=1_001)], "steps.0.most", "less than or equal to 1000"),
        ([loop(note("a"), condition="order.nix")], "steps.0.condition", '"nix" is not known'),
        ([nested(6)], "steps", "nests 6 deep"),
        ([loop(loop(note("a"), step_id="b", most=100), most=100)], "steps", "In the worst case"),
        ([note(f"s{n}") for n in range(201)], "steps", "201 steps; a playbook has at most 200"),
        ([{**ASK, "default": "maybe"}], "steps.0.default", "none of the options"),
        ([{"type": "wait", "id": "w", "seconds": 31 * 86_400}], "steps.0.seconds", "less than or equal to"),
        (
            [{"type": "wait", "id": "w", "seconds": 20_000, "until": "order.is_guest", "every_seconds": 10}],
            "steps.0.every_seconds",
            "asked 2000 times",
        ),
        (
            [{"type": "parallel", "id": "p", "branches": [[waiting(f"w{way}", asked=700)] for way in range(5)]}],
            "steps.0",
            "ask 3500 times in all; at most 3000",
        ),
        (
            # In a loop inside of it, too.
            [
                {
                    "type": "parallel",
                    "id": "p",
                    "branches": [
                        [
                            {
                                "type": "loop",
                                "id": "l",
                                "condition": "true",
                                "most": 4,
                                "body": [waiting("w", asked=900)],
                            }
                        ],
                        [{"type": "wait", "id": "v", "seconds": 60}],
                    ],
                }
            ],
            "steps.0",
            "ask 3600 times in all",
        ),
        (
            [{"type": "sub_playbook", "id": "s", "playbook": "nobody", "version": 1}],
            "steps.0",
            "no published version 1",
        ),
        (
            [{"type": "parallel", "id": "p", "branches": [[note(f"b{n}")] for n in range(11)]}],
            "steps.0.branches",
            "at most 10",
        ),
        (
            [{"type": "parallel", "id": "p", "branches": [[note("a")], [note("b", "=string(results.a.done)")]]}],
            "steps.0.branches.1.0.parameters.text",
            "not known",
        ),
        ([{"type": "conditional", "id": "c", "condition": "1", "then": [note("a")]}], "steps.0.condition", "yes or no"),
    ],
)
def test_what_a_playbook_may_not_say_is_refused_with_its_path(
    steps: list[dict[str, Any]], path: str, words: str
) -> None:
    found = problems(*steps)
    assert path in found, found
    assert words in found[path]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("().__class__", "cannot be read"),
        ("order.__class__", "not known"),
        ("9**9**9", "cannot be read"),
        ('"a" * 1000000000', "cannot be used together"),
        ('order.number.matches("(a+)+$")', '"matches" cannot be used'),
        ("[1, 2].map(x, x)", "cannot be used"),
        ('order.tags.all(t, t == "x")', '"all" cannot be used'),
        ("timestamp('2020-01-01T00:00:00Z') == timestamp('2020-01-01T00:00:00Z')", "cannot be used"),
        ("1.5 > 1.0", "whole numbers"),
        ("(" * 200 + "true" + ")" * 200, "nest at most"),
        ("!" * 300 + "true", "nest at most"),
        # A quote in a comment begins no text.
        ('true // "\n && ' + "(" * 200 + "true" + ")" * 200, "nest at most"),
        ("true && " * 80 + "true", "characters"),
        (" && ".join(["true"] * 101), "characters"),
        ("+".join(["1"] * 120) + " > 0", "parts"),
        ("+".join(["1"] * 40) + " > 0", "deep"),
        ("size(order) > 0", "a text or a list"),
        ("", "needed"),
    ],
)
def test_an_expression_that_is_not_of_our_small_language_is_refused(text: str, words: str) -> None:
    from orders.playbooks import expressions
    from orders.playbooks.facts import scope

    with pytest.raises(expressions.BadExpression, match=words):
        expressions.check(text, scope((), {}, in_loop=False), "bool")


def test_an_expression_that_breaks_when_it_is_evaluated_is_refused_when_it_is_saved(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from orders.playbooks import expressions

    def broken(text: str) -> None:
        raise RecursionError

    expressions.check("1 / 0 == 1", {}, "bool")
    monkeypatch.setattr(expressions, "_program", broken)
    with pytest.raises(expressions.BadExpression, match="cannot be evaluated"):
        expressions.check("true", {}, "bool")


def test_a_document_that_is_too_deep_too_large_or_cannot_be_stored_is_refused_before_it_is_read() -> None:
    deep: Any = "end"
    for _ in range(20_000):
        deep = [deep]
    assert "deeper than 32" in problems(note("a", "x", title=deep))[""]
    assert "at most 64000" in problems(*(note(f"s{n}", "x" * 500) for n in range(150)))[""]
    assert "cannot be stored" in problems(note("a", "\x00"))[""]
    assert "cannot be stored" in problems(note("a", "\ud800"))[""]


def test_results_of_a_way_that_was_not_taken_may_be_read_behind_it() -> None:
    choose = {"type": "conditional", "id": "c", "condition": "order.is_guest", "then": [tag("mark")]}
    assert validation.parse(document(choose, note("told", "=string(size(order.tags))"))).steps


def test_the_editors_schema_is_the_models_own() -> None:
    schema = Definition.model_json_schema()
    assert {"ActivityStep", "LoopStep", "AskStep", "SubPlaybookStep"} <= set(schema["$defs"])


WORDS = st.sampled_from(["order", "total_minor", "inputs", "results", "tags", "true", "1", '"a"', "loop", "number"])
SIGNS = st.sampled_from(
    [" ", ".", "+", "-", "*", "/", "%", "(", ")", "[", "]", "?", ":", "&&", "||", "!", "==", "<", " in ", ","]
)
EXPRESSIONS = st.lists(st.one_of(WORDS, SIGNS, st.text(max_size=3)), max_size=40).map("".join)
FACTS = {"order": {"total_minor": 5, "tags": ["a"]}, "inputs": {}, "results": {}, "loop": {"number": 1}}
TYPES = {
    "order": {"total_minor": "int", "tags": "list(string)"},
    "inputs": {},
    "results": {},
    "loop": {"number": "int"},
}


@settings(max_examples=400, deadline=None)
@given(EXPRESSIONS, st.sampled_from(["bool", "int", "string"]))
def test_any_text_is_refused_with_our_error_or_evaluates_to_its_type(text: str, wanted: str) -> None:
    from orders.playbooks import expressions

    try:
        expressions.check(text, TYPES, wanted)
    except expressions.BadExpression:
        return
    try:
        value = expressions.evaluate(text, FACTS)
    except expressions.EvaluationFailed:
        return
    assert type(value) is {"bool": bool, "int": int, "string": str}[wanted]


SCALARS = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8), EXPRESSIONS)
KEYS = st.sampled_from(
    ["type", "id", "title", "steps", "body", "then", "most", "seconds", "condition", "activity", "parameters", "text"]
)
KINDS = st.sampled_from(["activity", "loop", "conditional", "wait", "ask", "parallel", "sub_playbook"])
JSON = st.recursive(
    SCALARS | KINDS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=6),
    max_leaves=25,
)


@settings(max_examples=300, deadline=None)
@given(JSON)
def test_any_document_is_refused_with_our_error_or_is_a_playbook(found: Any) -> None:
    for candidate in (found, {"title": "x", "steps": found}, document(found if isinstance(found, dict) else note("a"))):
        # Any other error fails the test.
        with contextlib.suppress(InvalidPlaybook):
            assert isinstance(validation.parse(candidate), Definition)
