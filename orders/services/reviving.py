"""Starting the process of a row again: its own has ended from outside, or was lost with the engine's data.

The rows are the authority and every effect is keyed by them, so a process that begins in the middle goes on there, and
one that begins besides another one does nothing twice.
"""

from __future__ import annotations

from typing import Any

from orders import outbox
from orders.actor import Actor
from orders.models import Finding, OutboxMessage, StaffTask
from orders.services.run_kinds import KINDS, Kind
from orders.vocabulary import FindingKind, RunKind

#: in the body of a message: also where Temporal says that the process has ended by itself
AGAIN = "again"


def reference(kind: RunKind, key: str) -> str:
    """What names a run in findings and tasks."""
    return f"{kind}:{key}"


def of_reference(name: str) -> tuple[Kind, str]:
    """The kind and the key of a run."""
    kind, _, key = name.partition(":")
    return KINDS[RunKind(kind)], key


def hand_over(kind: Kind, key: str, row: Any, *, again: bool = False) -> bool:
    """Tell Temporal to start the process, unless it waits to be told; answers whether it was told anew.

    With `again` it starts also where Temporal says that it has ended with a result. In the caller's transaction.
    """
    message = kind.message(key, row)
    if is_pending(message):
        return False
    if again:
        message.body = {**message.body, AGAIN: True}
    outbox.publish_all([message])
    return True


def is_pending(message: OutboxMessage) -> bool:
    """Whether something waits to be told to the same process."""
    return OutboxMessage.objects.filter(outbox.PENDING, aggregate=message.aggregate).exists()


def by_hand(task: StaffTask, subject: str, *, note: str, reference: str, actor: Actor) -> None:
    """A person resolved the task: the process is started again where one is missing."""
    finding = Finding.objects.filter(reference=subject, kind=FindingKind.RUN_ENDED, resolved_at=None).first()
    if finding is None:
        return
    kind, key = of_reference(subject)
    row = kind.find(key)
    if row is not None:
        hand_over(kind, key, row, again=True)
        finding.repair = f"it is started again, asked for by {actor.name}"[:200]
        finding.save(update_fields=["repair"])
