"""The tables. Rows are the truth; services are the only writers."""

from orders.models.account import AccountChange, GivenPermission
from orders.models.approval import Approval, ApprovalMaker
from orders.models.automation import AutomationChange
from orders.models.batch import Batch, BatchItem
from orders.models.care import OrderTag, PartnerEndpoint, Voucher
from orders.models.catalogue import Product, StockItem
from orders.models.command import Command, IdempotencyRecord
from orders.models.credit import CreditNote, CreditNoteLine
from orders.models.customer import Customer, CustomerKey
from orders.models.data_key import FileKey
from orders.models.engine_use import EngineUse
from orders.models.export import Export, ExportPart, ExportPlan
from orders.models.feed import FeedDocument, FeedImport, FeedRow
from orders.models.feed_layout import FeedLayout
from orders.models.finding import Finding, Recovery, SweepProgress
from orders.models.fulfilment import Reservation, Shipment, TrackingEvent
from orders.models.health import PartnerHealth, ServiceBeat
from orders.models.history import OrderEvent
from orders.models.incident import Incident
from orders.models.money import Dispute, GatewayEvent, LedgerTransfer, Payment
from orders.models.notice import Notice
from orders.models.order import Order, OrderLine
from orders.models.outbox import OutboxMessage
from orders.models.partner_answer import PartnerAnswer, QuestionLease
from orders.models.partner_run import PartnerCall, PartnerRun
from orders.models.playbook import (
    Playbook,
    PlaybookRun,
    PlaybookSchedule,
    PlaybookStepRun,
    PlaybookTrigger,
    PlaybookVersion,
)
from orders.models.process import ProcessDifference, ProcessRun, ProcessStep
from orders.models.quality import QualityCheck, QualitySample
from orders.models.refund import Refund
from orders.models.refusal import RefusedAction
from orders.models.restore import RestoreDifference
from orders.models.returns import ReturnCase, ReturnLine
from orders.models.review import FraudCheck, FraudRules, ReviewCase
from orders.models.schedule import QueueState, ScheduleState
from orders.models.seal import HistorySeal, MaskedLine, SealedHead, SealedLog
from orders.models.step import Step
from orders.models.system_event import SystemEvent
from orders.models.task import StaffTask
from orders.models.token import ApiToken, RequestCount, SharedNote
from orders.models.typed_words import WordKey

__all__ = [
    "AccountChange",
    "ApiToken",
    "Approval",
    "ApprovalMaker",
    "AutomationChange",
    "Batch",
    "BatchItem",
    "Command",
    "CreditNote",
    "CreditNoteLine",
    "Customer",
    "CustomerKey",
    "Dispute",
    "EngineUse",
    "Export",
    "ExportPart",
    "ExportPlan",
    "FeedDocument",
    "FeedImport",
    "FeedLayout",
    "FeedRow",
    "FileKey",
    "Finding",
    "FraudCheck",
    "FraudRules",
    "GatewayEvent",
    "GivenPermission",
    "HistorySeal",
    "IdempotencyRecord",
    "Incident",
    "LedgerTransfer",
    "MaskedLine",
    "Notice",
    "Order",
    "OrderEvent",
    "OrderLine",
    "OrderTag",
    "OutboxMessage",
    "PartnerAnswer",
    "PartnerCall",
    "PartnerEndpoint",
    "PartnerHealth",
    "PartnerRun",
    "Payment",
    "Playbook",
    "PlaybookRun",
    "PlaybookSchedule",
    "PlaybookStepRun",
    "PlaybookTrigger",
    "PlaybookVersion",
    "ProcessDifference",
    "ProcessRun",
    "ProcessStep",
    "Product",
    "QualityCheck",
    "QualitySample",
    "QuestionLease",
    "QueueState",
    "Recovery",
    "Refund",
    "RefusedAction",
    "RequestCount",
    "Reservation",
    "RestoreDifference",
    "ReturnCase",
    "ReturnLine",
    "ReviewCase",
    "ScheduleState",
    "SealedHead",
    "SealedLog",
    "ServiceBeat",
    "SharedNote",
    "Shipment",
    "StaffTask",
    "Step",
    "StockItem",
    "SweepProgress",
    "SystemEvent",
    "TrackingEvent",
    "Voucher",
    "WordKey",
]
