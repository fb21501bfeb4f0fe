"""Wait until nothing moves, then read everything the verdict needs, through doors that the product does not guard."""

import json
import time
import urllib.parse
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg.rows import class_row, scalar_row

from backoffice.chaos import payment_facts, switches
from backoffice.chaos.arena import Arena
from backoffice.chaos.clients import Clients, read_acknowledgements
from backoffice.chaos.facts import Deeds, Facts, Healthy, OrderRow, RunRow, Setback, StockRow
from backoffice.chaos.plan import CANARY
from backoffice.chaos.watch import Watch
from backoffice.devstack import terminal
from orders.vocabulary import RunKind

MOVING = """
    SELECT (SELECT count(*) FROM orders_order WHERE closed_at IS NULL)
               + (SELECT count(*) FROM orders_refund WHERE status IN ('requested', 'sent', 'pending', 'refused'))
               + (SELECT count(*) FROM orders_dispute WHERE status IN ('inquiry', 'open'))
               + (SELECT count(*) FROM orders_stafftask WHERE status <> 'done'),
           (SELECT count(*) FROM orders_outboxmessage WHERE delivered_at IS NULL AND parked_at IS NULL
               AND due_at <= now()),
           (SELECT count(*) FROM orders_orderevent WHERE type NOT IN ('order.step_retrying', 'order.task_opened',
               'order.task_acknowledged', 'order.task_done', 'order.finding_opened', 'order.finding_resolved'))
"""
ORDERS = """
    SELECT o.number, o.id::text AS id, o.status, o.total_minor,
        coalesce(l.gateway, 0)::bigint AS gateway_minor, coalesce(l.all_accounts, 0)::bigint AS ledger_sum,
        (SELECT count(*) FROM orders_step s WHERE s.order_id = o.id AND s.status = 'open') AS open_steps,
        (SELECT count(*) FROM orders_shipment s WHERE s.order_id = o.id AND s.status <> 'cancelled') AS shipments,
        coalesce(r.held, 0)::bigint AS pieces_held, coalesce(r.gone, 0)::bigint AS pieces_gone, o.failure_type,
        (SELECT extract(epoch FROM s.finished_at)::float FROM orders_step s
            WHERE s.order_id = o.id AND s.name = 'ship' AND s.status = 'done') AS ship_ended,
        (SELECT count(*) FROM orders_orderevent e WHERE e.order_id = o.id AND e.type = 'order.placed') AS placings,
        (SELECT count(*) FROM orders_orderevent e WHERE e.order_id = o.id AND e.type = 'order.start_requested')
            AS start_lines,
        (SELECT count(*) FROM orders_command c WHERE c.order_id = o.id AND c.kind = 'start') AS starts,
        (SELECT coalesce(sum(f.amount_minor), 0)::bigint FROM orders_refund f
            WHERE f.order_id = o.id AND f.status = 'done') AS refunded_minor,
        (SELECT coalesce(sum(f.amount_minor), 0)::bigint FROM orders_refund f
            WHERE f.order_id = o.id AND f.status = 'settled') AS settled_minor,
        (SELECT coalesce(sum((e.data->>'amount_minor')::bigint), 0)::bigint FROM orders_orderevent e
            WHERE e.order_id = o.id AND e.type = 'order.refund_dropped') AS dropped_minor,
        ARRAY(SELECT extract(epoch FROM s.finished_at)::float FROM orders_step s
            WHERE s.order_id = o.id AND s.status = 'done'
                AND s.name IN ('validate', 'reserve', 'fraud', 'charge', 'ship', 'complete')) AS step_ends,
        o.reference,
        (SELECT coalesce(sum(l.received), 0)::bigint FROM orders_returnline l
            JOIN orders_returncase c ON c.id = l.case_id
            WHERE c.order_id = o.id AND c.status IN ('received', 'refunded', 'closed')) AS pieces_back
    FROM orders_order o
    LEFT JOIN (
        SELECT order_id, sum(amount) FILTER (WHERE account = 'gateway') AS gateway, sum(amount) AS all_accounts
        FROM (SELECT order_id, debit_account AS account, amount_minor AS amount FROM orders_ledgertransfer
              UNION ALL SELECT order_id, credit_account, -amount_minor FROM orders_ledgertransfer) entries
        GROUP BY order_id
    ) l ON l.order_id = o.id
    LEFT JOIN (
        SELECT order_id, sum(quantity) FILTER (WHERE status = 'held') AS held,
            sum(quantity) FILTER (WHERE status = 'consumed') AS gone
        FROM orders_reservation GROUP BY order_id
    ) r ON r.order_id = o.id
"""
STOCK = """
    SELECT p.sku, i.received, i.on_hand, i.reserved, i.shipped,
        coalesce(sum(r.quantity) FILTER (WHERE r.status = 'held'), 0)::bigint AS held,
        coalesce(sum(r.quantity) FILTER (WHERE r.status = 'consumed'), 0)::bigint
            - (SELECT coalesce(sum(b.restocked), 0)::bigint FROM orders_returnline b
                JOIN orders_orderline l ON l.id = b.order_line_id WHERE l.product_id = p.id) AS consumed
    FROM orders_stockitem i JOIN orders_product p ON p.id = i.product_id
    LEFT JOIN orders_reservation r ON r.product_id = p.id
    GROUP BY p.id, p.sku, i.received, i.on_hand, i.reserved, i.shipped
"""
#: kind of a run: (id, status, parts of it that have no result)
RUNS = {
    "partner run": """
        SELECT id::text, status, total - (SELECT count(*) FROM orders_partnercall c
            WHERE c.run_id = r.id AND c.finished_at IS NOT NULL) FROM orders_partnerrun r""",
    "batch": """
        SELECT id::text, status, item_count - (SELECT count(*) FROM orders_batchitem i
            WHERE i.batch_id = b.id AND i.finished_at IS NOT NULL) FROM orders_batch b""",
    "export": "SELECT id::text, status, row_count - rows_written FROM orders_export",
    "day-end close": """
        SELECT id::text, status, (SELECT count(*) FROM orders_processstep s
            WHERE s.run_id = r.id AND s.finished_at IS NULL) FROM orders_processrun r""",
    "import": "SELECT id::text, status, documents_found - documents_stored FROM orders_feedimport",
    "playbook": """
        SELECT id::text, status, (SELECT count(*) FROM orders_playbooksteprun s
            WHERE s.run_id = r.id AND s.finished_at IS NULL) FROM orders_playbookrun r""",
}
#: how long orders took from the client's yes to their end
TOOK = """
    SELECT number, id::text, extract(epoch FROM closed_at - placed_at)::float FROM orders_order WHERE number = ANY(%s)
"""
TIMELINE = """
    SELECT e.at, e.type, e.status_before, e.status_after, e.step, e.attempt, e.run_id, e.reason, e.data
    FROM orders_orderevent e JOIN orders_order o ON o.id = e.order_id WHERE o.number = %s ORDER BY e.sequence
"""
STEPS = """
    SELECT s.name, s.token, s.status, s.last_error, s.claimed_at, s.finished_at
    FROM orders_step s JOIN orders_order o ON o.id = s.order_id WHERE o.number = %s ORDER BY s.claimed_at
"""
RECOVERED = "SELECT o.number FROM orders_recovery r JOIN orders_order o ON o.id = r.order_id"
#: open orders, but no message and no workflow that could close them: waiting longer changes nothing. The sweep, which
#: finds what an operator terminated, comes every 30 seconds and passes over what is younger than ten
ASLEEP_SECONDS = 90.0
#: nothing was written into any history for so long; longer than every retry pause, on a slow machine too
STALLED_SECONDS = 240.0
ORDER_WORKFLOWS = "WorkflowType = 'OrderWorkflow'"
RUNNING = f"{ORDER_WORKFLOWS} AND ExecutionStatus = 'Running'"
#: how no workflow may end, and what none may have: a task that fails again and again
BROKEN = {
    **{name: f"ExecutionStatus = '{name}'" for name in ("Failed", "TimedOut")},
    # What was terminated in the middle of its trouble keeps the word.
    "reported as a problem": "TemporalReportedProblems IS NOT NULL AND ExecutionStatus != 'Terminated'",
}
#: system events of workers that found no sweep in time; about the run that they ended, if they did
PUSHED = "SELECT workflow_id FROM orders_systemevent WHERE error_type = 'SweepLate'"
#: an operator does this, to orders only
TERMINATED = "ExecutionStatus = 'Terminated'"


