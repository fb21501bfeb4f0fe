"""`manage.py replay`: would this version carry on with what is stored, or running? Exit 1 names what it would stop."""

import asyncio
import json as jsonlib
import sys
from argparse import ArgumentParser
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from temporalio.service import RPCError

from temporal_app import replay
from temporal_app.client import connect


class Command(BaseCommand):
    help = "Replay the recorded histories, or all open workflows before a deploy, on the present code."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--running", action="store_true", help="replay every open workflow of the connected server")
        parser.add_argument("--json", action="store_true", help="print one JSON object as the last line")

    def handle(self, *, running: bool, json: bool, **_: object) -> None:
        self.done = self.passed_over = self.total = 0
        try:
            diverged = asyncio.run(self.running() if running else self.stored())
        except (RPCError, RuntimeError) as error:
            raise CommandError(f"Temporal does not answer, so nothing is known: {error}") from error
        finally:
            self.clear()
        for divergence in diverged:
            self.stderr.write(str(divergence))
        report: dict[str, Any] = {
            "ok": not diverged,
            "source": "running" if running else "stored",
            "replayed": self.done,
            "passed_over": self.passed_over,
            "unrecorded": replay.unrecorded(replay.stored_files()),
            "diverged": [asdict(divergence) for divergence in diverged],
        }
        for name in report["unrecorded"]:
            self.stderr.write(f"{name} has no recorded history yet; see `manage.py record_histories --help`.")
        sentence = f"{self.done} {report['source']} histories replayed, {len(diverged)} would stop."
        self.stdout.write(jsonlib.dumps(report) if json else sentence)
        if diverged:
            sys.exit(1)

    async def stored(self) -> list[replay.Divergence]:
        files = replay.stored_files()
        if not files:
            raise CommandError(f"There are no recorded histories in {replay.STORED}; run this in a checkout.")
        self.total = len(files)
        return await replay.replay(replay.stored(files), on_replayed=self.one_done)

    async def running(self) -> list[replay.Divergence]:
        client = await connect()
        query = replay.running_query()
        self.total = (await client.count_workflows(query)).count
        histories = replay.running(client, query, on_passed_over=self.one_passed_over)
        return await replay.replay(histories, server=client, on_replayed=self.one_done)

    def one_done(self) -> None:
        self.done += 1
        if sys.stderr.isatty():
            sys.stderr.write(f"\r\x1b[Kreplayed {self.done} of {self.total}")
            sys.stderr.flush()

    def one_passed_over(self) -> None:
        """It ended for good meanwhile, or has not begun."""
        self.passed_over += 1

    def clear(self) -> None:
        if sys.stderr.isatty():
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
