"""Commands of the quality control of shipped orders."""

from orders.access.rules import AGENTS, IN_THE_QUEUE, CommandRule
from orders.vocabulary import Channel, CommandKind

QUALITY_COMMANDS: tuple[CommandRule, ...] = tuple(
    CommandRule(
        name=kind,
        says=says,
        permission="orders.check_quality",
        roles=AGENTS,
        doors={Channel.ADMIN: (f"QualityCheckAdmin.{door}",), Channel.API: (f"QualityChecks.{call}",)},
        not_offered={Channel.CLI: IN_THE_QUEUE},
    )
    for kind, door, call, says in (
        (CommandKind.QUALITY_PASS, "pass_one", "passed", "Say that a shipped order passed its quality check"),
        (CommandKind.QUALITY_FAIL, "fail_one", "failed", "Say that a shipped order failed its quality check"),
    )
)
