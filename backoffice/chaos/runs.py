"""Every kind of run, as somebody sees it who ends runs at Temporal: which may be struck, and how one is known again.

The kinds and their workflows are the product's own tables, so that a new kind is struck as soon as it is there. Whether
a row is over is asked in SQL of our own: a harness that shared the sweep's reader would miss what that reader misses.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from orders.vocabulary import RunKind
from temporal_app import workflow_ids
from temporal_app.runs import RUNS, kind_of

SCHEDULES = (
    workflow_ids.SWEEP,
    workflow_ids.DAY_END_CLOSE,
    workflow_ids.HISTORY_SEAL,
    workflow_ids.QUALITY_SAMPLE,
    workflow_ids.EXPORT_ROUND,
    workflow_ids.PLAYBOOK_SCHEDULE,
)
#: by their planned time once a night, so no run of minutes has one under way
NIGHTLY = frozenset({RunKind.SEAL, RunKind.DAY_END, RunKind.QUALITY_SAMPLE})
STRUCK = tuple(kind for kind in RunKind if kind not in NIGHTLY)
#: of one row of the kind, by its key: whether nothing is left to do. What a schedule starts has no rows
OVER: Mapping[RunKind, str] = {
    RunKind.ORDER: "SELECT closed_at IS NOT NULL FROM orders_order WHERE id::text = %s",
    RunKind.RECOVERY: "SELECT closed_at IS NOT NULL FROM orders_order WHERE id::text = %s",
    RunKind.REFUND: "SELECT finished_at IS NOT NULL FROM orders_refund WHERE id::text = %s",
    RunKind.GATEWAY_PAYMENT: (
        "SELECT bool_and(handled_at IS NOT NULL) FROM orders_gatewayevent WHERE payment_reference = %s"
    ),
    RunKind.NOTICE: "SELECT finished_at IS NOT NULL FROM orders_notice WHERE id::text = split_part(%s, ':', 1)",
    RunKind.PROCESS: "SELECT finished_at IS NOT NULL FROM orders_processrun WHERE id::text = %s",
    RunKind.IMPORT: "SELECT finished_at IS NOT NULL FROM orders_feedimport WHERE id::text = %s",
    RunKind.EXPORT: "SELECT finished_at IS NOT NULL FROM orders_export WHERE id::text = %s",
    RunKind.PARTNER_RUN: "SELECT finished_at IS NOT NULL FROM orders_partnerrun WHERE id::text = %s",
    RunKind.PLAYBOOK_RUN: "SELECT ended_at IS NOT NULL FROM orders_playbookrun WHERE id::text = %s",
    RunKind.BATCH: "SELECT finished_at IS NOT NULL FROM orders_batch WHERE id::text = %s",
}
#: (kind, key) of every open row that has, or should have, a process at Temporal
OPEN = """
    SELECT CASE WHEN r.order_id IS NULL THEN 'order' ELSE 'recovery' END, o.id::text FROM orders_order o
        LEFT JOIN orders_recovery r ON r.order_id = o.id
        WHERE o.closed_at IS NULL AND o.process_run_id <> '' AND o.status <> 'placed'
    UNION ALL SELECT 'refund', id::text FROM orders_refund
        WHERE status IN ('requested', 'sent', 'pending') AND NOT outside
    UNION ALL SELECT DISTINCT 'gateway payment', payment_reference FROM orders_gatewayevent
        WHERE handled_at IS NULL AND payment_reference <> ''
    UNION ALL SELECT 'process', id::text FROM orders_processrun WHERE finished_at IS NULL
    UNION ALL SELECT 'import', id::text FROM orders_feedimport WHERE finished_at IS NULL
    UNION ALL SELECT 'export', id::text FROM orders_export WHERE finished_at IS NULL
    UNION ALL SELECT 'partner run', id::text FROM orders_partnerrun WHERE finished_at IS NULL
    UNION ALL SELECT 'playbook run', id::text FROM orders_playbookrun WHERE ended_at IS NULL
    UNION ALL SELECT 'batch', id::text FROM orders_batch WHERE finished_at IS NULL
"""


@dataclass(frozen=True, kw_only=True)
class OpenRun:
    """A run that is under way at Temporal."""

    kind: RunKind
    #: what names its row; empty for what a schedule started
    key: str
    workflow: str


def named(kind: RunKind, workflow: str) -> OpenRun | None:
    """The run of that kind by its workflow's id; None for one that is not ours."""
    run = RUNS[kind]
    if run.schedule:
        return OpenRun(kind=kind, key="", workflow=workflow) if workflow.startswith(run.schedule) else None
    found = kind_of(workflow)
    return OpenRun(kind=kind, key=found[1], workflow=workflow) if found and found[0] is kind else None


def of_row(kind: RunKind, key: str) -> OpenRun:
    """The run that an open row must have."""
    id_of = RUNS[kind].id_of
    if id_of is None:
        raise ValueError(f"no row has a {kind}")
    return OpenRun(kind=kind, key=key, workflow=id_of(key))
