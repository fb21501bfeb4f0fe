"""Changes of automation, and who made an act happen; what stands now gets its first row."""

import django.db.models.deletion
import orders.clock
import pgtrigger.compiler
import pgtrigger.migrations
from django.conf import settings
from django.db import migrations, models


def keep_what_stands(apps, schema_editor):
    """Who set what counts now is answerable for it, as far as an account has that name."""
    change = apps.get_model("orders", "AutomationChange")
    accounts = dict(apps.get_model("auth", "User").objects.values_list("username", "pk"))
    for trigger in apps.get_model("orders", "PlaybookTrigger").objects.select_related("playbook"):
        change.objects.create(
            kind="trigger",
            subject=f"{trigger.playbook.slug} on {trigger.event}",
            after={"condition": trigger.condition, "enabled": trigger.enabled},
            changed_by_id=accounts.get(trigger.made_by),
            actor=trigger.made_by,
            at=trigger.created_at,
        )
    for schedule in apps.get_model("orders", "PlaybookSchedule").objects.select_related("playbook"):
        values = {name: getattr(schedule, name) for name in ("every_hours", "condition", "enabled")}
        change.objects.create(
            kind="schedule",
            subject=schedule.playbook.slug,
            after=values,
            changed_by_id=accounts.get(schedule.made_by),
            actor=schedule.made_by,
            at=schedule.created_at,
        )
    for endpoint in apps.get_model("orders", "PartnerEndpoint").objects.all():
        change.objects.create(
            kind="endpoint",
            subject=endpoint.name,
            after={"url": endpoint.url, "enabled": endpoint.enabled},
            changed_by_id=accounts.get(endpoint.made_by),
            actor=endpoint.made_by,
            at=endpoint.created_at,
        )


class Migration(migrations.Migration):

    dependencies = [
        ('orders', '0092_approvals_in_history'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='AutomationChange',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('kind', models.CharField(choices=[('trigger', 'Trigger'), ('schedule', 'Schedule'), ('endpoint', 'Endpoint')], max_length=40)),
                ('subject', models.CharField(max_length=100)),
                ('before', models.JSONField(default=dict)),
                ('after', models.JSONField()),
                ('actor', models.CharField(max_length=150)),
                ('at', models.DateTimeField(default=orders.clock.now, editable=False)),
                ('approval', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='orders.approval')),
                ('changed_by', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'ordering': ['-id'],
                'default_permissions': ('view',),
            },
        ),
        migrations.CreateModel(
            name='ApprovalMaker',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('part', models.CharField(max_length=200)),
                ('approval', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='makers', to='orders.approval')),
                ('user', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'default_permissions': ('view',),
                'constraints': [models.UniqueConstraint(fields=('approval', 'user'), name='approval_maker_once')],
            },
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='approvalmaker',
            trigger=pgtrigger.compiler.Trigger(name='append_only', sql=pgtrigger.compiler.UpsertTriggerSql(func="RAISE EXCEPTION 'pgtrigger: Cannot update or delete rows from % table', TG_TABLE_NAME;", hash='62e488157f28cab5489ac366aee724c72ebd1fc2', operation='UPDATE OR DELETE', pgid='pgtrigger_append_only_82e67', table='orders_approvalmaker', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='approvalmaker',
            trigger=pgtrigger.compiler.Trigger(name='no_truncate', sql=pgtrigger.compiler.UpsertTriggerSql(func="RAISE EXCEPTION 'Table % may not be truncated.', TG_TABLE_NAME;", hash='97ffe99c6c2198f76c1ed1d331659e299dd85eba', level='STATEMENT', operation='TRUNCATE', pgid='pgtrigger_no_truncate_661ef', table='orders_approvalmaker', when='BEFORE')),
        ),
        migrations.AddIndex(
            model_name='automationchange',
            index=models.Index(fields=['kind', 'subject', '-id'], name='automation_of_subject'),
        ),
        migrations.AddConstraint(
            model_name='automationchange',
            constraint=models.CheckConstraint(condition=models.Q(('kind__in', ['trigger', 'schedule', 'endpoint'])), name='automation_kind_word'),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='automationchange',
            trigger=pgtrigger.compiler.Trigger(name='append_only', sql=pgtrigger.compiler.UpsertTriggerSql(func="RAISE EXCEPTION 'pgtrigger: Cannot update or delete rows from % table', TG_TABLE_NAME;", hash='0c7bfe6d50ceccc5a11d4db94fe8e972dd825639', operation='UPDATE OR DELETE', pgid='pgtrigger_append_only_8f758', table='orders_automationchange', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='automationchange',
            trigger=pgtrigger.compiler.Trigger(name='no_truncate', sql=pgtrigger.compiler.UpsertTriggerSql(func="RAISE EXCEPTION 'Table % may not be truncated.', TG_TABLE_NAME;", hash='00bfa15f7bd4a5e8be51be37990ec9c75c905fd0', level='STATEMENT', operation='TRUNCATE', pgid='pgtrigger_no_truncate_4cbcc', table='orders_automationchange', when='BEFORE')),
        ),
        migrations.RunPython(keep_what_stands, migrations.RunPython.noop),
    ]
