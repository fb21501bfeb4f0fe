"""`manage.py record_histories`: keep the histories of real runs, for the replay tests of every later version."""

import asyncio
import json
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from temporalio.api.common.v1 import Payload
from temporalio.api.failure.v1 import Failure
from temporalio.client import Client, WorkflowHistory
from temporalio.service import RPCError

from temporal_app import replay, stored_histories, workflow_fingerprints
from temporal_app.client import codec, connect
from temporal_app.codec import EncryptionCodec, messages_within

#: replay does not look at these, and they name machines and files
PRIVATE = {"stackTrace", "identity"}


class Command(BaseCommand):
    help = (
        "Write the history of each given workflow as OUT/NAME.json, and confirm the present workflow code: "
        "every recorded history is replayed, then the fingerprints beside them are taken anew."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "out", type=Path, nargs="?", help="folder of the version, for example tests/replay/histories/0.1.0"
        )
        parser.add_argument(
            "histories", nargs="*", metavar="NAME=WORKFLOW_ID", help="for example declined=order:<uuid>"
        )

    def handle(self, *, out: Path | None, histories: list[str], **_: object) -> None:
        if out is not None:
            if not histories:
                raise CommandError("Which workflows? Give NAME=WORKFLOW_ID, or no folder either to confirm only.")
            asyncio.run(self.record(out, dict(pair.split("=", 1) for pair in histories)))
        diverged = asyncio.run(replay.replay(replay.stored(replay.stored_files())))
        if diverged:
            told = "\n".join(map(str, diverged))
            raise CommandError(f"{told}\nNothing was confirmed: the code does not follow recorded histories.")
        for folder in {file.parent for file in replay.stored_files()}:
            stored_histories.list_new(folder)
        for line in workflow_fingerprints.confirm():
            self.stdout.write(line)
        self.stdout.write("The workflow code is confirmed: every recorded history replays.")

    async def record(self, out: Path, wanted: dict[str, str]) -> None:
        client = await connect()
        for name, workflow_id in wanted.items():
            history = await self.fetch(client, workflow_id)
            try:
                stored_histories.write(out, name, history)
            except stored_histories.AlreadyRecorded as error:
                raise CommandError(str(error)) from None
            self.stdout.write(f"{name}: {len(history['events'])} events")

    async def fetch(self, client: Client, workflow_id: str) -> dict[str, Any]:
        try:
            history = await client.get_workflow_handle(workflow_id).fetch_history()
        except RPCError as error:
            raise CommandError(f"There is no history of {workflow_id}: {error.message}") from error
        decoded = in_the_clear(history, codec())
        cleaned: dict[str, Any] = without_private({"workflowId": workflow_id, **decoded.to_json_dict()})
        return cleaned


def in_the_clear(history: WorkflowHistory, codec: EncryptionCodec) -> WorkflowHistory:
    """The history as it was before it was encrypted: later versions replay it with other keys.

    Without the stack traces, which would name files of this machine.
    """
    for event in history.events:
        for payload in messages_within(event, Payload):
            payload.CopyFrom(codec.displayed(payload))
        for failure in messages_within(event, Failure):
            if failure.HasField("encoded_attributes"):
                failure.message = json.loads(failure.encoded_attributes.data)["message"]
                failure.ClearField("encoded_attributes")
    return history


def without_private(value: Any) -> Any:
    """The same JSON without what names machines and files."""
    if isinstance(value, dict):
        return {key: without_private(inner) for key, inner in value.items() if key not in PRIVATE}
    return [without_private(inner) for inner in value] if isinstance(value, list) else value
