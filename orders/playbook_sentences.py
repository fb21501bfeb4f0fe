"""How a run of a playbook stands, in words: what, since when, why it waits, who can act.

Pure functions of facts, like `orders.sentences` for orders: a run that "is parked" sends staff to a developer, a run
that says whose answer it waits for does not.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from orders.access import RULES
from orders.amounts import duration
from orders.vocabulary import CommandKind, PlaybookRunStatus, PlaybookStepStatus, VersionStatus
from orders.wording import Tone

RUN_TONES: Mapping[PlaybookRunStatus, Tone] = {
    PlaybookRunStatus.RUNNING: Tone.MOVING,
    PlaybookRunStatus.PAUSING: Tone.WAITING,
    PlaybookRunStatus.PAUSED: Tone.WAITING,
    PlaybookRunStatus.PARKED: Tone.TROUBLE,
    PlaybookRunStatus.UNDOING: Tone.WAITING,
    PlaybookRunStatus.COMPLETED: Tone.DONE,
    PlaybookRunStatus.FAILED: Tone.TROUBLE,
    PlaybookRunStatus.CANCELLED: Tone.NEUTRAL,
}
STEP_TONES: Mapping[PlaybookStepStatus, Tone] = {
    PlaybookStepStatus.RUNNING: Tone.MOVING,
    PlaybookStepStatus.WAITING: Tone.WAITING,
    PlaybookStepStatus.DONE: Tone.DONE,
    PlaybookStepStatus.FAILED: Tone.TROUBLE,
    PlaybookStepStatus.SKIPPED: Tone.NEUTRAL,
    PlaybookStepStatus.GIVEN_UP: Tone.TROUBLE,
    PlaybookStepStatus.UNDOING: Tone.WAITING,
    PlaybookStepStatus.UNDONE: Tone.NEUTRAL,
}
VERSION_TONES: Mapping[VersionStatus, Tone] = {
    VersionStatus.DRAFT: Tone.WAITING,
    VersionStatus.PUBLISHED: Tone.DONE,
    VersionStatus.RETIRED: Tone.NEUTRAL,
}


@dataclass(frozen=True, kw_only=True)
class OpenStep:
    """A step that is under way or waits for somebody."""

    title: str
    type: str
    status: PlaybookStepStatus
    since: datetime
    failures: int = 0
    error: str = ""
    deadline_at: datetime | None = None
    #: of a question
    question: str = ""
    default: str = ""
    #: of a wait
    until: str = ""


@dataclass(frozen=True, kw_only=True)
class Facts:
    now: datetime
    status: PlaybookRunStatus
    since: datetime
    message: str = ""
    steps: tuple[OpenStep, ...] = ()
    #: empty when a worker beats
    engine_trouble: str = ""


@dataclass(frozen=True, kw_only=True)
class Standing:
    tone: Tone
    headline: str
    why: str = ""
    who: str = ""


def standing(facts: Facts) -> Standing:
    """The sentences of a run."""
    tone = RUN_TONES[facts.status]
    since = moment(facts.since, facts.now)
    failed = [step for step in facts.steps if step.status == PlaybookStepStatus.FAILED]
    if facts.status == PlaybookRunStatus.RUNNING:
        return _running(facts)
    if facts.status == PlaybookRunStatus.PARKED:
        names = ", ".join(step.title for step in failed) or "A step"
        why = "; ".join(step.error for step in failed if step.error)
        return Standing(
            tone=tone,
            headline=f"Stopped since {since}: {names} failed, and a person must decide",
            why=why,
            who=f"{holders(CommandKind.PLAYBOOK_RETRY)} can try the step again, leave it out, or cancel the run.",
        )
    if facts.status == PlaybookRunStatus.PAUSING:
        return Standing(
            tone=tone,
            headline=f"Pausing since {since}: the step that is under way ends first",
            who=f"{holders(CommandKind.PLAYBOOK_RESUME)} can let it go on.",
        )
    if facts.status == PlaybookRunStatus.PAUSED:
        return Standing(
            tone=tone,
            headline=f"Paused since {since}: no further step begins",
            who=f"{holders(CommandKind.PLAYBOOK_RESUME)} can let it go on, or cancel it.",
        )
    if facts.status == PlaybookRunStatus.UNDOING:
        who = f"{holders(CommandKind.PLAYBOOK_RETRY)} can try the step again or leave it out." if failed else ""
        headline = f"Undoing since {since}: what was done is taken back in reverse"
        if failed:
            headline = f"Undoing stands still: {', '.join(step.title for step in failed)} could not be taken back"
        why = "; ".join([facts.message, *(step.error for step in failed)]).strip("; ")
        return Standing(tone=Tone.TROUBLE if failed else tone, headline=headline, why=why, who=who)
    words = {"completed": "Completed", "failed": "Failed", "cancelled": "Cancelled"}[facts.status]
    return Standing(tone=tone, headline=f"{words} {duration(facts.now - facts.since)} ago", why=facts.message)


def _running(facts: Facts) -> Standing:
    asked = [step for step in facts.steps if step.question]
    if asked:
        first = asked[0]
        left = (
            f" Without one, {first.default} counts at {moment(first.deadline_at, facts.now)}."
            if first.deadline_at
            else ""
        )
        return Standing(
            tone=Tone.WAITING,
            headline=f"Waits for an answer: {first.question}",
            why=f"{first.title} asks since {moment(first.since, facts.now)}.{left}",
            who=f"{holders(CommandKind.PLAYBOOK_ANSWER)} can answer.",
        )
    if facts.engine_trouble:
        return Standing(
            tone=Tone.WAITING,
            headline="Waiting for the engine, which is not running",
            why=f"{facts.engine_trouble} The run goes on by itself when it is back.",
        )
    failing = [step for step in facts.steps if step.failures and step.status == PlaybookStepStatus.RUNNING]
    if failing:
        step = failing[0]
        return Standing(
            tone=Tone.WAITING,
            headline=f"{step.title}: attempt {step.failures} failed, and it is tried again by itself",
            why=step.error,
            who=f"{holders(CommandKind.PLAYBOOK_PAUSE)} can pause or cancel the run.",
        )
    waiting = [step for step in facts.steps if step.status == PlaybookStepStatus.WAITING]
    if waiting:
        step = waiting[0]
        until = f", or until it holds that {step.until}" if step.until else ""
        left = f" until {moment(step.deadline_at, facts.now)}" if step.deadline_at else ""
        return Standing(
            tone=Tone.WAITING,
            headline=f"{step.title}: waits{left}{until}",
            who=f"{holders(CommandKind.PLAYBOOK_CANCEL)} can pause or cancel the run.",
        )
    under_way = [step for step in facts.steps if step.type == "activity"]
    doing = ", ".join(step.title for step in under_way) or "going on to its next step"
    return Standing(tone=Tone.MOVING, headline=f"Running since {moment(facts.since, facts.now)}: {doing}")


def moment(at: datetime, now: datetime) -> str:
    """When, to the second. Never how long ago: a sentence that counts makes a page that is new at every look."""
    return f"{at:%H:%M:%S}" if at.date() == now.date() else f"{at.day} {at:%b %H:%M:%S}"


def holders(command: str) -> str:
    """Who may give a command: "An agent or a lead"."""
    roles = [str(role) for role in ("viewer", "agent", "lead") if role in RULES[command].roles]
    words = [f"{'an' if role[0] in 'aeiou' else 'a'} {role}" for role in roles] or ["a superuser"]
    said = " or ".join(words)
    return said[0].upper() + said[1:]
