"""How the machinery stands, in words, from what it wrote into the database.

The page must answer when the machinery does not: asking Temporal or a partner here would hang exactly when people look.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Case, CharField, Count, Max, Min, OuterRef, Q, QuerySet, Subquery, Value, When
from django.db.models.functions import Now

from orders import clock, outbox
from orders.amounts import counted, duration
from orders.facts import Outage
from orders.models import OutboxMessage, PartnerHealth, QueueState, ScheduleState, ServiceBeat, Step
from orders.partners.breaker import SUBJECTS
from orders.vocabulary import STEPS_OF_PARTNER, BreakerState, PartnerCode
from orders.wording import PARTNERS, Tone

WORKER = "worker"
#: a worker that has not said anything for this long counts as gone
SILENT_AFTER = timedelta(seconds=20)
#: a message in a queue that is older waits for something: workers take one within moments
BACKLOG_SLOW_AFTER = timedelta(minutes=1)
#: what was asked longer ago says nothing of now
ASKED_WITHIN = timedelta(minutes=1)
#: a process's clock that differs more from the database's is worth a line
CLOCK_OFF = timedelta(seconds=5)
#: one that differs more needs a person
CLOCK_WRONG = timedelta(seconds=30)
#: what a web process said of its clock longer ago says nothing of now
HEARD_WITHIN = timedelta(minutes=2)
#: processes that are named in a line
NAMED = 3
#: activities that a worker must have taken in the last minute before its failures say something
ENOUGH = 5
#: a schedule whose run is due for so long was not started
SCHEDULE_LATE_AFTER = timedelta(minutes=1)
#: an outbox row older than this waits for something
OUTBOX_SLOW_AFTER = timedelta(minutes=1)

PARTNER_NAMES = {
    PartnerCode.PAYMENTS: "Payment gateway",
    PartnerCode.CARRIER: "Carrier",
    PartnerCode.FRAUD: "Fraud check",
    PartnerCode.RATES: "Exchange rates",
    PartnerCode.ADDRESSES: "Address check",
}


@dataclass(frozen=True, kw_only=True)
class Health:
    """One line of the health card."""

    name: str
    tone: Tone
    #: one word or two: the colour in words
    word: str
    detail: str


@dataclass(frozen=True, kw_only=True)
class Backlog:
    """What Temporal has not been told yet."""

    pending: int
    failing: int
    oldest: datetime | None
    last_error: str

    @property
    def is_stuck(self) -> bool:
        slow = self.oldest is not None and clock.now() - self.oldest > OUTBOX_SLOW_AFTER
        return bool(self.failing) or slow


def machinery(backlog: Backlog, sweep: Health) -> list[Health]:
    """Worker, Temporal, queues, schedules, outbox, the sweep and every partner that was ever called: four queries."""
    now = clock.now()
    everybody = list(ServiceBeat.objects.order_by("identity"))
    beats = [beat for beat in everybody if beat.service == WORKER]
    partners = [_partner(row, now) for row in PartnerHealth.objects.order_by("partner")]
    queues = _queues(list(QueueState.objects.all()), now)
    schedules = _schedules(list(ScheduleState.objects.all()), now)
    clocks = _clocks(everybody, now)
    processes = [_worker(beats, now), _temporal(beats, now), *clocks]
    return [*processes, *queues, *schedules, _outbox(backlog, now), sweep, *partners]


def unserved_since(queue: QueueState, now: datetime) -> datetime | None:
    """Since when no living worker polls the queue; None while one does."""
    since = queue.served_at or queue.known_since
    return since if now - since > SILENT_AFTER else None


def unserved(now: datetime | None = None) -> list[tuple[QueueState, datetime]]:
    """The queues that no worker polls, and since when. Work in them looks like slow work, and never ends."""
    now = now or clock.now()
    found = ((queue, unserved_since(queue, now)) for queue in QueueState.objects.all())
    return [(queue, since) for queue, since in found if since is not None]


def outbox_backlog() -> Backlog:
    """One query over the pending rows only; a partial index holds just those."""
    figures = OutboxMessage.objects.filter(outbox.PENDING, due_at__lte=Now()).aggregate(
        pending=Count("id"),
        failing=Count("id", filter=~Q(last_error="")),
        oldest=Min("due_at"),
        last_error=Max("last_error"),
    )
    return Backlog(**{**figures, "last_error": figures["last_error"] or ""})


def with_outages(steps: QuerySet[Step]) -> QuerySet[Step]:
    """Each step with what `outage_of` needs."""
    by_partner = [When(name__in=names, then=Value(partner.value)) for partner, names in STEPS_OF_PARTNER.items()]
    down = PartnerHealth.objects.filter(pk=OuterRef("partner")).exclude(state=BreakerState.CLOSED)
    return steps.annotate(
        partner=Case(*by_partner, output_field=CharField()),
        down_since=Subquery(down.values("opened_at")),
        next_try_at=Subquery(down.exclude(state=BreakerState.HELD).values("next_try_at")),
    )


def outage_of(step: Step) -> Outage | None:
    """The outage of the partner that the step calls."""
    since = getattr(step, "down_since", None)
    if since is None:
        return None
    name = PARTNERS[PartnerCode(step.partner)]  # type: ignore[attr-defined]
    return Outage(partner=name, since=since, next_try_at=step.next_try_at)  # type: ignore[attr-defined]


def _worker(beats: list[ServiceBeat], now: datetime) -> Health:
    alive = [beat for beat in beats if now - beat.at <= SILENT_AFTER]
    stopped = [beat for beat in alive if beat.stopped]
    if stopped:
        detail = f"{stopped[0].identity} takes no work: {stopped[0].stopped}"
        return Health(name="Worker", tone=Tone.TROUBLE, word="Stopped", detail=detail)
    failing = [beat for beat in alive if beat.taken >= ENOUGH and 2 * beat.failed > beat.taken]
    if failing:
        one = failing[0]
        detail = f"{one.identity} failed {one.failed} of {counted(one.taken, 'activity', 'activities')} in a minute"
        return Health(name="Worker", tone=Tone.TROUBLE, word="Failing", detail=detail)
    if alive:
        seen = duration(now - max(beat.at for beat in alive))
        return Health(name="Worker", tone=Tone.DONE, word="Running", detail=f"{len(alive)} running, seen {seen} ago")
    if not beats:
        detail = "No worker has been seen yet: orders wait"
    else:
        detail = f"No worker has been seen for {duration(now - max(beat.at for beat in beats))}: orders wait"
    return Health(name="Worker", tone=Tone.TROUBLE, word="Missing", detail=detail)


def is_silent(beat: ServiceBeat, now: datetime) -> bool:
    """A worker speaks every few seconds, a web process once a minute and only while its clock is off."""
    return now - beat.at > (SILENT_AFTER if beat.service == WORKER else HEARD_WITHIN)


def _clocks(beats: list[ServiceBeat], now: datetime) -> list[Health]:
    """One line, once a process has told what its own clock says: what it writes is the database's time all the same."""
    said = [beat for beat in beats if beat.clock_ahead_seconds is not None and not is_silent(beat, now)]
    told = {beat.identity: timedelta(seconds=beat.clock_ahead_seconds or 0) for beat in said}
    # The process that answers need not have noted anything.
    if (mine := clock.ahead()) is not None:
        told[f"web {clock.process()}"] = mine
    if not told:
        return []
    off = {identity: ahead for identity, ahead in told.items() if abs(ahead) > CLOCK_OFF}
    if not off:
        within = f"{counted(len(told), 'process', 'processes')} within {duration(CLOCK_OFF)} of the database's clock"
        return [Health(name="Clocks", tone=Tone.DONE, word="Right", detail=within)]
    worst = sorted(off.items(), key=lambda one: abs(one[1]), reverse=True)
    is_wrong = abs(worst[0][1]) > CLOCK_WRONG
    tone, word = (Tone.TROUBLE, "Wrong") if is_wrong else (Tone.WAITING, "Off")
    detail = "; ".join(f"{identity}: clock {difference(ahead)}" for identity, ahead in worst[:NAMED])
    more = f" and {len(worst) - NAMED} more" if len(worst) > NAMED else ""
    return [Health(name="Clocks", tone=tone, word=word, detail=f"{detail}{more}. Set the time of these machines")]


