"""The playbooks that `manage.py bootstrap` installs."""

from io import StringIO

import pytest
from django.core.management import call_command

from orders.errors import WrongState
from orders.models import Playbook, PlaybookVersion
from orders.playbooks.examples import EXAMPLES
from orders.services.playbooks import installing, publishing, running, triggering
from orders.vocabulary import VersionStatus
from tests.factories import make_order
from tests.orders import playbooks
from tests.orders.playbooks import note

pytestmark = pytest.mark.django_db


def test_bootstrap_installs_each_shipped_playbook_once() -> None:
    for _ in range(2):
        call_command("bootstrap", stdout=StringIO())

    assert set(Playbook.objects.values_list("slug", flat=True)) == set(EXAMPLES)
    found = PlaybookVersion.objects.values_list("number", "status", "published_by", "playbook__created_by")
    assert set(found) == {(1, VersionStatus.PUBLISHED, None, "backoffice")}


def test_what_staff_made_of_one_is_left_alone() -> None:
    slug = next(iter(EXAMPLES))
    own = publishing.save(slug, playbooks.document(note("ours")), actor=playbooks.chief())

    assert installing.install_examples() == [name for name in EXAMPLES if name != slug]

    assert list(PlaybookVersion.objects.filter(playbook__slug=slug)) == [own]


def test_a_shipped_playbook_is_run_by_hand_and_by_nothing_else() -> None:
    installing.install_examples()
    order = make_order()

    run = running.start(order.number, "late_delivery", actor=playbooks.chief(), reason="x", inputs={"hours_late": 5})

    assert run.version.playbook.slug == "late_delivery"
    triggering.set_trigger("chargeback", "order.note_added", actor=playbooks.chief())
    with pytest.raises(WrongState, match="published by anybody"):
        triggering._start(Playbook.objects.get(slug="chargeback"), order, triggering.RunTrigger.EVENT, "cause", "why")