@dataclass(frozen=True, kw_only=True)
class Left:
    """What still moves."""

    orders: int
    messages: int
    #: lines in all histories, without tries that failed and what people are told; while it grows, something gets ahead
    events: int

    def is_ahead_of(self, earlier: "Left") -> bool:
        """Whether anything got ahead; neither a message nor a task that comes again and again gets anything ahead."""
        return self.orders < earlier.orders or self.events > earlier.events or self.messages < earlier.messages


def drain(
    arena: Arena, clients: Clients, *, tick: Callable[[], None], awaited: Callable[[], bool] = lambda: True
) -> bool:
    """Keep everything up until nothing moves and `awaited` is true.

    False when something is open and nothing gets ahead any more. How long it may take is not limited: a slow machine
    is no defect of the product.
    """
    next_look, last, moved, awake = 0.0, Left(orders=0, messages=0, events=0), time.monotonic(), time.monotonic()
    while True:
        tick()
        now = time.monotonic()
        if now >= next_look:
            left = moving(arena)
            terminal.passing(f"draining: {'?' if left is None else left.orders} orders are open")
            idle = left is not None and clients.done and awaited() and not running_workflows(arena)
            if idle and left is not None and not left.orders and not left.messages:
                return True
            if left is not None and left.is_ahead_of(last):
                last, moved = left, now
            if not idle or left is None or left.messages or moved == now:
                awake = now
            if now - awake > ASLEEP_SECONDS or now - moved > STALLED_SECONDS:
                return False
            next_look = now + 0.5
        time.sleep(0.05)


