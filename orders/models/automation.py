"""Every change of what starts playbooks by themselves and of the addresses that they call.

The row of a trigger, a schedule or an endpoint says only what counts now; these rows say who made it so, and with whom.
"""

from django.conf import settings
from django.db import models

from orders import clock
from orders.models.approval import Approval
from orders.models.rules import append_only, one_of, word_field
from orders.models.typed_words import TypedDocument, TypedRows
from orders.vocabulary import AutomationKind


class AutomationChange(models.Model):
    kind = word_field(AutomationKind)
    #: "late_delivery on order.shipped", "late_delivery" for its schedule, or the name of an endpoint
    subject = models.CharField(max_length=100)
    #: the values before and after; before is empty for a new one
    before = TypedDocument(default=dict)
    after = TypedDocument()
    #: none for what stood when changes began to be kept, if its maker has no account of that name
    changed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    actor = models.CharField(max_length=150)
    #: the two people, where it took two
    approval = models.ForeignKey(Approval, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    at = models.DateTimeField(default=clock.now, editable=False)

    objects = TypedRows.as_manager()

    class Meta:
        ordering = ["-id"]
        default_permissions = ("view",)
        triggers = append_only()
        indexes = [models.Index(fields=["kind", "subject", "-id"], name="automation_of_subject")]
        constraints = [one_of("automation", "kind", AutomationKind)]

    def __str__(self) -> str:
        return f"{self.kind} {self.subject}"
