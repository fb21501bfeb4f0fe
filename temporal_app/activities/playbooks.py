"""The activities of a playbook's run: thin shells around `orders.services.playbooks.following`."""

from temporalio import activity

from orders.playbooks.definition import OnFailure
from orders.services.playbooks import following, rows, taking_back, triggering
from orders.vocabulary import PlaybookRunStatus, PlaybookStepStatus
from temporal_app.activities.context import engine_actor
from temporal_app.errors import translated_errors
from temporal_app.playbook_payloads import (
    EndPlaybook,
    OrderEventHappened,
    PlaybookInput,
    PlaybookPlan,
    PlaybookStep,
    PlaybookStepStanding,
)

ACTOR = "playbook"


@activity.defn(no_thread_cancel_exception=True)
def load_playbook(run: PlaybookInput) -> PlaybookPlan:
    with translated_errors():
        plan = following.load(run.run_id)
        return PlaybookPlan(
            definition=plan.definition, subs=plan.subs, done=plan.done, rounds=plan.rounds, undoing=plan.undoing
        )


@activity.defn(no_thread_cancel_exception=True)
def run_playbook_step(step: PlaybookStep) -> None:
    with translated_errors(final=rows.FINAL):
        following.execute(step.run_id, step.path, actor=engine_actor(ACTOR))


@activity.defn(no_thread_cancel_exception=True)
def decide_playbook_step(step: PlaybookStep) -> bool:
    with translated_errors():
        return following.decide(step.run_id, step.path, actor=engine_actor(ACTOR))


@activity.defn(no_thread_cancel_exception=True)
def next_playbook_round(step: PlaybookStep) -> bool:
    with translated_errors():
        return following.next_round(step.run_id, step.path, step.number, actor=engine_actor(ACTOR))


@activity.defn(no_thread_cancel_exception=True)
def settle_playbook_step(step: PlaybookStep) -> PlaybookStepStanding:
    with translated_errors():
        standing = following.settle(step.run_id, step.path, actor=engine_actor(ACTOR))
        return PlaybookStepStanding(closed=standing.closed, wait_seconds=standing.wait_seconds)


@activity.defn(no_thread_cancel_exception=True)
def finish_playbook_step(step: PlaybookStep) -> None:
    with translated_errors():
        following.finish(step.run_id, step.path, actor=engine_actor(ACTOR))


@activity.defn(no_thread_cancel_exception=True)
def fail_playbook_step(step: PlaybookStep) -> OnFailure:
    """What follows from the failure."""
    with translated_errors():
        return following.fail(step.run_id, step.path, step.message, actor=engine_actor(ACTOR))


@activity.defn(no_thread_cancel_exception=True)
def decision_on_playbook_step(step: PlaybookStep) -> PlaybookStepStatus:
    with translated_errors():
        return following.decision(step.run_id, step.path)


@activity.defn(no_thread_cancel_exception=True)
def playbook_stands_still(run: PlaybookInput) -> bool:
    with translated_errors():
        return following.stands_still(run.run_id)


@activity.defn(no_thread_cancel_exception=True)
def begin_playbook_undo(step: PlaybookStep) -> None:
    with translated_errors(undoing=True):
        taking_back.begin_undo(step.run_id, message=step.message, actor=engine_actor(ACTOR))


@activity.defn(no_thread_cancel_exception=True)
def next_playbook_undo(run: PlaybookInput) -> str | None:
    """The path of the step to take back next; None when nothing is left."""
    with translated_errors(undoing=True):
        return taking_back.next_undo(run.run_id)


@activity.defn(no_thread_cancel_exception=True)
def undo_playbook_step(step: PlaybookStep) -> None:
    with translated_errors(final=rows.FINAL):
        taking_back.undo(step.run_id, step.path, actor=engine_actor(ACTOR))


@activity.defn(no_thread_cancel_exception=True)
def fail_playbook_undo(step: PlaybookStep) -> None:
    with translated_errors(undoing=True):
        taking_back.fail_undo(step.run_id, step.path, step.message, actor=engine_actor(ACTOR))


@activity.defn(no_thread_cancel_exception=True)
def end_playbook(ending: EndPlaybook) -> PlaybookRunStatus:
    with translated_errors(undoing=True):
        return following.end(ending.run_id, ending.ending, message=ending.message, actor=engine_actor(ACTOR))


@activity.defn(no_thread_cancel_exception=True)
def fire_playbook_triggers(happened: OrderEventHappened) -> int:
    """How many runs the event started."""
    with translated_errors():
        return triggering.fire(happened.event_id)


@activity.defn(no_thread_cancel_exception=True)
def start_due_playbooks() -> int:
    """How many runs were started by what was due."""
    with translated_errors():
        return triggering.start_due()
