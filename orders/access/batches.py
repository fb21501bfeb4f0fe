"""Commands on many orders at once. Each needs the permission of its action besides, asked for by the services."""

from orders.access.rules import LEADS, CommandRule
from orders.vocabulary import Channel, CommandKind

ON_A_PREVIEW = "decided by a person or program that has seen the preview"

BATCH_COMMANDS: tuple[CommandRule, ...] = (
    CommandRule(
        name=CommandKind.BATCH_RUN,
        says="Run an action on many orders; needs the permission of the action too",
        permission="orders.run_batch",
        roles=LEADS,
        doors={
            Channel.ADMIN: ("OrderAdmin.run_batch", "admin:orders_batch_new"),
            Channel.API: ("Batches.preview", "Batches.create"),
        },
        not_offered={Channel.CLI: ON_A_PREVIEW},
    ),
    CommandRule(
        name="reprice_order",
        says="Take the catalogue's prices of today into orders that nobody has started; an action of a batch",
        permission="orders.reprice_order",
        roles=LEADS,
        doors={Channel.ADMIN: ("admin:orders_batch_new",), Channel.API: ("Batches.create",)},
        not_offered={Channel.CLI: ON_A_PREVIEW},
    ),
    *(
        CommandRule(
            name=kind,
            says=says,
            permission="orders.run_batch",
            roles=LEADS,
            doors={Channel.ADMIN: (f"admin:orders_batch_{button}",), Channel.API: (f"BatchCommands.{call}",)},
            not_offered={Channel.CLI: ON_A_PREVIEW},
        )
        for kind, button, call, says in (
            (CommandKind.BATCH_PAUSE, "pause", "pause", "Begin nothing more of a batch"),
            (CommandKind.BATCH_RESUME, "resume", "resume", "Let a paused batch go on"),
            (CommandKind.BATCH_CANCEL, "cancel", "cancel", "Leave out what a batch has not begun"),
            (CommandKind.BATCH_RETRY, "retry", "retry_failed", "Do the failed items of a batch again"),
            (CommandKind.BATCH_UNDO, "undo", "undo", "Bring the orders of a hold batch back to where they stood"),
        )
    ),
)
