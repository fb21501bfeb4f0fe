"""`manage.py forget_engine_use`: let workers work without a payload key that is lost, or in another namespace."""

from argparse import ArgumentParser

from django.core.management.base import BaseCommand, CommandError

from orders.services import engine_uses
from orders.vocabulary import EngineUseKind


class Command(BaseCommand):
    help = (
        "Workers take no work while open processes need a payload key or a namespace that they do not have. When a key "
        "is lost, or another namespace is meant, this forgets it; what cannot be read then shows as wedged."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("kind", choices=[kind.value for kind in EngineUseKind])
        parser.add_argument("name", help="the id of the key, or the namespace")

    def handle(self, *, kind: str, name: str, **_: object) -> None:
        if not engine_uses.forget(EngineUseKind(kind), name):
            raise CommandError(f"No {kind} {name} is noted.")
        self.stdout.write(f"The {kind} {name} is forgotten.")
