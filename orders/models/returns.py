"""Returns: what was announced, what the warehouse counted, what goes back into the stock and what is due for it.

A line changes once, from announced to counted. Without that rule in the database a second click at the goods-in desk
puts the same pieces on the shelf twice.
"""

import uuid

import pgtrigger
from django.db import models
from django.db.models import F, Q

from orders import clock
from orders.models.order import Order, OrderLine
from orders.models.rules import check, never_deleted, one_of, word_field
from orders.vocabulary import COUNTED_RETURNS, OPEN_RETURNS, Channel, ReturnStatus, UnsellableReason


class ReturnCase(models.Model):
    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    order = models.ForeignKey(Order, on_delete=models.PROTECT, related_name="returns")
    status = word_field(ReturnStatus, default=ReturnStatus.ANNOUNCED)
    reason = models.CharField(max_length=500)
    #: who announced it, and through which door
    actor = models.CharField(max_length=150)
    channel = word_field(Channel)
    created_at = models.DateTimeField(default=clock.now)
    received_by = models.CharField(max_length=150, blank=True)
    received_at = models.DateTimeField(null=True, blank=True)
    ended_by = models.CharField(max_length=150, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)
    #: why it was withdrawn or closed without a refund
    note = models.CharField(max_length=500, blank=True)

    class Meta:
        ordering = ["-created_at", "-id"]
        default_permissions = ("view",)
        permissions = [
            ("announce_return", "May announce and withdraw returns"),
            ("receive_return", "May say what came back of a return"),
        ]
        triggers = never_deleted()
        constraints = [
            one_of("return", "status", ReturnStatus),
            one_of("return", "channel", Channel),
            check(
                "return_counted_says_by_whom",
                Q(status__in=sorted(COUNTED_RETURNS), received_at__isnull=False) & ~Q(received_by="")
                | ~Q(status__in=sorted(COUNTED_RETURNS)) & Q(received_at=None, received_by=""),
            ),
            check(
                "return_ended_says_by_whom",
                Q(status__in=sorted(OPEN_RETURNS), ended_at=None, ended_by="")
                | ~Q(status__in=sorted(OPEN_RETURNS)) & Q(ended_at__isnull=False) & ~Q(ended_by=""),
            ),
            # Two people, one return: the second is told who was first.
            models.UniqueConstraint(
                fields=["order"], condition=Q(status__in=sorted(OPEN_RETURNS)), name="return_one_open"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.order.number} {self.status}"

    def due_minor(self) -> int:
        """What the pieces that came were paid for."""
        return sum(line.refund_minor for line in self.lines.all())

    def payable_minor(self, left_minor: int) -> int:
        """What is given back for them, out of what is left of the payment."""
        return min(self.due_minor(), left_minor)


class ReturnLine(models.Model):
    """Pieces of one line of the order."""

    case = models.ForeignKey(ReturnCase, on_delete=models.PROTECT, related_name="lines")
    order_line = models.ForeignKey(OrderLine, on_delete=models.PROTECT, related_name="return_lines")
    announced = models.BigIntegerField()
    received = models.BigIntegerField(default=0)
    #: the part of `received` that went back into the stock
    restocked = models.BigIntegerField(default=0)
    unsellable_reason = word_field(UnsellableReason, blank=True, default="")
    #: the share of the line's total that the received pieces were paid for
    refund_minor = models.BigIntegerField(default=0)

    class Meta:
        ordering = ["case", "order_line__position"]
        default_permissions = ()
        triggers = [
            pgtrigger.ReadOnly(name="announced_once", fields=["case", "order_line", "announced"]),
            # Whatever comes a second time, a click or a retry: it cannot restock again.
            pgtrigger.Protect(
                name="received_once", operation=pgtrigger.Update, condition=pgtrigger.Q(old__received__gt=0)
            ),
            *never_deleted(),
        ]
        constraints = [
            models.UniqueConstraint(fields=["case", "order_line"], name="return_line_once"),
            check("return_announced_positive", Q(announced__gt=0)),
            check("return_received_within_announced", Q(received__gte=0, received__lte=F("announced"))),
            check("return_restocked_within_received", Q(restocked__gte=0, restocked__lte=F("received"))),
            check("return_refund_for_received", Q(refund_minor=0) | Q(refund_minor__gt=0, received__gt=0)),
            check(
                "return_unsellable_has_reason",
                Q(restocked=F("received"), unsellable_reason="")
                | Q(
                    restocked__lt=F("received"),
                    unsellable_reason__in=[word.value for word in UnsellableReason],
                ),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.received} of {self.announced}"
