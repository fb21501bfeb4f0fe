"""The picture of a playbook says what the definition says: branches, ways at once, returns; and nothing overlaps."""

from __future__ import annotations

import pytest

from orders.playbooks.definition import Definition, walk
from orders.playbooks.examples import EXAMPLES
from orders.playbooks.graph import Graph, Node, State, draw
from tests.orders.playbooks import document, note


def drawn(*steps: dict[str, object], states: dict[str, State] | None = None) -> Graph:
    return draw(Definition.model_validate(document(*steps)), states)


def node(graph: Graph, path: str) -> Node:
    return next(one for one in graph.nodes if one.path == path)


def ends(graph: Graph, one: Node) -> list[tuple[int, int]]:
    """Where lines go that leave the bottom of a box."""
    return [edge.points[-1] for edge in graph.edges if edge.points[0] == (one.middle, one.y + one.height)]


def test_every_step_has_its_box_and_boxes_do_not_overlap() -> None:
    for slug, found in EXAMPLES.items():
        definition = Definition.model_validate(found)
        graph = draw(definition)
        assert {path for path, _, _ in walk(definition.steps)} == {one.path for one in graph.nodes if one.path}, slug
        for number, one in enumerate(graph.nodes):
            assert one.x >= 0
            assert one.x + one.width <= graph.width, slug
            assert one.y + one.height <= graph.height, slug
            for other in graph.nodes[number + 1 :]:
                apart = one.x + one.width <= other.x or other.x + other.width <= one.x
                assert apart or one.y + one.height <= other.y or other.y + other.height <= one.y, (slug, one, other)


def test_a_conditional_branches_and_meets_again() -> None:
    choice = {
        "type": "conditional",
        "id": "c",
        "condition": "order.is_guest",
        "then": [note("a")],
        "otherwise": [note("b")],
    }
    graph = drawn(choice, note("after"))
    yes, no, after = (node(graph, path) for path in ("steps.0.then.0", "steps.0.otherwise.0", "steps.1"))
    assert sorted(ends(graph, node(graph, "steps.0"))) == sorted([(yes.middle, yes.y), (no.middle, no.y)])
    assert {edge.label for edge in graph.edges} >= {"yes", "no"}
    met = {ends(graph, yes)[0], ends(graph, no)[0]}
    assert len(met) == 1
    assert any(edge.points == (next(iter(met)), (after.middle, after.y)) for edge in graph.edges)


def test_a_conditional_without_otherwise_goes_past_its_branch() -> None:
    graph = drawn({"type": "conditional", "id": "c", "condition": "order.is_guest", "then": [note("a")]})
    assert len(ends(graph, node(graph, "steps.0"))) == 2


@pytest.mark.parametrize("ways", [2, 5])
def test_a_parallel_fans_out_and_is_joined(ways: int) -> None:
    graph = drawn({"type": "parallel", "id": "p", "branches": [[note(f"n{n}")] for n in range(ways)]})
    boxes = [node(graph, f"steps.0.branches.{number}.0") for number in range(ways)]
    assert sorted(ends(graph, node(graph, "steps.0"))) == sorted((one.middle, one.y) for one in boxes)
    assert len({ends(graph, one)[0] for one in boxes}) == 1


def test_a_loop_returns_to_itself_and_is_left_at_its_side() -> None:
    graph = drawn({"type": "loop", "id": "l", "most": 2, "body": [note("a"), note("b")]}, note("after"))
    loop, last = node(graph, "steps.0"), node(graph, "steps.0.body.1")
    assert ends(graph, last) == [(loop.x, loop.y + loop.height // 2)]
    out = next(edge for edge in graph.edges if edge.label == "done")
    assert out.points[0] == (loop.x + loop.width, loop.y + loop.height // 2)


def test_a_run_marks_the_lines_that_it_has_taken_and_no_others() -> None:
    choice = {"type": "conditional", "id": "c", "condition": "true", "then": [note("a")], "otherwise": [note("b")]}
    loop = {"type": "loop", "id": "l", "most": 2, "body": [note("n")]}
    done, runs = State(status="done"), State(status="running")
    states = {"steps.0": done, "steps.0.then.0": done, "steps.1": runs, "steps.1.body.0": runs}
    graph = drawn(choice, loop, states=states)
    taken = [edge for edge in graph.edges if edge.taken]
    assert sorted(edge.label for edge in taken if edge.label) == ["again", "yes"]
    # In: the choice, yes, its join, the loop, its body. Not yet: back to the loop, out of it, to the end.
    assert len(taken) == 5
    assert not any(edge.taken for edge in drawn(choice, loop).edges)


def test_a_run_colours_the_boxes_by_what_has_happened() -> None:
    graph = drawn(note("a"), note("b"), states={"steps.0": State(status="failed", error="no stock")})
    assert (node(graph, "steps.0").status, node(graph, "steps.0").error) == ("failed", "no stock")
    assert node(graph, "steps.1").status == ""
