"""The playbooks that the product comes with, installed once; staff change them by saving versions of their own.

Nobody published them. By hand they run for whoever starts them, with that person's permissions; by themselves they run
once somebody who may publish them lets them, and for that person (`publishing.stand_for`).
"""

from __future__ import annotations

from django.db import transaction

from orders import clock
from orders.models import Playbook, PlaybookVersion
from orders.playbooks import validation
from orders.playbooks.examples import EXAMPLES
from orders.services.playbooks import genuine
from orders.services.playbooks.publishing import known_to
from orders.vocabulary import VersionStatus

OURS = "backoffice"


@transaction.atomic
def install_examples() -> list[str]:
    """Make the shipped playbooks that are missing; answers their names. One that staff have changed stays as it is."""
    made = []
    for slug, document in EXAMPLES.items():
        playbook, is_new = Playbook.objects.get_or_create(slug=slug, defaults={"created_by": OURS})
        if not is_new:
            continue
        definition = validation.parse(document, known=known_to(document))
        stored = definition.model_dump(mode="json")
        version = PlaybookVersion(
            playbook=playbook,
            number=1,
            document=stored,
            hash=genuine.hash_of(stored),
            title=definition.title,
            status=VersionStatus.PUBLISHED,
            published_at=clock.now(),
        )
        version.keyed_digest = genuine.sign(version)
        version.save(force_insert=True)
        made.append(slug)
    return made
