"""How far a run of partner calls is, how fast it goes, and why it stands still."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Count, Max, Q, Sum
from django.db.models.functions import Coalesce, Now

from orders.amounts import counted
from orders.models import PartnerAnswer, PartnerCall, PartnerHealth, PartnerRun
from orders.vocabulary import BreakerState, PartnerCallStatus, PartnerCode, PartnerRunStatus
from orders.wording import PARTNERS

#: the rate is that of the newest results
RATE_OVER = timedelta(seconds=10)


@dataclass(frozen=True, kw_only=True)
class Progress:
    total: int
    done: int
    failed: int
    cancelled: int
    #: tried, and waiting to be tried again
    waiting: int
    #: results of the last seconds, one second's share
    per_second: float

    @property
    def ended(self) -> int:
        return self.done + self.failed + self.cancelled


def progress(run: PartnerRun) -> Progress:
    """One query over the run's calls."""
    of = PartnerCallStatus
    figures = run.calls.aggregate(
        done=Count("pk", filter=Q(status=of.DONE)),
        failed=Count("pk", filter=Q(status=of.FAILED)),
        cancelled=Count("pk", filter=Q(status=of.CANCELLED)),
        waiting=Count("pk", filter=Q(status=of.PENDING) & ~Q(error_type="")),
        recent=Count("pk", filter=Q(status__in=[of.DONE, of.FAILED], finished_at__gt=Now() - RATE_OVER)),
    )
    recent = figures.pop("recent")
    return Progress(total=run.total, per_second=recent / RATE_OVER.total_seconds(), **figures)


def why_quiet(run: PartnerRun) -> str:
    """Why calls wait, in words; empty when they do not."""
    if run.status != PartnerRunStatus.RUNNING:
        return ""
    name = PARTNERS[PartnerCode(run.partner)]
    row = PartnerHealth.objects.filter(pk=run.partner).first()
    if row is None or row.state == BreakerState.CLOSED or row.opened_at is None:
        return ""
    since = f"{row.opened_at:%d %b %H:%M} UTC"
    if row.state == BreakerState.HELD:
        return f"The calls to {name} are held since {since}; the run goes on when they are resumed."
    return f"{name.capitalize()} is out of order since {since}; the run waits and drops nothing."


def trouble(run: PartnerRun, limit: int = 50) -> list[PartnerCall]:
    """The calls that failed, and those that wait after a failure."""
    return list(run.calls.exclude(error_type="").order_by("status", "pk")[:limit])


@dataclass(frozen=True, kw_only=True)
class StaleUse:
    count: int
    newest: datetime | None


def stale_use(partner: PartnerCode) -> StaleUse:
    """How often old answers stood in for the partner, and when last."""
    rows = PartnerAnswer.objects.filter(partner=partner)
    return StaleUse(**rows.aggregate(count=Coalesce(Sum("stale_uses"), 0), newest=Max("last_used_stale_at")))


def stale_words(partner: PartnerCode) -> str:
    use = stale_use(partner)
    return f"{counted(use.count, 'time')}, last {use.newest:%d %b %H:%M:%S}" if use.count else "-"
