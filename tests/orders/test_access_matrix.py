"""Every kind of person tries every command at every door: exactly what the table says happens."""

from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.core.cache import caches
from django.core.management import CommandError
from django.db import connection

from orders.access import COMMANDS, DOORS, RULES, Role
from orders.models import RefusedAction
from orders.services.refusals import NOBODY
from orders.services.roles import ensure_roles
from orders.vocabulary import Channel
from tests.orders import access_attempts, attempts_errors, attempts_feeds, attempts_steps
from tests.orders.access_attempts import Attempt, Person
from tests.orders.attempts_partner_runs import PARTNER_RUN_ATTEMPTS
from tests.orders.attempts_playbooks import PLAYBOOK_ATTEMPTS
from tests.orders.attempts_quality import QUALITY_ATTEMPTS

ATTEMPTS = (
    *access_attempts.ATTEMPTS,
    *attempts_steps.STEP_ATTEMPTS,
    *attempts_errors.ATTEMPTS,
    *attempts_feeds.ATTEMPTS,
    *PARTNER_RUN_ATTEMPTS,
    *QUALITY_ATTEMPTS,
    *PLAYBOOK_ATTEMPTS,
)
#: whoever can make accounts could be both of two people, so a superuser is the second at none of these
NOT_BY_SUPERUSERS = {"orders:approval-approve", "Approvals.approve"}
#: what a request writes by itself, whether it is refused or not
BY_THE_WAY = {"orders_refusedaction", "orders_requestcount", "django_session"}


def snapshot() -> dict[str, tuple[int, int]]:
    """A digest of every table, in one question: thirty for each try would be most of this file's time."""
    tables = sorted(set(connection.introspection.table_names()) - BY_THE_WAY)
    # A sum does not depend on the order of the rows, so nothing is sorted.
    row = "hashtextextended((to_jsonb(t) - 'last_used_at')::text, 0)"  # of a token
    digests = (f"SELECT '{table}', count(*), COALESCE(sum({row}), 0) FROM {table} t" for table in tables)
    with connection.cursor() as cursor:
        cursor.execute(" UNION ALL ".join(digests))
        return {table: (rows, digest) for table, rows, digest in cursor.fetchall()}


def people() -> list[Person]:
    ensure_roles()
    caches["process"].clear()
    known = [Person(role="anonymous", user=None)]
    for role in Role:
        user = User.objects.create_user(f"a-{role}", is_staff=True)
        user.groups.add(Group.objects.get(name=role))
        known.append(Person(role=role, user=user))
    return [*known, Person(role="superuser", user=User.objects.create_superuser("a-superuser"))]


def outcome(attempt: Attempt, person: Person, thing: Any) -> str:
    """ "done", "refused", or what else happened."""
    try:
        response = attempt.do(person, thing)
    except CommandError as error:
        return "refused" if "permission" in str(error) or "no account" in str(error) else str(error)
    if response is None:
        return "done"
    if response.status_code in {401, 403} or "/login/" in response.get("Location", ""):
        return "refused"
    return "done" if response.status_code < 400 else f"{response.status_code}: {response.content!r}"


def test_every_door_of_the_table_is_tried() -> None:
    wanted = {
        (rule.name, channel, door) for rule in COMMANDS for channel, doors in rule.doors.items() for door in doors
    }
    tried = {(attempt.command, attempt.channel, attempt.door) for attempt in ATTEMPTS}
    assert tried == wanted, "tests/orders/access_attempts.py does not try exactly the doors of orders/access/."


@pytest.mark.django_db
@pytest.mark.parametrize("attempt", ATTEMPTS, ids=str)
def test_exactly_the_roles_of_the_table_may(attempt: Attempt) -> None:
    rule = RULES[attempt.command]
    thing, untouched = None, False
    for person in people():
        may = person.role in rule.roles or (person.role == "superuser" and attempt.door not in NOT_BY_SUPERUSERS)
        if not untouched:
            thing = attempt.prepare()
        _ = person.browser, person.program  # signing in writes too
        before, rows = snapshot(), RefusedAction.objects.count()

        happened = outcome(attempt, person, thing)
        # Who was refused changed nothing, which is looked at below; the next one tries the same thing.
        untouched = not may

        assert happened == ("done" if may else "refused"), f"{person.role} tried {attempt}"
        if not may:
            assert snapshot() == before, f"{person.role} changed something by {attempt}"
            row = RefusedAction.objects.latest("pk")
            assert RefusedAction.objects.count() == rows + 1, f"{person.role} left not one row by {attempt}"
            assert (row.actor, row.channel, row.times) == (
                person.user.get_username() if person.user else NOBODY,
                attempt.channel,
                1,
            )
            assert row.action in {named.name for named in DOORS[attempt.channel, attempt.door]}
            assert row.address == ("" if attempt.channel is Channel.CLI else "127.0.0.1")
        else:
            assert RefusedAction.objects.count() == rows
            assert attempt.reads or snapshot() != before, f"{attempt} did nothing"
