"""Workflow ids: business identity in, the same id out, always. One order has one id and so at most one run."""

ORDER_PREFIX = "order:"
#: of the one run that may undo an order whose own run ended from outside
RECOVERY_PREFIX = "order-recovery:"


def order_workflow_id(order_id: str) -> str:
    return f"{ORDER_PREFIX}{order_id}"


def recovery_workflow_id(order_id: str) -> str:
    return f"{RECOVERY_PREFIX}{order_id}"


def feed_import_workflow_id(feed_id: str) -> str:
    return f"feed-import:{feed_id}"


def refund_workflow_id(refund_id: str) -> str:
    return f"refund:{refund_id}"


#: Temporal appends the planned time to it; the schedule has the same name
HISTORY_SEAL = "backoffice:history-seal"
SWEEP = "backoffice:sweep"
QUALITY_SAMPLE = "backoffice:quality-sample"
