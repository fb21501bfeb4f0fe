"""`manage.py bootstrap`: roles, database accounts and shipped playbooks; for `./dev` also a login and goods."""

import json as jsonlib
import os
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.contrib.auth.models import Group, User
from django.core.management import call_command
from django.core.management.base import BaseCommand
from django.db import connection, transaction

from orders.access import Role
from orders.management.migrating import alone
from orders.services import demo, tokens
from orders.services.playbooks import installing
from orders.services.roles import ensure_roles

USERNAME = "admin"
#: the second person of `./dev`: whoever can make accounts, as the first, approves nothing
SECOND = "lead"


class Command(BaseCommand):
    help = (
        "Make the roles and the shipped playbooks that are missing; what somebody changed stays. With "
        "BACKOFFICE_ENV=dev also the logins of BACKOFFICE_ADMIN_PASSWORD and BACKOFFICE_API_TOKEN, and the second "
        "person's of BACKOFFICE_SECOND_API_TOKEN."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="print what was made as one JSON object")
        parser.add_argument(
            "--reset-roles",
            action="store_true",
            help="give each role exactly the permissions of docs/access.md, also those that somebody took away",
        )

    def handle(self, *, json: bool, reset_roles: bool, **_: object) -> None:
        with alone(connection), transaction.atomic():
            made = self.make(reset_roles=reset_roles)
        for difference in made["differences"]:
            done = "It was reset." if reset_roles else "Left as it is; --reset-roles sets it back."
            self.stderr.write(f"{difference} {done}")
        self.stdout.write(jsonlib.dumps(made) if json else "Roles, playbooks and logins are in place.")

    def make(self, *, reset_roles: bool) -> dict[str, Any]:
        differences = [str(one) for one in ensure_roles(reset=reset_roles)]
        if settings.DATABASE_OWNER_URL:
            # A migration may have made tables; without rights on them web and worker would stop at the first query.
            call_command("grant_roles", stdout=self.stderr, stderr=self.stderr)
        installing.install_examples()
        made: dict[str, Any] = {"roles": True, "differences": differences}
        if settings.ENVIRONMENT == "dev":
            demo.ensure_catalogue()
            if not settings.FRESH_APPROVER_HOURS:
                self.stderr.write("FRESH_APPROVER_HOURS is 0 here: an account that was made just now may approve.")
            made = {"login": self.login(), "sample_order": demo.sample_order(), "differences": differences}
        return made

    def login(self) -> dict[str, str]:
        password, token = os.environ["BACKOFFICE_ADMIN_PASSWORD"], os.environ["BACKOFFICE_API_TOKEN"]
        user = self.user(USERNAME, password, is_superuser=True)
        second = self.user(SECOND, password)
        second.groups.add(Group.objects.get(name=Role.LEAD))
        if second_token := os.environ.get("BACKOFFICE_SECOND_API_TOKEN"):
            # Of programs that play two people, as ./dev chaos does.
            tokens.remember(second_token, user=second, name="./dev", days=settings.TOKEN_DEFAULT_DAYS)
        # ./dev remembers the token, so it is stored as given. It ends, and the next `./dev up` lets it live on.
        tokens.remember(token, user=user, name="./dev", days=settings.TOKEN_DEFAULT_DAYS)
        # Neither password nor token: what is printed here is kept in a log.
        return {"username": USERNAME, "second_username": SECOND}

    def user(self, name: str, password: str, **rights: bool) -> User:
        user, made = User.objects.get_or_create(username=name, defaults={"is_staff": True, **rights})
        if made or not user.check_password(password):
            user.set_password(password)
            user.save(update_fields=["password"])
        return user
