"""Batches: one action on many orders, frozen at the click, done by its own process, one result for each order.

The batch's row is the authority: its process asks `judge` under the row's lock before every piece of work, so a pause
or a cancellation binds from its commit, whether or not Temporal has heard of it. None of these modules knows Temporal.
"""

from orders.services.batches.actions import ACTIONS, ActionRule
from orders.services.batches.checking import check_item, claim_checks, fail_item
from orders.services.batches.chunks import run_chunk
from orders.services.batches.freezing import create
from orders.services.batches.inverse import undo
from orders.services.batches.playbooks import ChosenPlaybook, require_playbook
from orders.services.batches.selecting import Preview, preview
from orders.services.batches.starting import begin_orders
from orders.services.batches.steering import cancel, pause, resume, retry_failed
from orders.services.batches.working import stop_by_engine, summarise
from orders.services.selection import Selection

__all__ = [
    "ACTIONS",
    "ActionRule",
    "ChosenPlaybook",
    "Preview",
    "Selection",
    "begin_orders",
    "cancel",
    "check_item",
    "claim_checks",
    "create",
    "fail_item",
    "pause",
    "preview",
    "require_playbook",
    "resume",
    "retry_failed",
    "run_chunk",
    "stop_by_engine",
    "summarise",
    "undo",
]
