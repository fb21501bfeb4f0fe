"""What this installation uses at Temporal, so that a worker with another configuration can tell."""

from django.db import models
from django.db.models.functions import Now

from orders.models.rules import one_of, word_field
from orders.vocabulary import EngineUseKind


class EngineUse(models.Model):
    """A namespace, or a key that payloads are encrypted with, and since when and until when workers used it."""

    kind = word_field(EngineUseKind)
    name = models.CharField(max_length=255)
    #: of a key: something encrypted with it, by which a worker sees whether its own key of that id is the same
    proof = models.BinaryField(null=True)
    first_used_at = models.DateTimeField(db_default=Now())
    last_used_at = models.DateTimeField(db_default=Now())

    class Meta:
        default_permissions = ()
        constraints = [
            one_of("engineuse", "kind", EngineUseKind),
            models.UniqueConstraint(fields=["kind", "name"], name="engine_use_once"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"
