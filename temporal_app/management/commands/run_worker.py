"""`manage.py run_worker`: run the workflows and activities of our queues, and the relay."""

import asyncio
from argparse import ArgumentParser

from django.conf import settings
from django.core.checks import Tags
from django.core.management.base import BaseCommand

from orders.connections import give_back, tell
from temporal_app import worker
from temporal_app.registry import REGISTRY
from temporal_app.task_queues import TaskQueue


class Command(BaseCommand):
    help = "Poll the task queues and relay the outbox until SIGTERM or Ctrl-C."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--queue",
            action="append",
            choices=[queue.value for queue in REGISTRY],
            help="poll this queue only; repeatable; without it those of WORKER_QUEUES, or all",
        )
        parser.add_argument("--no-relay", action="store_true", help="leave the outbox to other workers")

    def handle(self, *, queue: list[str] | None, no_relay: bool, **_: object) -> None:
        # Those that ask the database: whether this account can alter the history, and what its connections are like.
        if tell():
            self.check(tags=[Tags.database], databases=["default"])
        give_back()
        names = queue or settings.WORKER_QUEUES
        queues = list(dict.fromkeys(TaskQueue(name) for name in names)) if names else list(REGISTRY)
        asyncio.run(worker.run(queues, with_relay=not no_relay))
