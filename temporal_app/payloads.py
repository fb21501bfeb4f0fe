"""What travels between workflows and activities: ids, and the few facts that a workflow branches on.

Everything else stays in the database. An order in a payload would be a stale copy, could break the size limits, and
would put personal data into Temporal's history. Fields added later need a default, as recorded histories lack them.
"""

from dataclasses import dataclass, field

from orders.vocabulary import (
    BatchMode,
    ExportStatus,
    FailureType,
    FeedStatus,
    NoticeStatus,
    OrderStatus,
    PartnerRunStatus,
    ProcessNext,
    ProcessStatus,
    RefundStatus,
    RunState,
    Verdict,
)


@dataclass(frozen=True, kw_only=True)
class OrderInput:
    """Starts an `OrderWorkflow`."""

    order_id: str
    number: str
    #: our id of the customer's row, or "guest"; for the search attribute only
    customer: str
    #: of a run that continues another: the version of the process, how many undos were registered, and why it is undone
    screened: bool | None = None
    undos: int = 0
    undoing: FailureType | None = None


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
class PaymentStanding:
    """Where the payment of an order stands."""

    taken: bool
    #: seconds until the gateway must be asked again without any message; 0 when taken
    wait_seconds: float = 0.0


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
    #: completed, failed, cancelled or discarded; the message is in the database
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
class GatewayPaymentInput:
    """Starts a `GatewayPaymentWorkflow`, and is the input of its activity."""

    #: the gateway's id of the payment
    payment: str


@dataclass(frozen=True, kw_only=True)
class ProcessInput:
    """Starts a `ProcessWorkflow`, and is the input of its look at the rows."""

    run_id: str


@dataclass(frozen=True, kw_only=True)
class ProcessStanding:
    """What a run's process must do now."""

    next: ProcessNext
    status: ProcessStatus
    position: int = 0
    name: str = ""
    wait_seconds: float = 0.0
    #: the step runs on the queue for calls to partners
    asks_partner: bool = False
    #: how long the step is tried; 0 for as long as it takes
    patience_seconds: float = 0.0


@dataclass(frozen=True, kw_only=True)
class ProcessStepInput:
    run_id: str
    position: int


@dataclass(frozen=True, kw_only=True)
class EndProcess:
    """Why a step, or a run as a whole, cannot go on."""

    run_id: str
    #: of the step that failed; 0 for the whole run
    position: int = 0
    #: for people; at most 500 characters
    message: str


@dataclass(frozen=True, kw_only=True)
class ProcessResult:
    run_id: str
    #: completed, cancelled or failed
    status: ProcessStatus


@dataclass(frozen=True, kw_only=True)
class OpenProcess:
    """A run that a schedule asks for."""

    definition: str
    #: the business day, as YYYY-MM-DD
    business_day: str


@dataclass(frozen=True, kw_only=True)
class OpenedProcess:
    #: empty when nothing was opened
    run_id: str
    #: what happened, in a sentence
    says: str


@dataclass(frozen=True, kw_only=True)
class NoticeInput:
    """Starts a `NoticeWorkflow`, and is the input of its activities."""

    notice_id: str
    #: which asking this process answers; an older one does nothing
    tries: int


@dataclass(frozen=True, kw_only=True)
class NoticeResult:
    notice_id: str
    status: NoticeStatus


@dataclass(frozen=True, kw_only=True)
class PartnerRunInput:
    """Starts a `PartnerCallsWorkflow`."""

    run_id: str


@dataclass(frozen=True, kw_only=True)
class PartnerCallPage:
    """The next calls of a run that have no result."""

    run_id: str
    limit: int


@dataclass(frozen=True, kw_only=True)
class PartnerCallInput:
    call_id: int


@dataclass(frozen=True, kw_only=True)
class GiveUpPartnerCall:
    """A call that cannot be made: what its root cause says."""

    call_id: int
    error_type: str
    #: for people; at most 500 characters
    message: str


@dataclass(frozen=True, kw_only=True)
class EndPartnerRun:
    run_id: str
    #: why calls are left over; empty when none is
    note: str


@dataclass(frozen=True, kw_only=True)
class PartnerRunResult:
    run_id: str
    #: completed or cancelled
    status: PartnerRunStatus


@dataclass(frozen=True, kw_only=True)
class RecoveryInput:
    """Starts a `RecoveryWorkflow`."""

    order_id: str
    number: str


@dataclass(frozen=True, kw_only=True)
class ProcessesAsked:
    """A bounded page of order ids, by what is asked about them (`orders.services.sweeping.processes.Question`)."""

    in_process: tuple[str, ...]
    recovering: tuple[str, ...]
    closed: tuple[str, ...]
    #: those of the closed ones of which something was found: it is news that their process has ended
    watched: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class ProcessSeen:
    order_id: str
    state: RunState
    says: str = ""
    #: work is on its way to it or from it
    busy: bool = False


@dataclass(frozen=True, kw_only=True)
class ProcessesSeen:
    processes: tuple[ProcessSeen, ...]
    #: what could not be looked at; empty for nothing
    skipped: str = ""
    #: order ids of which Temporal said nothing
    unanswered: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class SampleDay:
    #: an ISO date, UTC
    day: str


@dataclass(frozen=True, kw_only=True)
class SampleFrame:
    #: orders shipped on the day, and how many are to be drawn
    shipped: int
    size: int


@dataclass(frozen=True, kw_only=True)
class SampleDrawn:
    day: str
    shipped: int
    #: from 0, among the day's shipped orders in the order of their end
    positions: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class SampleResult:
    day: str
    shipped: int
    positions: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class BatchInput:
    """Starts a `BatchWorkflow`, and is the input of what it asks about the whole batch."""

    batch_id: str
    mode: BatchMode


@dataclass(frozen=True, kw_only=True)
class BatchItemInput:
    """One item of a batch; why it is given up, where it is."""

    batch_id: str
    position: int
    error_type: str = ""
    #: for people; at most 500 characters
    message: str = ""


@dataclass(frozen=True, kw_only=True)
class BatchWindow:
    """What a batch may do now: orders to be started, or items to be checked. At most a window of them."""

    verdict: Verdict
    orders: list[OrderInput] = field(default_factory=list)
    positions: list[int] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class BatchResult:
    batch_id: str
    #: status of an item -> how many
    counts: dict[str, int]


@dataclass(frozen=True, kw_only=True)
class ExportInput:
    """Starts an `ExportWorkflow`, and is the input of its activity."""

    export_id: str


@dataclass(frozen=True, kw_only=True)
class AbandonExport:
    """Why an export cannot go on."""

    export_id: str
    #: for people; at most 500 characters
    message: str


@dataclass(frozen=True, kw_only=True)
class ExportResult:
    export_id: str
    status: ExportStatus


@dataclass(frozen=True, kw_only=True)
class ExportRoundResult:
    #: files whose days were over
    expired: int
    #: exports that plans asked for
    asked: int
