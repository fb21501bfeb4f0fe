"""The nightly seal covers what shows who did what.

The worker makes the seal and has no right to read sign-ins and the admin's log, so functions of the owner do it. Views
would do as well, and would keep later migrations of those tables from changing a column.
"""

import django.db.models.deletion
import pgtrigger.compiler
import pgtrigger.migrations
from django.db import migrations, models

#: log: (its table, when a row was written, what is sealed of a row). Not what an erasure takes a name out of, and not
#: what becomes of a row later.
LOGS = {
    "account_changes": ("orders_accountchange", "at", "id, account_id, what, by_id, at"),
    "admin": (
        "django_admin_log",
        "action_time",
        "id, action_time, user_id, content_type_id, object_id, object_repr, action_flag, change_message",
    ),
    "approvals": ("orders_approval", "requested_at", "id, command, subject, asked_digest, requested_by_id, requested_at"),
    "automation_changes": ("orders_automationchange", "at", "id, kind, subject, before, after, changed_by_id, actor, at"),
    "commands": (
        "orders_command",
        "created_at",
        "id, kind, order_id, step, requested_by_id, actor, channel, request_id, created_at",
    ),
    "failed_sign_ins": ("axes_accessfailurelog", "attempt_time", "id, username, ip_address, locked_out, attempt_time"),
    "playbook_versions": ("orders_playbookversion", "created_at", "id, playbook_id, number, hash, created_by_id, created_at"),
    "refused_actions": ("orders_refusedaction", "first_at", "id, hour, actor, channel, action, subject, first_at"),
    "sign_ins": ("axes_accesslog", "attempt_time", "id, username, ip_address, attempt_time"),
}
BRANCHES = " UNION ALL ".join(
    f"SELECT {at}, id::text, jsonb_build_array({columns})::text FROM {table}"
    f" WHERE wanted = '{log}' AND {at} >= first AND {at} < last"
    for log, (table, at, columns) in LOGS.items()
)
LINES = f"""
CREATE FUNCTION public.orders_log_lines(wanted text, first timestamptz, last timestamptz)
RETURNS TABLE (at timestamptz, id text, line text) LANGUAGE sql STABLE
SET search_path = public, pg_temp SET timezone = 'UTC' AS $$ {BRANCHES} $$
"""
DIGEST = """
CREATE FUNCTION public.orders_log_digest(wanted text, first timestamptz, last timestamptz)
RETURNS TABLE (row_count bigint, rows_hash text) LANGUAGE sql STABLE
SET search_path = public, pg_temp SET timezone = 'UTC' AS $$
    SELECT count(*), encode(sha256(coalesce(
        string_agg(sha256(convert_to(line, 'UTF8')), ''::bytea ORDER BY at, id), ''::bytea
    )), 'hex')
    FROM orders_log_lines(wanted, first, last)
$$
"""
# Rows are written a little before they are committed. What was written in the last hour belongs to the next seal.
SEAL = f"""
CREATE FUNCTION public.orders_seal_logs(seal integer) RETURNS void LANGUAGE sql SECURITY DEFINER
SET search_path = public, pg_temp SET timezone = 'UTC' AS $$
    INSERT INTO orders_sealedlog (seal_id, log, since, until, row_count, rows_hash)
    SELECT seal, spans.log, spans.since, spans.until, digest.row_count, digest.rows_hash
    FROM (
        SELECT log, now() - interval '1 hour' AS until, coalesce(
            (SELECT max(before.until) FROM orders_sealedlog before WHERE before.log = logs.log), 'epoch'::timestamptz
        ) AS since
        FROM unnest(ARRAY{list(LOGS)}) AS logs (log)
    ) AS spans, LATERAL orders_log_digest(spans.log, spans.since, spans.until) AS digest
    WHERE spans.since < spans.until
$$
"""
NAMES = (
    "orders_seal_logs(integer)",
    "orders_log_digest(text, timestamptz, timestamptz)",
    "orders_log_lines(text, timestamptz, timestamptz)",
)


class Migration(migrations.Migration):
    dependencies = [
        ("orders", "0112_asked_digest"),
        ("admin", "0003_logentry_add_action_flag_choices"),
        ("axes", "0010_accessattemptexpiration"),
    ]

    operations = [
        migrations.AddField(
            model_name='historyseal',
            name='logs_hash',
            field=models.CharField(blank=True, db_default='', max_length=64),
        ),
        migrations.CreateModel(
            name='SealedLog',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('log', models.CharField(max_length=40)),
                ('since', models.DateTimeField()),
                ('until', models.DateTimeField()),
                ('row_count', models.BigIntegerField()),
                ('rows_hash', models.CharField(max_length=64)),
                ('seal', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='logs', to='orders.historyseal')),
            ],
            options={
                'default_permissions': (),
                'constraints': [models.UniqueConstraint(fields=('seal', 'log'), name='sealed_log_once')],
            },
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='sealedlog',
            trigger=pgtrigger.compiler.Trigger(name='append_only', sql=pgtrigger.compiler.UpsertTriggerSql(func="RAISE EXCEPTION 'pgtrigger: Cannot update or delete rows from % table', TG_TABLE_NAME;", hash='2f68e839672cf58e8f769cdadb94028c08e1e1bf', operation='UPDATE OR DELETE', pgid='pgtrigger_append_only_5aa9d', table='orders_sealedlog', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='sealedlog',
            trigger=pgtrigger.compiler.Trigger(name='no_truncate', sql=pgtrigger.compiler.UpsertTriggerSql(func="RAISE EXCEPTION 'Table % may not be truncated.', TG_TABLE_NAME;", hash='ce9b78c69d9bc672eafe5b8089df6b41f7ce50e0', level='STATEMENT', operation='TRUNCATE', pgid='pgtrigger_no_truncate_91d35', table='orders_sealedlog', when='BEFORE')),
        ),
        migrations.RunSQL(
            [LINES, DIGEST, SEAL, *(f"REVOKE ALL ON FUNCTION public.{name} FROM PUBLIC" for name in NAMES)],
            [f"DROP FUNCTION public.{name}" for name in NAMES],
        ),
    ]
