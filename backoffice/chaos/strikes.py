"""What somebody does at Temporal who may: end a run of any kind, delete a schedule, lose all that it had stored.

Each thing that is broken so is given to the watch first, which sees whether the product looks after it.
"""

import signal
from collections.abc import Callable, Sequence
from urllib.parse import quote, urlencode

import psycopg

from backoffice.chaos import switches
from backoffice.chaos.arena import Arena
from backoffice.chaos.runs import OPEN, OVER, SCHEDULES, OpenRun, named, of_row
from backoffice.chaos.watch import MANY, ONE, Watch
from orders.vocabulary import RunKind
from temporal_app.runs import RUNS

#: kinds of which one is waited for, before any other one is taken
PREFERRED = 4
KIND_OF_TYPE = {run.workflow: kind for kind, run in RUNS.items()}


def pick(arena: Arena, kinds: Sequence[RunKind]) -> OpenRun | None:
    """A run of the first of these kinds that is under way and ours; None when there is none, or nobody answers."""
    found: dict[RunKind, list[OpenRun]] = {}
    for workflow_type, workflow in under_way(arena):
        kind = KIND_OF_TYPE.get(workflow_type)
        run = named(kind, workflow) if kind else None
        if run is not None:
            found.setdefault(run.kind, []).append(run)
    candidates = (run for kind in kinds for run in found.get(kind, ()))
    return next((run for run in candidates if _is_ours(arena, run)), None)


def under_way(arena: Arena) -> list[tuple[str, str]]:
    """(type, id) of every workflow that runs; nothing when nobody answers."""
    words = urlencode({"query": "ExecutionStatus = 'Running'", "pageSize": "1000"})
    told = switches.call(f"{arena.doors.temporal_http}/workflows?{words}") or {}
    return [(one["type"]["name"], one["execution"]["workflowId"]) for one in told.get("executions", [])]


def terminate(arena: Arena, watch: Watch, run: OpenRun) -> bool:
    """End the run at Temporal and have it watched; False when it is over, or somebody does not answer."""
    url = f"{arena.doors.temporal_http}/workflows/{quote(run.workflow, safe='')}/terminate"
    try:
        return watch.run(run, strike=lambda: switches.call(url, "POST", {"reason": "By an operator"}) is not None)
    except psycopg.Error:
        return False


def delete_schedule(arena: Arena, watch: Watch, name: str) -> bool:
    """Delete it at Temporal and have it watched; False when nobody answers."""
    url = f"{arena.doors.temporal_http}/schedules/{quote(name, safe='')}"
    if switches.call(url, "DELETE") is None:
        return False
    watch.schedule(name)
    return True


def lose_engine(arena: Arena, watch: Watch, *, say: Callable[[str], None]) -> None:
    """Kill Temporal and delete its store; all that is open is watched, and who looks after it too.

    The arena starts it again, empty, while web and workers run on. Raises RuntimeError when PostgreSQL does not answer.
    """
    arena.tend_until_up("postgres")
    temporal = arena.members["temporal"]
    if temporal.send(signal.SIGKILL) and temporal.process is not None:
        temporal.process.wait()
    try:
        with psycopg.connect(arena.wiring.database_url, connect_timeout=10) as connection:
            rows = connection.execute(OPEN).fetchall()
    except psycopg.Error as error:
        raise RuntimeError("nobody can say what was open when Temporal lost its data") from error
    for path in arena.home.path.glob("temporal.sqlite3*"):
        path.unlink()
    say(f"  Temporal has lost its data, with {len(rows)} runs open")
    for kind, key in rows:
        watch.run(of_row(RunKind(kind), key), patience=MANY)
    for name in SCHEDULES:
        watch.schedule(name, patience=ONE)
    watch.sweep(patience=ONE)


def _is_ours(arena: Arena, run: OpenRun) -> bool:
    """Whether a row of ours is open for it: others start workflows under names like ours."""
    if run.kind not in OVER:
        return True
    try:
        with psycopg.connect(arena.wiring.database_url, connect_timeout=2) as connection:
            return connection.execute(OVER[run.kind], [run.key]).fetchone() == (False,)
    except psycopg.Error:
        return False
