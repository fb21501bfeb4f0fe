"""The fence of every effect.

An attempt that stalls past its timeout wakes up later and commits on top of its successor, or after the order was
undone: measured, it doubles a charge or keeps the money of a cancelled order. A step row makes that impossible: claim
mints a token, commit checks it in the transaction of the write, an undo writes `void` first.
"""

from django.db import models
from django.db.models.functions import Now

from orders.models.order import Order
from orders.models.rules import one_of, one_of_or_empty, word_field
from orders.vocabulary import FailureType, StepName, StepStatus


class Step(models.Model):
    """Key is `<order id>:<step>`: business identity, never a run id, activity id or attempt number."""

    key = models.CharField(max_length=128, primary_key=True)
    order = models.ForeignKey(Order, on_delete=models.PROTECT, related_name="steps")
    name = word_field(StepName)
    #: how often the step was claimed; only the newest claim may commit
    token = models.PositiveIntegerField(default=1)
    status = word_field(StepStatus, default=StepStatus.OPEN)
    #: part of the idempotency keys that partners see; raised under the fence when a look-up proved that nothing was
    #: done and the partner keeps a failure under the key
    key_generation = models.PositiveIntegerField(default=1, db_default=1)
    #: the final no with which the step ended, if it did: what an undo of the order must rest on
    refusal = word_field(FailureType, blank=True, default="", db_default="")
    #: what the effect returned, given again to every later attempt
    result = models.JSONField(null=True, blank=True)
    last_error = models.CharField(max_length=500, blank=True)
    last_error_at = models.DateTimeField(null=True, blank=True)
    claimed_at = models.DateTimeField()
    #: of the first claim: how long its outcome has been open
    begun_at = models.DateTimeField(db_default=Now())
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            one_of("step", "status", StepStatus),
            one_of("step", "name", StepName),
            one_of_or_empty("step", "refusal", FailureType),
        ]
        # What waits for a partner is counted at each refused call; open steps are few, closed ones are all of the past.
        indexes = [models.Index(fields=["name"], condition=models.Q(status=StepStatus.OPEN), name="step_open")]

    def __str__(self) -> str:
        return f"{self.key} {self.status}"
