"""How to try each command on playbooks and their runs at each of its doors; `test_access_matrix` adds them."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from typing import Any

from django.http import HttpResponse

from orders.models import Order, PartnerEndpoint, PlaybookRun, PlaybookStepRun, PlaybookVersion
from orders.services.playbooks import publishing, running
from orders.vocabulary import Channel, PlaybookRunStatus, PlaybookStepStatus
from tests.factories import make_order
from tests.orders import playbooks
from tests.orders.access_attempts import Attempt, Person

ADMIN, API = Channel.ADMIN, Channel.API
WHY = {"reason": "Why"}
#: a public address in the documentation's range would not resolve; this one needs no resolver
PUBLIC = "https://1.1.1.1/hook"
ASK = {"type": "ask", "id": "question", "question": "Go on?", "options": ["yes", "no"], "default": "no"}
_numbers = itertools.count(1)


def _slug() -> str:
    return f"tried_{next(_numbers)}"


def _document() -> dict[str, Any]:
    return playbooks.document(playbooks.note("first", f"number {next(_numbers)}"))


def _draft() -> PlaybookVersion:
    return publishing.save(_slug(), _document(), actor=playbooks.chief())


def _published() -> PlaybookVersion:
    return playbooks.published(playbooks.note("first"), slug=_slug())


def _startable() -> tuple[Order, PlaybookVersion]:
    return make_order(), _published()


def _run() -> PlaybookRun:
    return playbooks.start(make_order(), playbooks.note("first"), slug=_slug())


def _paused() -> PlaybookRun:
    return running.pause(_run().pk, actor=playbooks.chief(), reason="wait")


def _failed() -> PlaybookRun:
    run = _run()
    run.steps.create(path="steps.0", step_id="first", type="activity", status=PlaybookStepStatus.FAILED)
    running.move(run, PlaybookRunStatus.PARKED)
    return run


def _asking() -> PlaybookRun:
    run = playbooks.start(make_order(), ASK, slug=_slug())
    PlaybookStepRun.objects.create(
        run=run, path="steps.0", step_id="question", type="ask", status=PlaybookStepStatus.WAITING
    )
    return run


def _endpoint() -> PartnerEndpoint:
    return PartnerEndpoint.objects.create(name=f"end_{next(_numbers)}", url="https://1.0.0.1/old", made_by="test")


def _of_version(verb: str) -> Callable[[Person, PlaybookVersion], HttpResponse]:
    return lambda person, version: person.post(f"orders:playbook-{verb}", WHY, version.playbook.slug, version.number)


def _of_version_by_api(verb: str) -> Callable[[Person, PlaybookVersion], HttpResponse]:
    return lambda person, version: person.call(
        f"/api/playbooks/{version.playbook.slug}/versions/{version.number}/{verb}/", WHY
    )


def _drive(verb: str, **more: str) -> Callable[[Person, PlaybookRun], HttpResponse]:
    return lambda person, run: person.post(f"orders:playbook-{verb}", {**WHY, **more}, run.pk)


def _drive_by_api(verb: str, **more: str) -> Callable[[Person, PlaybookRun], HttpResponse]:
    return lambda person, run: person.call(f"/api/playbook-runs/{run.pk}/{verb}/", {**WHY, **more})


STEP = {"path": "steps.0"}
DRIVING: tuple[tuple[str, Callable[[], PlaybookRun], dict[str, str]], ...] = (
    ("pause", _run, {}),
    ("resume", _paused, {}),
    ("cancel", _run, {}),
    ("retry", _failed, STEP),
    ("skip", _failed, STEP),
    ("answer", _asking, {**STEP, "option": "yes"}),
)

PLAYBOOK_ATTEMPTS: tuple[Attempt, ...] = (
    Attempt(
        command="edit_playbook",
        channel=ADMIN,
        door="orders:playbook-edit",
        prepare=_draft,
        do=lambda person, version: person.post(
            "orders:playbook-edit", {"document": json.dumps(_document())}, version.playbook.slug
        ),
    ),
    Attempt(
        command="edit_playbook",
        channel=ADMIN,
        door="orders:playbook-new",
        do=lambda person, _: person.post("orders:playbook-new", {"name": _slug(), "document": json.dumps(_document())}),
    ),
    Attempt(
        command="edit_playbook",
        channel=API,
        door="Playbooks.save",
        do=lambda person, _: person.call(f"/api/playbooks/{_slug()}/versions/", {"document": _document()}),
    ),
    Attempt(
        command="edit_playbook",
        channel=API,
        door="Playbooks.simulate",
        prepare=_startable,
        do=lambda person, made: person.call(
            f"/api/playbooks/{made[1].playbook.slug}/simulate/", {"order": made[0].number}
        ),
        reads=True,
    ),
    Attempt(
        command="publish_playbook",
        channel=ADMIN,
        door="orders:playbook-publish",
        prepare=_draft,
        do=_of_version("publish"),
    ),
    Attempt(
        command="publish_playbook",
        channel=ADMIN,
        door="orders:playbook-retire",
        prepare=_published,
        do=_of_version("retire"),
    ),
    Attempt(
        command="publish_playbook",
        channel=API,
        door="Playbooks.publish",
        prepare=_draft,
        do=_of_version_by_api("publish"),
    ),
    Attempt(
        command="publish_playbook",
        channel=API,
        door="Playbooks.retire",
        prepare=_published,
        do=_of_version_by_api("retire"),
    ),
    Attempt(
        command="set_trigger",
        channel=ADMIN,
        door="orders:playbook-trigger",
        prepare=_draft,
        do=lambda person, version: person.post(
            "orders:playbook-trigger",
            {"start": "event", "event": "order.failed", "condition": "true", "enabled": "on"},
            version.playbook.slug,
        ),
    ),
    Attempt(
        command="set_trigger",
        channel=API,
        door="PlaybookStarts.trigger",
        prepare=_draft,
        do=lambda person, version: person.call(
            f"/api/playbooks/{version.playbook.slug}/starts/", {"event": "order.failed"}
        ),
    ),
    Attempt(
        command="set_trigger",
        channel=API,
        door="PlaybookStarts.schedule",
        prepare=_draft,
        do=lambda person, version: person.call(
            f"/api/playbooks/{version.playbook.slug}/starts/schedule/", {"every_hours": 24, "condition": "true"}
        ),
    ),
    Attempt(
        command="add_endpoint",
        channel=ADMIN,
        door="PartnerEndpointAdmin.add",
        do=lambda person, _: person.post(
            "admin:orders_partnerendpoint_add", {"name": _slug(), "url": PUBLIC, "enabled": "on"}
        ),
    ),
    Attempt(
        command="change_endpoint",
        channel=ADMIN,
        door="PartnerEndpointAdmin.change",
        prepare=_endpoint,
        do=lambda person, endpoint: person.post(
            "admin:orders_partnerendpoint_change", {"url": f"{PUBLIC}/{next(_numbers)}", "enabled": "on"}, endpoint.pk
        ),
    ),
    Attempt(
        command="playbook_start",
        channel=ADMIN,
        door="orders:playbook-start",
        prepare=_startable,
        do=lambda person, made: person.post(
            "orders:playbook-start", {"playbook": made[1].playbook.slug, **WHY}, made[0].number
        ),
    ),
    Attempt(
        command="playbook_start",
        channel=API,
        door="PlaybookRuns.start",
        prepare=_startable,
        do=lambda person, made: person.call(
            "/api/playbook-runs/", {"order": made[0].number, "playbook": made[1].playbook.slug, **WHY}
        ),
    ),
    *(
        Attempt(
            command=f"playbook_{verb}",
            channel=ADMIN,
            door=f"orders:playbook-{verb}",
            prepare=prepare,
            do=_drive(verb, **more),
        )
        for verb, prepare, more in DRIVING
    ),
    *(
        Attempt(
            command=f"playbook_{verb}",
            channel=API,
            door=f"PlaybookRuns.{verb}",
            prepare=prepare,
            do=_drive_by_api(verb, **more),
        )
        for verb, prepare, more in DRIVING
    ),
)
