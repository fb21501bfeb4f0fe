"""The words of the domain, in one place that everyone may read.

Models use these enums as choices and CHECK constraints, workflows branch on them inside the sandbox, pages turn them
into sentences. A literal string compared anywhere else is how two parts of a system come to disagree about a state.
Standard library only: workflow code imports this module, and a Django import here would break the sandbox.
"""

from enum import StrEnum


class OrderStatus(StrEnum):
    """Where an order stands, as staff say it."""

    PLACED = "placed"  # stored, nobody asked for processing yet
    QUEUED = "queued"  # processing was asked for; the engine has not begun
    IN_REVIEW = "in_review"  # a person must decide
    ON_HOLD = "on_hold"  # a person stopped it
    RESERVING = "reserving"
    CHECKING = "checking"  # the fraud rules and the fraud partner are asked
    CHARGING = "charging"
    SHIPPING = "shipping"
    UNDOING = "undoing"  # what was done is being undone, in reverse
    COMPLETED = "completed"
    CANCELLED = "cancelled"
    FAILED = "failed"


TERMINAL_STATUSES = frozenset({OrderStatus.COMPLETED, OrderStatus.CANCELLED, OrderStatus.FAILED})
MOVING_STATUSES = frozenset(
    {
        OrderStatus.QUEUED,
        OrderStatus.RESERVING,
        OrderStatus.CHECKING,
        OrderStatus.CHARGING,
        OrderStatus.SHIPPING,
        OrderStatus.UNDOING,
    }
)
#: the engine works on the order, or waits in it for a person
IN_PROCESS_STATUSES = MOVING_STATUSES | {OrderStatus.IN_REVIEW, OrderStatus.ON_HOLD}

# The only moves an order may make; `Order.move_to` refuses every other one.
ALLOWED_MOVES: dict[OrderStatus, frozenset[OrderStatus]] = {
    OrderStatus.PLACED: frozenset({OrderStatus.QUEUED, OrderStatus.ON_HOLD, OrderStatus.CANCELLED}),
    OrderStatus.QUEUED: frozenset({OrderStatus.RESERVING, OrderStatus.ON_HOLD, OrderStatus.UNDOING}),
    # Straight to the charge: an order that was started before the fraud check existed.
    OrderStatus.RESERVING: frozenset(
        {OrderStatus.CHECKING, OrderStatus.CHARGING, OrderStatus.ON_HOLD, OrderStatus.UNDOING}
    ),
    OrderStatus.CHECKING: frozenset(
        {OrderStatus.IN_REVIEW, OrderStatus.CHARGING, OrderStatus.ON_HOLD, OrderStatus.UNDOING}
    ),
    OrderStatus.IN_REVIEW: frozenset({OrderStatus.CHARGING, OrderStatus.ON_HOLD, OrderStatus.UNDOING}),
    OrderStatus.CHARGING: frozenset({OrderStatus.SHIPPING, OrderStatus.ON_HOLD, OrderStatus.UNDOING}),
    OrderStatus.SHIPPING: frozenset({OrderStatus.COMPLETED, OrderStatus.ON_HOLD, OrderStatus.UNDOING}),
    # Back to where it was stopped.
    OrderStatus.ON_HOLD: frozenset(
        {
            OrderStatus.PLACED,
            OrderStatus.QUEUED,
            OrderStatus.RESERVING,
            OrderStatus.CHECKING,
            OrderStatus.IN_REVIEW,
            OrderStatus.CHARGING,
            OrderStatus.SHIPPING,
            OrderStatus.UNDOING,
            OrderStatus.CANCELLED,
        }
    ),
    OrderStatus.UNDOING: frozenset({OrderStatus.CANCELLED, OrderStatus.FAILED}),
    OrderStatus.COMPLETED: frozenset(),
    OrderStatus.CANCELLED: frozenset(),
    OrderStatus.FAILED: frozenset(),
}


class Currency(StrEnum):
    """Currencies we trade in. All have two decimals: one major unit is 100 minor units."""

    GBP = "GBP"
    EUR = "EUR"
    USD = "USD"


MINOR_UNITS_PER_MAJOR = 100


class StepName(StrEnum):
    """The fenced steps of an order; a step's key is `<order id>:<name>`."""

    VALIDATE = "validate"
    RESERVE = "reserve"
    FRAUD = "fraud"
    CHARGE = "charge"
    SHIP = "ship"
    COMPLETE = "complete"
    RELEASE = "release"
    REFUND = "refund"
    RECALL = "recall"
    CLOSE = "close"


#: steps that ask a partner: Temporal schedules each attempt, and a person may drive them
PARTNER_STEPS = frozenset({StepName.FRAUD, StepName.CHARGE, StepName.SHIP, StepName.REFUND, StepName.RECALL})


