"""Orders and their lines.

An order row carries what every page asks first: status, since when, and the process that works on it. The chain head
(`event_count`, `chain_head`) lives here too, so that appending to the history needs no second look-up under the lock.
"""

import uuid

import pgtrigger
from django.db import models
from django.db.models import F, Q

from orders import clock
from orders.errors import WrongState
from orders.models.catalogue import Product
from orders.models.customer import Customer
from orders.models.rules import check, never_deleted, one_of, word_field
from orders.vocabulary import (
    ALLOWED_MOVES,
    MAX_LINE_QUANTITY,
    MAX_ORDER_TOTAL_MINOR,
    TERMINAL_STATUSES,
    Channel,
    Currency,
    FailureType,
    OrderStatus,
)


class Order(models.Model):
    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    number = models.CharField(max_length=32, unique=True)
    #: who sent it and under which name of theirs; together they are unique, so a feed read twice makes one order
    source = models.CharField(max_length=64, default="backoffice")
    reference = models.CharField(max_length=128, blank=True)
    channel = word_field(Channel)
    customer = models.ForeignKey(Customer, on_delete=models.PROTECT, null=True, blank=True, related_name="orders")
    status = word_field(OrderStatus, default=OrderStatus.PLACED)
    status_since = models.DateTimeField(default=clock.now)
    #: the status to which a release brings an order that is on hold back
    resume_status = word_field(OrderStatus, blank=True, default="")
    currency = word_field(Currency)
    total_minor = models.BigIntegerField()
    line_count = models.PositiveIntegerField()
    #: the gateway's token of the payment method; never a card number
    payment_method = models.CharField(max_length=128)
    ship_to_country = models.CharField(max_length=80)
    #: when the customer ordered; `created_at` is when we took it in
    placed_at = models.DateTimeField(default=clock.now)
    created_at = models.DateTimeField(default=clock.now)
    #: when a terminal status was reached
    closed_at = models.DateTimeField(null=True, blank=True)
    failure_type = word_field(FailureType, blank=True, default="")
    failure_message = models.CharField(max_length=500, blank=True)
    #: first run id of the one Temporal run that may ever process this order
    process_run_id = models.CharField(max_length=64, blank=True)
    event_count = models.PositiveIntegerField(default=0)
    chain_head = models.CharField(max_length=64, blank=True)

    class Meta:
        ordering = ["-created_at", "-id"]
        permissions = [
            ("place_order", "May place orders"),
            ("reprice_order", "May take the catalogue's prices of today into orders that nobody has started"),
            ("start_order", "May start the processing of orders"),
            ("hold_order", "May hold and release orders"),
            ("cancel_order", "May cancel orders"),
            ("drive_step", "May try failing steps again at once, pause and resume them"),
            ("refund_order", "May refund completed orders"),
            ("skip_step", "May do without the partner of a failing step"),
            ("change_payment_method", "May change the payment method of an order before it is charged"),
        ]
        default_permissions = ("view",)
        triggers = [
            # What the customer is charged is settled when somebody asks for the processing, whatever a service forgets.
            pgtrigger.Protect(
                name="amount_stands",
                operation=pgtrigger.Update,
                condition=pgtrigger.Q(old__total_minor__df=pgtrigger.F("new__total_minor"))
                & ~(
                    pgtrigger.Q(old__status=OrderStatus.PLACED)
                    | pgtrigger.Q(old__status=OrderStatus.ON_HOLD, old__resume_status=OrderStatus.PLACED)
                ),
            ),
            *never_deleted(),
        ]
        indexes = [
            models.Index(fields=["-created_at", "-id"], name="order_newest"),
            models.Index(fields=["status", "-created_at", "-id"], name="order_by_status"),
            models.Index(fields=["customer", "-created_at"], name="order_by_customer"),
            # The landing page counts what was closed in the last hour.
            models.Index(fields=["-closed_at"], name="order_closed", condition=Q(closed_at__isnull=False)),
        ]
        constraints = [
            models.UniqueConstraint(fields=["source", "reference"], condition=~Q(reference=""), name="order_reference"),
            models.UniqueConstraint(
                fields=["process_run_id"], condition=~Q(process_run_id=""), name="order_one_run_each"
            ),
            one_of("order", "status", OrderStatus),
            one_of("order", "currency", Currency),
            one_of("order", "channel", Channel),
            check("order_resumes_from_hold", Q(status=OrderStatus.ON_HOLD) ^ Q(resume_status="")),
            check("order_total_positive", Q(total_minor__gt=0, total_minor__lte=MAX_ORDER_TOTAL_MINOR)),
            check(
                "order_closed_when_terminal",
                Q(closed_at__isnull=False, status__in=sorted(TERMINAL_STATUSES))
                | Q(closed_at__isnull=True) & ~Q(status__in=sorted(TERMINAL_STATUSES)),
            ),
        ]

    def __str__(self) -> str:
        return self.number

    @property
    def is_terminal(self) -> bool:
        return self.status in TERMINAL_STATUSES

    @property
    def is_begun(self) -> bool:
        """Whether its processing was ever asked for, or it ended without: its prices stand."""
        return OrderStatus.PLACED not in {self.status, self.resume_status}

    @property
    def refund_outstanding_minor(self) -> int:
        """What the customer of an order that was undone has not got back; read it with the payment."""
        payment = getattr(self, "payment", None)
        undone = self.status in {OrderStatus.CANCELLED, OrderStatus.FAILED}
        return payment.refunding_minor if payment is not None and undone else 0

    def move_to(self, status: OrderStatus) -> None:
        """Change the status in memory, or raise `WrongState`; `history.record` saves it together with its event."""
        if status not in ALLOWED_MOVES[OrderStatus(self.status)]:
            raise WrongState(f"Order {self.number} is {self.status} and cannot become {status}.")
        self.status = status
        self.status_since = clock.now()
        if status in TERMINAL_STATUSES:
            # The time of another machine may have come in with the order, or with a standby that took over.
            self.closed_at = max(self.status_since, self.placed_at)


