"""Approvals and playbooks that somebody wrote into the database, past this program, move nothing."""

import hashlib
import json
import secrets
from collections.abc import Callable
from decimal import Decimal
from importlib import import_module
from typing import Any

import pgtrigger
import pytest
from django.apps import apps
from django.contrib.auth.models import User
from pytest_django.fixtures import Settings

from backoffice import checks
from orders import signing
from orders.errors import WrongState
from orders.models import Approval, PlaybookVersion
from orders.services import approvals, catalogue, deciding
from orders.services.playbooks import following, genuine, publishing, running
from tests.factories import make_order, make_product
from tests.orders.playbooks import chief, document, note, published, start

pytestmark = pytest.mark.django_db
Tamper = Callable[..., None]


def another_key() -> str:
    return f"new:{secrets.token_urlsafe(32)}"


@pytest.fixture
def approval() -> Approval:
    """A price of five times the old one, asked for by one lead."""
    product = make_product(unit_price="10.00")
    asked = catalogue.change_product(product.sku, name="Lamp", unit_price=Decimal("50.00"), actor=chief("anna"))
    assert isinstance(asked, Approval)
    return asked


def approve(approval: Approval) -> None:
    deciding.approve(approval.pk, actor=chief("ben"))


def test_a_request_is_void_whatever_of_it_was_changed(approval: Approval, tamper: Tamper) -> None:
    eve = User.objects.create_user("eve")
    for column, value in (
        ("subject", "ANOTHER"),
        ("requested_by_id", eve.pk),
        ("requested_at", "2020-01-01"),
        ("expires_at", "2099-01-01"),
        ("parameters", '{"sku": "ANOTHER"}'),
    ):
        before = getattr(approval, column)
        tamper(f"UPDATE orders_approval SET {column} = %s", value)
        with pytest.raises(WrongState, match="was changed since"):
            approvals.confirm(Approval.objects.get())
        tamper(f"UPDATE orders_approval SET {column} = %s", json.dumps(before) if column == "parameters" else before)
    approve(approval)


def test_nobody_is_put_on_a_request_or_taken_off_it_afterwards(approval: Approval, tamper: Tamper) -> None:
    maker = User.objects.create_user("maker")
    tamper(
        "INSERT INTO orders_approvalmaker (approval_id, user_id, part) VALUES (%s, %s, 'made it')",
        approval.pk,
        maker.pk,
    )
    with pytest.raises(WrongState, match="was changed since"):
        approve(approval)


def test_a_decision_that_nobody_took_here_is_none(approval: Approval, tamper: Tamper) -> None:
    ben = chief("ben").user
    tamper("UPDATE orders_approval SET status = 'done', decided_at = now(), decided_by_id = %s", ben.pk)
    approval.refresh_from_db()
    with pytest.raises(WrongState, match="was not written by this program"):
        approvals.confirm(approval)

    tamper("UPDATE orders_approval SET status = 'waiting', decided_at = NULL, decided_by_id = NULL")
    approve(approval)
    approval.refresh_from_db()
    approvals.confirm(approval)
    tamper("UPDATE orders_approval SET decided_by_id = %s", User.objects.create_user("eve").pk)
    approval.refresh_from_db()
    with pytest.raises(WrongState, match="was not written by this program"):
        approvals.confirm(approval)


def test_what_was_declined_has_no_digest_of_an_agreement(approval: Approval, tamper: Tamper) -> None:
    deciding.decline(approval.pk, actor=chief("ben"), reason="Too dear")
    tamper("UPDATE orders_approval SET status = 'done'")
    approval.refresh_from_db()
    assert approval.decided_digest == ""
    with pytest.raises(WrongState):
        approvals.confirm(approval)


def test_a_playbook_that_was_rewritten_starts_nothing(tamper: Tamper) -> None:
    order = make_order()
    version = published(note("one"))
    other = genuine.hash_of(document(note("one", "other words")))
    eve = User.objects.create_user("eve")
    for change in (
        "document = replace(document::text, 'noted', 'other words')::jsonb",
        f"document = replace(document::text, 'noted', 'other words')::jsonb, hash = '{other}'",
        "title = 'Another'",
        f"published_by_id = {eve.pk}",
        "published_at = now()",
        "keyed_digest = ''",
    ):
        before = PlaybookVersion.objects.values().get(pk=version.pk)
        tamper(f"UPDATE orders_playbookversion SET {change}")
        with pytest.raises(WrongState, match="was changed past this program"):
            running.start(order.number, "test", actor=chief(), reason="test")
        restore(before, tamper)
    assert running.start(order.number, "test", actor=chief(), reason="test").version == version


