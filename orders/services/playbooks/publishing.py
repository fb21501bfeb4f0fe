"""Writing playbooks: every save is a new version that never changes, and two people publish one.

A version is judged when it is saved, with every rule; what is published is therefore what was judged.
"""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any

from django.db import transaction
from django.db.models import Max

from orders import clock
from orders.actor import Actor
from orders.errors import InvalidInput, NotPermitted, WrongState
from orders.models import Approval, Playbook, PlaybookVersion
from orders.playbooks import validation
from orders.playbooks.catalogue import CATALOGUE, Entry
from orders.playbooks.definition import ActivityStep, Definition, SubPlaybookStep, walk
from orders.services import approvals
from orders.services.playbooks import genuine
from orders.vocabulary import VersionStatus

COMMAND = "publish_playbook"
#: bytes of a version with all that it runs: what travels to Temporal when a run begins
MAX_BYTES_WITH_ALL = 200_000


def save(slug: str, document: Any, *, actor: Actor) -> PlaybookVersion:
    """Store the document as the playbook's next version, a draft.

    Raises `NotPermitted`, `InvalidInput` for the name, or `InvalidPlaybook` with the path of every problem. A document
    that says what the newest version says makes no new one.
    """
    actor.require("orders.edit_playbook")
    _require_slug(slug)
    definition = validation.parse(document, known=known_to(document))
    _require_small_with_all(definition)
    stored = definition.model_dump(mode="json")
    user = actor.user if actor.user is not None and actor.user.pk else None
    with transaction.atomic():
        Playbook.objects.get_or_create(slug=slug, defaults={"created_by": actor.name})
        playbook = Playbook.objects.select_for_update().get(slug=slug)
        newest = playbook.versions.first()
        if newest is not None and newest.hash == genuine.hash_of(stored):
            return newest
        last = playbook.versions.aggregate(n=Max("number"))["n"] or 0
        version = PlaybookVersion(
            playbook=playbook,
            number=last + 1,
            document=stored,
            hash=genuine.hash_of(stored),
            title=definition.title,
            created_by=user,  # type: ignore[misc]
        )
        version.keyed_digest = genuine.sign(version)
        version.save(force_insert=True)
        return version


def publish(slug: str, number: int, *, actor: Actor, reason: str) -> Approval:
    """Ask for the publication of a draft; a second person decides it.

    Raises `NotPermitted` (also for whatever the playbook does and the actor may not do), `PlaybookVersion.DoesNotExist`
    or `WrongState`.
    """
    actor.require("orders.publish_playbook")
    version = PlaybookVersion.objects.select_related("playbook").get(playbook__slug=slug, number=number)
    _require_draft(version)
    for entry in entries_of(definition_of(version)):
        actor.require(entry.permission)
    starts = starts_of(version.playbook)
    return approvals.ask(
        COMMAND,
        subject=f"{slug} v{number}",
        says=f"Publish version {number} of the playbook {slug} ({version.title}).{_said(starts)}",
        parameters={"slug": slug, "number": number, "hash": version.hash, "starts": starts},
        reason=reason,
        actor=actor,
    )


def carry_out(parameters: dict[str, Any], *, actor: Actor) -> None:
    """The work of an approved publication. Raises `WrongState` when it was published or retired meanwhile."""
    version = lock_version(parameters["slug"], parameters["number"])
    _require_draft(version)
    # What starts it may have been set by one person, while no version gave money: the second must have seen it.
    if "starts" in parameters and parameters["starts"] != starts_of(version.playbook):
        raise WrongState(f"What starts {version.playbook.slug} was changed since; ask again.")
    for entry in entries_of(definition_of(version)):
        actor.require(entry.permission)
    version.status, version.published_at = VersionStatus.PUBLISHED, clock.now()
    version.published_by_id = actor.user.pk if actor.user is not None else None
    version.keyed_digest = genuine.sign(version)
    version.save(update_fields=["status", "published_at", "published_by", "keyed_digest"])


def lock_version(slug: str, number: int) -> PlaybookVersion:
    """The version's row, locked after its playbook's; runs of it may begin meanwhile.

    Raises `PlaybookVersion.DoesNotExist`.
    """
    Playbook.objects.select_for_update(no_key=True).filter(slug=slug).first()
    versions = PlaybookVersion.objects.select_related("playbook").select_for_update(of=("self",), no_key=True)
    return versions.get(playbook__slug=slug, number=number)


def lock_playbook(slug: str) -> Playbook:
    """The playbook's row, locked; versions of it may be written meanwhile. Raises `Playbook.DoesNotExist`."""
    return Playbook.objects.select_for_update(no_key=True).get(slug=slug)


def stand_for(version: PlaybookVersion, *, actor: Actor) -> None:
    """Take on a version that came with the product and that nobody has published: what starts by itself acts for them.

    Its authors are one pair of eyes, and who lets it start is the other, with the permissions that a publication
    needs. A version of staff's own has its two people already. Raises `NotPermitted`.
    """
    if version.published_by_id is not None or version.status != VersionStatus.PUBLISHED:
        return
    actor.require("orders.publish_playbook")
    if actor.user is None or actor.user.pk is None:
        raise NotPermitted("A playbook acts for a person: sign in.", permission="orders.publish_playbook")
    for entry in entries_of(definition_of(version)):
        actor.require(entry.permission)
    version.published_by_id = actor.user.pk
    version.keyed_digest = genuine.sign(version)
    PlaybookVersion.objects.filter(pk=version.pk, published_by=None, status=version.status).update(
        published_by_id=actor.user.pk, keyed_digest=version.keyed_digest
    )


