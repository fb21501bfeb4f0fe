"""What a chaos run found, as plain rows: what was promised, what the database says, what the partners say.

Apart from the verdict, so that a verdict can be tested on facts that no run has produced yet.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

TERMINAL = frozenset({"completed", "cancelled", "failed"})


@dataclass(frozen=True, kw_only=True)
class Violation:
    """One broken promise."""

    #: the counter of the report that it belongs to
    rule: str
    subject: str
    detail: str


@dataclass(frozen=True, kw_only=True)
class OrderRow:
    id: str
    status: str
    total_minor: int
    #: debits minus credits of the gateway account, and of all accounts together
    gateway_minor: int = 0
    ledger_sum: int = 0
    open_steps: int = 0
    #: shipments that our own table calls booked, and pieces reserved or gone
    shipments: int = 0
    pieces_held: int = 0
    pieces_gone: int = 0
    failure_type: str = ""
    #: unix time at which the step "ship" was committed
    ship_ended: float | None = None
    #: lines of the history, and the commands that they must tell of
    placings: int = 1
    start_lines: int = 1
    starts: int = 1
    #: what our table says went back through the gateway after completion, and what by other means
    refunded_minor: int = 0
    settled_minor: int = 0
    #: what its history says was promised and is owed no more
    dropped_minor: int = 0
    #: unix times at which the steps forward were committed
    step_ends: Sequence[float] = ()
    #: the invoice of the file that it was imported from
    reference: str = ""
    #: pieces that returns say came back
    pieces_back: int = 0


@dataclass(frozen=True, kw_only=True)
class RunRow:
    """Something over many steps that was promised: a batch, an import, a playbook ..."""

    kind: str
    id: str
    #: empty: there is no such row
    status: str
    #: parts without a result
    unfinished: int = 0


@dataclass(frozen=True, kw_only=True)
class Hold:
    """A person held the order from the moment of our yes until they asked for its release (unix times)."""

    number: str
    since: float
    until: float


@dataclass(frozen=True, kw_only=True)
class Waited:
    """What the page of an order said whose payment waited."""

    number: str
    #: it said for whom, what comes next and what staff can do
    says: bool
    #: when the wait is over, as the API has it; empty: nobody knows
    until: str


@dataclass(frozen=True, kw_only=True)
class Deeds:
    """What the stranger at Temporal's port did."""

    #: deed -> how often
    counts: Mapping[str, int] = field(default_factory=dict)
    #: ids of the workflows that it started, and of those that it had cancelled
    started: frozenset[str] = frozenset()
    cancelled: frozenset[str] = frozenset()


@dataclass(frozen=True, kw_only=True)
class PaymentRow:
    """The payment of an order and what came of it, by our own rows; amounts in minor units."""

    method: str = ""
    status: str = ""
    #: paid back outside of the gateway by somebody's word, and owed still
    by_hand_minor: int = 0
    owed_minor: int = 0
    #: refunds at the gateway that have not arrived, and disputes that nobody has decided
    pending: int = 0
    open_disputes: int = 0
    disputes: int = 0
    disputed_minor: int = 0
    #: refunds that the gateway refused, at once or later, whatever became of them since
    refused: int = 0
    waits_for: str = ""
    has_deadline: bool = False
    #: unix time of the reviewer's yes
    approved_at: float | None = None


@dataclass(frozen=True, kw_only=True)
class Operation:
    """One effect at a partner, as the partner wrote it down; in the order of `seq`."""

    seq: int
    #: unix time
    at: float
    operation: str
    order: str
    charged_minor: int = 0
    refunded_minor: int = 0
    #: the partner's own id of what it is about: a payment, a refund, a shipment
    object_id: str = ""


@dataclass(frozen=True, kw_only=True)
class StockRow:
    sku: str
    received: int
    on_hand: int
    reserved: int
    shipped: int
    #: what the reservations add up to
    held: int
    consumed: int


