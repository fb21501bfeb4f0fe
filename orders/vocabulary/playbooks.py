"""Playbooks: what a version may be, how far a run and each of its steps are, and what starts one."""

from enum import StrEnum


class VersionStatus(StrEnum):
    DRAFT = "draft"
    PUBLISHED = "published"  # by two people; new runs follow the newest one
    RETIRED = "retired"  # no new run follows it; running ones go on


class PlaybookRunStatus(StrEnum):
    RUNNING = "running"
    PAUSING = "pausing"  # a person paused it; a step is still under way
    PAUSED = "paused"
    PARKED = "parked"  # a step failed, and a person must retry it, skip it or cancel
    UNDOING = "undoing"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


ENDED_PLAYBOOK_RUNS = frozenset({PlaybookRunStatus.COMPLETED, PlaybookRunStatus.FAILED, PlaybookRunStatus.CANCELLED})


class PlaybookStepStatus(StrEnum):
    RUNNING = "running"
    WAITING = "waiting"  # for a time, a condition or an answer
    DONE = "done"
    FAILED = "failed"  # parked; a person must act
    SKIPPED = "skipped"
    GIVEN_UP = "given_up"  # failed, and the run went on or ended
    UNDOING = "undoing"
    UNDONE = "undone"


class PlaybookEnding(StrEnum):
    """Why a run ends."""

    COMPLETED = "completed"
    STOPPED = "stopped"  # a step failed; what was done stays
    UNDO = "undo"  # a step failed; what was done is undone
    CANCELLED = "cancelled"  # a person cancelled it; what was done is undone


class AutomationKind(StrEnum):
    """What was changed of what runs by itself."""

    TRIGGER = "trigger"
    SCHEDULE = "schedule"
    ENDPOINT = "endpoint"


class RunTrigger(StrEnum):
    """What started a run."""

    HAND = "hand"
    BATCH = "batch"
    EVENT = "event"
    SCHEDULE = "schedule"
