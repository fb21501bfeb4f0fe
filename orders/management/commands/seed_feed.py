"""`manage.py seed_feed FILE`: a year of invoices to try an import's limits, speed and memory with."""

import json
from argparse import ArgumentParser
from dataclasses import asdict
from pathlib import Path

from django.core.management.base import BaseCommand, CommandError

from orders.services import sample_feed


class Command(BaseCommand):
    help = "Write a CSV file of made-up invoices; prints the figures that its import must report."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", metavar="FILE", type=Path)
        parser.add_argument("--rows", type=int, default=sample_feed.YEAR_ROWS, help="a year has %(default)s")
        parser.add_argument("--seed", type=int, default=1)

    def handle(self, *, file: Path, rows: int, seed: int, **_: object) -> None:
        if rows < 1:
            raise CommandError("--rows: a number above 0 is needed.")
        try:
            with file.open("w", encoding="utf-8", newline="") as target:
                expected = sample_feed.write(target, rows=rows, seed=seed)
        except OSError as error:
            raise CommandError(f"{file}: {error.strerror}.") from None
        self.stdout.write(json.dumps(asdict(expected)))
