"""What a person may tell an import: commit, pause, resume, cancel.

Each changes the import's row under its lock, which every chunk holds too: when the call returns, it holds. The message
to the process only wakes it, so a command that is given while Temporal is away binds all the same.
"""

from __future__ import annotations

from uuid import UUID

from django.db import transaction

from orders import clock, outbox
from orders.actor import Actor
from orders.errors import WrongState
from orders.models import Command, FeedImport
from orders.services.feeds import phases
from orders.vocabulary import CommandKind, CommandStatus, FeedStatus, Topic

#: command -> the statuses in which it can be given
POSSIBLE: dict[CommandKind, frozenset[FeedStatus]] = {
    CommandKind.IMPORT_COMMIT: frozenset({FeedStatus.CHECKED}),
    CommandKind.IMPORT_PAUSE: frozenset(phases.PHASES),
    CommandKind.IMPORT_RESUME: frozenset({FeedStatus.PAUSED}),
    CommandKind.IMPORT_CANCEL: frozenset({*phases.PHASES, FeedStatus.PAUSED, FeedStatus.CHECKED}),
}
DOING = {
    CommandKind.IMPORT_COMMIT: "committed",
    CommandKind.IMPORT_PAUSE: "paused",
    CommandKind.IMPORT_RESUME: "resumed",
    CommandKind.IMPORT_CANCEL: "cancelled",
}


def possible(feed: FeedImport) -> list[CommandKind]:
    """What can be told the import now."""
    return [kind for kind, statuses in POSSIBLE.items() if feed.status in statuses]


def tell(feed_id: UUID | str, kind: CommandKind, *, actor: Actor, reason: str) -> FeedImport:
    """Give the command. Raises `NotPermitted`, `WrongState` or `FeedImport.DoesNotExist`."""
    actor.require("orders.import_feed")
    with transaction.atomic():
        feed = phases.lock(feed_id)
        if feed.status not in POSSIBLE[kind]:
            raise WrongState(f"The import of {feed.name} is {feed.status} and cannot be {DOING[kind]}.")
        match kind:
            case CommandKind.IMPORT_COMMIT:
                _commit(feed, actor)
            case CommandKind.IMPORT_PAUSE:
                _move(feed, FeedStatus.PAUSED, resume_status=feed.status)
            case CommandKind.IMPORT_RESUME:
                _move(feed, FeedStatus(feed.resume_status))
            case CommandKind.IMPORT_CANCEL:
                _cancel(feed, actor, reason)
        command = _record(feed, kind, actor, reason)
        if kind is not CommandKind.IMPORT_PAUSE:
            # A pause is met by the next chunk; everything else may have to wake a process that waits.
            outbox.publish(
                Topic.TELL_FEED_IMPORT,
                aggregate=f"feed:{feed.id}",
                body={"command_id": str(command.id), "feed_id": str(feed.id)},
            )
    return feed


def _commit(feed: FeedImport, actor: Actor) -> None:
    # Whoever commits does what the file asks for, so they need what the sender needed.
    if feed.process:
        actor.require("orders.start_order")
    if feed.create_products:
        actor.require("orders.add_product")
    _move(feed, FeedStatus.STORING)


def _cancel(feed: FeedImport, actor: Actor, reason: str) -> None:
    discarded = feed.status == FeedStatus.CHECKED
    status = FeedStatus.DISCARDED if discarded else FeedStatus.CANCELLED
    message = f"{status.capitalize()} by {actor.name}: {reason}"[:500]
    phases.close(feed, status, outcome=message, message=message)


def _move(feed: FeedImport, status: FeedStatus, *, resume_status: str = "") -> None:
    feed.status, feed.resume_status, feed.phase_since = status, resume_status, clock.now()
    feed.save(update_fields=["status", "resume_status", "phase_since"])


def _record(feed: FeedImport, kind: CommandKind, actor: Actor, reason: str) -> Command:
    user = actor.user if actor.user is not None and actor.user.pk else None
    return Command.objects.create(
        kind=kind,
        feed=feed,
        requested_by=user,  # type: ignore[misc]
        actor=actor.name,
        channel=actor.channel,
        reason=reason[:500],
        status=CommandStatus.DONE,
        outcome=f"The import is {feed.status}.",
        finished_at=clock.now(),
    )
