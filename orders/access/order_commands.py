"""Commands on one order."""

from orders.access.rules import AGENTS, LEADS, ON_A_PAGE, CommandRule
from orders.vocabulary import Channel, CommandKind

#: buttons of the order's page, each with the call that does the same: (kind, permission, roles, call, what it does)
BUTTONS = (
    (
        CommandKind.PLACE_AGAIN,
        "place_order",
        AGENTS,
        "Orders.place_again",
        "Place an order that failed again: a new order with the same lines, customer and payment method",
    ),
    (CommandKind.HOLD, "hold_order", AGENTS, "OrderCommands.hold", "Stop an order before its next step"),
    (CommandKind.RELEASE, "hold_order", AGENTS, "OrderCommands.release", "Let a held order go on"),
    (CommandKind.CANCEL, "cancel_order", AGENTS, "OrderCommands.cancel", "Cancel an order at any stage, and undo it"),
    (CommandKind.STEP_RETRY, "drive_step", AGENTS, "StepCommands.retry", "Try a failing step again at once"),
    (CommandKind.STEP_PAUSE, "drive_step", AGENTS, "StepCommands.pause", "Try a failing step no more until resumed"),
    (CommandKind.STEP_RESUME, "drive_step", AGENTS, "StepCommands.resume", "Let a paused step go on at once"),
    (
        CommandKind.STEP_SKIP,
        "skip_step",
        LEADS,
        "StepCommands.skip",
        "Let a failing fraud check or shipment do without the partner",
    ),
    (
        CommandKind.PAYMENT_METHOD,
        "change_payment_method",
        AGENTS,
        "OrderCommands.payment_method",
        "Charge another payment method, while no money was taken",
    ),
    (CommandKind.REFUND_RETRY, "refund_order", AGENTS, "Refunds.retry", "Try a refund that was refused again"),
    (CommandKind.NOTICE_SEND, "send_notice", AGENTS, "Notices.send", "Send a mail to the customer again"),
    (CommandKind.REVIEW_CLAIM, "decide_review", AGENTS, "Reviews.claim", "Own the review of a suspicious order"),
    (CommandKind.REVIEW_ASK, "decide_review", AGENTS, "Reviews.ask", "Note what must be known to decide a review"),
    (
        CommandKind.REVIEW_APPROVE,
        "decide_review",
        AGENTS,
        "Reviews.approve",
        "Let a suspicious order go on; above the amount of the fraud rules it takes two people",
    ),
    (CommandKind.REVIEW_REJECT, "decide_review", AGENTS, "Reviews.reject", "End a suspicious order"),
    (CommandKind.REVIEW_EXTEND, "extend_review", LEADS, "Reviews.extend", "Give a review more time"),
)

ORDER_COMMANDS: tuple[CommandRule, ...] = (
    CommandRule(
        name="place",
        says="Place an order",
        permission="orders.place_order",
        roles=AGENTS,
        doors={Channel.API: ("Orders.create",)},
        not_offered={
            Channel.ADMIN: "orders come from shops and feeds; nobody keys them in",
            Channel.CLI: "files of orders come in by import_orders",
        },
    ),
    CommandRule(
        name=CommandKind.START,
        says="Start the processing of a placed order",
        permission="orders.start_order",
        roles=AGENTS,
        doors={
            Channel.ADMIN: ("OrderAdmin.start_processing", "OrderAdmin.start_one", "orders:start"),
            Channel.API: ("Orders.start",),
        },
        not_offered={
            Channel.CLI: "import_orders --process starts what it imports; single orders are started on a page"
        },
    ),
    *(
        CommandRule(
            name=kind,
            says=says,
            permission=f"orders.{permission}",
            roles=roles,
            doors={Channel.ADMIN: (f"orders:{kind.replace('_', '-')}",), Channel.API: (call,)},
            not_offered={Channel.CLI: ON_A_PAGE},
        )
        for kind, permission, roles, call, says in BUTTONS
    ),
    CommandRule(
        name=CommandKind.REFUND,
        says="Give back all or a part of what a completed order was paid",
        permission="orders.refund_order",
        roles=AGENTS,
        doors={Channel.ADMIN: ("orders:refund",), Channel.API: ("Refunds.create",)},
        not_offered={Channel.CLI: ON_A_PAGE},
        four_eyes="when the refunds without a second person exceed a limit: of the order "
        "`REFUND_SECOND_PERSON_OVER_MINOR`, of the customer in 30 days `REFUND_ALONE_PER_CUSTOMER_MINOR`, of the asker "
        "in a day `REFUND_ALONE_PER_DAY_MINOR`",
    ),
)
