"""Keyed digests of what was asked for, agreed to and published so far.

Rows of before are believed once more: an approval whose own hash does not fit is left without a digest, and so is
nothing that may be done.
"""

import hashlib
import json
from datetime import UTC

import pgtrigger.migrations
from django.db import migrations, models

from orders import signing
from orders.paging import pages

#: rows that are read at a time
PAGE = 500


def exactly(moment):
    return moment.astimezone(UTC).isoformat() if moment else None


def sign(apps, schema_editor):
    for version in pages(apps.get_model("orders", "PlaybookVersion").objects.all(), PAGE):
        what = [str(version.playbook_id), version.number, version.document, version.title]
        covered = [*what, version.status, version.published_by_id, exactly(version.published_at)]
        version.keyed_digest = signing.sign("orders_playbookversion", covered)
        version.save(update_fields=["keyed_digest"])
    makers = apps.get_model("orders", "ApprovalMaker").objects
    for approval in pages(apps.get_model("orders", "Approval").objects.all(), PAGE):
        said = json.dumps([approval.command, approval.subject, approval.parameters], sort_keys=True, separators=(",", ":"))
        if hashlib.sha256(said.encode()).hexdigest() != approval.parameters_hash:
            continue
        behind = sorted(makers.filter(approval_id=approval.pk).values_list("user_id", flat=True))
        asked = [str(approval.pk), approval.command, approval.subject, approval.parameters, approval.requested_by_id]
        asked += [behind, exactly(approval.requested_at), exactly(approval.expires_at)]
        approval.asked_digest = signing.sign("orders_approval.asked", asked)
        if approval.status == "done":
            agreed = [str(approval.pk), approval.asked_digest, approval.status]
            agreed += [approval.decided_by_id, exactly(approval.decided_at)]
            approval.decided_digest = signing.sign("orders_approval.decided", agreed)
        approval.save(update_fields=["asked_digest", "decided_digest"])


class Migration(migrations.Migration):

    dependencies = [
        ('orders', '0110_erasing_by_the_owner'),
    ]

    operations = [
        pgtrigger.migrations.RemoveTrigger(
            model_name='approval',
            name='asked_once',
        ),
        migrations.AddField(
            model_name='approval',
            name='asked_digest',
            field=models.CharField(db_default='', max_length=140),
        ),
        migrations.AddField(
            model_name='approval',
            name='decided_digest',
            field=models.CharField(blank=True, db_default='', max_length=140),
        ),
        migrations.AddField(
            model_name='playbookversion',
            name='keyed_digest',
            field=models.CharField(db_default='', max_length=140),
        ),
        migrations.RunPython(sign, migrations.RunPython.noop),
    ]
