"""The base of management commands that act for a person: who it is, and what happens when they may not.

Whoever has a shell on the machine holds its database password, so without --as the machine's operator acts and nothing
is refused. With --as, the permissions of that account count, as they would in the admin: for jobs and scripts that
should not be able to do more than one person.
"""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.models import AbstractBaseUser
from django.core.management.base import BaseCommand, CommandError

from orders.actor import Actor, person, system
from orders.errors import NotPermitted
from orders.services import refusals
from orders.vocabulary import Channel


class ActingCommand(BaseCommand):
    #: the account of --as, once it is known
    account: AbstractBaseUser | None = None

    @property
    def name(self) -> str:
        return type(self).__module__.rpartition(".")[2]

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> Any:
        parser: ArgumentParser = super().create_parser(prog_name, subcommand, **kwargs)
        parser.add_argument(
            "--as",
            dest="acting_as",
            metavar="USERNAME",
            help="act for this account and with its permissions only; otherwise the operator of the machine acts",
        )
        return parser

    def execute(self, *args: Any, **options: Any) -> str | None:
        try:
            return super().execute(*args, **options)
        except NotPermitted as refusal:
            refusals.remember(refusal, user=self.account, channel=Channel.CLI, door=self.name)
            raise CommandError(str(refusal)) from None

    def actor(self, acting_as: str | None) -> Actor:
        """Who acts. Raises `NotPermitted` for an account that is unknown or inactive."""
        if acting_as is None:
            return system(self.name, Channel.CLI)
        self.account = get_user_model().objects.filter(username=acting_as).first()
        if self.account is None:
            raise NotPermitted(f"There is no account {acting_as}.")
        if not self.account.is_active:
            raise NotPermitted(f"The account {acting_as} is not active.")
        return person(self.account, Channel.CLI)
