"""What must always be true of batches, runs of partner calls, processes, exports, imports and playbooks.

All have the same promise: what was frozen is there, and what has ended left no part without a result. So the rule is
one, and a kind of run is a row of `KINDS`; whoever adds a kind adds a row, and Temporal is asked about it too
(`temporal_app.invariants`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from django.db.models import Count, F, Manager, Q
from django.utils import timezone

from orders.amounts import counted
from orders.models import Batch, Export, FeedImport, PartnerRun, PlaybookRun, ProcessRun
from orders.services.violation import Violation
from orders.vocabulary import (
    OPEN_ITEMS,
    DocumentKind,
    ExportStatus,
    FeedStatus,
    PartnerCallStatus,
    PlaybookStepStatus,
)

#: a run that is younger may still be on its way to Temporal, one that ended later may still be on its way out of it
PATIENCE = timedelta(seconds=10)
#: a step of a playbook that is still under way; one that failed is what the run ended with
OPEN_STEPS = frozenset({PlaybookStepStatus.RUNNING, PlaybookStepStatus.WAITING, PlaybookStepStatus.UNDOING})


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A kind of run, and what of it must have a result."""

    name: str
    runs: Manager[Any]
    #: the relation to the parts, and a word for one of them
    parts: str
    part: str
    #: parts without a result, through the relation
    unfinished: Q
    #: which of the runs that have ended must be whole; one that failed may have left some
    whole: Q = field(default_factory=Q)
    #: the column that says how many parts were frozen; empty where they come as the run goes on
    frozen: str = ""
    #: the column of its end
    over: str = "finished_at"

    @property
    def ended(self) -> Q:
        return Q(**{f"{self.over}__isnull": False})


KINDS = (
    Kind(
        name="batch",
        runs=Batch.objects,
        parts="items",
        part="item",
        unfinished=Q(items__status__in=OPEN_ITEMS),
        frozen="item_count",
    ),
    Kind(
        name="partner run",
        runs=PartnerRun.objects,
        parts="calls",
        part="call",
        unfinished=Q(calls__status=PartnerCallStatus.PENDING),
        frozen="total",
    ),
    Kind(
        name="process",
        runs=ProcessRun.objects,
        parts="steps",
        part="step",
        unfinished=Q(steps__finished_at=None),
    ),
    Kind(
        name="export",
        runs=Export.objects,
        parts="parts",
        part="part",
        unfinished=Q(parts__content=None),
        # What a failed or cancelled one had written is deleted, and so is an old file.
        whole=Q(status=ExportStatus.COMPLETED),
    ),
    Kind(
        name="import",
        runs=FeedImport.objects,
        parts="documents",
        part="invoice",
        unfinished=Q(documents__stored_at=None, documents__kind__in=[DocumentKind.ORDER, DocumentKind.CREDIT_NOTE]),
        whole=Q(status=FeedStatus.COMPLETED),
        frozen="documents_found",
    ),
    Kind(
        name="playbook run",
        runs=PlaybookRun.objects,
        parts="steps",
        part="step",
        unfinished=Q(steps__status__in=OPEN_STEPS),
        over="ended_at",
    ),
)


def check_runs() -> Iterator[Violation]:
    """Every run of every kind."""
    for kind in KINDS:
        yield from _check(kind)


def _check(kind: Kind) -> Iterator[Violation]:
    there, left = Count(kind.parts), Count(kind.parts, filter=kind.unfinished)
    runs = kind.runs.annotate(n=there, left=left)
    if kind.frozen:
        # All parts are frozen at once, or found before the first is worked on.
        for run in runs.exclude(n=F(kind.frozen)):
            detail = f"{counted(getattr(run, kind.frozen), kind.part)} frozen, {run.n} there"
            yield Violation(invariant=kind.name, subject=str(run.pk), detail=detail)
    for run in runs.filter(kind.ended & kind.whole, left__gt=0):
        detail = f"it is {run.status}; without a result: {counted(run.left, kind.part)}"
        yield Violation(invariant=kind.name, subject=str(run.pk), detail=detail)


def unfinished_since(kind: Kind) -> set[str]:
    """Ids of the runs that were asked for a while ago and have not ended."""
    return _ids(kind.runs.filter(created_at__lt=timezone.now() - PATIENCE).exclude(kind.ended))


def over_since(kind: Kind, ids: Iterable[str]) -> set[str]:
    """Those of the ids whose run ended a while ago."""
    return _ids(kind.runs.filter(pk__in=list(ids), **{f"{kind.over}__lt": timezone.now() - PATIENCE}))


def _ids(runs: Any) -> set[str]:
    return {str(pk) for pk in runs.values_list("pk", flat=True)}
