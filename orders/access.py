"""Every command that a person can give: its permission, who holds it, and the doors at which it is offered.

One table, read by the roles, the approvals, the documentation and the tests. Without it, "may an agent refund?" is
answered by clicking through an admin, and a new button ships with a permission that nobody thought about: the tests
(`tests/architecture/test_access_table.py`) find every service, admin action, form, API call and management command
that no row names.

To add a command: add a row here, and one way to try it to `tests/orders/access_attempts.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from orders.vocabulary import Channel, CommandKind


class Role(StrEnum):
    """Groups that `manage.py bootstrap` makes. A superuser holds every permission and needs none of them."""

    VIEWER = "viewer"
    AGENT = "agent"
    LEAD = "lead"


AGENTS = frozenset({Role.AGENT, Role.LEAD})
LEADS = frozenset({Role.LEAD})
SUPERUSERS: frozenset[Role] = frozenset()


@dataclass(frozen=True, kw_only=True)
class CommandRule:
    """One row of the table.

    A door is named by what opens it: `OrderAdmin.start_one` (an action), `ProductAdmin.change` (a form: add, change or
    delete), `orders:start` (the name of an address), `Orders.create` (a call of the API), `import_orders` (a
    management command).
    """

    #: as `Command.kind` has it where the command is a row
    name: str
    #: what it does, for the documentation
    says: str
    permission: str
    roles: frozenset[Role]
    doors: Mapping[Channel, tuple[str, ...]]
    #: why it is not offered at one of `CHANNELS`
    not_offered: Mapping[Channel, str] = field(default_factory=dict)
    #: when a second person must agree; empty for never
    four_eyes: str = ""


#: the doors that people use; feeds and the engine act for somebody who came through one of them
CHANNELS = (Channel.ADMIN, Channel.API, Channel.CLI)

BY_SUPERUSERS = "accounts are managed in the admin, under the eyes of its sign-in rules"
ON_A_PAGE = "decided on the order's page, by a person who sees it"
IN_THE_QUEUE = "done in the queue of tasks, by a person who sees the order"
RULES_BY_PEOPLE = "rules are changed by a person who sees the ones before"
NIGHTLY = "the worker does it every night by itself"

#: buttons of the order's page, each with the call that does the same: (kind, permission, roles, call, what it does)
BUTTONS = (
    (CommandKind.HOLD, "hold_order", AGENTS, "OrderCommands.hold", "Stop an order before its next step"),
    (CommandKind.RELEASE, "hold_order", AGENTS, "OrderCommands.release", "Let a held order go on"),
    (CommandKind.CANCEL, "cancel_order", AGENTS, "OrderCommands.cancel", "Cancel an order at any stage, and undo it"),
    (CommandKind.STEP_RETRY, "drive_step", AGENTS, "StepCommands.retry", "Try a failing step again at once"),
    (CommandKind.STEP_PAUSE, "drive_step", AGENTS, "StepCommands.pause", "Try a failing step no more until resumed"),
    (CommandKind.STEP_RESUME, "drive_step", AGENTS, "StepCommands.resume", "Let a paused step go on at once"),
    (CommandKind.REFUND_RETRY, "refund_order", AGENTS, "Refunds.retry", "Try a refund that was refused again"),
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

COMMANDS: tuple[CommandRule, ...] = (
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
        four_eyes="when the refunds of the order that one person asked for exceed `REFUND_SECOND_PERSON_OVER_MINOR`",
    ),
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
        name="add_fraud_rules",
        says="Write a new version of the fraud rules",
        permission="orders.add_fraudrules",
        roles=LEADS,
        doors={Channel.ADMIN: ("FraudRulesAdmin.add",)},
        not_offered={Channel.API: RULES_BY_PEOPLE, Channel.CLI: RULES_BY_PEOPLE},
    ),
    CommandRule(
        name=CommandKind.IMPORT_FEED,
        says="Import an order feed",
        permission="orders.import_feed",
        roles=LEADS,
        doors={
            Channel.ADMIN: ("admin:orders_feedimport_import",),
            Channel.API: ("Imports.create",),
            Channel.CLI: ("import_orders",),
        },
    ),
    CommandRule(
        name="add_product",
        says="Create the products, with stock, that an imported feed names and the catalogue lacks",
        permission="orders.add_product",
        roles=LEADS,
        doors={
            Channel.ADMIN: ("admin:orders_feedimport_import",),
            Channel.API: ("Imports.create",),
            Channel.CLI: ("import_orders",),
        },
    ),
    CommandRule(
        name="change_product",
        says="Change the name or price of a product",
        permission="orders.change_product",
        roles=LEADS,
        doors={Channel.ADMIN: ("ProductAdmin.change",)},
        not_offered={
            Channel.API: "the catalogue is not part of the API",
            Channel.CLI: "a price is changed by a person who sees the old one",
        },
        four_eyes="when the price more than doubles or halves",
    ),
    CommandRule(
        name=CommandKind.ERASE_CUSTOMER,
        says="Erase the personal data of a customer, for ever",
        permission="orders.erase_customer",
        roles=LEADS,
        doors={
            Channel.ADMIN: ("CustomerAdmin.erase",),
            Channel.API: ("Customers.erase",),
            Channel.CLI: ("erase_customer",),
        },
    ),
    CommandRule(
        name="seal_history",
        says="Seal all histories now instead of in the night; a day has one seal",
        permission="orders.seal_history",
        roles=SUPERUSERS,
        doors={Channel.CLI: ("seal_history",)},
        not_offered={Channel.ADMIN: NIGHTLY, Channel.API: NIGHTLY},
    ),
    CommandRule(
        name="export_seals",
        says="Take the seals over all histories elsewhere",
        permission="orders.export_historyseal",
        roles=LEADS,
        doors={
            Channel.ADMIN: ("admin:orders_historyseal_download",),
            Channel.CLI: ("export_seals",),
        },
        not_offered={Channel.API: "a seal is kept by a person or a job on the machine, away from the API's reach"},
    ),
    CommandRule(
        name="decide_approval",
        says="Approve or decline what a colleague asked for; needs the permission of that command too",
        permission="orders.decide_approval",
        roles=LEADS,
        doors={
            Channel.ADMIN: ("ApprovalAdmin.approve_one", "ApprovalAdmin.decline_one"),
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
    CommandRule(
        name="add_user",
        says="Create an account",
        permission="auth.add_user",
        roles=SUPERUSERS,
        doors={Channel.ADMIN: ("UserAdmin.add",)},
        not_offered={Channel.API: BY_SUPERUSERS, Channel.CLI: BY_SUPERUSERS},
    ),
    CommandRule(
        name="change_user",
        says="Change an account: its roles, its password, whether it is active",
        permission="auth.change_user",
        roles=SUPERUSERS,
        doors={Channel.ADMIN: ("UserAdmin.change", "admin:auth_user_password_change")},
        not_offered={Channel.API: BY_SUPERUSERS, Channel.CLI: BY_SUPERUSERS},
    ),
    CommandRule(
        name="add_group",
        says="Create a group of your own",
        permission="auth.add_group",
        roles=SUPERUSERS,
        doors={Channel.ADMIN: ("GroupAdmin.add",)},
        not_offered={Channel.API: BY_SUPERUSERS, Channel.CLI: BY_SUPERUSERS},
    ),
    CommandRule(
        name="change_group",
        says="Change which permissions a group holds",
        permission="auth.change_group",
        roles=SUPERUSERS,
        doors={Channel.ADMIN: ("GroupAdmin.change",)},
        not_offered={Channel.API: BY_SUPERUSERS, Channel.CLI: BY_SUPERUSERS},
    ),
    CommandRule(
        name="delete_group",
        says="Delete a group",
        permission="auth.delete_group",
        roles=SUPERUSERS,
        doors={Channel.ADMIN: ("GroupAdmin.delete", "GroupAdmin.delete_selected")},
        not_offered={Channel.API: BY_SUPERUSERS, Channel.CLI: BY_SUPERUSERS},
    ),
    CommandRule(
        name="issue_token",
        says="Issue an API token for oneself, with scopes and an end",
        permission="orders.issue_token",
        roles=LEADS,
        doors={Channel.ADMIN: ("admin:orders_apitoken_issue",), Channel.API: ("Tokens.create",)},
        not_offered={Channel.CLI: "a token belongs to whoever signed in"},
    ),
    CommandRule(
        name="revoke_token",
        says="Revoke an API token of anybody",
        permission="orders.revoke_token",
        roles=LEADS,
        doors={Channel.ADMIN: ("ApiTokenAdmin.revoke",), Channel.API: ("Tokens.revoke",)},
        not_offered={Channel.CLI: "it is a click on the page of tokens"},
    ),
    CommandRule(
        name="lift_lock",
        says="Lift the lock that wrong sign-ins put on an account",
        permission="axes.delete_accessattempt",
        roles=SUPERUSERS,
        doors={Channel.ADMIN: ("AccessAttemptAdmin.delete", "AccessAttemptAdmin.delete_selected")},
        not_offered={Channel.API: BY_SUPERUSERS, Channel.CLI: BY_SUPERUSERS},
    ),
)

#: management commands that are no command of a person: what each is for. They need a shell on the machine.
MACHINE_COMMANDS: Mapping[str, str] = {
    "bootstrap": "makes the roles, and the login of a developer's machine",
    "grant_roles": "gives the database accounts their rights; needs the owner's password",
    "seed_demo": "fills an empty database with demo orders",
    "run_worker": "the worker process",
    "record_histories": "writes workflow histories to files, for replay tests",
    "replay": "reads only: asks before a deploy whether open workflows would go on",
    "verify_history": "reads only",
    "verify_invariants": "reads only",
}

RULES: Mapping[str, CommandRule] = {rule.name: rule for rule in COMMANDS}


#: (channel, door) -> the commands that are given through it
DOORS: Mapping[tuple[Channel, str], tuple[CommandRule, ...]] = {
    (channel, door): tuple(rule for rule in COMMANDS if door in rule.doors.get(channel, ()))
    for named in COMMANDS
    for channel, names in named.doors.items()
    for door in names
}


def command_named(channel: Channel, door: str, permission: str = "") -> str:
    """The command that `permission` stands for at this door, else the door's first one, else the door's own name."""
    here = DOORS.get((channel, door), ())
    by_permission = [rule.name for rule in (*here, *COMMANDS) if rule.permission == permission]
    return next(iter([*by_permission, *(rule.name for rule in here)]), door)


def permissions_of(role: Role) -> tuple[str, ...]:
    """The permissions ("app.codename") of the commands that `role` may give."""
    return tuple(dict.fromkeys(rule.permission for rule in COMMANDS if role in rule.roles))


def as_markdown() -> str:
    """The table of docs/access.md; `python -m orders.access` prints it."""
    heads = ("Command", "What it does", "Permission", *Role, "Four eyes", *(channel.value for channel in CHANNELS))
    lines = [_row(heads), _row(["---"] * len(heads))]
    for rule in COMMANDS:
        holders = ["yes" if role in rule.roles else "" for role in Role]
        doors = [
            ", ".join(f"`{door}`" for door in rule.doors.get(channel, ())) or f"none: {rule.not_offered.get(channel)}"
            for channel in CHANNELS
        ]
        lines.append(_row((rule.name, rule.says, f"`{rule.permission}`", *holders, rule.four_eyes, *doors)))
    return "\n".join(lines)


def _row(cells: tuple[str, ...] | list[str]) -> str:
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    print(as_markdown())