def restore(before: dict[str, Any], tamper: Tamper) -> None:
    tamper(
        "UPDATE orders_playbookversion SET document = %s, hash = %s, title = %s, published_by_id = %s,"
        " published_at = %s, keyed_digest = %s",
        json.dumps(before["document"]),
        *(before[name] for name in ("hash", "title", "published_by_id", "published_at", "keyed_digest")),
    )


def test_a_draft_that_somebody_calls_published_starts_nothing(tamper: Tamper) -> None:
    order = make_order()
    publishing.save("test", document(note("one")), actor=chief())
    tamper("UPDATE orders_playbookversion SET status = 'published', published_at = now()")
    with pytest.raises(WrongState, match="was changed past this program"):
        running.start(order.number, "test", actor=chief(), reason="test")


def test_a_run_stops_when_its_playbook_is_rewritten(tamper: Tamper) -> None:
    run = start(make_order(), note("one"))
    assert following.load(str(run.pk)).definition.title == "A test"
    tamper("UPDATE orders_playbookversion SET document = replace(document::text, 'noted', 'x')::jsonb")
    with pytest.raises(WrongState, match="was changed past this program"):
        following.load(str(run.pk))


def test_a_retired_version_stays_genuine_and_cannot_be_called_back(tamper: Tamper) -> None:
    run = start(make_order(), note("one"))
    publishing.retire("test", 1, actor=chief(), reason="Old")
    assert following.load(str(run.pk)).done == []
    tamper("UPDATE orders_playbookversion SET status = 'published'")
    with pytest.raises(WrongState):
        running.start(make_order().number, "test", actor=chief(), reason="test")


def test_a_new_key_in_front_signs_and_the_old_one_behind_still_verifies(settings: Settings, approval: Approval) -> None:
    old = settings.DIGEST_KEYS
    settings.DIGEST_KEYS = f"{another_key()},{old}"
    approve(approval)
    approval.refresh_from_db()
    assert approval.asked_digest.partition(":")[0] == old.partition(":")[0]
    assert approval.decided_digest.startswith("new:")
    settings.DIGEST_KEYS = another_key()
    with pytest.raises(WrongState):
        approvals.confirm(approval)


def test_a_digest_fits_one_purpose_and_one_row_only() -> None:
    digest = signing.sign("one", ["a", 1])
    assert signing.is_signed("one", ["a", 1], digest)
    for purpose, fields, given in (
        ("two", ["a", 1], digest),
        ("one", ["a", 2], digest),
        ("one", ["a", "1"], digest),
        ("one", ["a", 1], f"other:{digest.partition(':')[2]}"),
        ("one", ["a", 1], ""),
    ):
        assert not signing.is_signed(purpose, fields, given)


@pytest.mark.parametrize("keys", ["", "id", "id:short"])
def test_nothing_starts_without_a_usable_key(settings: Settings, keys: str) -> None:
    settings.DIGEST_KEYS = keys
    assert [message.id for message in checks.digests_can_be_keyed()] == ["backoffice.E027"]


def test_the_migration_signs_what_this_program_verifies(
    approval: Approval, tamper: Tamper, monkeypatch: pytest.MonkeyPatch
) -> None:
    approve(approval)
    version = published(note("one"))
    tamper("UPDATE orders_approval SET asked_digest = '', decided_digest = ''")
    tamper("UPDATE orders_playbookversion SET keyed_digest = ''")

    def as_it_was(one: Approval) -> str:
        said = json.dumps([one.command, one.subject, one.parameters], sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(said.encode()).hexdigest()

    monkeypatch.setattr(Approval, "parameters_hash", property(as_it_was), raising=False)
    with pgtrigger.ignore("orders.Approval:asked_once"):
        import_module("orders.migrations.0111_keyed_digests").sign(apps, None)

    approvals.confirm(Approval.objects.get(pk=approval.pk))
    assert running.start(make_order().number, "test", actor=chief(), reason="test").version == version
