"""Is this worker inside a partner step at this moment?

A kill at a random moment may find its worker idle, and a whole run of such kills has one step run twice, or none: it
then proves nothing about repeated steps. So some acts wait until the database and the engine agree that the worker has
a step under way.
"""

import json
import urllib.parse

import psycopg

from backoffice.chaos.arena import Arena
from backoffice.devstack import http_probe

#: local activities are over too soon to be aimed at, and the engine does not list them
INSIDE = """
    SELECT order_id::text FROM orders_step
    WHERE status = 'open' AND name IN ('charge', 'ship', 'refund', 'recall') ORDER BY claimed_at DESC LIMIT 8
"""


def inside_a_step(arena: Arena, name: str) -> bool:
    """Whether the worker of that name holds an open partner step; False when nobody can tell."""
    member = arena.members[name]
    if member.process is None or not member.alive:
        return False
    identity = f"{member.process.pid}@"
    try:
        with psycopg.connect(arena.wiring.database_url, connect_timeout=2) as connection:
            orders = [row[0] for row in connection.execute(INSIDE)]
    except psycopg.Error:
        return False
    return any(worker.startswith(identity) for order in orders for worker in _workers_of(arena, order))


def _workers_of(arena: Arena, order_id: str) -> list[str]:
    """Identities (`pid@host`) of the workers that run an activity of the order's workflow."""
    workflow = urllib.parse.quote(f"order:{order_id}", safe="")
    body = http_probe.fetch(f"{arena.doors.temporal_http}/workflows/{workflow}")
    pending = json.loads(body).get("pendingActivities", []) if body else []
    return [
        one.get("lastWorkerIdentity", "") for one in pending if one.get("state") == "PENDING_ACTIVITY_STATE_STARTED"
    ]
