"""The playbooks that `manage.py bootstrap` installs."""

from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command

from orders.actor import person
from orders.errors import NotPermitted, WrongState
from orders.models import Playbook, PlaybookRun, PlaybookSchedule, PlaybookTrigger, PlaybookVersion
from orders.playbooks.examples import EXAMPLES
from orders.services.playbooks import installing, publishing, running, setting, triggering
from orders.vocabulary import Channel, RunTrigger, VersionStatus
from tests.factories import make_order
from tests.orders import playbooks
from tests.orders.playbooks import note
from tests.orders.staff import make_user

pytestmark = pytest.mark.django_db


def test_bootstrap_installs_each_shipped_playbook_once() -> None:
    for _ in range(2):
        call_command("bootstrap", stdout=StringIO())

    assert set(Playbook.objects.values_list("slug", flat=True)) == set(EXAMPLES)
    found: Any = PlaybookVersion.objects.values_list("number", "status", "published_by", "playbook__created_by")
    assert set(found) == {(1, VersionStatus.PUBLISHED, None, "backoffice")}


def test_what_staff_made_of_one_is_left_alone() -> None:
    slug = next(iter(EXAMPLES))
    own = publishing.save(slug, playbooks.document(note("ours")), actor=playbooks.chief())

    assert installing.install_examples() == [name for name in EXAMPLES if name != slug]

    assert list(PlaybookVersion.objects.filter(playbook__slug=slug)) == [own]


def test_a_shipped_playbook_is_run_by_hand_for_whoever_starts_it() -> None:
    installing.install_examples()
    order = make_order()

    run = running.start(order.number, "late_delivery", actor=playbooks.chief(), reason="x", inputs={"hours_late": 5})

    assert run.version.playbook.slug == "late_delivery"


def test_a_shipped_playbook_starts_by_itself_for_whoever_may_publish_it_and_first_let_it() -> None:
    installing.install_examples()
    order = make_order()
    vip = PlaybookVersion.objects.get(playbook__slug="vip_fast_lane")
    with pytest.raises(WrongState, match="published by anybody"):
        triggering._start(vip.playbook, order, RunTrigger.EVENT, "cause", "why")

    setting.set_trigger("vip_fast_lane", "order.placed", actor=playbooks.chief())
    setting.set_schedule("vip_fast_lane", every_hours=1, condition="true", actor=playbooks.chief("second"))

    vip.refresh_from_db()
    assert (str(vip.published_by), vip.status) == ("chief", VersionStatus.PUBLISHED)
    assert triggering.fire(order.events.get().pk) == 1
    assert PlaybookRun.objects.get().started_by == vip.published_by


@pytest.mark.parametrize("missing", ["orders.publish_playbook", "orders.start_order"])
@pytest.mark.parametrize("door", ["trigger", "schedule"])
def test_nobody_lets_a_shipped_playbook_start_that_could_not_publish_it(missing: str, door: str) -> None:
    installing.install_examples()
    needed = {"set_trigger", "publish_playbook", "start_order", "note_order", "work_task"}
    mine = [f"orders.{name}" for name in needed if f"orders.{name}" != missing]
    actor = person(make_user(*mine), Channel.ADMIN)

    def let() -> None:
        if door == "trigger":
            setting.set_trigger("vip_fast_lane", "order.placed", actor=actor)
        else:
            setting.set_schedule("vip_fast_lane", every_hours=1, condition="true", actor=actor)

    with pytest.raises(NotPermitted, match=missing):
        let()
    assert not PlaybookTrigger.objects.exists()
    assert not PlaybookSchedule.objects.exists()
    assert PlaybookVersion.objects.get(playbook__slug="vip_fast_lane").published_by is None


def test_a_draft_of_staff_is_taken_on_by_nobody_alone() -> None:
    version = publishing.save("ours", playbooks.document(note("a")), actor=playbooks.chief())
    publishing.stand_for(version, actor=playbooks.chief("second"))
    version.refresh_from_db()
    assert (version.status, version.published_by) == (VersionStatus.DRAFT, None)
