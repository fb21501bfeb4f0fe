"""`manage.py export_seals > FILE`: seals as JSON lines, to be kept where nobody of us can rewrite them."""

from argparse import ArgumentParser, ArgumentTypeError
from datetime import date

from orders.management.acting import ActingCommand
from orders.services import seals


def day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise ArgumentTypeError("must be a day such as 2026-01-31") from error


class Command(ActingCommand):
    help = (
        "Write seals and what they sealed as JSON lines to standard output; `verify_history --seals FILE` reads them."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--since", type=day, metavar="DAY", help="only seals of this UTC day (YYYY-MM-DD) and later"
        )

    def handle(self, *, since: date | None, acting_as: str | None, **_: object) -> None:
        for line in seals.export_lines(actor=self.actor(acting_as), since=since):
            self.stdout.write(line, ending="")
