"""What a process cannot settle by itself: a task for a person, with a level, an owner and an end.

A failure that ends as a log line is money that nobody pays back. A task stays open until somebody says what they did.
"""

import uuid
from typing import Self

from django.conf import settings
from django.db import models
from django.db.models import Q

from orders import clock
from orders.models.batch import Batch
from orders.models.incident import Incident
from orders.models.order import Order
from orders.models.rules import check, never_deleted, one_of, word_field
from orders.vocabulary import TaskKind, TaskLevel, TaskStatus


class StaffTask(models.Model):
    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    kind = word_field(TaskKind)
    #: what it is about: an order, a batch, or neither
    order = models.ForeignKey(Order, on_delete=models.PROTECT, null=True, blank=True, related_name="tasks")
    batch = models.ForeignKey(Batch, on_delete=models.PROTECT, null=True, blank=True, related_name="tasks")
    #: where it is about neither: the id of the process at Temporal, or a word for the trouble
    subject = models.CharField(max_length=160, blank=True, default="", db_default="")
    #: what else was opened for the same cause
    incident = models.ForeignKey(Incident, on_delete=models.PROTECT, null=True, blank=True, related_name="tasks")
    level = word_field(TaskLevel)
    #: what has to be done and why, for whoever opens the queue
    says = models.CharField(max_length=500)
    status = word_field(TaskStatus, default=TaskStatus.OPEN)
    #: who has it, or should take it: whoever asked for the batch; whoever resolves it, when nobody had
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    opened_by = models.CharField(max_length=150)
    created_at = models.DateTimeField(default=clock.now)
    acknowledged_at = models.DateTimeField(null=True, blank=True)
    done_at = models.DateTimeField(null=True, blank=True)
    #: a person, or the process that found that nothing is left to do
    done_by = models.CharField(max_length=150, blank=True)
    resolution = models.CharField(max_length=500, blank=True)
    #: where it can be looked up: the bank's reference, a ticket
    reference = models.CharField(max_length=128, blank=True)

    class Meta:
        ordering = ["created_at", "id"]
        default_permissions = ("view",)
        permissions = [
            ("work_task", "May take and resolve tasks"),
            ("work_lead_task", "May take and resolve tasks of the lead's level"),
        ]
        triggers = never_deleted()
        constraints = [
            one_of("task", "kind", TaskKind),
            one_of("task", "level", TaskLevel),
            one_of("task", "status", TaskStatus),
            models.UniqueConstraint(
                fields=["order", "kind"], condition=~Q(status=TaskStatus.DONE), name="task_one_open"
            ),
            models.UniqueConstraint(
                fields=["batch", "kind"], condition=~Q(status=TaskStatus.DONE), name="task_one_open_of_batch"
            ),
            models.UniqueConstraint(
                fields=["subject", "kind"],
                condition=~Q(status=TaskStatus.DONE) & ~Q(subject=""),
                name="task_one_open_of_subject",
            ),
            check(
                "task_about_one_of_three",
                Q(batch=None, subject="", order__isnull=False)
                | Q(order=None, subject="", batch__isnull=False)
                | Q(order=None, batch=None) & ~Q(subject=""),
            ),
            check(
                "task_acknowledged_has_owner",
                ~Q(status=TaskStatus.ACKNOWLEDGED) | Q(owner__isnull=False, acknowledged_at__isnull=False),
            ),
            check(
                "task_done_says_what",
                Q(status=TaskStatus.DONE, done_at__isnull=False) & ~Q(resolution="") & ~Q(done_by="")
                | ~Q(status=TaskStatus.DONE) & Q(done_at=None, done_by="", resolution="", reference=""),
            ),
        ]

    @classmethod
    def of_parked_steps(cls) -> models.QuerySet[Self]:
        """The open tasks of steps and refunds whose request a partner refuses."""
        return cls.objects.filter(kind=TaskKind.REQUEST_REFUSED).exclude(status=TaskStatus.DONE).order_by()

    @classmethod
    def shown(cls) -> models.QuerySet[Self]:
        """All but the open ones that staff see as one incident, which has a task of its own."""
        return cls.objects.exclude(~Q(status=TaskStatus.DONE), incident__told_at__isnull=False)

    def __str__(self) -> str:
        return f"{self.kind} {self.order.number if self.order else self.batch or self.subject}"
