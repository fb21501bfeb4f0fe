"""The read models of the pages of playbooks: the list, the versions of one, what can be chosen for a run."""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import Count, IntegerField, OuterRef, Q, QuerySet, Subquery

from orders.models import Order, Playbook, PlaybookRun, PlaybookVersion
from orders.playbooks.definition import Definition
from orders.vocabulary import ENDED_PLAYBOOK_RUNS, VersionStatus

MOST = 500
VERSIONS_SHOWN = 50
RUNS_SHOWN = 20


@dataclass(frozen=True, kw_only=True)
class Choice:
    """A published version, with what it wants to know."""

    slug: str
    number: int
    title: str
    definition: Definition


def listed() -> QuerySet[Playbook]:
    """With `newest`, `newest_title`, `published` (None without one) and `open_runs`."""
    versions = PlaybookVersion.objects.filter(playbook=OuterRef("pk")).order_by("-number")
    runs = (
        PlaybookRun.objects.filter(version__playbook=OuterRef("pk")).exclude(status__in=ENDED_PLAYBOOK_RUNS).order_by()
    )
    return Playbook.objects.annotate(
        newest=Subquery(versions.values("number")[:1]),
        newest_title=Subquery(versions.values("title")[:1]),
        published=Subquery(versions.filter(status=VersionStatus.PUBLISHED).values("number")[:1]),
        open_runs=Subquery(
            runs.values("version__playbook").annotate(n=Count("pk")).values("n"), output_field=IntegerField()
        ),
    )[:MOST]


def versions_of(slug: str) -> list[PlaybookVersion]:
    """The newest first, with `open_runs`."""
    still_open = Count("runs", filter=~Q(runs__status__in=ENDED_PLAYBOOK_RUNS))
    found = PlaybookVersion.objects.filter(playbook__slug=slug).select_related("playbook", "created_by", "published_by")
    return list(found.annotate(open_runs=still_open).order_by("-number")[:VERSIONS_SHOWN])


def version(slug: str, number: int | None) -> PlaybookVersion | None:
    """One version, or the newest."""
    found = PlaybookVersion.objects.select_related("playbook").filter(playbook__slug=slug)
    return (found.filter(number=number) if number is not None else found).first()


def choices() -> list[Choice]:
    """The newest published version of each playbook that has one, by title."""
    newest = (
        PlaybookVersion.objects.filter(status=VersionStatus.PUBLISHED)
        .select_related("playbook")
        .order_by("playbook__slug", "-number")
        .distinct("playbook__slug")[:MOST]
    )
    found = [Choice(slug=one.playbook.slug, number=one.number, title=one.title, definition=read(one)) for one in newest]
    return sorted(found, key=lambda one: (one.title, one.slug))


def choice(slug: str) -> Choice | None:
    newest = (
        PlaybookVersion.objects.filter(playbook__slug=slug, status=VersionStatus.PUBLISHED).order_by("-number").first()
    )
    if newest is None:
        return None
    return Choice(slug=slug, number=newest.number, title=newest.title, definition=read(newest))


def read(version: PlaybookVersion) -> Definition:
    """What a stored version says; it was judged when it was saved."""
    return Definition.model_validate(version.document)


def runs_of_order(order: Order) -> list[PlaybookRun]:
    """The newest first."""
    found = PlaybookRun.objects.filter(order=order).select_related("version__playbook", "started_by")
    return list(found.order_by("-created_at")[:RUNS_SHOWN])


def runs_of_playbook(slug: str) -> list[PlaybookRun]:
    """The newest first."""
    found = PlaybookRun.objects.filter(version__playbook__slug=slug)
    return list(found.select_related("version__playbook", "order", "started_by").order_by("-created_at")[:RUNS_SHOWN])
