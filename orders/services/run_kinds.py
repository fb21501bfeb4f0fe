"""Every kind of process at Temporal, in one table: which rows want it, and what follows when it is gone.

The sweep, `verify_invariants` and the tests read it; `temporal_app.runs` says of each kind what its workflow is. A
workflow that is not in both is refused by tests/architecture.

What may follow when a process is gone, and nothing else:

- *revived*: the rows say what is left to do, and every effect is keyed by them, so it is started again under its id;
- *undone*: an order has one run, ever. What is left of it is undone by a recovery (`sweeping.processes`);
- *made up for*: what a schedule starts. The next round does what a lost one did not, or the run of that day is planned
  again (`temporal_app.schedules`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any

from django.core.exceptions import ValidationError
from django.db.models import Q, QuerySet

from orders import clock
from orders.models import (
    Batch,
    Export,
    FeedImport,
    GatewayEvent,
    Notice,
    Order,
    OrderEvent,
    OutboxMessage,
    PartnerRun,
    Payment,
    PlaybookRun,
    ProcessRun,
    Recovery,
    Refund,
)
from orders.paging import pages
from orders.services import gateway_events
from orders.services.batches.actions import ACTIONS
from orders.vocabulary import (
    IN_PROCESS_STATUSES,
    MOVING_REFUNDS,
    TERMINAL_STATUSES,
    BatchAction,
    NoticeStatus,
    RefundStatus,
    RunKind,
    Topic,
)


class WhenGone(Enum):
    """What follows when the process ended while its row is open."""

    REVIVED = auto()
    UNDONE = auto()
    MADE_UP_FOR = auto()


#: what the trouble and its task are about; None for neither
About = Order | Batch | None
Body = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Kind:
    """One kind of process. What a schedule starts has no rows."""

    kind: RunKind
    #: for people, as in "The process of the refund is gone"
    words: str
    when_gone: WhenGone = WhenGone.REVIVED
    model: type[Any] | None = None
    #: rows whose process must be there
    open: Q = field(default_factory=Q)
    #: rows whose process must not be there any more, and the column of that moment
    over: Q = field(default_factory=lambda: Q(pk=None))
    over_at: str = "finished_at"
    #: since when the row is there
    made_at: str = "created_at"
    #: the column that names the process, and that pages are taken by
    column: str = "pk"
    #: each new asking has a process of its own, named with its number
    is_numbered: bool = False
    #: a process that ended with a result is begun again while a row is open: it only reads and books what is true
    looks_again: bool = False
    topic: Topic | None = None
    aggregate: Callable[[str], str] = str
    body: Callable[[Any], Body] = lambda row: {}
    about: Callable[[Any], About] = lambda row: None

    @property
    def rows(self) -> QuerySet[Any]:
        """Every row of the kind; there must be such."""
        assert self.model is not None
        rows: QuerySet[Any] = self.model.objects.all()
        return rows

    def key(self, row: Any) -> str:
        """What names the row's process, behind the prefix of its kind."""
        name = str(getattr(row, self.column))
        return f"{name}:{row.tries}" if self.is_numbered and row.tries > 1 else name

    def name(self, key: str) -> str:
        """The value of `column`: the key without the number of its asking."""
        return key.partition(":")[0] if self.is_numbered else key

    def find(self, key: str) -> Any | None:
        """The open row of the process, or None: it has ended, or another asking is under way."""
        if not self.is_name(self.name(key)):
            return None
        row = self.rows.filter(self.open, **{self.column: self.name(key)}).first()
        return row if row is not None and self.key(row) == key else None

    def is_name(self, name: str) -> bool:
        """Whether the column can hold it: anybody may start a workflow of any id at Temporal."""
        fields = self.rows.model._meta
        try:
            (fields.pk if self.column == "pk" else fields.get_field(self.column)).to_python(name)
        except ValidationError:
            return False
        return True

    def message(self, key: str, row: Any) -> OutboxMessage:
        """What has the process started, or woken where it runs."""
        assert self.topic is not None
        return OutboxMessage(topic=self.topic, aggregate=self.aggregate(self.name(key)), body=self.body(row))


def _of_order(row: Any) -> Order:
    order: Order = row.order
    return order


def _of_payment(event: GatewayEvent) -> Order | None:
    payment = Payment.objects.filter(gateway_reference=event.payment_reference).select_related("order").first()
    return payment.order if payment is not None else None


def _prefixed(prefix: str) -> Callable[[str], str]:
    return lambda name: f"{prefix}:{name}"


