"""An erasure masks what a seal covers: the seal holds with what the row was, as long as the row is what was left.

The functions that wrote over two tables of erased customers go: `orders_mask` (backoffice/mask_function.py) is for all.
"""

from importlib import import_module

import orders.clock
import pgtrigger.compiler
import pgtrigger.migrations
from django.db import migrations, models

sealing = import_module("orders.migrations.0113_sealed_logs")
erasing = import_module("orders.migrations.0110_erasing_by_the_owner")

DIGEST = """
CREATE OR REPLACE FUNCTION public.orders_log_digest(wanted text, first timestamptz, last timestamptz)
RETURNS TABLE (row_count bigint, rows_hash text) LANGUAGE sql STABLE
SET search_path = public, pg_temp SET timezone = 'UTC' AS $$
    SELECT count(*), encode(sha256(coalesce(
        string_agg(coalesce(decode(masked.before_hash, 'hex'), found.hash), ''::bytea ORDER BY found.at, found.id),
        ''::bytea
    )), 'hex')
    FROM (
        SELECT at, id, sha256(convert_to(line, 'UTF8')) AS hash FROM orders_log_lines(wanted, first, last)
    ) AS found
    LEFT JOIN orders_maskedline AS masked
    ON masked.log = wanted AND masked.row_key = found.id AND masked.after_hash = encode(found.hash, 'hex')
$$
"""


class Migration(migrations.Migration):

    dependencies = [
        ('orders', '0122_typed_words'),
    ]

    operations = [
        migrations.CreateModel(
            name='MaskedLine',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('log', models.CharField(max_length=40)),
                ('row_key', models.CharField(max_length=64)),
                ('before_hash', models.CharField(max_length=64)),
                ('after_hash', models.CharField(max_length=64)),
                ('keyed_digest', models.CharField(blank=True, db_default='', max_length=140)),
                ('at', models.DateTimeField(default=orders.clock.now)),
            ],
            options={
                'default_permissions': (),
                'constraints': [models.UniqueConstraint(fields=('log', 'row_key'), name='masked_line_once')],
            },
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='maskedline',
            trigger=pgtrigger.compiler.Trigger(name='written_once', sql=pgtrigger.compiler.UpsertTriggerSql(condition='WHEN (OLD."id" IS DISTINCT FROM (NEW."id") OR OLD."log" IS DISTINCT FROM (NEW."log") OR OLD."row_key" IS DISTINCT FROM (NEW."row_key") OR OLD."before_hash" IS DISTINCT FROM (NEW."before_hash"))', func="RAISE EXCEPTION 'pgtrigger: Cannot update rows from % table', TG_TABLE_NAME;", hash='c9191ef0c94e782c31c7806dd5c5dde5f05e1c0c', operation='UPDATE', pgid='pgtrigger_written_once_8f587', table='orders_maskedline', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='maskedline',
            trigger=pgtrigger.compiler.Trigger(name='never_deleted', sql=pgtrigger.compiler.UpsertTriggerSql(func="RAISE EXCEPTION 'pgtrigger: Cannot delete rows from % table', TG_TABLE_NAME;", hash='0b0dad28f6f7fbab41107d2f6cc6f8bf6af47c94', operation='DELETE', pgid='pgtrigger_never_deleted_3b6f4', table='orders_maskedline', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='maskedline',
            trigger=pgtrigger.compiler.Trigger(name='no_truncate', sql=pgtrigger.compiler.UpsertTriggerSql(func="RAISE EXCEPTION 'Table % may not be truncated.', TG_TABLE_NAME;", hash='b5e6bd90620eb0bdd2e1fa69b1666e1514c86d98', level='STATEMENT', operation='TRUNCATE', pgid='pgtrigger_no_truncate_7c0e4', table='orders_maskedline', when='BEFORE')),
        ),
        migrations.RunSQL(DIGEST, sealing.DIGEST.replace("CREATE FUNCTION", "CREATE OR REPLACE FUNCTION")),
        migrations.RunSQL(
            "DROP FUNCTION public.orders_forget_playbook_run(uuid, jsonb, text, text)", erasing.FORGET_RUN
        ),
        migrations.RunSQL("DROP FUNCTION public.orders_forget_approval(uuid, text, text)", erasing.FORGET_APPROVAL),
    ]
