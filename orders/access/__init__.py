"""Every command that a person can give: its permission, who holds it, and the doors at which it is offered.

One table, read by the roles, the approvals, the documentation and the tests. Without it, "may an agent refund?" is
answered by clicking through an admin, and a new button ships with a permission that nobody thought about: the tests
(`tests/architecture/test_access_table.py`) find every service, admin action, form, API call and management command
that no row names.

To add a command: add a row to the module of its subject, and one way to try it to `tests/orders/access_attempts.py`.
"""

from __future__ import annotations

from collections.abc import Mapping

from orders.access.accounts import ACCOUNT_COMMANDS
from orders.access.batches import BATCH_COMMANDS
from orders.access.data import DATA_COMMANDS
from orders.access.exports import EXPORT_COMMANDS
from orders.access.order_commands import ORDER_COMMANDS
from orders.access.partner_runs import PARTNER_RUN_COMMANDS
from orders.access.playbooks import PLAYBOOK_COMMANDS
from orders.access.processes import PROCESS_COMMANDS
from orders.access.quality import QUALITY_COMMANDS
from orders.access.queues import QUEUE_COMMANDS
from orders.access.returns import RETURN_COMMANDS
from orders.access.rules import CHANNELS, CommandRule, Role
from orders.vocabulary import Channel, CommandKind

__all__ = [
    "ASKS_AGAIN",
    "CHANNELS",
    "COMMANDS",
    "DOORS",
    "MACHINE_CALLS",
    "MACHINE_COMMANDS",
    "RULES",
    "CommandRule",
    "Role",
]

COMMANDS: tuple[CommandRule, ...] = (
    *ORDER_COMMANDS,
    *QUEUE_COMMANDS,
    *DATA_COMMANDS,
    *ACCOUNT_COMMANDS,
    *RETURN_COMMANDS,
    *PROCESS_COMMANDS,
    *PARTNER_RUN_COMMANDS,
    *QUALITY_COMMANDS,
    *BATCH_COMMANDS,
    *EXPORT_COMMANDS,
    *PLAYBOOK_COMMANDS,
)

#: management commands that are no command of a person: what each is for. They need a shell on the machine.
MACHINE_COMMANDS: Mapping[str, str] = {
    "bootstrap": "makes the roles, and the login of a developer's machine",
    "migrate": "changes the tables; needs the owner's password",
    "grant_roles": "gives the database accounts their rights; needs the owner's password",
    "seed_demo": "fills an empty database with demo orders",
    "seed_feed": "writes a file of made-up invoices, for trying imports at size",
    "seed_orders": "makes placed orders by the thousand, to try things at size",
    "run_worker": "the worker process",
    "forget_engine_use": "lets workers work although a payload key is lost for good, or the namespace is another",
    "list_open_workflows": "writes the ids of open workflows to a file, for an upgrade",
    "record_histories": "writes workflow histories to files, for replay tests",
    "replay": "reads only: asks before a deploy whether open workflows would go on",
    "verify_history": "reads only",
    "verify_invariants": "reads only",
}

#: calls that are no command of a person: whose each is, and what lets them in
MACHINE_CALLS: Mapping[str, str] = {
    "GatewayEvents.create": "the payment gateway's: its signature over the body is checked, and nobody's account",
}

RULES: Mapping[str, CommandRule] = {rule.name: rule for rule in COMMANDS}
#: commands that move money without being four-eyed themselves, or that let others do so
MOVES_MONEY = frozenset(
    {
        CommandKind.REFUND_RETRY,
        CommandKind.RETURN_REFUND,
        CommandKind.REVIEW_APPROVE,
        CommandKind.BATCH_RUN,
        "decide_approval",
        # A run may give refunds and vouchers.
        "playbook_start",
        "playbook_answer",
        "playbook_retry",
    }
)
#: commands at which a person shows again who they are (`backoffice.asking_again`)
ASKS_AGAIN = MOVES_MONEY | frozenset(rule.name for rule in COMMANDS if rule.four_eyes or rule in ACCOUNT_COMMANDS)


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


def asking_again() -> str:
    """The sentence of docs/access.md."""
    return f"{', '.join(f'`{rule.name}`' for rule in COMMANDS if rule.name in ASKS_AGAIN)}."


def _row(cells: tuple[str, ...] | list[str]) -> str:
    return f"| {' | '.join(cells)} |"
