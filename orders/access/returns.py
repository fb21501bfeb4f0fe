"""Commands on goods that come back."""

from orders.access.rules import AGENTS, ON_A_PAGE, CommandRule
from orders.vocabulary import Channel, CommandKind

RETURN_COMMANDS: tuple[CommandRule, ...] = tuple(
    CommandRule(
        name=kind,
        says=says,
        permission=f"orders.{permission}",
        roles=AGENTS,
        doors={Channel.ADMIN: (f"orders:{kind.replace('_', '-')}",), Channel.API: (call,)},
        not_offered={Channel.CLI: ON_A_PAGE},
        four_eyes=four_eyes,
    )
    for kind, permission, call, says, four_eyes in (
        (
            CommandKind.RETURN_ANNOUNCE,
            "announce_return",
            "OrderReturns.announce",
            "Announce that goods of a completed order come back",
            "",
        ),
        (
            CommandKind.RETURN_RECEIVE,
            "receive_return",
            "Returns.receive",
            "Say what came back; what can be sold is restocked",
            "",
        ),
        (CommandKind.RETURN_WITHDRAW, "announce_return", "Returns.withdraw", "Say that nothing will come back", ""),
        (
            CommandKind.RETURN_REFUND,
            "refund_order",
            "Returns.refund",
            "Give back what the received pieces were paid for",
            "as for refund",
        ),
        (CommandKind.RETURN_CLOSE, "refund_order", "Returns.close", "End a received return without a refund", ""),
    )
)