PRICE_STANDS = """
    IF NOT EXISTS (
        SELECT FROM orders_order WHERE id = NEW.order_id
        AND (status = 'placed' OR status = 'on_hold' AND resume_status = 'placed')
    ) THEN
        RAISE EXCEPTION 'Cannot change the price of a line: the processing of its order was asked for.';
    END IF;
    RETURN NEW;
"""


class OrderLine(models.Model):
    order = models.ForeignKey(Order, on_delete=models.PROTECT, related_name="lines")
    position = models.PositiveIntegerField()
    product = models.ForeignKey(Product, on_delete=models.PROTECT, related_name="+")
    description = models.CharField(max_length=200, blank=True)
    quantity = models.BigIntegerField()
    #: major units, up to four decimals
    unit_price = models.DecimalField(max_digits=14, decimal_places=4)
    #: quantity x unit price, rounded half up to the minor unit
    total_minor = models.BigIntegerField()
    #: pieces of the return that is announced and has not been received
    awaited = models.BigIntegerField(default=0, db_default=0)
    #: pieces that came back
    returned = models.BigIntegerField(default=0, db_default=0)

    class Meta:
        ordering = ["order", "position"]
        default_permissions = ("view",)
        triggers = [
            pgtrigger.Trigger(
                name="price_stands",
                when=pgtrigger.Before,
                operation=pgtrigger.Update,
                condition=pgtrigger.AnyChange("quantity", "unit_price", "total_minor"),
                func=PRICE_STANDS,
            ),
            *never_deleted(),
        ]
        constraints = [
            models.UniqueConstraint(fields=["order", "position"], name="line_position"),
            check("line_quantity_within", Q(quantity__gt=0, quantity__lte=MAX_LINE_QUANTITY)),
            check("line_amounts_not_negative", Q(unit_price__gte=0, total_minor__gte=0)),
            # Whatever the services count: never more comes back than left.
            check(
                "line_returned_within_quantity",
                Q(awaited__gte=0, returned__gte=0, returned__lte=F("quantity") - F("awaited")),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.quantity} x {self.description}"

    @property
    def returnable(self) -> int:
        """Pieces that may still be announced."""
        return self.quantity - self.returned - self.awaited
