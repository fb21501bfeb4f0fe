"""A database that was restored from a backup, found by what Temporal remembers and it does not.

Each sweep leaves the id of its run here. A run of the sweep that has settled its answers, by its own encrypted word,
and of which nothing stands here is one that the database has forgotten, and with it what else was done since: orders
were shipped and charged of which no row is left. Whoever repaired by such rows would undo what was delivered. So
nothing is undone or started again by itself, the relay keeps its messages, and no new order gets a number that was
given before, until a lead has looked.

A worker notices it before it acts: one that runs remembers the newest sweep and the newest line of any order's history
that it has seen, which is never deleted, and one that starts asks Temporal, before its relay hands over a message.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import cast
from uuid import UUID

from django.db import transaction
from django.db.models import Max, Q

from orders import clock
from orders.actor import Actor
from orders.errors import NoSuchOrder
from orders.models import Order, OrderEvent, RestoreDifference, StaffTask
from orders.services import placing, tasks
from orders.services.sweeping import progress
from orders.vocabulary import OrderStatus, RestoreKind, SweepPart, TaskKind, TaskLevel, TaskStatus

#: what the task is about
SUBJECT = "database"
#: sweeps that are remembered; Temporal is asked about those of a shorter time
REMEMBERED = 80
#: numbers that are passed over at most: what stands at Temporal in plain text may be anybody's
MOST_NUMBERS = 10_000
#: sweeps until the list of what differs can be believed
COMPARISONS = 2
#: seconds between two looks at the newest number, and how many more may have been given out by the next one
LOOK_EVERY, GIVEN_SINCE = 1.0, 200
#: names of each kind that the task says
NAMED = 4
#: what a sweep has seen was written so long before at most
SETTLES_WITHIN = timedelta(minutes=2)
SKIPPED = "The database may be older than Temporal: nothing is repaired before a lead has looked"
WORDS = {
    RestoreKind.ORDER_UNKNOWN: "At Temporal and without a row here",
    RestoreKind.ORDER_BEHIND: "Orders that ended at Temporal and are open here",
    RestoreKind.RUN_BEHIND: "Others that ended at Temporal and are open here",
}


def is_standing() -> bool:
    """Whether a lead has still to say what becomes of a restored database."""
    return StaffTask.objects.filter(kind=TaskKind.RESTORED, subject=SUBJECT).exclude(status=TaskStatus.DONE).exists()


def require_row(order_id: str) -> None:
    """Raise `NoSuchOrder` where a process has no order, as after a restored backup.

    Not before a lead has decided about the database: until then such a process waits.
    """
    if not Order.objects.filter(pk=order_id).exists() and not is_standing():
        raise NoSuchOrder


def sweeps() -> tuple[str, ...]:
    """Run ids of the sweeps that the database remembers."""
    return tuple(progress.of(SweepPart.RUNS).places.get("sweeps", ()))


@dataclass
class Memory:
    """What one process has seen of the database."""

    newest_sweep: str = ""
    #: of the histories: id and time. Between two sweeps it is all that tells a restored database from ours
    newest_event: tuple[int, datetime] | None = None
    #: of the orders, and when it was looked up by this machine's timer
    newest_number: int = 0
    looked_at: float = float("-inf")


def holds_back(memory: Memory, *, actor: Actor) -> bool:
    """Whether nothing may be handed to Temporal; notices when the database has forgotten what this process saw."""
    known = sweeps()
    unknown = [memory.newest_sweep] if memory.newest_sweep and memory.newest_sweep not in known else []
    looks = time.monotonic() - memory.looked_at > LOOK_EVERY
    seen = memory.newest_event[1] if looks and memory.newest_event and not _stands(memory.newest_event) else None
    if unknown or seen:
        if recognise(unknown, seen=seen, actor=actor):
            # At once: web processes give out numbers that were given before. The sweep compares with Temporal later.
            move_numbers_ahead([f"SO-{memory.newest_number + GIVEN_SINCE}"])
        known = sweeps()
    memory.newest_sweep = known[-1] if known else ""
    if looks:
        memory.newest_event = OrderEvent.objects.order_by("-pk").values_list("pk", "at").first()
        memory.newest_number, memory.looked_at = placing.newest_number(), time.monotonic()
    return is_standing()


def _stands(event: tuple[int, datetime]) -> bool:
    """Whether it is there; a restored database gives its id to another one."""
    return OrderEvent.objects.filter(pk=event[0], at=event[1]).exists()


def require_remembered(sweep: Actor) -> None:
    """Notice that the database was set back while this sweep was under way: its first part had written its id here."""
    if sweep.run_id and sweep.run_id not in sweeps():
        recognise([sweep.run_id], actor=sweep)


def recognise(unknown: Iterable[str], *, actor: Actor, run_id: str = "", seen: datetime | None = None) -> bool:
    """Remember these sweeps, and this one; answers whether the database had forgotten anything. Opens the one task.

    `unknown` are run ids of sweeps that had settled their answers; `seen` is when something was written that is gone.
    Who had seen it before the database was last recognised, as a worker that was frozen, has nothing new to tell.
    """
    with transaction.atomic():
        row = progress.locked(SweepPart.RUNS)
        known = list(row.places.get("sweeps", ()))
        # One that has ended since the question stands here by now. A database without anything is a new one.
        forgotten = [one for one in unknown if one not in known] if known or Order.objects.exists() else []
        is_gone = seen is not None and seen.isoformat() > row.places.get("recognised_at", "") and Order.objects.exists()
        is_older = bool(forgotten) or is_gone
        row.places = {**row.places, "sweeps": [*known, *forgotten, *([run_id] if run_id else [])][-REMEMBERED:]}
        if is_older:
            row.places |= {"recognised_at": clock.now().astimezone(UTC).isoformat()}
        if is_older and not is_standing():
            since = row.ran_at if known else _newest_order_at()
            row.places |= {"lost_since": (since - SETTLES_WITHIN).isoformat(), "compared": 0}
        row.save(update_fields=["places"])
        if is_older:
            # Together: whoever remembered and died before it told would have nobody told, ever.
            tasks.open_task(TaskKind.RESTORED, SUBJECT, level=TaskLevel.LEAD, says=_says(), actor=actor)
    return is_older


def _newest_order_at() -> datetime:
    """Until when a database that remembers no sweep remembers orders; it has some."""
    return cast(datetime, Order.objects.aggregate(newest=Max("created_at"))["newest"])


def compare(
    unknown: Iterable[str], *, orders: Sequence[tuple[str, str]], run_id: str, actor: Actor, answered: bool = True
) -> bool:
    """Remember this sweep; answers whether the database has forgotten others.

    `unknown` are run ids of sweeps that had settled their answers, `orders` are ids and numbers of orders at Temporal.
    Without `answered` Temporal did not say all that it was asked.
    """
    forgotten = recognise(unknown, actor=actor, run_id=run_id)
    if is_standing():
        if orders:
            move_numbers_ahead(number for _, number in orders)
            _compare_orders(orders)
        if answered:
            _count_comparison()
    return forgotten


def is_compared() -> bool:
    """Whether a sweep has compared the restored database with Temporal.

    The first one that ends may have asked before anybody knew; the second one has not.
    """
    return int(progress.of(SweepPart.RUNS).places.get("compared", 0)) >= COMPARISONS


def _count_comparison() -> None:
    with transaction.atomic():
        row = progress.locked(SweepPart.RUNS)
        row.places = {**row.places, "compared": int(row.places.get("compared", 0)) + 1}
        row.save(update_fields=["places"])


def lost_since() -> str:
    """From when on the database may have forgotten something; empty when it has not."""
    return str(progress.of(SweepPart.RUNS).places.get("lost_since", "")) if is_standing() else ""


def differs(kind: RestoreKind, found: Iterable[tuple[str, str]]) -> None:
    """Add what differs, as reference and name. What a lead has decided about already is not asked about again."""
    wanted = dict(found)
    standing = StaffTask.objects.filter(kind=TaskKind.RESTORED, subject=SUBJECT).exclude(status=TaskStatus.DONE)
    since = standing.values_list("created_at", flat=True).first()
    if not wanted or since is None:
        return
    told = RestoreDifference.objects.filter(reference__in=list(wanted)).filter(Q(decision="") | Q(found_at__gte=since))
    there = set(told.values_list("reference", flat=True))
    new = [
        RestoreDifference(kind=kind, reference=reference, name=name)
        for reference, name in wanted.items()
        if reference not in there
    ]
    if RestoreDifference.objects.bulk_create(new, ignore_conflicts=True):
        say_again()


def say_again() -> None:
    """Bring the task's words up to what still differs."""
    standing = StaffTask.objects.filter(kind=TaskKind.RESTORED, subject=SUBJECT).exclude(status=TaskStatus.DONE)
    standing.update(says=_says())