def moving(arena: Arena) -> Left | None:
    """How many orders are not closed and messages not delivered; None when nobody answers."""
    try:
        with psycopg.connect(arena.wiring.database_url, connect_timeout=2) as connection:
            row = connection.execute(MOVING).fetchone()
    except psycopg.Error:
        return None
    return Left(orders=row[0], messages=row[1], events=row[2]) if row else None


def running_workflows(arena: Arena) -> int:
    return _count(arena, RUNNING)


def _count(arena: Arena, query: str) -> int:
    """How many workflows the query finds; 1 when nobody answers, which is never read as "none"."""
    told = switches.call(f"{arena.doors.temporal_http}/workflow-count?{urllib.parse.urlencode({'query': query})}")
    return int(told.get("count", 0)) if told is not None else 1


def _readable_in_temporal(arena: Arena) -> bool:
    """Whether a customer's name lies in Temporal's files; in bytes, for its JSON shows payloads as base64."""
    return any(CANARY.encode() in path.read_bytes() for path in arena.home.path.glob("temporal.sqlite3*"))


def gather(
    arena: Arena,
    clients: Clients,
    *,
    hits: int,
    deeds: Deeds | None = None,
    watch: Watch | None = None,
    setback: Setback | None = None,
) -> Facts:
    """Everything, once; the arena must be up."""
    struck = watch.struck if watch else []
    ended_orders = {run.key for run in struck if run.kind in {RunKind.ORDER, RunKind.RECOVERY}}
    orders: dict[str, OrderRow] = {}
    with psycopg.connect(arena.wiring.database_url) as connection:
        for row in connection.execute(ORDERS):
            fields = dict(zip(OrderRow.__dataclass_fields__, row[1:], strict=True))
            orders[row[0]] = OrderRow(**fields)
        with connection.cursor(row_factory=class_row(StockRow)) as cursor:
            stock = cursor.execute(STOCK).fetchall()
        with connection.cursor(row_factory=scalar_row) as cursor:
            outbox = cursor.execute(
                "SELECT count(*) FROM orders_outboxmessage"
                " WHERE delivered_at IS NULL AND parked_at IS NULL AND due_at <= now()"
            ).fetchone()
            again = cursor.execute("SELECT count(*) FROM orders_step WHERE token > 1").fetchone()
            recovered = cursor.execute(RECOVERED).fetchall()
    return Facts(
        acknowledged=read_acknowledgements(clients.acknowledgements),
        orders=orders,
        books=_books(arena),
        stock=stock,
        outbox=int(outbox or 0),
        reexecuted_steps=int(again or 0),
        invariants=_invariants(arena),
        complaints=[*clients.asker.complaints, *(watch.complaints if watch else ())],
        running_workflows=running_workflows(arena),
        broken_workflows=_broken(arena, deeds.started if deeds else frozenset()),
        cancellations=[*clients.accepted, *clients.desk.cancelled],
        suspicious=frozenset(clients.clerk.suspicious),
        approved=frozenset(clients.clerk.approved),
        rejected=frozenset(clients.clerk.rejected),
        holds=list(clients.clerk.holds),
        refunds=list(clients.clerk.refunds),
        returns=list(clients.clerk.returns),
        ended=frozenset(clients.clerk.ended) | {number for number, one in orders.items() if one.id in ended_orders},
        terminated=_terminated(arena),
        recovered=frozenset(recovered),
        invoices=frozenset(clients.office.invoices),
        runs=_runs(arena, clients),
        payments=payment_facts.payments(arena),
        operations=payment_facts.operations(arena),
        book_problems=payment_facts.problems(arena),
        open_tasks=payment_facts.open_tasks(arena),
        waited=list(clients.clerk.waited),
        asked_to_cancel=frozenset({*clients.asked_to_cancel, *(number for number, _ in clients.desk.cancelled)}),
        deeds=deeds,
        readable=_readable_in_temporal(arena),
        hits=hits,
        troubles=watch.troubles() if watch else (),
        struck=frozenset(run.workflow for run in struck) | _pushed(arena),
        healthy=_healthy(arena, clients, {one.id for one in orders.values()} - ended_orders),
        poisoned=len(clients.asker.poisoned),
        setback=setback,
    )


