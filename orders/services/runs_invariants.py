"""What must always be true of batches, runs of partner calls, processes, exports, imports and playbooks.

All have the same promise: what was frozen is there, and what has ended left no part without a result. So the rule is
one, and a kind of run with parts is a row of `PARTS`. Whether each run has its process is asked of Temporal, for every
kind of `orders.services.run_kinds` (`temporal_app.invariants`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta

from django.db.models import Count, F, Q

from orders.amounts import counted
from orders.services.run_kinds import KINDS
from orders.services.violation import Violation
from orders.vocabulary import (
    OPEN_ITEMS,
    DocumentKind,
    ExportStatus,
    FeedStatus,
    PartnerCallStatus,
    PlaybookStepStatus,
    RunKind,
)

#: a run that is younger may still be on its way to Temporal, one that ended later may still be on its way out of it
PATIENCE = timedelta(seconds=10)
#: a step of a playbook that is still under way; one that failed is what the run ended with
OPEN_STEPS = frozenset({PlaybookStepStatus.RUNNING, PlaybookStepStatus.WAITING, PlaybookStepStatus.UNDOING})


@dataclass(frozen=True, kw_only=True)
class Parts:
    """What of a kind of run must have a result."""

    kind: RunKind
    #: the relation to the parts, and a word for one of them
    parts: str
    part: str
    #: parts without a result, through the relation
    unfinished: Q
    #: which of the runs that have ended must be whole; one that failed may have left some
    whole: Q = field(default_factory=Q)
    #: the column that says how many parts were frozen; empty where they come as the run goes on
    frozen: str = ""


PARTS = (
    Parts(
        kind=RunKind.BATCH,
        parts="items",
        part="item",
        unfinished=Q(items__status__in=OPEN_ITEMS),
        frozen="item_count",
    ),
    Parts(
        kind=RunKind.PARTNER_RUN,
        parts="calls",
        part="call",
        unfinished=Q(calls__status=PartnerCallStatus.PENDING),
        frozen="total",
    ),
    Parts(
        kind=RunKind.PROCESS,
        parts="steps",
        part="step",
        unfinished=Q(steps__finished_at=None),
    ),
    Parts(
        kind=RunKind.EXPORT,
        parts="parts",
        part="part",
        unfinished=Q(parts__content=None),
        # What a failed or cancelled one had written is deleted, and so is an old file.
        whole=Q(status=ExportStatus.COMPLETED),
    ),
    Parts(
        kind=RunKind.IMPORT,
        parts="documents",
        part="invoice",
        unfinished=Q(documents__stored_at=None, documents__kind__in=[DocumentKind.ORDER, DocumentKind.CREDIT_NOTE]),
        whole=Q(status=FeedStatus.COMPLETED),
        frozen="documents_found",
    ),
    Parts(
        kind=RunKind.PLAYBOOK_RUN,
        parts="steps",
        part="step",
        unfinished=Q(steps__status__in=OPEN_STEPS),
    ),
)


def check_runs() -> Iterator[Violation]:
    """Every run of every kind that has parts."""
    for parts in PARTS:
        yield from _check(parts)


def _check(of: Parts) -> Iterator[Violation]:
    kind = KINDS[of.kind]
    there, left = Count(of.parts), Count(of.parts, filter=of.unfinished)
    runs = kind.rows.annotate(n=there, left=left)
    if of.frozen:
        # All parts are frozen at once, or found before the first is worked on.
        for run in runs.exclude(n=F(of.frozen)):
            detail = f"{counted(getattr(run, of.frozen), of.part)} frozen, {run.n} there"
            yield Violation(invariant=of.kind, subject=str(run.pk), detail=detail)
    for run in runs.filter(kind.over & of.whole, left__gt=0):
        detail = f"it is {run.status}; without a result: {counted(run.left, of.part)}"
        yield Violation(invariant=of.kind, subject=str(run.pk), detail=detail)
