"""The append-only history of an order, chained by hashes.

Each row's hash covers the row and the hash before it, per order, so a changed, removed or inserted row shows without
any global lock. Triggers refuse UPDATE, DELETE and TRUNCATE.
"""

import pgtrigger
from django.db import models
from django.db.models import Q

from orders.models.order import Order
from orders.models.rules import append_only, check, one_of, word_field
from orders.models.typed_words import TypedField, TypedRows
from orders.vocabulary import OUTBOX_CHANNEL, ActorKind, Channel, EventType, Topic


def tell_playbooks() -> pgtrigger.Trigger:
    """An event that starts playbooks publishes a message, in its own transaction, whoever wrote it and however many.

    In the database, because history is also written for hundreds of orders at once. What playbooks write themselves
    starts none, or two of them could start each other for ever.
    """
    return pgtrigger.Trigger(
        name="tell_playbooks",
        when=pgtrigger.After,
        operation=pgtrigger.Insert,
        func=f"""
            IF NEW.type NOT LIKE 'order.playbook\\_%' AND EXISTS (
                SELECT 1 FROM orders_playbooktrigger t WHERE t.event = NEW.type AND t.enabled
            ) THEN
                INSERT INTO orders_outboxmessage (topic, aggregate, body, created_at, attempts, last_error, bulk)
                VALUES ('{Topic.FIRE_TRIGGERS}', 'order-event:' || NEW.id, jsonb_build_object('event_id', NEW.id),
                        now(), 0, '', false);
                PERFORM pg_notify('{OUTBOX_CHANNEL}', '');
            END IF;
            RETURN NULL;
        """,
    )


class OrderEvent(models.Model):
    order = models.ForeignKey(Order, on_delete=models.PROTECT, related_name="events")
    #: 1, 2, 3 ... within the order
    sequence = models.PositiveIntegerField()
    type = word_field(EventType)
    at = models.DateTimeField()
    actor_kind = word_field(ActorKind)
    actor = models.CharField(max_length=150)
    channel = word_field(Channel)
    #: encrypted when somebody may have typed it (`orders.history`)
    reason = TypedField(by_hand=True)
    step = models.CharField(max_length=40, blank=True)
    attempt = models.PositiveIntegerField(null=True, blank=True)
    status_before = models.CharField(max_length=40, blank=True)
    status_after = models.CharField(max_length=40)
    workflow_id = models.CharField(max_length=200, blank=True)
    run_id = models.CharField(max_length=64, blank=True)
    data = models.JSONField(default=dict, blank=True)
    previous_hash = models.CharField(max_length=64, blank=True)
    hash = models.CharField(max_length=64)

    objects = TypedRows.as_manager()

    class Meta:
        ordering = ["order", "sequence"]
        default_permissions = ("view",)
        triggers = [*append_only(), tell_playbooks()]
        constraints = [
            models.UniqueConstraint(fields=["order", "sequence"], name="event_sequence"),
            one_of("event", "type", EventType),
            one_of("event", "actor_kind", ActorKind),
            one_of("event", "channel", Channel),
            check("event_has_actor_and_reason", ~Q(actor="") & ~Q(reason="")),
        ]

    def __str__(self) -> str:
        return f"{self.order_id} #{self.sequence} {self.type}"
