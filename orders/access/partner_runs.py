"""Commands on runs of partner calls."""

from orders.access.rules import AGENTS, CommandRule
from orders.vocabulary import Channel, CommandKind

WATCHED = "a run is watched on its page, or followed through the API"

PARTNER_RUN_COMMANDS: tuple[CommandRule, ...] = (
    CommandRule(
        name=CommandKind.PARTNER_RUN,
        says="Refresh what a partner tells us: tracking of open shipments, exchange rates, address checks",
        permission="orders.run_partner_calls",
        roles=AGENTS,
        doors={Channel.ADMIN: ("admin:orders_partnerrun_start",), Channel.API: ("PartnerRuns.create",)},
        not_offered={Channel.CLI: WATCHED},
    ),
    CommandRule(
        name=CommandKind.PARTNER_RUN_CANCEL,
        says="Make no further call of such a run",
        permission="orders.run_partner_calls",
        roles=AGENTS,
        doors={Channel.ADMIN: ("admin:orders_partnerrun_cancel",), Channel.API: ("PartnerRuns.cancel",)},
        not_offered={Channel.CLI: WATCHED},
    ),
)