@dataclass(frozen=True, kw_only=True)
class Trouble:
    """Something that was broken on purpose, and what became of it."""

    what: str
    name: str
    #: seconds within which it must be mended or somebody's task, and after how many it was
    patience: float
    waited: float
    #: how it was; empty: it was not
    how: str


@dataclass(frozen=True, kw_only=True)
class Healthy:
    """An order with nothing special about it, whose way must be free whatever becomes of others."""

    number: str
    #: from the client's order to its end; None: it has not ended
    seconds: float | None
    #: it came when poisoned orders were there
    among_poison: bool


@dataclass(frozen=True, kw_only=True)
class Setback:
    """The database was set back to a copy of earlier, and until a lead decided nothing may follow from that."""

    #: unix times of the restore and of the lead's decision
    since: float
    until: float
    incidents: int
    #: ids of the orders that had completed and that the restored database has otherwise
    done: frozenset[str]
    #: numbers of all orders that it has otherwise, or not at all
    older: frozenset[str]
    #: id -> number of those that it has not at all; and ids of runs
    forgotten: Mapping[str, str] = field(default_factory=dict)
    forgotten_runs: frozenset[str] = frozenset()
    #: ids of orders of which a run began meanwhile
    started: frozenset[str] = frozenset()
    #: everything that people are told, in one text
    told: str = ""


@dataclass(frozen=True, kw_only=True)
class Facts:
    """All that was found after the drain."""

    acknowledged: list[tuple[str, str]]
    orders: Mapping[str, OrderRow]
    books: Mapping[str, Mapping[str, Any]]
    stock: list[StockRow]
    outbox: int
    reexecuted_steps: int
    #: what `verify_invariants --json` said
    invariants: Mapping[str, Any]
    complaints: list[str] = field(default_factory=list)
    running_workflows: int = 0
    #: how workflows ended that may not end so: how many
    broken_workflows: Mapping[str, int] = field(default_factory=dict)
    #: (order number, unix time) of each cancellation that the engine accepted
    cancellations: list[tuple[str, float]] = field(default_factory=list)
    #: orders that a clerk had to decide about, and did
    suspicious: frozenset[str] = frozenset()
    approved: frozenset[str] = frozenset()
    rejected: frozenset[str] = frozenset()
    holds: list[Hold] = field(default_factory=list)
    #: (order number, minor units) of each refund that was accepted
    refunds: list[tuple[str, int]] = field(default_factory=list)
    #: (order number, pieces) of each return that was received
    returns: list[tuple[str, int]] = field(default_factory=list)
    #: numbers of the orders whose workflow an operator tried to terminate, and ids of the workflows that were
    ended: frozenset[str] = frozenset()
    terminated: frozenset[str] = frozenset()
    #: numbers of the orders of which another run had to take over
    recovered: frozenset[str] = frozenset()
    #: invoices of the files that were taken: an order each
    invoices: frozenset[str] = frozenset()
    runs: list[RunRow] = field(default_factory=list)
    #: order id -> its payment
    payments: Mapping[str, PaymentRow] = field(default_factory=dict)
    operations: Sequence[Operation] = ()
    #: what the gateway's own summary has to complain about
    book_problems: Sequence[str] = ()
    waited: list[Waited] = field(default_factory=list)
    #: numbers of the orders that somebody tried to cancel over the API
    asked_to_cancel: frozenset[str] = frozenset()
    #: None: there was no stranger
    deeds: Deeds | None = None
    #: tasks that nobody has settled: (order number, kind)
    open_tasks: list[tuple[str, str]] = field(default_factory=list)
    #: customers' names lie in Temporal's files in plain text
    readable: bool = False
    #: workers that were killed or frozen while they were inside a step
    hits: int = 0
    troubles: Sequence[Trouble] = ()
    #: ids of the workflows that the run itself ended at Temporal
    struck: frozenset[str] = frozenset()
    #: of a run with poison: the orders that have none
    healthy: Sequence[Healthy] = ()
    #: how many poisoned orders there were; none in a run without
    poisoned: int = 0
    #: None: the database was not set back
    setback: Setback | None = None
