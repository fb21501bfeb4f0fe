"""What travels between the runs of playbooks and their activities (`temporal_app.payloads` says what may).

Apart from the others because it carries a document: the definition that a run follows, once, when it begins.
"""

from dataclasses import dataclass

from orders.playbooks.definition import Definition
from orders.vocabulary import PlaybookEnding, PlaybookRunStatus


@dataclass(frozen=True, kw_only=True)
class PlaybookInput:
    """Starts a `PlaybookWorkflow`, and is the input of what concerns the whole run."""

    run_id: str
    #: of a run that began a new history in the middle of its undo: how it ends
    ending: PlaybookEnding | None = None
    #: of a run that continues another: paths of steps that failed, and of which nobody has decided
    undecided: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class OrderEventHappened:
    """An event of an order that may start playbooks."""

    event_id: int


@dataclass(frozen=True, kw_only=True)
class PlaybookPlan:
    """What a run follows and how far it is."""

    definition: Definition
    #: "slug@version" -> what a sub-playbook says
    subs: dict[str, Definition]
    #: paths of steps that are closed
    done: list[str]
    #: path of a loop -> times round it that are finished
    rounds: dict[str, int]
    undoing: bool


@dataclass(frozen=True, kw_only=True)
class PlaybookStep:
    """A step of a run, by its path."""

    run_id: str
    path: str
    #: of a loop: which time round is asked about
    number: int = 0
    #: why it failed, for people; at most 500 characters
    message: str = ""


@dataclass(frozen=True, kw_only=True)
class PlaybookStepStanding:
    closed: bool
    #: seconds until it must be asked again without any command
    wait_seconds: float = 0.0


@dataclass(frozen=True, kw_only=True)
class EndPlaybook:
    run_id: str
    ending: PlaybookEnding
    message: str = ""


@dataclass(frozen=True, kw_only=True)
class PlaybookResult:
    run_id: str
    status: PlaybookRunStatus
