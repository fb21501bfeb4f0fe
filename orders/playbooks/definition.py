"""The one definition of what a playbook may say: it validates, describes itself to editors, and is what a run follows.

A second description, for the editor or for the engine, would drift from this one, and staff would publish a procedure
that runs differently from what they saw. Models are frozen: a published version never changes. Rules that need more
than one step to judge (names, expressions, worst case) are in `orders.playbooks.validation`.

Text that begins with "=" is an expression (`orders.playbooks.expressions`); all other text is meant as it stands.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

MAX_STEPS = 200
MAX_DEPTH = 5
MAX_BRANCHES = 10
MAX_PARALLEL = 50
MAX_ITERATIONS = 1_000
#: executions of steps in the worst case, loops multiplied out
MAX_EXECUTIONS = 5_000
#: the same inside one parallel step, which a run cannot put down half-way
MAX_EXECUTIONS_IN_PARALLEL = 500
MAX_SECONDS = 30 * 24 * 3600
#: how often a wait may ask its condition
MAX_ASKED = 1_000
#: the same of all waits inside one parallel step: each time is a handful of events of one history
MAX_ASKED_IN_PARALLEL = 3_000
MAX_TEXT = 500
MAX_ATTEMPTS = 20

Slug = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,39}$")]
Text = Annotated[str, StringConstraints(max_length=MAX_TEXT, strip_whitespace=True)]
Expression = Annotated[str, StringConstraints(min_length=1, max_length=MAX_TEXT, strip_whitespace=True)]
Scalar = Annotated[int, Field(ge=-(2**53), le=2**53, strict=True)] | Annotated[bool, Field(strict=True)] | Text


class ValueType(StrEnum):
    """What inputs, parameters and results may be. Money is whole minor units, so there are no fractions."""

    STRING = "string"
    INT = "int"
    BOOL = "bool"


class OnFailure(StrEnum):
    """What happens when a step has used all its attempts."""

    STOP = "stop"  # the run ends as failed; what was done stays
    CONTINUE = "continue"  # the failure is noted and the run goes on
    UNDO = "undo"  # what was done is undone in reverse, and the run ends as failed
    PARK = "park"  # the run waits until a person retries, skips or cancels


class Document(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Input(Document):
    """What whoever starts the playbook says."""

    name: Slug
    type: ValueType = ValueType.STRING
    label: Text = ""
    #: used where nothing was said; without one, the input is required
    default: Scalar | None = None


class ActivityCall(Document):
    """An entry of the catalogue with its parameters; a definition can name nothing else."""

    activity: Slug
    parameters: dict[Slug, Scalar] = Field(default_factory=dict, max_length=20)


class Step(Document):
    id: Slug
    title: Text = ""


class ActivityStep(Step, ActivityCall):
    """Do something; `undo` says how it is taken back."""

    type: Literal["activity"] = "activity"
    timeout_seconds: int = Field(default=60, ge=5, le=3_600, description="for one attempt")
    attempts: int = Field(default=3, ge=1, le=MAX_ATTEMPTS, description="all attempts, the first one included")
    on_failure: OnFailure = OnFailure.PARK
    undo: ActivityCall | None = None


class ParallelStep(Step):
    """Go several ways at once; the first way that fails stops the others, and they are awaited."""

    type: Literal["parallel"] = "parallel"
    branches: tuple[tuple[AnyStep, ...], ...] = Field(min_length=2, max_length=MAX_BRANCHES)


class ConditionalStep(Step):
    type: Literal["conditional"] = "conditional"
    condition: Expression
    then: tuple[AnyStep, ...] = Field(min_length=1)
    otherwise: tuple[AnyStep, ...] = ()


class LoopStep(Step):
    """Repeat the body while the condition holds, never more often than `most`; `loop.number` counts from 1."""

    type: Literal["loop"] = "loop"
    condition: Expression = "true"
    most: int = Field(ge=1, le=MAX_ITERATIONS)
    body: tuple[AnyStep, ...] = Field(min_length=1)


class WaitStep(Step):
    """Wait for a time; with `until`, no longer than until that holds, asked every `every_seconds`."""

    type: Literal["wait"] = "wait"
    seconds: int = Field(ge=1, le=MAX_SECONDS)
    until: Expression | None = None
    every_seconds: int = Field(default=60, ge=10, le=86_400)


class AskStep(Step):
    """Ask a person; the answer is one of the options, or the default when nobody answers in time."""

    type: Literal["ask"] = "ask"
    question: Text
    options: tuple[Slug, ...] = Field(min_length=2, max_length=5)
    deadline_seconds: int = Field(default=86_400, ge=60, le=MAX_SECONDS)
    default: Slug


class SubPlaybookStep(Step):
    """Run a published version of another playbook; versions do not change, so no circle can be made."""

    type: Literal["sub_playbook"] = "sub_playbook"
    playbook: Slug
    version: int = Field(ge=1)
    inputs: dict[Slug, Scalar] = Field(default_factory=dict, max_length=20)


AnyStep = Annotated[
    ActivityStep | ParallelStep | ConditionalStep | LoopStep | WaitStep | AskStep | SubPlaybookStep,
    Field(discriminator="type"),
]


class Definition(Document):
    """A whole playbook."""

    title: Annotated[str, StringConstraints(min_length=1, max_length=100, strip_whitespace=True)]
    description: Text = ""
    inputs: tuple[Input, ...] = Field(default=(), max_length=20)
    steps: tuple[AnyStep, ...] = Field(min_length=1)


for model in (ParallelStep, ConditionalStep, LoopStep, Definition):
    model.model_rebuild()

StepType = ActivityStep | ParallelStep | ConditionalStep | LoopStep | WaitStep | AskStep | SubPlaybookStep


def blocks(step: StepType) -> Iterator[tuple[str, tuple[StepType, ...]]]:
    """The sequences inside a step, each with its name in the path of what it holds."""
    if isinstance(step, ParallelStep):
        for number, branch in enumerate(step.branches):
            yield f"branches.{number}", branch
    elif isinstance(step, ConditionalStep):
        yield "then", step.then
        yield "otherwise", step.otherwise
    elif isinstance(step, LoopStep):
        yield "body", step.body


def walk(steps: tuple[StepType, ...], path: str = "steps", depth: int = 1) -> Iterator[tuple[str, StepType, int]]:
    """Every step with its path in the document ("steps.0.then.1") and its depth, in document order."""
    for number, step in enumerate(steps):
        here = f"{path}.{number}"
        yield here, step, depth
        for name, inner in blocks(step):
            yield from walk(inner, f"{here}.{name}", depth + 1)