def move_numbers_ahead(numbers: Iterable[str]) -> None:
    """Pass over every number that an order at Temporal has: it was given before the database forgot it."""
    given = [int(number.removeprefix("SO-")) for number in numbers if number.removeprefix("SO-").isdigit()]
    if not given:
        return
    ahead = max(given) - int(placing.next_number().removeprefix("SO-"))
    if 0 < ahead <= MOST_NUMBERS:
        placing.next_numbers(ahead)


def _compare_orders(orders: Sequence[tuple[str, str]]) -> None:
    """Orders that Temporal knows, and of which there is no row, or one that nobody has started yet."""
    ours = {pk: number or pk for pk, number in orders if _is_id(pk)}
    there = {str(pk): status for pk, status in Order.objects.filter(pk__in=list(ours)).values_list("pk", "status")}
    differs(RestoreKind.ORDER_UNKNOWN, ((pk, name) for pk, name in ours.items() if pk not in there))
    behind = [pk for pk, status in there.items() if status == OrderStatus.PLACED]
    differs(RestoreKind.ORDER_BEHIND, ((pk, ours[pk]) for pk in behind))


def _is_id(name: str) -> bool:
    try:
        UUID(name)
    except ValueError:
        return False
    return True


def _says() -> str:
    says = (
        "The database is older than Temporal, as after a restored backup. Nothing is undone or started again by itself "
        "until this task is resolved. Decide first about what differs: what is left is then a task each."
    )
    for kind, words in WORDS.items():
        mine = RestoreDifference.objects.filter(kind=kind, decision="")
        if count := mine.count():
            names = list(mine.order_by("name").values_list("name", flat=True)[:NAMED])
            says += f" {words} ({count}): {', '.join(names)}{', ...' if count > NAMED else ''}."
    return says[:500]
