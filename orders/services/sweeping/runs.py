"""Everything that has a process and is no order: which to ask Temporal about, and what follows from the answers.

A refund, a batch, an import whose process is gone would stay open for ever, and nothing would be red. The rows are the
authority, so it is started again under its id. Two things are left to a lead: a process that ended with a result while
its row is open, because that row may be older than Temporal; and one that ends again and again.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db import transaction

from orders import clock, outbox
from orders.actor import Actor
from orders.amounts import counted
from orders.models import Finding, Order, OutboxMessage
from orders.services import reviving, system_events, tasks
from orders.services.run_kinds import KINDS, WITH_OPEN_ROWS, Kind
from orders.services.sweeping import progress, restoring
from orders.services.sweeping.processes import WORKFLOW_TASK_FAILED
from orders.vocabulary import FindingKind, RestoreKind, RunKind, RunState, SweepPart, TaskKind, TaskLevel

#: rows of each kind, and of those with open findings, that one sweep asks about
PAGE = 100
#: a row that is younger is on its way to Temporal
QUIET = timedelta(seconds=10)
#: so long a process that ends again and again is started again; then a lead must look
STARTED_AGAIN_FOR = timedelta(minutes=10)
#: their processes are looked after by `processes`
OF_ORDERS = frozenset({RunKind.ORDER, RunKind.RECOVERY})
ASKED = tuple(kind for kind in WITH_OPEN_ROWS if kind.kind not in OF_ORDERS)
ABOUT_RUNS = (FindingKind.RUN_ENDED, FindingKind.RUN_WEDGED)
#: the type of the system event
PROCESS_GONE = "ProcessGone"


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A process by what names it."""

    kind: RunKind
    key: str


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What Temporal says of one process."""

    kind: RunKind
    key: str
    state: RunState
    #: why, as far as Temporal told
    says: str = ""


def question() -> list[Asked]:
    """The next page of open rows of each kind, and all that have open findings."""
    cursors = dict(progress.of(SweepPart.RUNS).places.get("cursors", {}))
    asked: list[Asked] = []
    for kind in ASKED:
        found = _page(kind, cursors.get(kind.kind, ""))
        cursors[kind.kind] = str(getattr(found[-1], kind.column)) if len(found) == PAGE else ""
        asked += _not_waiting(kind, found)
    standing = Finding.objects.filter(kind__in=ABOUT_RUNS, resolved_at=None).order_by("last_seen_at")
    for name in list(standing.values_list("reference", flat=True)[:PAGE]):
        kind, key = reviving.of_reference(name)
        asked.append(Asked(kind=kind.kind, key=key))
    # When it ran is said with the answers: a sweep that Temporal does not answer must look late.
    with transaction.atomic():
        row = progress.locked(SweepPart.RUNS)
        row.places, row.looked_at = {**row.places, "cursors": cursors}, len(asked)
        row.save(update_fields=["places", "looked_at"])
    return list(dict.fromkeys(asked))


def settle(seen: Sequence[Seen], *, skipped: str = "", actor: Actor) -> int:
    """Hold Temporal's answers against the rows, start again and note; answers how many findings are new."""
    row = progress.of(SweepPart.RUNS)
    before = set(row.places.get("ended", ()))
    if restoring.is_standing():
        named = [reviving.reference(one.kind, one.key) for one in seen if _ended_here_open(one)]
        restoring.differs(RestoreKind.RUN_BEHIND, ((name, name) for name in named))
        progress.ran(SweepPart.RUNS, looked_at=row.looked_at, skipped=restoring.SKIPPED)
        return 0
    new, ended = 0, []
    gone: dict[RunKind, list[Seen]] = defaultdict(list)
    for one in seen:
        name = reviving.reference(one.kind, one.key)
        if one.state is RunState.CLOSED:
            ended.append(name)
        if one.state is not RunState.RUNNING:
            # A database set back meanwhile shows open again what has ended, and has forgotten us.
            restoring.require_remembered(actor)
            if restoring.is_standing():
                return new
        with transaction.atomic():
            is_new = _settle(KINDS[one.kind], one, ended_before=name in before, actor=actor)
        if is_new:
            new += 1
            gone[one.kind].append(one)
    for several in gone.values():
        _tell_operators(several)
    progress.ran(SweepPart.RUNS, looked_at=row.looked_at, skipped=skipped, places={"ended": ended[: 10 * PAGE]})
    return new


def _ended_here_open(seen: Seen) -> bool:
    kind = KINDS[seen.kind]
    return seen.state is RunState.CLOSED and bool(kind.open) and kind.find(seen.key) is not None


