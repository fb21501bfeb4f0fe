"""Messages that were given up and who was told of lately; where sweep, playbook schedules and retries go on.

Nobody waits for the indexes: outbox and batch items may be millions of rows.
"""

from django.contrib.postgres.operations import (
    AddConstraintNotValid,
    AddIndexConcurrently,
    RemoveIndexConcurrently,
    ValidateConstraint,
)
from django.db import migrations, models
from django.db.models import Q


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("orders", "0060_books_by_lists")]

    operations = [
        migrations.AddField(
            model_name="outboxmessage",
            name="parked_at",
            field=models.DateTimeField(blank=True, null=True),
        ),
        AddConstraintNotValid(
            model_name="outboxmessage",
            constraint=models.CheckConstraint(
                condition=Q(parked_at=None) | Q(delivered_at=None) & ~Q(last_error=""),
                name="outbox_parked_says_why",
            ),
        ),
        ValidateConstraint(model_name="outboxmessage", name="outbox_parked_says_why"),
        AddIndexConcurrently(
            model_name="outboxmessage",
            index=models.Index(
                condition=Q(topic="order.start"), fields=["delivered_at"], name="outbox_delivered_starts"
            ),
        ),
        AddIndexConcurrently(
            model_name="outboxmessage",
            index=models.Index(condition=Q(parked_at__isnull=False), fields=["parked_at"], name="outbox_parked"),
        ),
        RemoveIndexConcurrently(model_name="outboxmessage", name="outbox_delivered_bulk"),
        migrations.AddField(
            model_name="sweepprogress",
            name="again",
            field=models.JSONField(blank=True, default=list),
        ),
        migrations.AddField(
            model_name="playbookschedule",
            name="cursor",
            field=models.CharField(blank=True, default="", max_length=100),
            preserve_default=False,
        ),
        migrations.AddField(
            model_name="batchitem",
            name="again",
            field=models.BooleanField(db_default=False, default=False),
        ),
        AddIndexConcurrently(
            model_name="batchitem",
            index=models.Index(condition=Q(again=True), fields=["batch"], name="batch_item_again"),
        ),
    ]
