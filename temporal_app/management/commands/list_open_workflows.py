"""`manage.py list_open_workflows`: which workflows may still hold payloads that are bound to no purpose."""

import asyncio
from argparse import ArgumentParser
from collections.abc import AsyncIterator
from pathlib import Path

from django.core.management.base import BaseCommand, CommandError
from temporalio.client import Client
from temporalio.service import RPCError

from temporal_app import replay
from temporal_app.client import connect


class Command(BaseCommand):
    help = (
        "Write the ids of all open workflows, and of the children in their histories, one a line. Run it once, while "
        "no process of an older version works any more, and name the file in BACKOFFICE_LEGACY_PAYLOADS until those "
        "workflows have ended (docs/secrecy.md)."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path, help="where to write; an existing file is not overwritten")

    def handle(self, *, file: Path, **_: object) -> None:
        try:
            found = asyncio.run(self.found())
            with file.open("x") as out:
                out.writelines(f"{workflow_id}\n" for workflow_id in sorted(found))
        except (RPCError, RuntimeError) as error:
            raise CommandError(f"Temporal does not answer, so nothing was written: {error}") from error
        except FileExistsError:
            raise CommandError(f"{file} exists; choose another name, or delete it.") from None
        except OSError as error:
            raise CommandError(f"The list cannot be written: {error}") from error
        self.stdout.write(f"{len(found)} workflows are listed in {file}.")

    async def found(self) -> set[str]:
        return {workflow_id async for workflow_id in open_workflows(await connect(), replay.running_query())}


async def open_workflows(client: Client, query: str) -> AsyncIterator[str]:
    """Ids of the workflows that match and of their children, whose results stand in the parents' histories."""
    async for execution in client.list_workflows(query):
        events = client.get_workflow_handle(execution.id, run_id=execution.run_id).fetch_history_events()
        children = [
            event.start_child_workflow_execution_initiated_event_attributes.workflow_id async for event in events
        ]
        for workflow_id in [execution.id, *children]:
            # Whoever reaches Temporal chooses ids; one of two lines would list a second workflow.
            if workflow_id and len(workflow_id.splitlines()) == 1:
                yield workflow_id
