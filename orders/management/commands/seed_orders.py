"""`manage.py seed_orders --count N`: placed orders in bulk, to try batches and lists at size."""

import json
import sys
import time
from argparse import ArgumentParser

from django.core.management.base import BaseCommand, CommandError

from orders.actor import system
from orders.services import seeding
from orders.vocabulary import Channel

MAX_COUNT = 1_000_000


class Command(BaseCommand):
    help = "Place N orders of one line each, with their history; start none."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--count", type=int, required=True, metavar="N")
        parser.add_argument("--seed", type=int, default=1)
        parser.add_argument("--json", action="store_true", help="print the figures as one JSON object")

    def handle(self, *, count: int, seed: int, json: bool, **_: object) -> None:
        if not 1 <= count <= MAX_COUNT:
            raise CommandError(f"--count: {count} is not within 1 to {MAX_COUNT}.")
        began = time.monotonic()
        made = seeding.seed(
            count=count, seed=seed, actor=system("seed_orders", Channel.CLI), on_progress=lambda n: _show(n, count)
        )
        seconds = round(time.monotonic() - began, 1)
        self.stdout.write(_as_json(made, seconds) if json else f"Placed {made} orders in {seconds} s.")


def _show(made: int, count: int) -> None:
    if sys.stderr.isatty():
        sys.stderr.write(f"\r{made} of {count}{chr(10) if made == count else ''}")
        sys.stderr.flush()


def _as_json(made: int, seconds: float) -> str:
    return json.dumps({"orders": made, "seconds": seconds})
