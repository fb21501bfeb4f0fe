"""Files that were stored in clear get keys of their own, and an end.

Needs BACKOFFICE_PERSONAL_DATA_KEYS only where there are files. Imports that are under way keep theirs as it is, because
the old version may be reading it; it goes with the others when its days are over.
"""

import os
import uuid
from datetime import timedelta

import psycopg
from django.conf import settings
from django.db import connection, migrations
from django.db.models import F

from orders import keyring

ENDED_IMPORTS = ("completed", "failed", "cancelled", "discarded")


def new_key(FileKey):
    master = keyring.keyring("BACKOFFICE_PERSONAL_DATA_KEYS", settings.PERSONAL_DATA_KEYS)
    key, secret = FileKey(id=uuid.uuid4()), os.urandom(keyring.KEY_BYTES)
    key.master_key_id, key.wrapped = master.encrypt(secret, place=f"orders_filekey.wrapped of {key.id}")
    key.save()
    return key, secret


def encrypt_imports(FeedImport, FileKey):
    kept = timedelta(days=settings.FEED_FILES_KEPT_DAYS)
    ended = FeedImport.objects.filter(status__in=ENDED_IMPORTS)
    ended.filter(file_until=None).update(file_until=F("finished_at") + kept)
    ended.filter(file_until=None).update(file_until=F("created_at") + kept)
    for feed_id in list(ended.filter(key=None).values_list("pk", flat=True)):
        key, secret = new_key(FileKey)
        content = bytes(FeedImport.objects.values_list("content", flat=True).get(pk=feed_id))
        sealed = keyring.encrypt_blocks(secret, content, place=f"orders_feedimport.content of {feed_id}")
        # As Django writes it, a large file would be held many times over.
        with psycopg.Cursor(connection.connection) as cursor:
            cursor.execute(
                "UPDATE orders_feedimport SET content = %b, key_id = %s WHERE id = %s", [sealed, key.pk, feed_id]
            )


def encrypt_exports(Export, ExportPart, FileKey):
    for export in Export.objects.filter(status="completed", key=None):
        key, secret = new_key(FileKey)
        for part in ExportPart.objects.filter(export=export):
            place = f"orders_exportpart.content of {export.pk}, part {part.position}"
            sealed = keyring.encrypt_blocks(secret, bytes(part.content or b""), place=place)
            # What a part holds is written once; so it is another part.
            ExportPart.objects.filter(pk=part.pk).delete()
            ExportPart.objects.create(
                export=export, position=part.position, order_ids=part.order_ids, content=sealed
            )
        export.key = key
        export.save(update_fields=["key"])


def encrypt(apps, schema_editor):
    FeedImport, Export, ExportPart, FileKey = (
        apps.get_model("orders", name) for name in ("FeedImport", "Export", "ExportPart", "FileKey")
    )
    encrypt_imports(FeedImport, FileKey)
    encrypt_exports(Export, ExportPart, FileKey)


class Migration(migrations.Migration):

    dependencies = [("orders", "0120_files")]

    operations = [migrations.RunPython(encrypt, migrations.RunPython.noop)]
