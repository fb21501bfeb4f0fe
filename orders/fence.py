"""Fences: the rule that makes a step happen once although its code runs many times.

Temporal retries an activity whose worker died or stalled, and the stalled attempt may wake up later. Without a fence it
then doubles the effect, or commits after the order was undone. The protocol (measured in research; SQL semantics of
Seata's TCC fence):

    claim    own short transaction; mints the next token, or answers "done" with the saved result, or "void"
    commit   inside the transaction of the business write: locks the row, requires `open` and my token
    void     first statement of an undo: an open step becomes void and can never commit any more
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db import connection, transaction

from orders import clock, failpoints
from orders.errors import StaleAttempt, StepVoided
from orders.models import Step
from orders.vocabulary import FailureType, StepName, StepStatus

CLAIM = """
    INSERT INTO orders_step (key, order_id, name, token, status, last_error, claimed_at)
    VALUES (%s, %s, %s, 1, 'open', '', now())
    ON CONFLICT (key) DO UPDATE SET token = orders_step.token + 1, claimed_at = now()
    WHERE orders_step.status = 'open'
    RETURNING token, key_generation
"""
VOID = """
    INSERT INTO orders_step (key, order_id, name, token, status, last_error, claimed_at, finished_at)
    VALUES (%s, %s, %s, 1, 'void', '', now(), now())
    ON CONFLICT (key) DO UPDATE SET
        status = CASE WHEN orders_step.status = 'open' THEN 'void' ELSE orders_step.status END,
        finished_at = coalesce(orders_step.finished_at, now())
    RETURNING status
"""


def step_key(order_id: UUID | str, name: StepName) -> str:
    """The business key of a step; also the idempotency key that partners see."""
    return f"{order_id}:{name}"


@dataclass(frozen=True, kw_only=True)
class Claim:
    """One attempt's right to commit a step."""

    order_id: str
    name: StepName
    token: int
    #: the saved result when the step was already done; then there is nothing left to do
    result: dict[str, Any] | None
    #: part of the names of our calls; see `raise_generation`
    key_generation: int = 1

    @property
    def key(self) -> str:
        return step_key(self.order_id, self.name)

    def call_key(self, *what: object) -> str:
        """The idempotency key of one call of the step at a partner."""
        generation = f":k{self.key_generation}" if self.key_generation > 1 else ""
        return ":".join([self.key, *(str(part) for part in what)]) + generation

    @property
    def is_done(self) -> bool:
        return self.result is not None

    @property
    def is_first(self) -> bool:
        """No earlier attempt can have reached the partner."""
        return self.token == 1


def claim(order_id: UUID | str, name: StepName) -> Claim:
    """Claim the step for this attempt. Raises `StepVoided` when an undo came first."""
    key = step_key(order_id, name)
    with connection.cursor() as cursor:
        cursor.execute(CLAIM, [key, str(order_id), name])
        row = cursor.fetchone()
    if row:
        failpoints.reach(key, row[0], "claim")
        return Claim(order_id=str(order_id), name=name, token=row[0], result=None, key_generation=row[1])
    step = Step.objects.get(pk=key)
    if step.status == StepStatus.VOID:
        raise StepVoided(f"Step {name} was undone; it may not run any more.")
    return Claim(order_id=str(order_id), name=name, token=step.token, result=step.result or {})


def check(held: Claim) -> None:
    """Raise unless the claim still stands; call it right before a partner is asked to do something."""
    step = Step.objects.get(pk=held.key)
    _require(step, held)


@contextmanager
def commit(held: Claim, result: dict[str, Any]) -> Iterator[None]:
    """The transaction in which the step's business write happens; marks it done with `result`.

    Raises `StaleAttempt` when a later attempt claimed or finished the step, `StepVoided` when an undo came first.
    """
    failpoints.reach(held.key, held.token, "commit")
    with transaction.atomic():
        step = Step.objects.select_for_update().get(pk=held.key)
        _require(step, held)
        yield
        step.status = StepStatus.DONE
        step.result = result
        step.finished_at = clock.now()
        step.save(update_fields=["status", "result", "finished_at"])
    failpoints.reach(held.key, held.token, "committed")


@contextmanager
def progress(held: Claim) -> Iterator[None]:
    """A transaction that belongs to the step but does not finish it, under the same guard as `commit`."""
    with transaction.atomic():
        _require(Step.objects.select_for_update().get(pk=held.key), held)
        yield


def raise_generation(held: Claim) -> None:
    """Name the step's next calls anew: the partner answered with an error of its own, and may keep that for our key.

    The next attempt must look up what was done before it calls again; the new name does not protect from doing it
    twice. After a lost answer the name stays: the call may still be under way, and the partner holds it up by its key.
    """
    with progress(held):
        Step.objects.filter(pk=held.key).update(key_generation=held.key_generation + 1)


def note_refusal(order_id: UUID | str, names: tuple[StepName, ...], failure: FailureType) -> None:
    """Remember that the open one of these steps ended with a final no."""
    Step.objects.filter(order_id=order_id, name__in=names, status=StepStatus.OPEN).update(refusal=failure)


def void(order_id: UUID | str, name: StepName) -> StepStatus:
    """Write the tombstone; answers what the step is now: DONE (its effect must be undone) or VOID (it never commits).

    Call it as the first statement of the undo's transaction: it waits for a commit that is under way.
    """
    with connection.cursor() as cursor:
        cursor.execute(VOID, [step_key(order_id, name), str(order_id), name])
        return StepStatus(cursor.fetchone()[0])


def note_failure(held: Claim, error: str) -> None:
    """Remember why the newest attempt failed, for the sentence on the order page."""
    Step.objects.filter(pk=held.key, token=held.token).update(last_error=error[:500], last_error_at=clock.now())


def _require(step: Step, held: Claim) -> None:
    if step.status == StepStatus.VOID:
        raise StepVoided(f"Step {held.name} was undone while attempt {held.token} was under way.")
    if step.status == StepStatus.DONE or step.token != held.token:
        raise StaleAttempt(f"Step {held.name}: attempt {held.token} lost its claim to attempt {step.token}.")
