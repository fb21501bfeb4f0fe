"""`manage.py verify_history`: does every order's chain of events hold? Reads only; exit 1 names what does not."""

import json as jsonlib
import sys
from argparse import ArgumentParser

from django.core.management.base import BaseCommand, CommandError

from orders.services import invariants


class Command(BaseCommand):
    help = (
        "Verify the hash chain of every order's history, or of the orders given; exit 1 names what was tampered with."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("numbers", nargs="*", metavar="NUMBER", help="order numbers; all orders when left out")
        parser.add_argument("--json", action="store_true", help="print one JSON object as the last line")

    def handle(self, *, numbers: list[str], json: bool, **_: object) -> None:
        unknown = invariants.unknown_numbers(numbers)
        if unknown:
            raise CommandError(f"There is no order {', '.join(unknown)}.")
        broken = [
            {"order": found.subject, "problem": found.detail} for found in invariants.history_verifies(numbers or None)
        ]
        for row in broken:
            self.stderr.write(f"{row['order']}: {row['problem']}")
        if json:
            self.stdout.write(jsonlib.dumps({"ok": not broken, "broken": broken}))
        else:
            self.stdout.write("Some histories do not hold." if broken else "Every history holds.")
        if broken:
            sys.exit(1)
