"""Commands on long processes and on schedules."""

from orders.access.rules import LEADS, CommandRule
from orders.vocabulary import Channel, CommandKind

#: why neither has a management command
BY_PROGRAM = "asked of the admin or the API, which keep who and why; the schedule needs nobody"

PROCESS_COMMANDS: tuple[CommandRule, ...] = (
    CommandRule(
        name=CommandKind.PROCESS_START,
        says="Start a process such as the day-end close; a day has one",
        permission="orders.run_process",
        roles=LEADS,
        doors={Channel.ADMIN: ("admin:orders_processrun_start",), Channel.API: ("Processes.create",)},
        not_offered={Channel.CLI: BY_PROGRAM},
    ),
    *(
        CommandRule(
            name=kind,
            says=says,
            permission="orders.run_process",
            roles=LEADS,
            doors={Channel.ADMIN: ("admin:orders_processrun_drive",), Channel.API: (f"Processes.{verb}",)},
            not_offered={Channel.CLI: BY_PROGRAM},
        )
        for kind, verb, says in (
            (CommandKind.PROCESS_PAUSE, "pause", "Begin no further step of a process"),
            (CommandKind.PROCESS_RESUME, "resume", "Let a paused process go on"),
            (CommandKind.PROCESS_CANCEL, "cancel", "End a process before its last step"),
        )
    ),
    *(
        CommandRule(
            name=kind,
            says=says,
            permission="orders.drive_schedule",
            roles=LEADS,
            doors={Channel.ADMIN: (f"ScheduleStateAdmin.{door}",), Channel.API: (f"Schedules.{verb}",)},
            not_offered={Channel.CLI: BY_PROGRAM},
        )
        for kind, door, verb, says in (
            (CommandKind.SCHEDULE_PAUSE, "pause", "pause", "Pause a schedule"),
            (CommandKind.SCHEDULE_RESUME, "resume", "resume", "Resume a schedule"),
            (CommandKind.SCHEDULE_RUN, "run_now", "run", "Run a schedule now"),
            (CommandKind.SCHEDULE_BACKFILL, "backfill", "backfill", "Make up for runs of a schedule in the past"),
        )
    ),
)
