"""What the sweep looks for, and what it may find Temporal to say of an order's process."""

from enum import StrEnum


class FindingKind(StrEnum):
    """Trouble that nobody reported: found by comparing what is with what should be."""

    OVERDUE = "overdue"  # longer in its status than that status may take
    PROCESS_LOST = "process_lost"  # started, and Temporal never heard of it
    PROCESS_ENDED = "process_ended"  # ended from outside while the order was open
    PROCESS_RESET = "process_reset"  # an operator reset it; it goes on in another run
    WEDGED = "wedged"  # its workflow task fails again and again: a bug, or a deploy
    RUNS_ON = "runs_on"  # the order is closed, its process still runs
    DRIFT = "drift"  # our books and the payment gateway's tell different stories
    RUN_ENDED = "run_ended"  # the process of a refund, a batch or another run is gone while its row is open
    RUN_WEDGED = "run_wedged"  # the workflow task of such a process fails again and again


class RunKind(StrEnum):
    """Every kind of process at Temporal (`orders.services.run_kinds`)."""

    ORDER = "order"
    RECOVERY = "recovery"
    REFUND = "refund"
    GATEWAY_PAYMENT = "gateway payment"
    NOTICE = "notice"
    PROCESS = "process"
    IMPORT = "import"
    EXPORT = "export"
    PARTNER_RUN = "partner run"
    PLAYBOOK_RUN = "playbook run"
    ORDER_EVENT = "order event"  # starts the playbooks that wait for the event
    BATCH = "batch"
    # What a schedule starts.
    SWEEP = "sweep"
    SEAL = "seal"
    DAY_END = "day end"
    QUALITY_SAMPLE = "quality sample"
    EXPORT_ROUND = "export round"
    PLAYBOOK_ROUND = "playbook round"


#: the engine cannot go on with the order until somebody mends something
STANDSTILLS = frozenset({FindingKind.PROCESS_LOST, FindingKind.PROCESS_ENDED, FindingKind.WEDGED})


#: what can be wrong with an order that has ended
OF_CLOSED_ORDERS = frozenset({FindingKind.RUNS_ON, FindingKind.DRIFT})


class RunState(StrEnum):
    """What Temporal says of a process."""

    MISSING = "missing"  # it knows no such workflow
    BROKEN = "broken"  # terminated, failed or timed out: no undo ran
    CLOSED = "closed"  # ended with a result or as cancelled
    RUNNING = "running"
    RESET = "reset"  # runs, in another run than the first one
    WEDGED = "wedged"  # runs, and its task fails again and again


class RestoreKind(StrEnum):
    """What a restored database does not have as it is."""

    ORDER_BEHIND = "order_behind"  # its process ended at Temporal, and here it is open or not begun
    ORDER_UNKNOWN = "order_unknown"  # Temporal has its process, and here is no row
    RUN_BEHIND = "run_behind"  # the process of another row ended at Temporal, and here it is open


class RestoreDecision(StrEnum):
    """What a lead decides about it."""

    UNDO = "undo"  # the parcel is cancelled and the money goes back
    FINISH = "finish"  # the steps are gone through again: what was done is found at the partners, the rest is done
    AGAIN = "again"  # its process is started again
    KEEP = "keep"  # it stays as it is


#: what may be decided about each kind
RESTORE_DECISIONS: dict[RestoreKind, tuple[RestoreDecision, ...]] = {
    RestoreKind.ORDER_BEHIND: (RestoreDecision.UNDO, RestoreDecision.FINISH),
    RestoreKind.ORDER_UNKNOWN: (RestoreDecision.UNDO, RestoreDecision.KEEP),
    RestoreKind.RUN_BEHIND: (RestoreDecision.AGAIN, RestoreDecision.KEEP),
}


class SweepPart(StrEnum):
    """The parts of a sweep; each remembers when it ran and where it stopped."""

    DEADLINES = "deadlines"
    PROCESSES = "processes"
    BOOKS = "books"
    EVENTS = "events"  # the gateway's own list of events, for those that nobody brought
    RUNS = "runs"  # the processes of everything that is no order


class EngineUseKind(StrEnum):
    """What of the engine an installation uses, and must go on using while processes of it are open."""

    NAMESPACE = "namespace"
    PAYLOAD_KEY = "payload_key"
