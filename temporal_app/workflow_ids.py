"""Workflow ids: business identity in, the same id out, always. One order has one id and so at most one run."""


def order_workflow_id(order_id: str) -> str:
    return f"order:{order_id}"


def feed_import_workflow_id(feed_id: str) -> str:
    return f"feed-import:{feed_id}"


def refund_workflow_id(refund_id: str) -> str:
    return f"refund:{refund_id}"


def playbook_run_workflow_id(run_id: str) -> str:
    return f"playbook-run:{run_id}"


def order_event_workflow_id(event_id: int) -> str:
    return f"order-event:{event_id}"


#: Temporal appends the planned time to it; the schedule has the same name
HISTORY_SEAL = "backoffice:history-seal"
PLAYBOOK_SCHEDULE = "backoffice:playbooks"