def _healthy(arena: Arena, clients: Clients, whole: set[str]) -> list[Healthy]:
    """How long the plain orders took whose run nobody ended; none in a run without poison."""
    numbers = dict(read_acknowledgements(clients.acknowledgements))
    plain = {numbers[key]: among for key, among in clients.plain.items() if key in numbers}
    with psycopg.connect(arena.wiring.database_url) as connection:
        rows = connection.execute(TOOK, [list(plain)]).fetchall()
    return [
        Healthy(number=number, seconds=seconds, among_poison=plain[number])
        for number, key, seconds in rows
        if key in whole
    ]


def _runs(arena: Arena, clients: Clients) -> list[RunRow]:
    """How everything stands that the office and the clerk were promised; `status` is empty for what is not there."""
    promised = [(one.kind, one.id) for one in clients.office.accepted]
    promised += [("playbook", run) for _, run in clients.clerk.playbooks]
    with psycopg.connect(arena.wiring.database_url) as connection:
        found = {(kind, row[0]): row[1:] for kind, sql in RUNS.items() for row in connection.execute(sql)}
    rows = ((kind, run, *found.get((kind, run), ("", 0))) for kind, run in promised)
    return [RunRow(kind=kind, id=run, status=status, unfinished=left) for kind, run, status, left in rows]


def _terminated(arena: Arena) -> frozenset[str]:
    """Ids of the workflows that somebody ended at Temporal."""
    return _listed(arena, TERMINATED)


def _pushed(arena: Arena) -> frozenset[str]:
    """Sweeps that hung, and of which a worker says that it ended them."""
    with psycopg.connect(arena.wiring.database_url) as connection:
        return frozenset(workflow for (workflow,) in connection.execute(PUSHED).fetchall())


def _broken(arena: Arena, strangers: frozenset[str]) -> dict[str, int]:
    """How many of our workflows are in no way that a workflow may be; those of a stranger are refused for ever."""
    found = {what: len(_listed(arena, query) - strangers) for what, query in BROKEN.items()}
    return {what: count for what, count in found.items() if count}


def _listed(arena: Arena, query: str) -> frozenset[str]:
    """Ids of the workflows that the query finds. Raises RuntimeError when Temporal does not tell."""
    words = urllib.parse.urlencode({"query": query, "pageSize": "1000"})
    told = switches.call(f"{arena.doors.temporal_http}/workflows?{words}")
    if told is None:
        raise RuntimeError(f"Temporal does not list the workflows with {query}")
    return frozenset(one["execution"]["workflowId"] for one in told.get("executions", []))


def timeline(arena: Arena, number: str) -> list[str]:
    """The order's history and steps, as lines for the report of a violation."""
    with psycopg.connect(arena.wiring.database_url) as connection:
        events = connection.execute(TIMELINE, [number]).fetchall()
        steps = connection.execute(STEPS, [number]).fetchall()
    lines = [" ".join(str(value) for value in row) for row in events]
    return [*lines, *("step " + " ".join(str(value) for value in row) for row in steps)]


def _books(arena: Arena) -> dict[str, dict[str, Any]]:
    books: dict[str, dict[str, Any]] = {}
    after: str | None = ""
    while after is not None:
        query = urllib.parse.urlencode({"after": after, "limit": "1000"})
        page = switches.call(f"{arena.wiring.simulator_url}/oracle/orders?{query}")
        if page is None:
            raise RuntimeError("the simulator does not show its books")
        books |= page["orders"]
        after = page["next"]
    return books


def _invariants(arena: Arena) -> dict[str, Any]:
    done = arena.manage("verify_invariants", "--json")
    try:
        report: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    except (IndexError, ValueError):
        return {"violations": [], "unchecked": {"all": done.stderr.strip()[-300:]}}
    return report
