"""How to try the commands on processes and schedules at each of their doors; part of `access_attempts.ATTEMPTS`.

`access_attempts` imports this module, so what a person can do is taken from the `Person` that is handed in.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.http import HttpResponse
from django.utils import timezone

from orders.models import Command, ProcessRun
from orders.services import processes, scheduling
from orders.vocabulary import Channel, ProcessName
from tests.factories import TEST_ACTOR

SCHEDULE = "backoffice:day-end-close"
ADMIN, API = Channel.ADMIN, Channel.API


def _run() -> ProcessRun:
    """A run that may be paused and cancelled; the one of the person before is out of the way."""
    for standing in ProcessRun.objects.exclude(status="cancelled"):
        processes.cancel(standing.pk, actor=TEST_ACTOR, reason="The next one tries")
    return processes.start(ProcessName.DAY_END_CLOSE, actor=TEST_ACTOR, reason="Test")


def _paused_run() -> ProcessRun:
    run = _run()
    return processes.pause(run.pk, actor=TEST_ACTOR, reason="Test")


def _no_run() -> None:
    processes.cancel(_run().pk, actor=TEST_ACTOR, reason="Test")


def _schedule(*, paused: bool = False) -> str:
    """A schedule as a worker has just seen it, with no command on its way."""
    Command.objects.filter(subject=SCHEDULE).update(status="done")
    scheduling.note(SCHEDULE, paused=paused, pause_note="Paused by test: Test", summary="Day-end close")
    return SCHEDULE


def _drive(do: str) -> Callable[[Any, ProcessRun], HttpResponse]:
    return lambda person, run: person.post("admin:orders_processrun_drive", {"do": do, "reason": "Test"}, run.pk)


def _call_run(do: str) -> Callable[[Any, ProcessRun], HttpResponse]:
    return lambda person, run: person.call(f"/api/process-runs/{run.pk}/{do}/", {"reason": "Test"})


def _span() -> dict[str, str]:
    now = timezone.now()
    return {
        "since": (now - timedelta(days=2)).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "until": (now - timedelta(days=1)).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }


def _row(action: str) -> Callable[[Any, str], HttpResponse]:
    data = {"_form_submitted": "on", "reason": "Test", **(_span() if action == "backfill" else {})}
    return lambda person, name: person.post(f"admin:orders_schedulestate_{action}", data, name)


def _call_schedule(verb: str) -> Callable[[Any, str], HttpResponse]:
    more = _span() if verb == "backfill" else {}
    return lambda person, name: person.call(f"/api/schedules/{name}/{verb}/", {"reason": "Test", **more})


def attempts(make: Any) -> tuple[Any, ...]:
    """The rows, made with the class that `access_attempts` has."""
    body = {"definition": "day_end_close", "reason": "Test"}
    form = {**body, "business_day": timezone.now().date().isoformat()}
    found = [
        make(
            command="process_start",
            channel=ADMIN,
            door="admin:orders_processrun_start",
            prepare=_no_run,
            do=lambda person, _: person.post("admin:orders_processrun_start", form),
        ),
        make(
            command="process_start",
            channel=API,
            door="Processes.create",
            prepare=_no_run,
            do=lambda person, _: person.call("/api/processes/", body),
        ),
    ]
    for verb in ("pause", "resume", "cancel"):
        prepare = _paused_run if verb == "resume" else _run
        found += [
            make(
                command=f"process_{verb}",
                channel=ADMIN,
                door="admin:orders_processrun_drive",
                prepare=prepare,
                do=_drive(verb),
            ),
            make(
                command=f"process_{verb}",
                channel=API,
                door=f"Processes.{verb}",
                prepare=prepare,
                do=_call_run(verb),
            ),
        ]
    for verb, door in (("pause", "pause"), ("resume", "resume"), ("run", "run_now"), ("backfill", "backfill")):
        ready = (lambda: _schedule(paused=True)) if verb == "resume" else _schedule
        found += [
            make(
                command=f"schedule_{verb}",
                channel=ADMIN,
                door=f"ScheduleStateAdmin.{door}",
                prepare=ready,
                do=_row(door),
            ),
            make(
                command=f"schedule_{verb}",
                channel=API,
                door=f"Schedules.{verb}",
                prepare=ready,
                do=_call_schedule(verb),
            ),
        ]
    return tuple(found)