class StepStatus(StrEnum):
    OPEN = "open"  # claimed; the effect may or may not have happened
    DONE = "done"  # the effect is committed
    VOID = "void"  # an undo came first; the effect may never commit


class EventType(StrEnum):
    """What can happen to an order; dotted past tense, frozen once released."""

    PLACED = "order.placed"
    START_REQUESTED = "order.start_requested"
    VALIDATED = "order.validated"
    STOCK_RESERVED = "order.stock_reserved"
    FRAUD_CHECKED = "order.fraud_checked"
    REVIEW_OPENED = "order.review_opened"
    REVIEW_CLAIMED = "order.review_claimed"
    REVIEW_ASKED = "order.review_asked"
    REVIEW_EXTENDED = "order.review_extended"
    REVIEW_ESCALATED = "order.review_escalated"
    REVIEW_SECONDED = "order.review_seconded"
    REVIEW_DECIDED = "order.review_decided"
    REVIEW_OBEYED = "order.review_obeyed"
    HOLD_ASKED = "order.hold_asked"
    HELD = "order.held"
    RELEASED = "order.released"
    CANCEL_ASKED = "order.cancel_asked"
    PAYMENT_CAPTURED = "order.payment_captured"
    SHIPPED = "order.shipped"
    COMPLETED = "order.completed"
    STEP_RETRYING = "order.step_retrying"
    STEP_RETRY_ASKED = "order.step_retry_asked"
    STEP_PAUSED = "order.step_paused"
    STEP_RESUMED = "order.step_resumed"
    STEP_LEFT_ALONE = "order.step_left_alone"
    UNDO_BEGUN = "order.undo_begun"
    STOCK_RELEASED = "order.stock_released"
    PAYMENT_UNDONE = "order.payment_undone"
    SHIPMENT_UNDONE = "order.shipment_undone"
    CANCELLED = "order.cancelled"
    FAILED = "order.failed"
    CUSTOMER_ERASED = "order.customer_erased"
    REFUND_ASKED = "order.refund_asked"
    REFUNDED = "order.refunded"
    REFUND_REFUSED = "order.refund_refused"
    REFUND_RETRIED = "order.refund_retried"
    REFUND_SETTLED = "order.refund_settled"
    REFUND_DROPPED = "order.refund_dropped"
    TASK_OPENED = "order.task_opened"
    TASK_ACKNOWLEDGED = "order.task_acknowledged"
    TASK_DONE = "order.task_done"


class FailureType(StrEnum):
    """Why an order's process ended without shipping; the same string is `ApplicationError.type`."""

    INVALID_ORDER = "invalid_order"
    OUT_OF_STOCK = "out_of_stock"
    PAYMENT_DECLINED = "payment_declined"
    CARRIER_REJECTED = "carrier_rejected"
    OUTCOME_UNKNOWN = "outcome_unknown"
    STEP_VOIDED = "step_voided"
    STALE_ATTEMPT = "stale_attempt"
    NOT_THE_PROCESS = "not_the_process"
    PARTNER_UNAVAILABLE = "partner_unavailable"
    PARTNER_DOWN = "partner_down"  # not a failure: the step waits until the partner answers again
    CANCELLED = "cancelled"
    REVIEW_REJECTED = "review_rejected"
    ON_HOLD = "on_hold"  # not a failure: the step waits until a person releases the order
    INVALID_FEED = "invalid_feed"


class PaymentStatus(StrEnum):
    PENDING = "pending"  # nothing moved yet, or nobody knows yet
    CAPTURED = "captured"
    DECLINED = "declined"
    VOIDED = "voided"
    REFUNDED = "refunded"


class RefundStatus(StrEnum):
    """A refund of a completed order. One that waits for a second person is an approval, and no refund yet."""

    REQUESTED = "requested"  # recorded; the gateway has not heard of it
    SENT = "sent"  # confirmed; the gateway may have heard of it
    REFUSED = "refused"  # the gateway says no: the money is owed
    DONE = "done"
    SETTLED = "settled"  # a person gave the money back another way
    DROPPED = "dropped"  # whoever asked for it may not any more; nothing was sent


#: their amounts are kept out of every other refund
OPEN_REFUNDS = frozenset({RefundStatus.REQUESTED, RefundStatus.SENT, RefundStatus.REFUSED})
ENDED_REFUNDS = frozenset(RefundStatus) - OPEN_REFUNDS


class ReservationStatus(StrEnum):
    HELD = "held"
    CONSUMED = "consumed"
    RELEASED = "released"


class ShipmentStatus(StrEnum):
    BOOKED = "booked"
    CANCELLED = "cancelled"


class LedgerAccount(StrEnum):
    """Accounts of the double-entry ledger; every transfer debits one and credits another."""

    GATEWAY = "gateway"  # money the payment gateway holds for us
    CUSTOMER = "customer"  # what we owe the customer until the goods leave
    SALES = "sales"  # earned by goods that left
    BY_HAND = "by_hand"  # given back outside of the gateway, by somebody's word


