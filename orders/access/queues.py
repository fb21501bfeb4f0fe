"""Commands of the people who work the queues, and of leads over rules, approvals and partners."""

from orders.access.rules import AGENTS, CHANNELS, IN_THE_QUEUE, LEADS, RULES_BY_PEOPLE, CommandRule
from orders.vocabulary import Channel, CommandKind

QUEUE_COMMANDS: tuple[CommandRule, ...] = (
    CommandRule(
        name="acknowledge_task",
        says="Take a task of the queue",
        permission="orders.work_task",
        roles=AGENTS,
        doors={Channel.ADMIN: ("StaffTaskAdmin.acknowledge",), Channel.API: ("Tasks.acknowledge",)},
        not_offered={Channel.CLI: IN_THE_QUEUE},
    ),
    CommandRule(
        name="resolve_task",
        says="Say what was done about a task",
        permission="orders.work_task",
        roles=AGENTS,
        doors={Channel.ADMIN: ("StaffTaskAdmin.resolve",), Channel.API: ("Tasks.resolve",)},
        not_offered={Channel.CLI: IN_THE_QUEUE},
    ),
    CommandRule(
        name="work_lead_task",
        says="Take and resolve a task of the lead's level, such as money that is owed",
        permission="orders.work_lead_task",
        roles=LEADS,
        # Asked for besides, by the services: unfold and DRF know one permission for an action, whatever the task.
        doors={},
        not_offered=dict.fromkeys(CHANNELS, "at the doors of acknowledge_task and resolve_task"),
    ),
    CommandRule(
        name="decide_incident",
        says="Try again or resolve, for all orders that stand still for one cause or for some",
        permission="orders.decide_incident",
        roles=LEADS,
        doors={
            Channel.ADMIN: ("IncidentAdmin.try_again", "IncidentAdmin.resolve_all"),
            Channel.API: ("Incidents.decide",),
        },
        not_offered={Channel.CLI: "decided by a person who sees what stands still"},
    ),
    CommandRule(
        name="decide_restore",
        says="Decide what becomes of what a restored database does not have: undo, finish, start again or keep",
        permission="orders.decide_restore",
        roles=LEADS,
        doors={
            Channel.ADMIN: tuple(f"RestoreDifferenceAdmin.{verb}" for verb in ("undo", "finish", "again", "keep")),
            Channel.API: ("RestoreDifferences.decide",),
        },
        not_offered={Channel.CLI: "decided by a person who sees what differs"},
    ),
    CommandRule(
        name="acknowledge_system_event",
        says="Say that a trouble of the system was seen",
        permission="orders.acknowledge_systemevent",
        roles=LEADS,
        doors={Channel.ADMIN: ("SystemEventAdmin.acknowledge",), Channel.API: ("SystemEvents.acknowledge",)},
        not_offered={Channel.CLI: "seen by a person who signed in"},
    ),
    CommandRule(
        name="add_fraud_rules",
        says="Write a new version of the fraud rules",
        permission="orders.add_fraudrules",
        roles=LEADS,
        doors={Channel.ADMIN: ("FraudRulesAdmin.add",)},
        not_offered={Channel.API: RULES_BY_PEOPLE, Channel.CLI: RULES_BY_PEOPLE},
        four_eyes="always",
    ),
    CommandRule(
        name="decide_approval",
        says="Approve or decline what a colleague asked for; needs the permission of that command too",
        permission="orders.decide_approval",
        roles=LEADS,
        doors={
            Channel.ADMIN: ("orders:approval-approve", "orders:approval-decline"),
            Channel.API: ("Approvals.approve", "Approvals.decline"),
        },
        not_offered={Channel.CLI: "the second pair of eyes is that of a person who signed in"},
    ),
    *(
        CommandRule(
            name=kind,
            says=says,
            permission="orders.drive_breaker",
            roles=LEADS,
            doors={Channel.ADMIN: (f"PartnerHealthAdmin.{verb}",), Channel.API: (f"Partners.{verb}",)},
            not_offered={Channel.CLI: "decided by a person who sees what waits"},
        )
        for kind, verb, says in (
            (CommandKind.PARTNER_HOLD, "hold", "Stop all calls to a partner"),
            (CommandKind.PARTNER_PROBE, "probe", "Let the next call try a partner that is not called"),
            (CommandKind.PARTNER_CLOSE, "close", "Resume all calls to a partner"),
        )
    ),
)
