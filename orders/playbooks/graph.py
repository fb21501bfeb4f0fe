"""The picture of a playbook: boxes and lines computed from the definition, so that the picture cannot be wrong.

Conditionals branch and meet again, parallels fan out and are joined, loops return. Drawn by a template as SVG; the same
picture, coloured by what has happened, is the picture of a run. Lengths are pixels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from orders.playbooks.definition import (
    ActivityStep,
    AskStep,
    ConditionalStep,
    Definition,
    LoopStep,
    ParallelStep,
    StepType,
    SubPlaybookStep,
    WaitStep,
)

BOX_WIDTH, BOX_HEIGHT = 190, 48
GAP, COLUMN_GAP = 28, 24
#: room beside a loop for the line that returns
RETURN = 26
MARGIN = 16
Point = tuple[int, int]


@dataclass(frozen=True, kw_only=True)
class Node:
    """A box; `path` is the step's in the document, "" for the beginning and the end."""

    path: str
    kind: str
    title: str
    says: str
    x: int
    y: int
    width: int = BOX_WIDTH
    height: int = BOX_HEIGHT
    #: what became of it, in a run; empty in a definition
    status: str = ""
    error: str = ""
    #: when and how long, in a run
    note: str = ""

    @property
    def middle(self) -> int:
        return self.x + self.width // 2

    @property
    def hexagon(self) -> str:
        """For the `points` of an SVG polygon: the shape of what decides."""
        left, right, half = self.x, self.x + self.width, self.y + self.height // 2
        top, bottom = self.y, self.y + self.height
        inner = left + 16, right - 16
        above = f"{inner[0]},{top} {inner[1]},{top}"
        return f"{left},{half} {above} {right},{half} {inner[1]},{bottom} {inner[0]},{bottom}"

    @property
    def slant(self) -> str:
        """For the `points` of an SVG polygon: the shape of a question."""
        left, right, bottom = self.x, self.x + self.width, self.y + self.height
        return f"{left + 12},{self.y} {right},{self.y} {right - 12},{bottom} {left},{bottom}"


@dataclass(frozen=True, kw_only=True)
class Edge:
    """A line from box to box, with an arrow at its end."""

    points: tuple[Point, ...]
    label: str = ""
    #: whether a run has gone along it
    taken: bool = False

    @property
    def line(self) -> str:
        """For the `points` of an SVG polyline."""
        return " ".join(f"{x},{y}" for x, y in self.points)

    @property
    def label_at(self) -> Point:
        """Where the label begins: beside the arrow, or under the box that a loop is left from."""
        (_, first_y), (second_x, second_y) = self.points[:2]
        if len(self.points) > 2 and first_y == second_y:
            return second_x - 34, first_y + BOX_HEIGHT // 2 + 14
        x, y = self.points[-1]
        return x + 6, (first_y + y) // 2 + 4 if len(self.points) == 2 else y - 4


@dataclass(frozen=True, kw_only=True)
class Graph:
    width: int
    height: int
    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]


@dataclass(frozen=True, kw_only=True)
class State:
    """What became of a step in a run."""

    status: str
    error: str = ""
    #: shown in the box in place of what the step says
    note: str = ""


def draw(definition: Definition, states: Mapping[str, State] | None = None) -> Graph:
    """The picture of a definition; `states` by path in the document colour it."""
    drawing = _Drawing(states or {})
    width, _ = drawing.size(definition.steps)
    middle = MARGIN + width // 2
    begin = drawing.node("", "begin", "Begin", "", middle - 45, MARGIN, width=90, height=28)
    top = begin.y + begin.height
    bottom = drawing.sequence(definition.steps, "steps", middle, top + GAP, entry=(middle, top))
    end = drawing.node("", "end", "End", "", middle - 45, bottom + GAP, width=90, height=28)
    drawing.edge((middle, bottom), (middle, end.y), taken=drawing.closed(f"steps.{len(definition.steps) - 1}"))
    return Graph(
        width=width + 2 * MARGIN,
        height=end.y + end.height + MARGIN,
        nodes=tuple(drawing.nodes),
        edges=tuple(drawing.edges),
    )