class ActorKind(StrEnum):
    PERSON = "person"
    SYSTEM = "system"


class Channel(StrEnum):
    """The door through which a command or change came."""

    ADMIN = "admin"
    API = "api"
    CLI = "cli"
    FEED = "feed"
    ENGINE = "engine"


class CommandKind(StrEnum):
    START = "start"
    HOLD = "hold"
    RELEASE = "release"
    CANCEL = "cancel"
    STEP_RETRY = "step_retry"
    STEP_PAUSE = "step_pause"
    STEP_RESUME = "step_resume"
    REFUND = "refund"
    REFUND_RETRY = "refund_retry"
    REVIEW_CLAIM = "review_claim"
    REVIEW_APPROVE = "review_approve"
    REVIEW_REJECT = "review_reject"
    REVIEW_ASK = "review_ask"
    REVIEW_EXTEND = "review_extend"
    IMPORT_FEED = "import_feed"
    ERASE_CUSTOMER = "erase_customer"
    PARTNER_HOLD = "partner_hold"
    PARTNER_PROBE = "partner_probe"
    PARTNER_CLOSE = "partner_close"


class CommandStatus(StrEnum):
    ACCEPTED = "accepted"  # recorded with its outbox row
    DONE = "done"


class ApprovalStatus(StrEnum):
    """What became of a command that needs a second person."""

    WAITING = "waiting"
    DONE = "done"  # a second person agreed, and it was done
    DECLINED = "declined"
    EXPIRED = "expired"
    VOID = "void"  # approved too late: what it was about had changed


class Topic(StrEnum):
    """Outbox topics: imperative; the starter has one function for each."""

    START_ORDER = "order.start"
    TELL_ORDER = "order.tell"  # a command was recorded; the process must look
    CANCEL_ORDER = "order.cancel"
    DRIVE_STEP = "order.step"  # try again at once, pause or resume; the kind of the command says which
    START_FEED_IMPORT = "feed_import.start"
    SEND_REFUND = "refund.send"  # there is something to do for the refund's process


class ReviewStatus(StrEnum):
    OPEN = "open"
    APPROVED = "approved"
    REJECTED = "rejected"
    CLOSED = "closed"  # the order ended before a verdict


class TaskKind(StrEnum):
    """Work that only a person can do; the process has no way on without them."""

    REFUND_OWED = "refund_owed"  # the gateway refuses to give money back that the customer is owed


class TaskLevel(StrEnum):
    """Whose work it is."""

    AGENT = "agent"
    LEAD = "lead"


class TaskStatus(StrEnum):
    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"  # somebody has it
    DONE = "done"


class FeedStatus(StrEnum):
    RECEIVED = "received"
    VALIDATING = "validating"
    TRANSFORMING = "transforming"
    STORING = "storing"
    COMPLETED = "completed"
    FAILED = "failed"


class DocumentKind(StrEnum):
    """What an invoice of a feed turned out to be."""

    ORDER = "order"
    CREDIT_NOTE = "credit_note"
    REJECTED = "rejected"


class RejectReason(StrEnum):
    """Why an invoice of a feed was not taken; the words of the layout's rules."""

    INVALID_ROW = "invalid_row"
    ADJUSTMENT_DOCUMENT = "adjustment_document"
    NON_POSITIVE_QUANTITY = "non_positive_quantity"
    NEGATIVE_PRICE = "negative_price"
    ZERO_TOTAL = "zero_total"
    UNKNOWN_PRODUCT = "unknown_product"
    TOO_MANY_LINES = "too_many_lines"
    TOTAL_TOO_LARGE = "total_too_large"


class PartnerCode(StrEnum):
    PAYMENTS = "payments"
    CARRIER = "carrier"
    FRAUD = "fraud"
    RATES = "rates"


class BreakerState(StrEnum):
    """Whether a partner may be called."""

    CLOSED = "closed"  # it answers; everybody may call
    OPEN = "open"  # it is out of order; nobody calls until the next try
    HALF_OPEN = "half_open"  # one call tries whether it is back
    HELD = "held"  # a person stopped all calls


#: the steps that call a partner
STEPS_OF_PARTNER: dict[PartnerCode, tuple[StepName, ...]] = {
    PartnerCode.PAYMENTS: (StepName.CHARGE, StepName.REFUND),
    PartnerCode.CARRIER: (StepName.SHIP, StepName.RECALL),
    PartnerCode.FRAUD: (StepName.FRAUD,),
}


# Limits named in refusals. They keep one order inside one activity and one page.
MAX_ORDER_LINES = 2_000
MAX_LINE_QUANTITY = 1_000_000
MAX_UNIT_PRICE = 1_000_000  # major units
MAX_PRICE_DECIMALS = 4
MAX_ORDER_TOTAL_MINOR = 99_999_999  # what the payment gateway takes in one charge
