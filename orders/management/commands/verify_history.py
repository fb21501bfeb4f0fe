"""`manage.py verify_history`: does every order's chain of events hold? Reads only; exit 1 names what does not."""

import json as jsonlib
import sys
from argparse import ArgumentParser
from pathlib import Path

from django.core.management.base import BaseCommand, CommandError

from orders.actor import system
from orders.errors import InvalidInput
from orders.services import invariants, seals
from orders.vocabulary import Channel


class Command(BaseCommand):
    help = (
        "Verify the hash chain of every order's history, or of the orders given, and the seals over them; exit 1 names "
        "what was tampered with."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("numbers", nargs="*", metavar="NUMBER", help="order numbers; all orders when left out")
        parser.add_argument(
            "--seals",
            type=Path,
            metavar="FILE",
            help="compare with seals that were exported earlier: finds a history that was written anew as a whole",
        )
        parser.add_argument("--json", action="store_true", help="print one JSON object as the last line")

    def handle(self, *, numbers: list[str], seals: Path | None, json: bool, **_: object) -> None:
        unknown = invariants.unknown_numbers(numbers)
        if unknown:
            raise CommandError(f"There is no order {', '.join(unknown)}.")
        found = [(chain.subject, chain.detail) for chain in invariants.history_verifies(numbers or None)]
        if not numbers:
            found += against_own_seals()
        if seals is not None:
            found += against_exported_seals(seals, numbers)
        broken = [{"order": subject, "problem": problem} for subject, problem in dict.fromkeys(found)]
        for row in broken:
            self.stderr.write(f"{row['order']}: {row['problem']}")
        if json:
            self.stdout.write(jsonlib.dumps({"ok": not broken, "broken": broken}))
        else:
            self.stdout.write("Some histories do not hold." if broken else "Every history holds.")
        if broken:
            sys.exit(1)


def against_own_seals() -> list[tuple[str, str]]:
    """What the seals in the database say; whoever can rewrite them too is found by an export only."""
    lines = seals.export_lines(actor=system("verify_history", Channel.CLI))
    return [(one.subject, one.problem) for one in seals.compare(lines)]


def against_exported_seals(file: Path, numbers: list[str]) -> list[tuple[str, str]]:
    try:
        with file.open(encoding="utf-8") as lines:
            return [(one.subject, one.problem) for one in seals.compare(lines, numbers=numbers)]
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(f"{file} cannot be read: {error}") from error
    except InvalidInput as error:
        raise CommandError(f"{file}: {error}") from error
