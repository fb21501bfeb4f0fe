import pgtrigger.compiler
import pgtrigger.migrations
from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("orders", "0111_keyed_digests")]

    operations = [
        # Old code still writes the column while a release is rolled out; a later one drops it.
        migrations.SeparateDatabaseAndState(
            state_operations=[migrations.RemoveField(model_name="approval", name="parameters_hash")],
            database_operations=[
                migrations.RunSQL(
                    "ALTER TABLE orders_approval ALTER COLUMN parameters_hash SET DEFAULT ''",
                    "ALTER TABLE orders_approval ALTER COLUMN parameters_hash DROP DEFAULT",
                )
            ],
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='approval',
            trigger=pgtrigger.compiler.Trigger(name='asked_once', sql=pgtrigger.compiler.UpsertTriggerSql(condition='WHEN (OLD."id" IS DISTINCT FROM (NEW."id") OR OLD."command" IS DISTINCT FROM (NEW."command") OR OLD."subject" IS DISTINCT FROM (NEW."subject") OR OLD."says" IS DISTINCT FROM (NEW."says") OR OLD."parameters" IS DISTINCT FROM (NEW."parameters") OR OLD."asked_digest" IS DISTINCT FROM (NEW."asked_digest") OR OLD."reason" IS DISTINCT FROM (NEW."reason") OR OLD."channel" IS DISTINCT FROM (NEW."channel") OR OLD."requested_by_id" IS DISTINCT FROM (NEW."requested_by_id") OR OLD."requested_at" IS DISTINCT FROM (NEW."requested_at") OR OLD."expires_at" IS DISTINCT FROM (NEW."expires_at"))', func="RAISE EXCEPTION 'pgtrigger: Cannot update rows from % table', TG_TABLE_NAME;", hash='ec4d42201e660a6610b1f5b4d4ea2b44e7e6c750', operation='UPDATE', pgid='pgtrigger_asked_once_d3fde', table='orders_approval', when='BEFORE')),
        ),
    ]
