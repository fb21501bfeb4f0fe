"""`manage.py verify_invariants`: is everything as it must be? Reads only; exit 1 names what is not."""

import json as jsonlib
import sys
from argparse import ArgumentParser
from collections.abc import Callable, Iterable
from dataclasses import asdict
from functools import partial

import requests
from asgiref.sync import async_to_sync
from django.conf import settings
from django.core.management.base import BaseCommand

from orders.errors import DomainError
from orders.services import invariants
from orders.services.books.checking import hear
from orders.services.books.witnesses import witnesses
from temporal_app.invariants import check_engine

Check = Callable[[], Iterable[invariants.Violation]]


class Command(BaseCommand):
    help = "Verify stock, ledger, partners' books, runs, outbox and history; exit 1 on any violation."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="print one JSON object as the last line")

    def handle(self, *, json: bool, **_: object) -> None:
        checks: dict[str, Check] = {"database": invariants.check_database}
        outside = witnesses()
        checks |= {witness.name: partial(hear, witness) for witness in outside}
        if settings.TEMPORAL_ADDRESS:
            checks["engine"] = async_to_sync(check_engine)
        # Two witnesses that say the same are one violation.
        violations: dict[invariants.Violation, None] = {}
        unchecked: dict[str, str] = {}
        for name, check in checks.items():
            self.say(f"checking {name} ...")
            try:
                violations |= dict.fromkeys(check())
            except (requests.RequestException, DomainError, RuntimeError) as error:
                # What could not be looked at is not known to be right.
                unchecked[name] = str(error)[:300]
        for violation in violations:
            self.say(f"{violation.invariant}: {violation.subject}: {violation.detail}")
        for name, why in unchecked.items():
            self.say(f"could not check {name}: {why}")
        heard = [witness.name for witness in outside if witness.name not in unchecked]
        # Without any, our ledger was compared with nothing but itself.
        self.say(f"outside books: {' and '.join(heard) or 'none'}")
        ok = not violations and not unchecked
        report = {
            "ok": ok,
            "orders": invariants.order_count(),
            "checked": sorted(set(checks) - set(unchecked)),
            "witnesses": heard,
            "unchecked": unchecked,
            "violations": [asdict(violation) for violation in violations],
        }
        self.stdout.write(
            jsonlib.dumps(report) if json else ("All invariants hold." if ok else "There are violations.")
        )
        if not ok:
            sys.exit(1)

    def say(self, line: str) -> None:
        self.stderr.write(line)
