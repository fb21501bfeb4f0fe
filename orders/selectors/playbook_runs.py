"""The read model of a run's page: its sentence, its picture coloured by what happened, its steps, its buttons."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db.models import Max
from django.urls import reverse

from orders import clock, playbook_sentences, sentences
from orders.amounts import duration
from orders.models import PlaybookRun, PlaybookStepRun, PlaybookVersion, ServiceBeat
from orders.playbook_sentences import RUN_TONES, STEP_TONES, Facts, OpenStep, Standing
from orders.playbooks.definition import AskStep, Definition, StepType, WaitStep, walk
from orders.playbooks.graph import Graph, State, draw
from orders.playbooks.outline import Item, outline
from orders.selectors import health
from orders.selectors.offers import May
from orders.selectors.playbooks import read
from orders.vocabulary import ENDED_PLAYBOOK_RUNS, PlaybookRunStatus, PlaybookStepStatus, VersionStatus
from orders.voucher_codes import masked
from orders.wording import Tone, status_word

ROUND = re.compile(r"#\d+")
STEPS_SHOWN = 500
RUN, DRIVE = "orders.run_playbook", "orders.drive_playbook"


@dataclass(frozen=True, kw_only=True)
class Button:
    """One command that the reader may give now; `name` is that of its address ("orders:playbook-<name>")."""

    name: str
    run_id: UUID
    title: str
    icon: str
    primary: bool = False
    #: of an answer
    option: str = ""

    @property
    def address(self) -> str:
        return reverse(f"orders:playbook-{self.name}", args=[self.run_id])


@dataclass(frozen=True, kw_only=True)
class Decision:
    """A step that waits for a person: a failed one, or a question."""

    path: str
    title: str
    says: str
    buttons: list[Button]
    deadline_at: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line of the table of steps."""

    step: PlaybookStepRun
    title: str
    tone: Tone
    word: str
    parameters: str
    result: str
    took: str


@dataclass(frozen=True, kw_only=True)
class RunView:
    run: PlaybookRun
    definition: Definition
    standing: Standing
    status: str
    tone: Tone
    graph: Graph
    outline: list[Item]
    rows: list[Row]
    buttons: list[Button]
    decisions: list[Decision]
    #: the newest published version, when that is another one than the run follows
    newer: int | None
    etag: str

    @property
    def is_over(self) -> bool:
        return self.run.status in ENDED_PLAYBOOK_RUNS


def find(run_id: UUID) -> PlaybookRun | None:
    return PlaybookRun.objects.select_related("version__playbook", "order", "started_by").filter(pk=run_id).first()


def view(run: PlaybookRun, *, may: May) -> RunView:
    now = clock.now()
    definition = read(run.version)
    steps = list(run.steps.order_by("-id")[:STEPS_SHOWN])[::-1]
    named = _named(run, definition, steps)
    states = states_of(steps, now)
    told = playbook_sentences.standing(_facts(run, steps, named, now))
    published = PlaybookVersion.objects.filter(playbook=run.version.playbook, status=VersionStatus.PUBLISHED)
    newest = published.values_list("number", flat=True).first()
    newer = newest if newest is not None and newest > run.version.number else None
    buttons, decisions = _buttons(run, may), _decisions(run, steps, named, may)
    shown = (
        run.status,
        run.message,
        told,
        newer,
        [(one.name, one.option) for one in buttons],
        [(one.path, len(one.buttons)) for one in decisions],
        [(step.path, step.status, step.token, step.failures, step.error) for step in steps],
    )
    status = PlaybookRunStatus(run.status)
    return RunView(
        run=run,
        definition=definition,
        standing=told,
        status=status_word(status),
        tone=RUN_TONES[status],
        graph=draw(definition, states),
        outline=outline(definition, states),
        rows=[_row(step, named, now) for step in steps],
        buttons=buttons,
        decisions=decisions,
        newer=newer,
        etag=hashlib.sha256(repr(shown).encode()).hexdigest()[:32],
    )


def states_of(steps: Iterable[PlaybookStepRun], now: datetime) -> dict[str, State]:
    """What became of each step of the document; of the times round a loop the latest one counts."""
    found: dict[str, State] = {}
    for step in steps:
        if "/" in step.path:
            continue
        took = duration((step.finished_at or now) - step.started_at)
        word = {"waiting": "waits", "done": "", "running": "runs"}.get(step.status, step.status.replace("_", " "))
        answer = step.result.get("holds")
        chosen = "yes, " if answer is True else "no, " if answer is False else ""
        note = f"{chosen}{word} {step.started_at:%H:%M:%S} · {took}".strip()
        found[ROUND.sub("", step.path)] = State(status=step.status, error=step.error, note=note)
    return found


def _named(run: PlaybookRun, definition: Definition, steps: list[PlaybookStepRun]) -> dict[str, StepType]:
    """The step of the definition for each path of the run; those of sub-playbooks are known by their names only."""
    written = {path: step for path, step, _ in walk(definition.steps)}
    return {step.path: written[plain] for step in steps if (plain := ROUND.sub("", step.path)) in written}


