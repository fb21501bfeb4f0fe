"""A finding's life: noted when it is seen first, seen again by each sweep, resolved when it is gone.

A task is opened with the finding and not again: whoever resolved it knows of the trouble. What the sweep opened it
closes when the trouble has gone.
"""

from __future__ import annotations

from collections.abc import Iterable

from django.db import transaction

from orders import clock, history
from orders.actor import Actor
from orders.models import Finding, Order
from orders.services import system_events, tasks
from orders.vocabulary import OF_CLOSED_ORDERS, TERMINAL_STATUSES, EventType, FindingKind, TaskKind, TaskLevel

#: the task that goes with a finding, and whose it is; the others are repaired, or need nobody
TASKS: dict[FindingKind, tuple[TaskKind, TaskLevel]] = {
    FindingKind.OVERDUE: (TaskKind.OVERDUE, TaskLevel.AGENT),
    FindingKind.WEDGED: (TaskKind.WEDGED, TaskLevel.LEAD),
    FindingKind.PROCESS_ENDED: (TaskKind.PROCESS_ENDED, TaskLevel.LEAD),
    FindingKind.RUNS_ON: (TaskKind.DRIFT, TaskLevel.LEAD),
    FindingKind.DRIFT: (TaskKind.DRIFT, TaskLevel.LEAD),
}
#: the type of the system event
MONEY_OF_NOBODY = "MoneyOfNoOrder"
#: how many closed orders with open findings one sweep looks at
PAGE = 200


def note(
    kind: FindingKind,
    order: Order,
    *,
    says: str,
    actor: Actor,
    repair: str = "",
    payments: Iterable[str] = (),
    cause: str = "",
) -> bool:
    """Note that the trouble is there; answers whether it is new. The caller holds the order's lock.

    `repair` says what is done about it; without it a person gets a task. `payments` are those of the gateway's that
    were seen with it. Findings of one `cause`, by default of the same words, are one incident for staff.
    """
    now = clock.now()
    standing = Finding.objects.filter(order=order, kind=kind, resolved_at=None).first()
    if standing is not None:
        standing.last_seen_at, standing.says = now, says[:500]
        standing.payments = sorted({*standing.payments, *payments})
        standing.save(update_fields=["last_seen_at", "says", "payments"])
        return False
    Finding.objects.create(
        kind=kind,
        order=order,
        says=says[:500],
        repair=repair[:200],
        payments=sorted(payments),
        first_seen_at=now,
        last_seen_at=now,
    )
    history.record(
        order,
        EventType.FINDING_OPENED,
        actor=actor,
        reason=f"{says} {repair.capitalize()}".strip(),
        data={"kind": kind},
    )
    if not repair and kind in TASKS:
        task, level = TASKS[kind]
        about = cause or says
        tasks.open_task(task, order, level=level, says=f"{order.number}: {says}", actor=actor, cause=about)
    return True


def resolve(kind: FindingKind, order: Order, *, resolution: str, actor: Actor) -> bool:
    """The trouble has gone; answers whether there was any. The caller holds the order's lock."""
    ended = Finding.objects.filter(order=order, kind=kind, resolved_at=None).update(
        resolved_at=clock.now(), resolution=resolution[:500]
    )
    if ended:
        history.record(order, EventType.FINDING_RESOLVED, actor=actor, reason=resolution, data={"kind": kind})
        if kind in TASKS:
            tasks.close_if_open(TASKS[kind][0], order, resolution=resolution, actor=actor)
    return bool(ended)


def note_payment(reference: str, *, says: str) -> bool:
    """Note money at the gateway that belongs to no order of ours; answers whether it is new.

    There is no order whose history or task could tell of it: whoever runs the system gets a system event.
    """
    now = clock.now()
    standing = Finding.objects.filter(order=None, reference=reference, resolved_at=None)
    if standing.update(last_seen_at=now, says=says[:500]):
        return False
    with transaction.atomic():
        # Two sweeps at once would find it twice.
        made = Finding.objects.bulk_create(
            [Finding(kind=FindingKind.DRIFT, reference=reference, payments=[reference], says=says[:500])],
            ignore_conflicts=True,
        )
    system_events.remember(MONEY_OF_NOBODY, says, workflow_id=reference)
    return bool(made)


def resolve_payment(finding: Finding, *, resolution: str) -> None:
    """The money that belonged to no order is gone, or has its order now."""
    Finding.objects.filter(pk=finding.pk, resolved_at=None).update(resolved_at=clock.now(), resolution=resolution[:500])


def resolve_of_closed(*, actor: Actor) -> int:
    """Resolve what was found of orders that have ended since; answers how many.

    What is wrong with a closed order outlives its end.
    """
    left = Finding.objects.filter(resolved_at=None, order__status__in=TERMINAL_STATUSES)
    found = list(left.exclude(kind__in=OF_CLOSED_ORDERS).values_list("order_id", "kind")[:PAGE])
    for order_id, kind in found:
        with transaction.atomic():
            order = history.lock_order(order_id)
            resolve(FindingKind(kind), order, resolution=f"The order ended as {order.status}.", actor=actor)
    return len(found)
