"""`manage.py grant_roles`: the accounts of web, worker and reports, and their rights. Run it after every migrate."""

import os

from django.core.management.base import BaseCommand, CommandError

from backoffice import database_roles
from backoffice.database_roles import Role


class Command(BaseCommand):
    help = (
        "Make the database roles PREFIX_web, PREFIX_worker and PREFIX_reader (DATABASE_ROLE_PREFIX), each with exactly "
        "its rights and, where given, the password in DATABASE_WEB_PASSWORD, DATABASE_WORKER_PASSWORD or "
        "DATABASE_READER_PASSWORD."
    )

    def handle(self, **_: object) -> None:
        passwords = {role: os.environ.get(f"DATABASE_{role.upper()}_PASSWORD", "") for role in Role}
        try:
            database_roles.grant(passwords)
        except database_roles.RolesRefused as refusal:
            raise CommandError(str(refusal)) from refusal
        for table in database_roles.undecided_tables():
            self.stderr.write(f"{table} belongs to no model: only the owner reaches it.")
        self.stdout.write(f"Rights are in place for {', '.join(database_roles.name_of(role) for role in Role)}.")