@dataclass
class _Drawing:
    states: Mapping[str, State]
    nodes: list[Node] = field(default_factory=list)
    edges: list[Edge] = field(default_factory=list)

    def size(self, steps: Sequence[StepType]) -> tuple[int, int]:
        """(width, height) of a sequence; its line runs through the middle of the width."""
        sizes = [self._size(step) for step in steps]
        if not sizes:
            return BOX_WIDTH, 0
        return max(width for width, _ in sizes), sum(height for _, height in sizes) + GAP * (len(sizes) - 1)

    def _size(self, step: StepType) -> tuple[int, int]:
        if isinstance(step, ConditionalStep | ParallelStep):
            columns = [self.size(column) for _, column in _columns(step)]
            width = sum(wide for wide, _ in columns) + COLUMN_GAP * (len(columns) - 1)
            return max(width, BOX_WIDTH), BOX_HEIGHT + GAP + max(high for _, high in columns) + GAP
        if isinstance(step, LoopStep):
            width, height = self.size(step.body)
            return max(width, BOX_WIDTH) + 2 * RETURN, BOX_HEIGHT + GAP + height + GAP
        return BOX_WIDTH, BOX_HEIGHT

    def sequence(self, steps: Sequence[StepType], path: str, middle: int, top: int, *, entry: Point) -> int:
        """Draw steps below each other; answers where the line leaves the last one."""
        leave = entry
        for number, step in enumerate(steps):
            self.edge(leave, (middle, top), taken=f"{path}.{number}" in self.states)
            bottom = self._step(step, f"{path}.{number}", middle, top)
            leave, top = (middle, bottom), bottom + GAP
        return leave[1]

    def _step(self, step: StepType, path: str, middle: int, top: int) -> int:
        node = self.node(path, step.type, step.title or step.id, says(step), middle - BOX_WIDTH // 2, top)
        below = (middle, node.y + node.height)
        if isinstance(step, ConditionalStep | ParallelStep):
            return self._branches(step, path, below)
        if isinstance(step, LoopStep):
            return self._loop(step, path, below)
        return below[1]

    def _branches(self, step: ConditionalStep | ParallelStep, path: str, below: Point) -> int:
        middle, top = below
        columns = [(name, steps, self.size(steps)[0]) for name, steps in _columns(step)]
        total = sum(width for _, _, width in columns) + COLUMN_GAP * (len(columns) - 1)
        left, first = middle - total // 2, top + GAP
        ends: list[Point] = []
        left_it: list[bool] = []
        for name, steps, width in columns:
            centre = left + width // 2
            label = {"then": "yes", "otherwise": "no"}.get(name, "")
            bend = top + GAP // 2
            # A way without steps was taken when the other one was not.
            went = (
                f"{path}.{name}.0" in self.states
                if steps
                else self.closed(path) and f"{path}.then.0" not in self.states
            )
            self.edges.append(
                Edge(points=((middle, top), (middle, bend), (centre, bend), (centre, first)), label=label, taken=went)
            )
            if steps:
                ends.append((centre, self._inside(steps, f"{path}.{name}", centre, first)))
            else:
                ends.append((centre, first))
            left_it.append(self.closed(f"{path}.{name}.{len(steps) - 1}") if steps else went)
            left += width + COLUMN_GAP
        bottom = max(y for _, y in ends) + GAP
        for (x, y), taken in zip(ends, left_it, strict=True):
            turn = bottom - GAP // 2
            self.edges.append(Edge(points=((x, y), (x, turn), (middle, turn), (middle, bottom)), taken=taken))
        return bottom

    def _inside(self, steps: Sequence[StepType], path: str, middle: int, top: int) -> int:
        """A sequence whose first line is drawn already."""
        bottom = self._step(steps[0], f"{path}.0", middle, top)
        for number, step in enumerate(steps[1:], start=1):
            self.edge((middle, bottom), (middle, bottom + GAP), taken=f"{path}.{number}" in self.states)
            bottom = self._step(step, f"{path}.{number}", middle, bottom + GAP)
        return bottom

    def _loop(self, step: LoopStep, path: str, below: Point) -> int:
        middle, top = below
        width = max(self.size(step.body)[0], BOX_WIDTH)
        head = top - BOX_HEIGHT // 2
        self.edge(below, (middle, top + GAP), label="again", taken=f"{path}.body.0" in self.states)
        bottom = self._inside(step.body, f"{path}.body", middle, top + GAP)
        left, right = middle - width // 2 - RETURN // 2, middle + width // 2 + RETURN // 2
        turn = bottom + GAP // 2
        # Back to the loop on the left, out of it on the right.
        self.edges.append(
            Edge(
                points=((middle, bottom), (middle, turn), (left, turn), (left, head), (middle - BOX_WIDTH // 2, head)),
                taken=self.closed(f"{path}.body.{len(step.body) - 1}"),
            )
        )
        out = bottom + GAP
        self.edges.append(
            Edge(
                points=((middle + BOX_WIDTH // 2, head), (right, head), (right, out), (middle, out)),
                label="done",
                taken=self.closed(path),
            )
        )
        return out

    def node(
        self, path: str, kind: str, title: str, says: str, x: int, y: int, *, width: int = BOX_WIDTH, height: int = 48
    ) -> Node:
        state = self.states.get(path, State(status="")) if path else State(status="")
        made = Node(
            path=path,
            kind=kind,
            title=_short(title, 24),
            says=_short(says, 30),
            x=x,
            y=y,
            width=width,
            height=height,
            status=state.status,
            error=state.error,
            note=_short(state.note, 30),
        )
        self.nodes.append(made)
        return made

    def edge(self, start: Point, end: Point, *, label: str = "", taken: bool = False) -> None:
        if start != end:
            self.edges.append(Edge(points=(start, end), label=label, taken=taken))

    def closed(self, path: str) -> bool:
        """Whether a run has gone on behind the step."""
        return path in self.states and self.states[path].status in {"done", "skipped", "undone", "undoing"}


def _columns(step: ConditionalStep | ParallelStep) -> list[tuple[str, tuple[StepType, ...]]]:
    if isinstance(step, ConditionalStep):
        return [("then", step.then), ("otherwise", step.otherwise)]
    return [(f"branches.{number}", branch) for number, branch in enumerate(step.branches)]


def says(step: StepType) -> str:
    """The second line of a box."""
    if isinstance(step, ActivityStep):
        return step.activity.replace("_", " ")
    if isinstance(step, ConditionalStep):
        return step.condition
    if isinstance(step, LoopStep):
        return f"at most {step.most} times"
    if isinstance(step, WaitStep):
        return f"{step.seconds} s" + (" or until" if step.until else "")
    if isinstance(step, AskStep):
        return " / ".join(step.options)
    if isinstance(step, SubPlaybookStep):
        return f"{step.playbook} v{step.version}"
    return "all at once"


def _short(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"