KINDS: dict[RunKind, Kind] = {
    kind.kind: kind
    for kind in (
        Kind(
            kind=RunKind.ORDER,
            words="the order",
            when_gone=WhenGone.UNDONE,
            model=Order,
            # From the moment that a run took it up, and unless another one undoes it.
            open=Q(status__in=IN_PROCESS_STATUSES, recovery=None) & ~Q(process_run_id=""),
            over=Q(status__in=TERMINAL_STATUSES),
            over_at="closed_at",
            made_at="status_since",
            topic=Topic.START_ORDER,
            aggregate=_prefixed("order"),
        ),
        Kind(
            kind=RunKind.RECOVERY,
            words="the recovery of the order",
            model=Recovery,
            open=Q(order__status__in=IN_PROCESS_STATUSES),
            over=Q(order__status__in=TERMINAL_STATUSES),
            over_at="order__closed_at",
            column="order_id",
            topic=Topic.RECOVER_ORDER,
            aggregate=_prefixed("order"),
            body=lambda row: {"order_id": str(row.order_id), "number": row.order.number},
            about=_of_order,
        ),
        Kind(
            kind=RunKind.REFUND,
            words="the refund",
            model=Refund,
            # A refused one waits for a person, whose word starts its process where none is left.
            open=Q(status__in=[*MOVING_REFUNDS, RefundStatus.PENDING], outside=False),
            over=Q(finished_at__isnull=False),
            topic=Topic.SEND_REFUND,
            aggregate=_prefixed("refund"),
            body=lambda row: {"refund_id": str(row.pk)},
            about=_of_order,
        ),
        Kind(
            kind=RunKind.GATEWAY_PAYMENT,
            words="what the payment gateway told of a payment",
            model=GatewayEvent,
            open=Q(handled_at=None) & ~Q(payment_reference=""),
            made_at="received_at",
            over_at="handled_at",
            column="payment_reference",
            looks_again=True,
            topic=Topic.GATEWAY_EVENT,
            aggregate=gateway_events.aggregate,
            body=lambda row: {"payment": row.payment_reference},
            about=_of_payment,
        ),
        Kind(
            kind=RunKind.NOTICE,
            words="the mail to the customer",
            model=Notice,
            open=Q(status=NoticeStatus.QUEUED),
            over=Q(finished_at__isnull=False),
            is_numbered=True,
            topic=Topic.SEND_NOTICE,
            aggregate=_prefixed("notice"),
            body=lambda row: {"notice_id": str(row.pk), "tries": row.tries},
            about=_of_order,
        ),
        Kind(
            kind=RunKind.PROCESS,
            words="the day-end close",
            model=ProcessRun,
            open=Q(finished_at=None),
            over=Q(finished_at__isnull=False),
            topic=Topic.TELL_PROCESS,
            aggregate=_prefixed("process"),
            body=lambda row: {"run_id": str(row.pk)},
        ),
        Kind(
            kind=RunKind.IMPORT,
            words="the import",
            model=FeedImport,
            open=Q(finished_at=None),
            over=Q(finished_at__isnull=False),
            topic=Topic.START_FEED_IMPORT,
            aggregate=_prefixed("feed"),
            body=lambda row: {"command_id": str(row.pk), "feed_id": str(row.pk)},
        ),
        Kind(
            kind=RunKind.EXPORT,
            words="the export",
            model=Export,
            open=Q(finished_at=None),
            over=Q(finished_at__isnull=False),
            topic=Topic.RUN_EXPORT,
            aggregate=_prefixed("export"),
            body=lambda row: {"export_id": str(row.pk)},
        ),
        Kind(
            kind=RunKind.PARTNER_RUN,
            words="the calls to a partner",
            model=PartnerRun,
            open=Q(finished_at=None),
            over=Q(finished_at__isnull=False),
            topic=Topic.START_PARTNER_RUN,
            aggregate=_prefixed("partner-run"),
            body=lambda row: {"run_id": str(row.pk), "partner": row.partner},
        ),
        Kind(
            kind=RunKind.PLAYBOOK_RUN,
            words="the playbook",
            model=PlaybookRun,
            open=Q(ended_at=None),
            over=Q(ended_at__isnull=False),
            over_at="ended_at",
            topic=Topic.START_PLAYBOOK,
            aggregate=_prefixed("playbook-run"),
            body=lambda row: {"run_id": str(row.pk)},
            about=_of_order,
        ),
        Kind(
            kind=RunKind.ORDER_EVENT,
            words="the playbooks that an event starts",
            # No row says that its playbooks are not started yet: only Temporal can tell of one that was ended.
            model=OrderEvent,
            made_at="at",
            topic=Topic.FIRE_TRIGGERS,
            aggregate=_prefixed("order-event"),
            body=lambda row: {"event_id": row.pk},
            about=_of_order,
        ),
        Kind(
            kind=RunKind.BATCH,
            words="the batch",
            model=Batch,
            open=Q(finished_at=None),
            over=Q(finished_at__isnull=False),
            topic=Topic.RUN_BATCH,
            aggregate=_prefixed("batch"),
            body=lambda row: {"batch_id": str(row.pk), "mode": ACTIONS[BatchAction(row.action)].mode},
            about=lambda row: row,
        ),
        Kind(kind=RunKind.SWEEP, words="the sweep", when_gone=WhenGone.MADE_UP_FOR),
        Kind(kind=RunKind.SEAL, words="the nightly seal", when_gone=WhenGone.MADE_UP_FOR),
        Kind(kind=RunKind.DAY_END, words="the opening of the day-end close", when_gone=WhenGone.MADE_UP_FOR),
        Kind(kind=RunKind.QUALITY_SAMPLE, words="the daily sample", when_gone=WhenGone.MADE_UP_FOR),
        Kind(kind=RunKind.EXPORT_ROUND, words="the round of exports", when_gone=WhenGone.MADE_UP_FOR),
        Kind(kind=RunKind.PLAYBOOK_ROUND, words="the round of playbooks", when_gone=WhenGone.MADE_UP_FOR),
    )
}
#: those of which a row says whether they must be there
WITH_OPEN_ROWS = tuple(kind for kind in KINDS.values() if kind.model is not None and kind.open)


def open_since(kind: Kind, *, patience: Any) -> set[str]:
    """Keys of the processes that must be there: their rows are open, and older than `patience`."""
    rows = kind.rows.filter(kind.open, **{f"{kind.made_at}__lt": clock.now() - patience})
    return {kind.key(row) for row in pages(rows, 1_000)}


def over_since(kind: Kind, keys: Iterable[str], *, patience: Any) -> set[str]:
    """Those of the keys whose row ended longer ago than `patience`."""
    by_name = {kind.name(key): key for key in keys if kind.is_name(kind.name(key))}
    wanted = {f"{kind.over_at}__lt": clock.now() - patience, f"{kind.column}__in": list(by_name)}
    rows = kind.rows.filter(kind.over, **wanted).values_list(kind.column, flat=True)
    return {by_name[str(name)] for name in rows}