def _title(step: PlaybookStepRun, named: dict[str, StepType]) -> str:
    known = named.get(step.path)
    title = (known.title if known else "") or step.step_id
    rounds = ROUND.findall(step.path)
    return f"{title} ({rounds[-1]})" if rounds else title


def _facts(run: PlaybookRun, steps: list[PlaybookStepRun], named: dict[str, StepType], now: datetime) -> Facts:
    found = []
    for step in steps:
        if step.status not in {PlaybookStepStatus.RUNNING, PlaybookStepStatus.WAITING, PlaybookStepStatus.FAILED}:
            continue
        known = named.get(step.path)
        asks = step.type == "ask" and step.status == PlaybookStepStatus.WAITING and not step.result.get("answer")
        found.append(
            OpenStep(
                title=_title(step, named),
                type=step.type,
                status=PlaybookStepStatus(step.status),
                since=step.started_at,
                failures=step.failures,
                error=step.error,
                deadline_at=step.deadline_at,
                question=(known.question if isinstance(known, AskStep) else step.step_id) if asks else "",
                default=known.default if isinstance(known, AskStep) else "the default",
                until=known.until or "" if isinstance(known, WaitStep) else "",
            )
        )
    seen = ServiceBeat.objects.filter(service=health.WORKER).aggregate(newest=Max("at"))["newest"]
    trouble = (
        ""
        if run.status in ENDED_PLAYBOOK_RUNS
        else sentences.engine_trouble(seen, now=now, silent_after=health.SILENT_AFTER)
    )
    return Facts(
        now=now,
        status=PlaybookRunStatus(run.status),
        since=run.ended_at or (run.created_at if run.status == PlaybookRunStatus.RUNNING else run.status_since),
        message=run.message,
        steps=tuple(found),
        engine_trouble=trouble,
    )


def _row(step: PlaybookStepRun, named: dict[str, StepType], now: datetime) -> Row:
    status = PlaybookStepStatus(step.status)
    return Row(
        step=step,
        title=_title(step, named),
        tone=STEP_TONES[status],
        word=status_word(status),
        parameters=_values(masked(step.parameters)),
        result=_values(masked(step.result)),
        took=duration((step.finished_at or now) - step.started_at),
    )


def _values(given: dict[str, object]) -> str:
    texts = {name: value if isinstance(value, str) else json.dumps(value) for name, value in given.items()}
    return ", ".join(f"{name}: {value}" for name, value in texts.items() if value != "")


def _buttons(run: PlaybookRun, may: May) -> list[Button]:
    if not may(DRIVE) or run.status in ENDED_PLAYBOOK_RUNS:
        return []
    found = []
    if run.status in {PlaybookRunStatus.RUNNING, PlaybookRunStatus.PARKED}:
        found.append(Button(name="pause", run_id=run.pk, title="Pause", icon="pause"))
    if run.status in {PlaybookRunStatus.PAUSING, PlaybookRunStatus.PAUSED}:
        found.append(Button(name="resume", run_id=run.pk, title="Resume", icon="play_arrow", primary=True))
    if run.status != PlaybookRunStatus.UNDOING:
        found.append(Button(name="cancel", run_id=run.pk, title="Cancel and undo", icon="undo"))
    return found


def _decisions(run: PlaybookRun, steps: list[PlaybookStepRun], named: dict[str, StepType], may: May) -> list[Decision]:
    if run.status in ENDED_PLAYBOOK_RUNS:
        return []
    found = []
    for step in steps:
        known = named.get(step.path)
        if step.status == PlaybookStepStatus.FAILED and may(DRIVE):
            buttons = [
                Button(name="retry", run_id=run.pk, title="Try again", icon="replay", primary=True),
                Button(name="skip", run_id=run.pk, title="Leave it out", icon="skip_next"),
            ]
            found.append(Decision(path=step.path, title=_title(step, named), says=step.error, buttons=buttons))
        elif (
            step.type == "ask"
            and step.status == PlaybookStepStatus.WAITING
            and not step.result.get("answer")
            and run.status != PlaybookRunStatus.UNDOING
            and may(RUN)
        ):
            asked = known if isinstance(known, AskStep) else _asked_inside(run, step.path)
            if asked is None:
                continue
            found.append(
                Decision(
                    path=step.path,
                    title=_title(step, named),
                    says=asked.question,
                    deadline_at=step.deadline_at,
                    buttons=[
                        Button(name="answer", run_id=run.pk, title=status_word(option), icon="check", option=option)
                        for option in asked.options
                    ],
                )
            )
    return found


def _asked_inside(run: PlaybookRun, path: str) -> AskStep | None:
    """The question of a sub-playbook."""
    definition = read(run.version)
    *outer, last = [ROUND.sub("", part) for part in path.split("/")]
    for part in outer:
        step = {where: one for where, one, _ in walk(definition.steps)}.get(part)
        slug, number = getattr(step, "playbook", ""), getattr(step, "version", 0)
        version = PlaybookVersion.objects.filter(playbook__slug=slug, number=number).first()
        if version is None:
            return None
        definition = read(version)
    step = {where: one for where, one, _ in walk(definition.steps)}.get(last)
    return step if isinstance(step, AskStep) else None