def _settle(kind: Kind, seen: Seen, *, ended_before: bool, actor: Actor) -> bool:
    name = reviving.reference(kind.kind, seen.key)
    row = kind.find(seen.key)
    if row is None:
        _resolve(name, ABOUT_RUNS, "It has ended.", actor=actor)
        return False
    if reviving.is_pending(kind.message(seen.key, row)):
        return False
    if seen.state in {RunState.MISSING, RunState.BROKEN} or (seen.state is RunState.CLOSED and kind.looks_again):
        return _start_again(kind, seen, row, actor=actor)
    if seen.state is RunState.CLOSED:
        if not kind.open:
            _resolve(name, ABOUT_RUNS, "It was done.", actor=actor)
            return False
        # A row and its process end one after the other, and a word that came meanwhile starts another one.
        return ended_before and _ended_with_a_result(kind, seen, row, actor=actor)
    _resolve(name, (FindingKind.RUN_ENDED,), "Temporal has its process again.", actor=actor)
    if seen.state is not RunState.WEDGED:
        _resolve(name, (FindingKind.RUN_WEDGED,), "Its process goes on.", actor=actor)
        return False
    says = (
        f"The code of the process of {_named(kind, row)} fails again and again. {seen.says} Nothing moves and nothing "
        "is lost: it goes on when the code is mended or the deploy taken back."
    )
    return _note(FindingKind.RUN_WEDGED, name, says, actor=actor)


def _start_again(kind: Kind, seen: Seen, row: Any, *, actor: Actor) -> bool:
    name = reviving.reference(kind.kind, seen.key)
    why = seen.says or "Temporal does not know it"
    standing = Finding.objects.filter(kind=FindingKind.RUN_ENDED, reference=name, resolved_at=None).first()
    if standing is not None and standing.first_seen_at < clock.now() - STARTED_AGAIN_FOR:
        says = (
            f"The process of {_named(kind, row)} was started again and again, and ended each time: {why}. "
            "It is not started any more until somebody resolves this task."
        )
        return _note(FindingKind.RUN_ENDED, name, says, actor=actor)
    says = f"The process of {_named(kind, row)} is gone: {why}."
    new = _note(FindingKind.RUN_ENDED, name, says, repair="it is started again", actor=actor)
    reviving.hand_over(kind, seen.key, row)
    return new


def _ended_with_a_result(kind: Kind, seen: Seen, row: Any, *, actor: Actor) -> bool:
    says = (
        f"The process of {_named(kind, row)} ended with a result at Temporal, and here it is open: the database may be "
        "older than Temporal. Look what was done already. Who resolves this task has it started again."
    )
    return _note(FindingKind.RUN_ENDED, reviving.reference(kind.kind, seen.key), says, actor=actor)


def _note(kind: FindingKind, name: str, says: str, *, actor: Actor, repair: str = "") -> bool:
    """Note the trouble; answers whether it is new. Without a `repair` a lead gets a task."""
    now = clock.now()
    standing = Finding.objects.filter(reference=name, resolved_at=None).first()
    if standing is not None and standing.kind != kind:
        _resolve(name, (FindingKind(standing.kind),), "Its trouble is another one now.", actor=actor)
        standing = None
    if standing is None:
        Finding.objects.create(
            kind=kind, reference=name, says=says[:500], repair=repair, first_seen_at=now, last_seen_at=now
        )
    else:
        # What a person had started again keeps who that was.
        standing.last_seen_at, standing.says, standing.repair = now, says[:500], repair or standing.repair
        standing.save(update_fields=["last_seen_at", "says", "repair"])
    if not repair:
        cause = re.sub(r" of order \S+", "", says)
        tasks.open_task(TaskKind.RUN, name, level=TaskLevel.LEAD, says=says, actor=actor, cause=cause)
    return standing is None


def _resolve(name: str, kinds: Iterable[FindingKind], resolution: str, *, actor: Actor) -> None:
    ended = Finding.objects.filter(reference=name, kind__in=list(kinds), resolved_at=None).update(
        resolved_at=clock.now(), resolution=resolution
    )
    if ended:
        tasks.close_if_open(TaskKind.RUN, name, resolution=resolution, actor=actor)


def _named(kind: Kind, row: Any) -> str:
    about = kind.about(row)
    return f"{kind.words} of order {about.number}" if isinstance(about, Order) else kind.words


def _tell_operators(several: Sequence[Seen]) -> None:
    """One system event for all of a kind: what ends one process often ends many."""
    one = several[0]
    error_type = WORKFLOW_TASK_FAILED if one.state is RunState.WEDGED else PROCESS_GONE
    words, what = KINDS[one.kind].words, counted(len(several), "process", "processes")
    says = f"{words[:1].upper()}{words[1:]}: {what} in trouble. {one.says or 'Temporal does not know it'}."
    system_events.remember(error_type, says, workflow_id=reviving.reference(one.kind, one.key))


def _page(kind: Kind, cursor: str) -> list[Any]:
    rows = kind.rows.filter(kind.open, **{f"{kind.made_at}__lt": clock.now() - QUIET})
    after = rows.filter(**{f"{kind.column}__gt": cursor}) if cursor else rows
    return list(after.order_by(kind.column).distinct(kind.column)[:PAGE])


def _not_waiting(kind: Kind, rows: Sequence[Any]) -> list[Asked]:
    """Those of which nothing waits to be told to Temporal; all of a restored database, where everything waits."""
    aggregates = {kind.key(row): kind.message(kind.key(row), row).aggregate for row in rows}
    pending = OutboxMessage.objects.filter(outbox.PENDING, aggregate__in=set(aggregates.values()))
    waiting = set() if restoring.is_standing() else set(pending.values_list("aggregate", flat=True))
    return [Asked(kind=kind.kind, key=key) for key, aggregate in aggregates.items() if aggregate not in waiting]
