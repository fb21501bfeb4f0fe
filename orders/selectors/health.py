"""How the machinery stands, in words, from what it wrote into the database.

The page must answer when the machinery does not: asking Temporal or a partner here would hang exactly when people look.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Case, CharField, Count, Max, Min, OuterRef, Q, QuerySet, Subquery, Value, When
from django.db.models.functions import Now
from django.utils import timezone

from orders.amounts import counted, duration
from orders.facts import Outage
from orders.models import OutboxMessage, PartnerHealth, QueueState, ServiceBeat, Step
from orders.vocabulary import STEPS_OF_PARTNER, BreakerState, PartnerCode
from orders.wording import PARTNERS, Tone

WORKER = "worker"
#: a worker that has not said anything for this long counts as gone
SILENT_AFTER = timedelta(seconds=20)
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
        slow = self.oldest is not None and timezone.now() - self.oldest > OUTBOX_SLOW_AFTER
        return bool(self.failing) or slow


def machinery(backlog: Backlog, sweep: Health) -> list[Health]:
    """Worker, Temporal, queues, outbox, the sweep and every partner that was ever called: three queries."""
    now = timezone.now()
    beats = list(ServiceBeat.objects.filter(service=WORKER))
    partners = [_partner(row, now) for row in PartnerHealth.objects.order_by("partner")]
    queues = _queues(list(QueueState.objects.all()), now)
    return [_worker(beats, now), _temporal(beats, now), *queues, _outbox(backlog, now), sweep, *partners]


def unserved_since(queue: QueueState, now: datetime) -> datetime | None:
    """Since when no living worker polls the queue; None while one does."""
    since = queue.served_at or queue.known_since
    return since if now - since > SILENT_AFTER else None


def unserved(now: datetime | None = None) -> list[tuple[QueueState, datetime]]:
    """The queues that no worker polls, and since when. Work in them looks like slow work, and never ends."""
    now = now or timezone.now()
    found = ((queue, unserved_since(queue, now)) for queue in QueueState.objects.all())
    return [(queue, since) for queue, since in found if since is not None]


def outbox_backlog() -> Backlog:
    """One query over the pending rows only; a partial index holds just those."""
    figures = OutboxMessage.objects.filter(delivered_at=None, due_at__lte=Now()).aggregate(
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
    if alive:
        seen = duration(now - max(beat.at for beat in alive))
        return Health(name="Worker", tone=Tone.DONE, word="Running", detail=f"{len(alive)} running, seen {seen} ago")
    if not beats:
        detail = "No worker has been seen yet: orders wait"
    else:
        detail = f"No worker has been seen for {duration(now - max(beat.at for beat in beats))}: orders wait"
    return Health(name="Worker", tone=Tone.TROUBLE, word="Missing", detail=detail)


def _queues(queues: list[QueueState], now: datetime) -> list[Health]:
    """One line, once a worker has told which queues there are."""
    if not queues:
        return []
    without = [(queue.name, since) for queue in queues if (since := unserved_since(queue, now))]
    if not without:
        detail = f"{counted(len(queues), 'queue')}: {', '.join(queue.name for queue in queues)}"
        return [Health(name="Queues", tone=Tone.DONE, word="Served", detail=detail)]
    told = ", ".join(f"{name} has no worker for {duration(now - since)}" for name, since in without)
    return [Health(name="Queues", tone=Tone.TROUBLE, word="No worker", detail=f"{told}: its work waits")]


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
        tone, word = (Tone.TROUBLE, "Down") if row.failures_in_a_row >= 3 else (Tone.WAITING, "Shaky")
        return Health(name=name, tone=tone, word=word, detail=detail)
    if row.last_ok_at is None:
        return Health(name=name, tone=Tone.NEUTRAL, word="Not called yet", detail="No order has needed it")
    detail = f"Last good answer {duration(now - row.last_ok_at)} ago"
    return Health(name=name, tone=Tone.DONE, word="Answers", detail=detail)
