"""Everybody who made a run happen, beside the person it acts for.

Whoever wrote or published what it does, set what started it, caused the event, changed an endpoint that it calls or
answered its questions could otherwise approve, as the second person, what the run asks for in a colleague's name.
"""

from __future__ import annotations

from collections.abc import Iterator
from uuid import UUID

from django.contrib.auth import get_user_model

from orders.actor import Maker
from orders.models import (
    Approval,
    Command,
    OrderEvent,
    PartnerEndpoint,
    PlaybookRun,
    PlaybookSchedule,
    PlaybookTrigger,
    PlaybookVersion,
)
from orders.playbooks.definition import Definition
from orders.services.playbooks import changing, publishing
from orders.vocabulary import ApprovalStatus, AutomationKind, RunTrigger


def makers_of(run: PlaybookRun) -> tuple[Maker, ...]:
    """One entry a person, with the first of what they did."""
    found: dict[int, Maker] = {}
    definition = publishing.definition_of(run.version)
    for maker in (*_of_versions(run), *_of_start(run), *_of_endpoints(run, definition), *_of_answers(run)):
        found.setdefault(maker.user_id, maker)
    return tuple(found.values())


def _of_versions(run: PlaybookRun) -> Iterator[Maker]:
    """Of the version, and of those that it runs in turn."""
    names = [(run.version.playbook.slug, run.version.number), *publishing.known_to(run.version.document)]
    for slug, number in names:
        version = PlaybookVersion.objects.get(playbook__slug=slug, number=number)
        named = f"{slug} v{number}"
        if version.published_by_id is not None:
            yield Maker(user_id=version.published_by_id, part=f"published {named}")
        approvals = Approval.objects.filter(command=publishing.COMMAND, subject=named, status=ApprovalStatus.DONE)
        for user_id in approvals.values_list("decided_by_id", flat=True):
            if user_id is not None:
                yield Maker(user_id=user_id, part=f"approved {named}")
        if version.created_by_id is not None:
            yield Maker(user_id=version.created_by_id, part=f"wrote {named}")


def _of_start(run: PlaybookRun) -> Iterator[Maker]:
    """Who set the trigger or schedule, as it was when the run began, and who caused the event."""
    kind, _, cause = run.cause.partition(":")
    if run.trigger == RunTrigger.EVENT and kind == "event":
        event_id, _, trigger_id = cause.partition(":")
        trigger = PlaybookTrigger.objects.select_related("playbook").get(pk=trigger_id)
        subject = f"{trigger.playbook.slug} on {trigger.event}"
        yield from changing.makers(AutomationKind.TRIGGER, subject, until=run.created_at)
        yield from _of_event(OrderEvent.objects.get(pk=event_id))
    elif run.trigger == RunTrigger.SCHEDULE and kind == "schedule":
        schedule = PlaybookSchedule.objects.select_related("playbook").get(pk=cause.partition(":")[0])
        yield from changing.makers(AutomationKind.SCHEDULE, schedule.playbook.slug, until=run.created_at)


def _of_event(event: OrderEvent) -> Iterator[Maker]:
    named = _uuid(event.data.get("command"))
    command = Command.objects.filter(pk=named).first() if named is not None else None
    if command is not None and command.requested_by_id is not None:
        yield Maker(user_id=command.requested_by_id, part="caused the event that started the playbook")
    yield from _named({event.actor}, "caused the event that started the playbook")


def _of_endpoints(run: PlaybookRun, definition: Definition) -> Iterator[Maker]:
    for endpoint in PartnerEndpoint.objects.all():
        if changing.calls(definition, endpoint.name):
            yield from changing.makers(AutomationKind.ENDPOINT, endpoint.name, until=run.created_at)
            yield from changing.makers_since(AutomationKind.ENDPOINT, endpoint.name, since=run.created_at)


def _of_answers(run: PlaybookRun) -> Iterator[Maker]:
    names = set(run.steps.exclude(decided_by="").values_list("decided_by", flat=True))
    yield from _named(names, "answered or drove the run")


def _named(names: set[str], part: str) -> Iterator[Maker]:
    for user_id in get_user_model().objects.filter(username__in=names).values_list("pk", flat=True):
        yield Maker(user_id=user_id, part=part)


def _uuid(text: object) -> UUID | None:
    try:
        return UUID(str(text))
    except ValueError:
        return None
