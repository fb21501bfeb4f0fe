"""`manage.py give_role USERNAME ROLE`: the first lead of an installation, which nobody is there to agree to."""

from argparse import ArgumentParser

from django.core.management.base import CommandError

from orders.errors import InvalidInput, WrongState
from orders.management.acting import ActingCommand
from orders.services import role_giving


class Command(ActingCommand):
    help = "Give an account a role. With --as it waits for a second person, as in the admin."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("username")
        parser.add_argument("role", help="a group, such as viewer, agent or lead")
        parser.add_argument("--reason", default="Given by the operator of the machine")

    def handle(self, *, username: str, role: str, reason: str, acting_as: str | None, **_: object) -> None:
        actor = self.actor(acting_as)
        try:
            before = role_giving.rights_of(role_giving.account(username))
            wanted = {"groups": [*before["groups"], role], "is_staff": True}
            waiting = role_giving.change_account(username, wanted, actor=actor, reason=reason)
        except (InvalidInput, WrongState) as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"{waiting.says} It waits for a second person." if waiting else f"{username} is {role}.")
