"""Who acts when an activity writes history: the engine, with the run that did it."""

from temporalio import activity

from orders.actor import Actor, system


def engine_actor(name: str) -> Actor:
    """The actor of the running activity; `name` is the process as staff know it."""
    info = activity.info()
    return system(name, workflow_id=info.workflow_id or "", run_id=info.workflow_run_id or "", attempt=info.attempt)
