"""The pages of playbooks: the list, one with its versions and its picture, two versions compared, what starts it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from orders.actor import person
from orders.command_forms import OfferedCommand, ReasonForm, Refused, bound, empty, take, told_if_gone
from orders.errors import InvalidInput, NotPermitted, WrongState
from orders.frames import in_frame
from orders.models import Approval, Playbook, PlaybookVersion
from orders.playbook_sentences import RUN_TONES, VERSION_TONES
from orders.playbooks import difference
from orders.playbooks.expressions import MAX_LENGTH
from orders.playbooks.facts import ORDER_FACTS
from orders.playbooks.graph import draw
from orders.playbooks.outline import outline
from orders.selectors import approvals, playbooks
from orders.services.playbooks import publishing, setting
from orders.vocabulary import Channel, EventType, PlaybookRunStatus, VersionStatus
from orders.wording import EVENT_TITLES, status_word

SEE, SEE_VERSIONS, PUBLISH, SET = (
    "orders.view_playbook",
    "orders.view_playbookversion",
    "orders.publish_playbook",
    "orders.set_trigger",
)


class EventForm(forms.Form):
    event = forms.ChoiceField(
        choices=[
            (str(event), f"{EVENT_TITLES[event]} ({event})")
            for event in sorted(EventType, key=lambda event: EVENT_TITLES[event])
            if not event.startswith("order.playbook_")
        ]
    )
    condition = forms.CharField(max_length=MAX_LENGTH, initial="true", label="Only if")
    enabled = forms.BooleanField(required=False, initial=True)


class ScheduleForm(forms.Form):
    every_hours = forms.IntegerField(min_value=1, max_value=24 * 30, initial=24, label="Every so many hours")
    condition = forms.CharField(max_length=MAX_LENGTH, label="On each open order for which this is true")
    enabled = forms.BooleanField(required=False, initial=True)


@dataclass(frozen=True, kw_only=True)
class Button:
    """`service` takes the playbook's name, the version's number, an actor and the reason."""

    service: Callable[..., Any]
    taken: str


BUTTONS: dict[str, Button] = {
    "publish": Button(
        service=publishing.publish,
        taken="Version {number} of {slug} waits for a second person; runs do not follow it until then.",
    ),
    "retire": Button(
        service=publishing.retire,
        taken="Version {number} of {slug} is retired: no new run follows it, and runs under way go on.",
    ),
}


@require_safe
@login_required
def playbook_list(request: HttpRequest) -> HttpResponse:
    _require(request, SEE)
    return in_frame(request, "orders/playbooks/list.html", "Playbooks", {"playbooks": playbooks.listed()})


@require_safe
@login_required
def playbook_page(request: HttpRequest, slug: str) -> HttpResponse:
    """One version of it, the newest unless another is asked for, and the list of all."""
    return _shown(request, slug, request.GET.get("version"))


def _shown(
    request: HttpRequest, slug: str, number: str | None, refused: Refused | None = None, status: int = 200
) -> HttpResponse:
    _require(request, SEE_VERSIONS)
    version = _version(slug, number)
    if version is None:
        return _not_found(request, slug)
    reader = person(request.user, Channel.ADMIN)
    waiting = approvals.waiting_on(version, reader=reader)
    # What waits is not asked for again.
    commands = _commands(version, refused) if _may(request, PUBLISH) and not waiting else []
    told_if_gone(request, refused, commands)
    definition = playbooks.read(version)
    shown = {
        "version": version,
        "tone": VERSION_TONES[VersionStatus(version.status)],
        "status": status_word(version.status),
        "definition": definition,
        "graph": draw(definition),
        "outline": outline(definition),
        "versions": [
            {"version": one, "tone": VERSION_TONES[VersionStatus(one.status)], "word": status_word(one.status)}
            for one in playbooks.versions_of(slug)
        ],
        "runs": [
            {"run": run, "tone": RUN_TONES[PlaybookRunStatus(run.status)], "word": status_word(run.status)}
            for run in (playbooks.runs_of_playbook(slug) if _may(request, "orders.view_playbookrun") else [])
        ],
        "permissions": list(dict.fromkeys(entry.permission for entry in publishing.entries_of(definition))),
        "waiting": waiting + approvals.waiting_on(version.playbook, reader=reader),
        "is_draft": version.status == VersionStatus.DRAFT,
        "commands": commands,
    }
    return in_frame(request, "orders/playbooks/playbook.html", version.title, shown, status=status)


def _commands(version: PlaybookVersion, refused: Refused | None) -> list[OfferedCommand]:
    offered = {
        VersionStatus.DRAFT: ("publish", "Ask to publish", "publish"),
        VersionStatus.PUBLISHED: ("retire", "Retire", "archive"),
    }
    found = offered.get(VersionStatus(version.status))
    if found is None:
        return []
    name, title, icon = found
    return [
        OfferedCommand(
            key=name,
            title=f"{title}…",
            verb=f"{title}: version {version.number}",
            icon=icon,
            address=reverse(f"orders:playbook-{name}", args=[version.playbook.slug, version.number]),
            form=empty(ReasonForm, name, refused),
            primary=name == "publish",
        )
    ]


@require_POST
@login_required
def give(request: HttpRequest, slug: str, number: int, command: str) -> HttpResponse:
    """Publish or retire a version."""
    _require(request, PUBLISH)
    button = BUTTONS[command]
    if number >= 2**31 or _version(slug, str(number)) is None:
        return _not_found(request, slug)

    def work(reason: str) -> HttpResponse:
        button.service(slug, number, actor=person(request.user, Channel.ADMIN), reason=reason)
        messages.success(request, button.taken.format(number=number, slug=slug))
        return redirect(f"{reverse('orders:playbook', args=[slug])}?version={number}")

    def page(refused: Refused, status: int) -> HttpResponse:
        return _shown(request, slug, str(number), refused, status)

    form = bound(ReasonForm, command, request.POST)
    try:
        return take(request, form, command, work, page)
    except NotPermitted as refusal:
        form.add_error(None, str(refusal))
        return page(Refused(key=command, form=form), 403)


@require_safe
@login_required
def diff(request: HttpRequest, slug: str) -> HttpResponse:
    """What changed from one version to another; without an answer, from the one before the newest to the newest."""
    _require(request, SEE_VERSIONS)
    after = _version(slug, request.GET.get("to"))
    if after is None:
        return _not_found(request, slug)
    before = _version(slug, request.GET.get("from") or str(max(1, after.number - 1)))
    if before is None:
        return _not_found(request, slug)
    old, new = playbooks.read(before), playbooks.read(after)
    names = (f"version {before.number}", f"version {after.number}")
    shown = {
        "slug": slug,
        "before": before,
        "after": after,
        "versions": playbooks.versions_of(slug),
        "changes": difference.changes(old, new),
        "lines": [
            {"text": line, "kind": "added" if line[:1] == "+" else "removed" if line[:1] == "-" else "same"}
            for line in difference.text(old, new, names)
        ],
    }
    return in_frame(request, "orders/playbooks/diff.html", f"{slug}: {names[0]} and {names[1]}", shown)


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def starts(request: HttpRequest, slug: str) -> HttpResponse:
    """Which events, and which time, start the playbook by themselves."""
    _require(request, SET if request.method == "POST" else "orders.view_playbooktrigger")
    playbook = Playbook.objects.filter(slug=slug).first()
    if playbook is None:
        return _not_found(request, slug)
    wanted = request.POST.get("start") if request.method == "POST" else ""
    schedule = playbook.schedules.first()
    standing = {name: getattr(schedule, name) for name in ScheduleForm.base_fields} if schedule else None
    on_event = EventForm(request.POST if wanted == "event" else None, auto_id="event_%s")
    on_schedule = ScheduleForm(request.POST if wanted == "schedule" else None, initial=standing, auto_id="schedule_%s")
    if (wanted == "event" and _set(request, slug, on_event, setting.set_trigger)) or (
        wanted == "schedule" and _set(request, slug, on_schedule, setting.set_schedule)
    ):
        return redirect("orders:playbook-trigger", slug=slug)
    shown: dict[str, Any] = {
        "slug": slug,
        "triggers": [
            {"trigger": one, "title": EVENT_TITLES[EventType(one.event)]}
            for one in playbook.event_triggers.order_by("event")
        ],
        "schedule": schedule,
        "has_published": publishing.newest_published(slug) is not None,
        "waiting": approvals.waiting_on(playbook, reader=person(request.user, Channel.ADMIN)),
        "facts": ORDER_FACTS.items(),
        "forms": (
            ("event", "When something happens to an order", on_event),
            ("schedule", "By the clock", on_schedule),
        ),
    }
    return in_frame(request, "orders/playbooks/starts.html", f"What starts {slug}", shown)


def _set(request: HttpRequest, slug: str, form: forms.Form, service: Callable[..., Any]) -> bool:
    """Whether it was set; else the form says why not."""
    if not form.is_valid():
        return False
    try:
        made = service(slug, **form.cleaned_data, actor=person(request.user, Channel.ADMIN))
    except InvalidInput as refusal:
        form.add_error(refusal.field if refusal.field in form.fields else None, str(refusal))
        return False
    except (NotPermitted, WrongState) as refusal:
        form.add_error(None, str(refusal))
        return False
    if isinstance(made, Approval):
        messages.warning(request, f"{made.says} This waits for a second person.")
    else:
        messages.success(request, f"What starts {slug} was changed.")
    return True


def _version(slug: str, number: str | None) -> PlaybookVersion | None:
    """None for what is no number, or no number of a version."""
    if number is None:
        return playbooks.version(slug, None)
    known = number.isascii() and number.isdecimal() and int(number[:10]) < 2**31
    return playbooks.version(slug, int(number[:10])) if known else None


def _not_found(request: HttpRequest, slug: str) -> HttpResponse:
    shown = {"what": f"such version of a playbook {slug[:40]}"}
    return in_frame(request, "orders/playbooks/not_found.html", "No such playbook", shown, status=404)


def _may(request: HttpRequest, permission: str) -> bool:
    return bool(request.user.has_perm(permission))  # type: ignore[union-attr]


def _require(request: HttpRequest, permission: str) -> None:
    if not _may(request, permission):
        raise PermissionDenied(f"This needs the permission {permission}.")