def difference(ahead: timedelta) -> str:
    """By how much a clock differs, and which way: "45 s ahead"."""
    by = duration(timedelta(seconds=round(abs(ahead).total_seconds())))
    return f"{by} ahead" if ahead > timedelta() else f"{by} behind"


def _queues(queues: list[QueueState], now: datetime) -> list[Health]:
    """One line, once a worker has told which queues there are."""
    if not queues:
        return []
    without = [(queue.name, since) for queue in queues if (since := unserved_since(queue, now))]
    if not without and (slow := _slowest(queues, now)) is not None:
        waiting = f"{counted(slow.backlog or 0, 'message')} in {slow.name}"
        oldest = duration(timedelta(seconds=slow.oldest_seconds or 0))
        return [Health(name="Queues", tone=Tone.TROUBLE, word="Behind", detail=f"{waiting}, the oldest for {oldest}")]
    if not without:
        detail = f"{counted(len(queues), 'queue')}: {', '.join(queue.name for queue in queues)}"
        return [Health(name="Queues", tone=Tone.DONE, word="Served", detail=detail)]
    told = ", ".join(f"{name} has no worker for {duration(now - since)}" for name, since in without)
    return [Health(name="Queues", tone=Tone.TROUBLE, word="No worker", detail=f"{told}: its work waits")]


