"""Rows of the outbox for the tests of the outbox, of its bulk lane and of the relay."""

from datetime import timedelta
from typing import Any

from django.db import transaction
from django.db.models import F

from orders import outbox
from orders.models import OutboxMessage
from orders.vocabulary import Topic

A, B = "order:a", "order:b"


def publish(aggregate: str = A, **body: Any) -> int:
    """Publish and commit; answers the row's number."""
    with transaction.atomic():
        message = outbox.publish(Topic.START_ORDER, aggregate=aggregate, body=body)
    # For PostgreSQL a test is one transaction, in which no time passes between the commit and the claim.
    OutboxMessage.objects.filter(pk=message.pk).update(available_at=F("available_at") - timedelta(minutes=1))
    return message.pk


def claimed(limit: int = 20) -> list[int]:
    return [message.id for message in outbox.claim(limit)]


def let_time_pass(seconds: float) -> None:
    """Every lease and delay moves into the past; no test waits for a clock."""
    OutboxMessage.objects.update(available_at=F("available_at") - timedelta(seconds=seconds))


def publish_bulk(aggregate: str, **body: Any) -> int:
    with transaction.atomic():
        message = outbox.publish(Topic.START_ORDER, aggregate=aggregate, body=body, bulk=True)
    OutboxMessage.objects.filter(pk=message.pk).update(available_at=F("available_at") - timedelta(hours=1))
    return message.pk
