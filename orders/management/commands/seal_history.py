"""`manage.py seal_history`: make today's seal now. The worker does it by itself every night."""

from django.core.management.base import BaseCommand

from orders.actor import system
from orders.services import seals
from orders.vocabulary import Channel


class Command(BaseCommand):
    help = "Seal all histories as they stand now; a day has one seal, so a second call only says so."

    def handle(self, **_: object) -> None:
        sealed = seals.seal_history(actor=system("seal_history", Channel.CLI))
        word = "made" if sealed.made else "there already, nothing was changed"
        self.stdout.write(f"{sealed.seal}: {word}; {sealed.seal.head_count} histories, hash {sealed.seal.hash}")