def _slowest(queues: list[QueueState], now: datetime) -> QueueState | None:
    """The queue whose oldest message has waited longest, when that is too long."""
    late = BACKLOG_SLOW_AFTER.total_seconds()
    told = [queue for queue in queues if queue.asked_at is not None and now - queue.asked_at <= ASKED_WITHIN]
    slow = [queue for queue in told if queue.backlog and (queue.oldest_seconds or 0) > late]
    return max(slow, key=lambda queue: queue.oldest_seconds or 0, default=None)


def _schedules(schedules: list[ScheduleState], now: datetime) -> list[Health]:
    """One line, once a worker has seen one."""
    if not schedules:
        return []
    late = [
        one for one in schedules if not one.paused and one.next_run_at and now - one.next_run_at > SCHEDULE_LATE_AFTER
    ]
    if late:
        first = min(late, key=lambda one: one.next_run_at or now)
        since = duration(now - (first.next_run_at or now))
        detail = f"{first.summary or first.name} is due since {since}, and was not started"
        return [Health(name="Schedules", tone=Tone.TROUBLE, word="Late", detail=detail)]
    paused = [one for one in schedules if one.paused]
    if paused:
        detail = f"{paused[0].summary or paused[0].name} is paused by {paused[0].paused_by}"
        return [Health(name="Schedules", tone=Tone.WAITING, word="Paused", detail=detail)]
    detail = f"{counted(len(schedules), 'schedule')}, none is late"
    return [Health(name="Schedules", tone=Tone.DONE, word="In time", detail=detail)]


def _temporal(beats: list[ServiceBeat], now: datetime) -> Health:
    reached = max((beat.temporal_ok_at for beat in beats if beat.temporal_ok_at), default=None)
    if reached is None:
        return Health(name="Temporal", tone=Tone.WAITING, word="Unknown", detail="No worker has reached it yet")
    silence = now - reached
    if silence <= SILENT_AFTER:
        detail = f"Answered a worker {duration(silence)} ago"
        return Health(name="Temporal", tone=Tone.DONE, word="Answers", detail=detail)
    if not any(now - beat.at <= SILENT_AFTER for beat in beats):
        detail = f"Last answer {duration(silence)} ago; no worker asks it now"
        return Health(name="Temporal", tone=Tone.WAITING, word="Unknown", detail=detail)
    detail = f"No answer for {duration(silence)}: orders are accepted and wait"
    return Health(name="Temporal", tone=Tone.TROUBLE, word="Silent", detail=detail)


def _outbox(backlog: Backlog, now: datetime) -> Health:
    if not backlog.pending:
        return Health(name="Outbox", tone=Tone.DONE, word="Empty", detail="Everything was handed to Temporal")
    waiting = f"{counted(backlog.pending, 'message')} to hand over"
    if backlog.oldest is not None:
        waiting += f", the oldest for {duration(now - backlog.oldest)}"
    if backlog.is_stuck:
        return Health(name="Outbox", tone=Tone.TROUBLE, word="Stuck", detail=waiting)
    return Health(name="Outbox", tone=Tone.MOVING, word="Draining", detail=waiting)


def _partner(row: PartnerHealth, now: datetime) -> Health:
    name = PARTNER_NAMES.get(PartnerCode(row.partner), row.partner)
    if row.failures_in_a_row:
        failed = counted(row.failures_in_a_row, "call")
        detail = f"{failed} in a row failed: {row.last_error}"
        # What fails for one order alone is no outage.
        down = row.state in {BreakerState.OPEN, BreakerState.HALF_OPEN} or len(row.failed_subjects) >= SUBJECTS
        tone, word = (Tone.TROUBLE, "Down") if down else (Tone.WAITING, "Shaky")
        return Health(name=name, tone=tone, word=word, detail=detail)
    if row.last_ok_at is None:
        return Health(name=name, tone=Tone.NEUTRAL, word="Not called yet", detail="No order has needed it")
    detail = f"Last good answer {duration(now - row.last_ok_at)} ago"
    return Health(name=name, tone=Tone.DONE, word="Answers", detail=detail)
