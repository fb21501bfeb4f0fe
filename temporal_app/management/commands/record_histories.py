"""`manage.py record_histories`: keep the histories of real runs, for the replay tests of every later version."""

import asyncio
import json
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from temporalio.client import Client
from temporalio.service import RPCError

from temporal_app.client import connect

#: replay does not look at these, and they name machines and files
PRIVATE = {"stackTrace", "identity"}


class Command(BaseCommand):
    help = "Write the history of each given workflow as OUT/NAME.json."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "out", type=Path, help="folder of the released version, for example tests/replay/histories/0.1.0"
        )
        parser.add_argument(
            "histories", nargs="+", metavar="NAME=WORKFLOW_ID", help="for example declined=order:<uuid>"
        )

    def handle(self, *, out: Path, histories: list[str], **_: object) -> None:
        out.mkdir(parents=True, exist_ok=True)
        asyncio.run(self.record(out, dict(pair.split("=", 1) for pair in histories)))

    async def record(self, out: Path, wanted: dict[str, str]) -> None:
        client = await connect()
        for name, workflow_id in wanted.items():
            history = await self.fetch(client, workflow_id)
            (out / f"{name}.json").write_text(json.dumps(history, indent=1, sort_keys=True) + "\n")
            self.stdout.write(f"{name}: {len(history['events'])} events")

    async def fetch(self, client: Client, workflow_id: str) -> dict[str, Any]:
        try:
            history = await client.get_workflow_handle(workflow_id).fetch_history()
        except RPCError as error:
            raise CommandError(f"There is no history of {workflow_id}: {error.message}") from error
        cleaned: dict[str, Any] = without_private({"workflowId": workflow_id, **history.to_json_dict()})
        return cleaned


def without_private(value: Any) -> Any:
    """The same JSON without what names machines and files."""
    if isinstance(value, dict):
        return {key: without_private(inner) for key, inner in value.items() if key not in PRIVATE}
    return [without_private(inner) for inner in value] if isinstance(value, list) else value
