"""Commands on playbooks and their runs."""

from orders.access.rules import AGENTS, CHANNELS, LEADS, CommandRule
from orders.vocabulary import Channel, CommandKind

BY_A_PERSON = "done on the playbook's page, by a person who sees its steps"
ENDPOINTS = "named in the admin, by a person who sees the others"
INSIDE = "given by a step of a playbook, for whom the run acts"

#: what steps of playbooks do and no other door offers: (name, permission, what it does)
EFFECTS = (
    ("note_order", "Write notes and tags on an order"),
    ("mail_customer", "Mail an order's customer"),
    ("issue_voucher", "Issue a voucher for an order's customer, or withdraw it"),
    ("change_address", "Correct where an order ships to, before it ships"),
    ("call_partner", "Call an endpoint that an administrator named"),
)

PLAYBOOK_COMMANDS: tuple[CommandRule, ...] = (
    CommandRule(
        name="edit_playbook",
        says="Write a new version of a playbook, and simulate it",
        permission="orders.edit_playbook",
        roles=LEADS,
        doors={
            Channel.ADMIN: ("orders:playbook-edit", "orders:playbook-new"),
            Channel.API: ("Playbooks.save", "Playbooks.simulate"),
        },
        not_offered={Channel.CLI: BY_A_PERSON},
    ),
    CommandRule(
        name="publish_playbook",
        says="Publish a version of a playbook, or retire one; needs the permissions of all that it does",
        permission="orders.publish_playbook",
        roles=LEADS,
        doors={
            Channel.ADMIN: ("orders:playbook-publish", "orders:playbook-retire"),
            Channel.API: ("Playbooks.publish", "Playbooks.retire"),
        },
        not_offered={Channel.CLI: BY_A_PERSON},
        four_eyes="always, for publishing",
    ),
    CommandRule(
        name="set_trigger",
        says="Say which events, or which time, start a playbook by themselves; a shipped one needs the permissions of "
        "its publication",
        permission="orders.set_trigger",
        roles=LEADS,
        doors={
            Channel.ADMIN: ("orders:playbook-trigger",),
            Channel.API: ("PlaybookStarts.trigger", "PlaybookStarts.schedule"),
        },
        not_offered={Channel.CLI: BY_A_PERSON},
        four_eyes="when the playbook gives money, except for switching off",
    ),
    CommandRule(
        name="add_endpoint",
        says="Name an address that playbooks may call",
        permission="orders.add_partnerendpoint",
        roles=LEADS,
        doors={Channel.ADMIN: ("PartnerEndpointAdmin.add",)},
        not_offered={Channel.API: ENDPOINTS, Channel.CLI: ENDPOINTS},
        four_eyes="when a playbook that gives money calls it, except for switching off",
    ),
    CommandRule(
        name="change_endpoint",
        says="Change the address of an endpoint, or switch it off",
        permission="orders.change_partnerendpoint",
        roles=LEADS,
        doors={Channel.ADMIN: ("PartnerEndpointAdmin.change",)},
        not_offered={Channel.API: ENDPOINTS, Channel.CLI: ENDPOINTS},
        four_eyes="when a playbook that gives money calls it, except for switching off",
    ),
    CommandRule(
        name=CommandKind.PLAYBOOK_START,
        says="Run a playbook on an order; needs the permissions of all that it does",
        permission="orders.run_playbook",
        roles=AGENTS,
        doors={Channel.ADMIN: ("orders:playbook-start",), Channel.API: ("PlaybookRuns.start",)},
        not_offered={Channel.CLI: BY_A_PERSON},
    ),
    CommandRule(
        name=CommandKind.PLAYBOOK_ANSWER,
        says="Answer a playbook's question",
        permission="orders.run_playbook",
        roles=AGENTS,
        doors={Channel.ADMIN: ("orders:playbook-answer",), Channel.API: ("PlaybookRuns.answer",)},
        not_offered={Channel.CLI: BY_A_PERSON},
    ),
    *(
        CommandRule(
            name=kind,
            says=says,
            permission="orders.drive_playbook",
            roles=AGENTS,
            doors={Channel.ADMIN: (f"orders:playbook-{verb}",), Channel.API: (f"PlaybookRuns.{verb}",)},
            not_offered={Channel.CLI: BY_A_PERSON},
        )
        for kind, verb, says in (
            (CommandKind.PLAYBOOK_PAUSE, "pause", "Let a run begin no further step"),
            (CommandKind.PLAYBOOK_RESUME, "resume", "Let a paused run go on"),
            (CommandKind.PLAYBOOK_CANCEL, "cancel", "End a run and undo what it did"),
            (CommandKind.PLAYBOOK_RETRY, "retry", "Try a failed step of a run again"),
            (CommandKind.PLAYBOOK_SKIP, "skip", "Leave out a failed step of a run"),
        )
    ),
    *(
        CommandRule(
            name=name,
            says=says,
            permission=f"orders.{name}",
            roles=AGENTS,
            doors={},
            not_offered=dict.fromkeys(CHANNELS, INSIDE),
        )
        for name, says in EFFECTS
    ),
)
