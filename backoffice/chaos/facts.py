"""What a chaos run found, as plain rows: what was promised, what the database says, what the partners say.

Apart from the verdict, so that a verdict can be tested on facts that no run has produced yet.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

TERMINAL = frozenset({"completed", "cancelled", "failed"})


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
    #: what our table says went back after completion
    refunded_minor: int = 0
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
    #: invoices of the files that were taken: an order each
    invoices: frozenset[str] = frozenset()
    runs: list[RunRow] = field(default_factory=list)
    #: customers' names lie in Temporal's files in plain text
    readable: bool = False
    #: workers that were killed or frozen while they were inside a step
    hits: int = 0
