"""What travels between workflows and activities: ids, and the few facts that a workflow branches on.

Everything else stays in the database. An order in a payload would be a stale copy, could break the size limits, and
would put personal data into Temporal's history. Fields added later need a default, as recorded histories lack them.
"""

from dataclasses import dataclass

from orders.playbooks.definition import Definition
from orders.vocabulary import FailureType, FeedStatus, OrderStatus, PlaybookEnding, PlaybookRunStatus, RefundStatus


@dataclass(frozen=True, kw_only=True)
class OrderInput:
    """Starts an `OrderWorkflow`."""

    order_id: str
    number: str
    #: our id of the customer's row, or "guest"; for the search attribute only
    customer: str


@dataclass(frozen=True, kw_only=True)
class OrderResult:
    number: str
    status: OrderStatus
    failure_type: FailureType | None = None


@dataclass(frozen=True, kw_only=True)
class OrderStep:
    """Input of every activity that works on one order."""

    order_id: str
    #: first run id of the workflow: the identity of the process, kept over resets
    run_id: str
    #: version 2 of the process: a fraud check comes before the charge
    screened: bool = False


@dataclass(frozen=True, kw_only=True)
class CommandGiven:
    """A signal: a command was recorded. What it says is read from the database."""

    command_id: str
    kind: str


@dataclass(frozen=True, kw_only=True)
class ReviewStanding:
    """Where the review of an order stands."""

    approved: bool
    #: seconds until the case must be looked at again without any command; 0 when approved
    wait_seconds: float


@dataclass(frozen=True, kw_only=True)
class UndoOrder:
    """Why an order's process is being undone."""

    order_id: str
    failure_type: FailureType
    #: for people; at most 500 characters, no personal data
    message: str


@dataclass(frozen=True, kw_only=True)
class FeedInput:
    """Starts a `FeedImportWorkflow`, and is the input of its phases."""

    feed_id: str


@dataclass(frozen=True, kw_only=True)
class AbandonFeed:
    """Why an import cannot go on."""

    feed_id: str
    #: for people; at most 500 characters
    message: str


@dataclass(frozen=True, kw_only=True)
class FeedResult:
    feed_id: str
    #: completed or failed; the message of a failure is in the database
    status: FeedStatus


@dataclass(frozen=True, kw_only=True)
class SealResult:
    #: of the day's seal
    sequence: int
    #: False when the day had its seal already
    made: bool


@dataclass(frozen=True, kw_only=True)
class RefundInput:
    """Starts a `RefundWorkflow`, and is the input of its activity."""

    refund_id: str


@dataclass(frozen=True, kw_only=True)
class RefundResult:
    refund_id: str
    #: done, settled or dropped
    status: RefundStatus


@dataclass(frozen=True, kw_only=True)
class PlaybookInput:
    """Starts a `PlaybookWorkflow`, and is the input of what concerns the whole run."""

    run_id: str


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
