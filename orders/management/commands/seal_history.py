"""`manage.py seal_history`: make today's seal now. The worker does it by itself every night."""

from orders.management.acting import ActingCommand
from orders.services import seals


class Command(ActingCommand):
    help = "Seal all histories as they stand now; a day has one seal, so a second call only says so."

    def handle(self, *, acting_as: str | None, **_: object) -> None:
        sealed = seals.seal_history(actor=self.actor(acting_as))
        word = "made" if sealed.made else "there already, nothing was changed"
        self.stdout.write(f"{sealed.seal}: {word}; {sealed.seal.head_count} histories, hash {sealed.seal.hash}")
