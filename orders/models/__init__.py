"""The tables. Rows are the truth; services are the only writers."""

from orders.models.approval import Approval
from orders.models.care import OrderTag, PartnerEndpoint, Voucher
from orders.models.catalogue import Product, StockItem
from orders.models.command import Command, IdempotencyRecord
from orders.models.credit import CreditNote, CreditNoteLine
from orders.models.customer import Customer, CustomerKey
from orders.models.feed import FeedDocument, FeedImport, FeedRow
from orders.models.fulfilment import Reservation, Shipment
from orders.models.health import PartnerHealth, ServiceBeat
from orders.models.history import OrderEvent
from orders.models.money import LedgerTransfer, Payment
from orders.models.order import Order, OrderLine
from orders.models.outbox import OutboxMessage
from orders.models.playbook import (
    Playbook,
    PlaybookRun,
    PlaybookSchedule,
    PlaybookStepRun,
    PlaybookTrigger,
    PlaybookVersion,
)
from orders.models.refund import Refund
from orders.models.refusal import RefusedAction
from orders.models.review import FraudCheck, FraudRules, ReviewCase
from orders.models.seal import HistorySeal, SealedHead
from orders.models.step import Step
from orders.models.task import StaffTask
from orders.models.token import ApiToken, RequestCount

__all__ = [
    "ApiToken",
    "Approval",
    "Command",
    "CreditNote",
    "CreditNoteLine",
    "Customer",
    "CustomerKey",
    "FeedDocument",
    "FeedImport",
    "FeedRow",
    "FraudCheck",
    "FraudRules",
    "HistorySeal",
    "IdempotencyRecord",
    "LedgerTransfer",
    "Order",
    "OrderEvent",
    "OrderLine",
    "OrderTag",
    "OutboxMessage",
    "PartnerEndpoint",
    "PartnerHealth",
    "Payment",
    "Playbook",
    "PlaybookRun",
    "PlaybookSchedule",
    "PlaybookStepRun",
    "PlaybookTrigger",
    "PlaybookVersion",
    "Product",
    "Refund",
    "RefusedAction",
    "RequestCount",
    "Reservation",
    "ReviewCase",
    "SealedHead",
    "ServiceBeat",
    "Shipment",
    "StaffTask",
    "Step",
    "StockItem",
    "Voucher",
]
