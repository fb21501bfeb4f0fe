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


def gateway_payment_workflow_id(payment: str) -> str:
    return f"gateway-payment:{payment}"


def process_workflow_id(run_id: str) -> str:
    return f"process:{run_id}"


#: the names of our schedules begin with it; others are never touched
SCHEDULE_PREFIX = "backoffice:"
DAY_END_CLOSE = "backoffice:day-end-close"


def notice_workflow_id(notice_id: str, tries: int = 1) -> str:
    """Each asking has a process: a message for the next one must not meet the one that is just ending."""
    return f"notice:{notice_id}" if tries == 1 else f"notice:{notice_id}:{tries}"


def partner_run_workflow_id(run_id: str) -> str:
    return f"partner-run:{run_id}"


def batch_workflow_id(batch_id: str) -> str:
    return f"batch:{batch_id}"


def export_workflow_id(export_id: str) -> str:
    return f"export:{export_id}"


def playbook_run_workflow_id(run_id: str) -> str:
    return f"playbook-run:{run_id}"


def order_event_workflow_id(event_id: int | str) -> str:
    return f"order-event:{event_id}"


#: Temporal appends the planned time to it; the schedule has the same name
HISTORY_SEAL = "backoffice:history-seal"
SWEEP = "backoffice:sweep"
QUALITY_SAMPLE = "backoffice:quality-sample"
EXPORT_ROUND = "backoffice:export-round"
PLAYBOOK_SCHEDULE = "backoffice:playbooks"
