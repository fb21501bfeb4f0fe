"""The states of an order, and the moves between them."""

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
    AWAITING_PAYMENT = "awaiting_payment"  # the gateway waits for the customer or the bank; no money has come
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
IN_PROCESS_STATUSES = MOVING_STATUSES | {
    OrderStatus.IN_REVIEW,
    OrderStatus.ON_HOLD,
    OrderStatus.AWAITING_PAYMENT,
}
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
    OrderStatus.CHARGING: frozenset(
        {OrderStatus.AWAITING_PAYMENT, OrderStatus.SHIPPING, OrderStatus.ON_HOLD, OrderStatus.UNDOING}
    ),
    OrderStatus.AWAITING_PAYMENT: frozenset(
        {OrderStatus.CHARGING, OrderStatus.SHIPPING, OrderStatus.ON_HOLD, OrderStatus.UNDOING}
    ),
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
            OrderStatus.AWAITING_PAYMENT,
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


class ReservationStatus(StrEnum):
    HELD = "held"
    CONSUMED = "consumed"
    RELEASED = "released"


class ShipmentStatus(StrEnum):
    BOOKED = "booked"
    CANCELLED = "cancelled"


# Limits named in refusals. They keep one order inside one activity and one page.
MAX_ORDER_LINES = 2_000
MAX_LINE_QUANTITY = 1_000_000
MAX_UNIT_PRICE = 1_000_000  # major units
MAX_PRICE_DECIMALS = 4
MAX_ORDER_TOTAL_MINOR = 99_999_999  # what the payment gateway takes in one charge
