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
from django.utils import timezone

from orders import failpoints
from orders.errors import StaleAttempt, StepVoided
from orders.models import Step
from orders.vocabulary import StepName, StepStatus

CLAIM = """
    INSERT INTO orders_step (key, order_id, name, token, status, last_error, claimed_at)
    VALUES (%s, %s, %s, 1, 'open', '', now())
    ON CONFLICT (key) DO UPDATE SET token = orders_step.token + 1, claimed_at = now()
    WHERE orders_step.status = 'open'
    RETURNING token
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

    @property
    def key(self) -> str:
        return step_key(self.order_id, self.name)

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
        return Claim(order_id=str(order_id), name=name, token=row[0], result=None)
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
        step.finished_at = timezone.now()
        step.save(update_fields=["status", "result", "finished_at"])
    failpoints.reach(held.key, held.token, "committed")


@contextmanager
def progress(held: Claim) -> Iterator[None]:
    """A transaction that belongs to the step but does not finish it, under the same guard as `commit`."""
    with transaction.atomic():
        _require(Step.objects.select_for_update().get(pk=held.key), held)
        yield


def void(order_id: UUID | str, name: StepName) -> StepStatus:
    """Write the tombstone; answers what the step is now: DONE (its effect must be undone) or VOID (it never commits).

    Call it as the first statement of the undo's transaction: it waits for a commit that is under way.
    """
    with connection.cursor() as cursor:
        cursor.execute(VOID, [step_key(order_id, name), str(order_id), name])
        return StepStatus(cursor.fetchone()[0])


def note_failure(held: Claim, error: str) -> None:
    """Remember why the newest attempt failed, for the sentence on the order page."""
    Step.objects.filter(pk=held.key, token=held.token).update(last_error=error[:500], last_error_at=timezone.now())


def _require(step: Step, held: Claim) -> None:
    if step.status == StepStatus.VOID:
        raise StepVoided(f"Step {held.name} was undone while attempt {held.token} was under way.")
    if step.status == StepStatus.DONE or step.token != held.token:
        raise StaleAttempt(f"Step {held.name}: attempt {held.token} lost its claim to attempt {step.token}.")