def starts_of(playbook: Playbook) -> list[str]:
    """What starts its newest published version by itself, in words."""
    triggers = playbook.event_triggers.filter(enabled=True).order_by("event")
    schedules = playbook.schedules.filter(enabled=True)
    return [
        *(f"at {one.event} if {one.condition}" for one in triggers),
        *(f"every {one.every_hours} h if {one.condition}" for one in schedules),
    ]


def retire(slug: str, number: int, *, actor: Actor, reason: str) -> PlaybookVersion:
    """No new run follows it any more; runs under way go on. Raises `NotPermitted`, `DoesNotExist` or `WrongState`."""
    actor.require("orders.publish_playbook")
    if not reason.strip():
        raise InvalidInput("reason", "Say why; whoever misses the playbook will ask.")
    with transaction.atomic():
        version = lock_version(slug, number)
        if version.status != VersionStatus.PUBLISHED:
            raise WrongState(f"Version {number} of {slug} is {version.status}; only a published one is retired.")
        version.status = VersionStatus.RETIRED
        version.keyed_digest = genuine.sign(version)
        version.save(update_fields=["status", "keyed_digest"])
    return version


def definition_of(version: PlaybookVersion) -> Definition:
    """What a stored version says. It was judged when it was saved; raises `WrongState` if it has changed since."""
    genuine.require_genuine(version)
    return _definition(version.hash, json.dumps(version.document))


@lru_cache(maxsize=200)
def _definition(digest: str, document: str) -> Definition:
    return Definition.model_validate_json(document)


def newest_published(slug: str) -> PlaybookVersion | None:
    return (
        PlaybookVersion.objects.select_related("playbook")
        .filter(playbook__slug=slug, status=VersionStatus.PUBLISHED)
        .first()
    )


def known_to(document: Any) -> dict[tuple[str, int], Definition]:
    """The published versions that a document names, and those that they name in turn."""
    found: dict[tuple[str, int], Definition] = {}
    todo = list(_named(document))
    while todo:
        slug, number = todo.pop()
        if (slug, number) in found:
            continue
        version = PlaybookVersion.objects.filter(
            playbook__slug=slug, number=number, status__in=[VersionStatus.PUBLISHED, VersionStatus.RETIRED]
        ).first()
        if version is None:
            continue
        definition = found[slug, number] = definition_of(version)
        todo.extend(subs_of(definition))
    return found


def subs_of(definition: Definition) -> list[tuple[str, int]]:
    """The versions that a definition names itself."""
    return [(step.playbook, step.version) for _, step, _ in walk(definition.steps) if isinstance(step, SubPlaybookStep)]


def entries_of(definition: Definition) -> list[Entry]:
    """All that it does, sub-playbooks and undo included: whoever runs it needs the permission of each."""
    calls = []
    for one in [definition, *known_to(definition.model_dump(mode="json")).values()]:
        for _, step, _ in walk(one.steps):
            if isinstance(step, ActivityStep):
                calls += [step.activity, *([step.undo.activity] if step.undo else [])]
    return [CATALOGUE[name] for name in dict.fromkeys(calls)]


def _named(document: Any) -> list[tuple[str, int]]:
    """(playbook, version) of everything in an unjudged document that looks like a sub-playbook step."""
    found = []
    todo, looked_at = [document], 0
    while todo and looked_at < 10_000:
        looked_at += 1
        value = todo.pop()
        if isinstance(value, dict):
            slug, number = value.get("playbook"), value.get("version")
            if isinstance(slug, str) and isinstance(number, int) and "\x00" not in slug and 0 < number < 2**31:
                found.append((slug, number))
            todo.extend(value.values())
        elif isinstance(value, list | tuple):
            todo.extend(value)
    return found[:200]


def _require_small_with_all(definition: Definition) -> None:
    everything = [definition, *known_to(definition.model_dump(mode="json")).values()]
    size = sum(len(one.model_dump_json().encode()) for one in everything)
    if size > MAX_BYTES_WITH_ALL:
        problem = f"With its sub-playbooks it has {size} bytes; at most {MAX_BYTES_WITH_ALL} are allowed."
        raise validation.InvalidPlaybook([validation.Problem(path="", message=problem)])


def _require_slug(slug: str) -> None:
    allowed = slug.replace("_", "").isascii() and slug.replace("_", "").isalnum() and slug[:1].isalpha()
    if not allowed or slug != slug.lower() or len(slug) > 40:
        raise InvalidInput("slug", "A name of at most 40 letters a-z, digits and _ is needed, a letter first.")


def _said(starts: list[str]) -> str:
    return f" It starts by itself {'; '.join(starts)}." if starts else ""


def _require_draft(version: PlaybookVersion) -> None:
    if version.status != VersionStatus.DRAFT:
        raise WrongState(f"Version {version.number} of {version.playbook.slug} is {version.status} already.")
