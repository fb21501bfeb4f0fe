"""`manage.py erase_customer REFERENCE --reason TEXT`: erase the personal data of a customer, for ever."""

import json as jsonlib
from argparse import ArgumentParser

from django.core.management.base import CommandError

from orders.errors import DomainError, NotPermitted
from orders.management.acting import ActingCommand
from orders.models import Customer
from orders.services import erasing


class Command(ActingCommand):
    help = "Erase the personal data of a customer, for ever; orders, history and books stay."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("reference", help="the customer's reference")
        parser.add_argument("--reason", required=True, help="who asked for it; kept in the history, so no names")
        parser.add_argument(
            "--also",
            action="append",
            default=[],
            metavar="WORDS",
            help="other words that name the person, as an address or another spelling; not kept; may be repeated",
        )
        parser.add_argument("--json", action="store_true", help="print one JSON object as the last line")

    def handle(
        self, *, reference: str, reason: str, also: list[str], json: bool, acting_as: str | None, **_: object
    ) -> None:
        try:
            done = erasing.erase_customer(reference, actor=self.actor(acting_as), reason=reason, also=also)
        except Customer.DoesNotExist as error:
            raise CommandError("There is no customer of that reference.") from error
        except NotPermitted:
            raise
        except DomainError as error:
            raise CommandError(str(error)) from error
        report = [place.as_row() for place in done.places]
        if json:
            answer = {"customer": done.customer, "new": done.is_new, "told": done.words, "report": report}
            self.stdout.write(jsonlib.dumps(answer))
        else:
            self.stdout.write(f"{done.customer}: {done.words}")
            for place in done.places:
                looked_at = "" if place.looked_at is None else f" of {place.looked_at}"
                self.stdout.write(f"  {place.where}: {place.found}{looked_at}{' (stays)' if place.stays else ''}")
