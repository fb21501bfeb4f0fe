"""Commands on exports of orders, and on the plans that ask for them."""

from orders.access.rules import LEADS, CommandRule
from orders.vocabulary import Channel, CommandKind

WITH_A_REASON = "asked for by a person or program that the row names, on a page or by the API"
#: kind, button, call, what it does
PLAN = (
    (CommandKind.EXPORT_PLAN, "new", "create", "Plan an export that is asked for again and again"),
    (
        CommandKind.EXPORT_PLAN_CHANGE,
        "edit",
        "change",
        "Change filter, format or hour of a plan, and own it from then on",
    ),
    (CommandKind.EXPORT_PLAN_PAUSE, "pause", "pause", "Let a plan ask for nothing until it is resumed"),
    (CommandKind.EXPORT_PLAN_RESUME, "resume", "resume", "Let a paused plan go on"),
    (CommandKind.EXPORT_PLAN_RUN, "run", "run", "Ask for a planned export now; needs `orders.export_orders` too"),
)

EXPORT_COMMANDS: tuple[CommandRule, ...] = (
    CommandRule(
        name=CommandKind.EXPORT,
        says="Export the chosen orders to a file",
        permission="orders.export_orders",
        roles=LEADS,
        doors={
            Channel.ADMIN: ("OrderAdmin.export_orders", "admin:orders_export_new"),
            Channel.API: ("Exports.create",),
        },
        not_offered={Channel.CLI: WITH_A_REASON},
    ),
    CommandRule(
        name=CommandKind.EXPORT_CANCEL,
        says="Stop an export that is being made",
        permission="orders.export_orders",
        roles=LEADS,
        doors={Channel.ADMIN: ("admin:orders_export_cancel",), Channel.API: ("Exports.cancel",)},
        not_offered={Channel.CLI: WITH_A_REASON},
    ),
    CommandRule(
        name=CommandKind.EXPORT_DOWNLOAD,
        says="Download the file of an export; each download leaves a row",
        permission="orders.export_orders",
        roles=LEADS,
        doors={Channel.ADMIN: ("admin:orders_export_download",)},
        not_offered={
            Channel.API: "changes nothing, so it is a GET: `/api/exports/{id}/download/`, with the same permission",
            Channel.CLI: WITH_A_REASON,
        },
    ),
    *(
        CommandRule(
            name=kind,
            says=says,
            permission="orders.plan_exports",
            roles=LEADS,
            doors={Channel.ADMIN: (f"admin:orders_exportplan_{button}",), Channel.API: (f"ExportPlans.{call}",)},
            not_offered={Channel.CLI: WITH_A_REASON},
        )
        for kind, button, call, says in PLAN
    ),
)
