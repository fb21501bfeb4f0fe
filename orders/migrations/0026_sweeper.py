"""Findings, recoveries and the progress of the sweep; the daily quality sample and its checks."""

import django.db.models.deletion
import django.utils.timezone
import orders.vocabulary.quality
import pgtrigger.compiler
import pgtrigger.migrations
import uuid
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ("orders", "0024_partner_runs"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='Finding',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('kind', models.CharField(choices=[('overdue', 'Overdue'), ('process_lost', 'Process lost'), ('process_ended', 'Process ended'), ('process_reset', 'Process reset'), ('wedged', 'Wedged'), ('runs_on', 'Runs on'), ('drift', 'Drift')], max_length=40)),
                ('says', models.CharField(max_length=500)),
                ('first_seen_at', models.DateTimeField(default=django.utils.timezone.now)),
                ('last_seen_at', models.DateTimeField(default=django.utils.timezone.now)),
                ('repair', models.CharField(blank=True, max_length=200)),
                ('resolved_at', models.DateTimeField(blank=True, null=True)),
                ('resolution', models.CharField(blank=True, max_length=500)),
            ],
            options={
                'ordering': ['-first_seen_at', '-id'],
                'default_permissions': ('view',),
            },
        ),
        migrations.CreateModel(
            name='QualityCheck',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('status', models.CharField(choices=[('to_check', 'To check'), ('passed', 'Passed'), ('failed', 'Failed')], default=orders.vocabulary.quality.QualityStatus['TO_CHECK'], max_length=40)),
                ('note', models.CharField(blank=True, max_length=500)),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now)),
                ('checked_at', models.DateTimeField(blank=True, null=True)),
            ],
            options={
                'ordering': ['-created_at', '-id'],
                'permissions': [('check_quality', 'May say whether shipped orders passed their quality check')],
                'default_permissions': ('view',),
            },
        ),
        migrations.CreateModel(
            name='QualitySample',
            fields=[
                ('day', models.DateField(primary_key=True, serialize=False)),
                ('shipped', models.PositiveIntegerField()),
                ('drawn', models.PositiveIntegerField()),
                ('run_id', models.CharField(blank=True, max_length=64)),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now)),
            ],
            options={
                'ordering': ['-day'],
                'default_permissions': ('view',),
            },
        ),
        migrations.CreateModel(
            name='Recovery',
            fields=[
                ('order', models.OneToOneField(on_delete=django.db.models.deletion.PROTECT, primary_key=True, related_name='recovery', serialize=False, to='orders.order')),
                ('ended_run_id', models.CharField(blank=True, max_length=64)),
                ('run_id', models.CharField(blank=True, max_length=64)),
                ('why', models.CharField(max_length=500)),
                ('asked_by', models.CharField(max_length=150)),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now)),
            ],
            options={
                'verbose_name_plural': 'recoveries',
                'ordering': ['-created_at'],
                'default_permissions': ('view',),
            },
        ),
        migrations.CreateModel(
            name='SweepProgress',
            fields=[
                ('part', models.CharField(choices=[('deadlines', 'Deadlines'), ('processes', 'Processes'), ('books', 'Books')], max_length=40, primary_key=True, serialize=False)),
                ('ran_at', models.DateTimeField(default=django.utils.timezone.now)),
                ('looked_at', models.PositiveIntegerField(default=0)),
                ('skipped', models.CharField(blank=True, max_length=300)),
                ('cursor', models.CharField(blank=True, max_length=100)),
                ('closed_cursor', models.CharField(blank=True, max_length=100)),
            ],
            options={
                'default_permissions': ('view',),
            },
        ),
        migrations.AddField(
            model_name='finding',
            name='order',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='findings', to='orders.order'),
        ),
        migrations.AddField(
            model_name='qualitycheck',
            name='checked_by',
            field=models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddField(
            model_name='qualitycheck',
            name='order',
            field=models.OneToOneField(on_delete=django.db.models.deletion.PROTECT, related_name='quality_check', to='orders.order'),
        ),
        migrations.AddConstraint(
            model_name='qualitysample',
            constraint=models.CheckConstraint(condition=models.Q(('drawn__lte', models.F('shipped'))), name='quality_sample_within'),
        ),
        migrations.AddField(
            model_name='qualitycheck',
            name='sample',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='checks', to='orders.qualitysample'),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='qualitysample',
            trigger=pgtrigger.compiler.Trigger(name='append_only', sql=pgtrigger.compiler.UpsertTriggerSql(func="RAISE EXCEPTION 'pgtrigger: Cannot update or delete rows from % table', TG_TABLE_NAME;", hash='fdc0e2be815a467271c0a3c417734cf65717df44', operation='UPDATE OR DELETE', pgid='pgtrigger_append_only_01a08', table='orders_qualitysample', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='qualitysample',
            trigger=pgtrigger.compiler.Trigger(name='no_truncate', sql=pgtrigger.compiler.UpsertTriggerSql(func="RAISE EXCEPTION 'Table % may not be truncated.', TG_TABLE_NAME;", hash='f7e7ef09b2e76301145055442f51eb48a1a49471', level='STATEMENT', operation='TRUNCATE', pgid='pgtrigger_no_truncate_1b301', table='orders_qualitysample', when='BEFORE')),
        ),
        migrations.AddConstraint(
            model_name='recovery',
            constraint=models.CheckConstraint(condition=models.Q(('why', ''), _negated=True), name='recovery_says_why'),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='recovery',
            trigger=pgtrigger.compiler.Trigger(name='never_deleted', sql=pgtrigger.compiler.UpsertTriggerSql(func="RAISE EXCEPTION 'pgtrigger: Cannot delete rows from % table', TG_TABLE_NAME;", hash='6dbf118f0b9e60d5866c9145cbdea3fcccb1ba4e', operation='DELETE', pgid='pgtrigger_never_deleted_02116', table='orders_recovery', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='recovery',
            trigger=pgtrigger.compiler.Trigger(name='no_truncate', sql=pgtrigger.compiler.UpsertTriggerSql(func="RAISE EXCEPTION 'Table % may not be truncated.', TG_TABLE_NAME;", hash='8002be4cc9e13ffb30a08cd3484e08cc477df8c7', level='STATEMENT', operation='TRUNCATE', pgid='pgtrigger_no_truncate_c0287', table='orders_recovery', when='BEFORE')),
        ),
        migrations.AddConstraint(
            model_name='sweepprogress',
            constraint=models.CheckConstraint(condition=models.Q(('part__in', ['deadlines', 'processes', 'books'])), name='sweep_progress_part_word'),
        ),
        migrations.AddIndex(
            model_name='finding',
            index=models.Index(condition=models.Q(('resolved_at', None)), fields=['kind', 'order'], name='finding_open'),
        ),
        migrations.AddIndex(
            model_name='finding',
            index=models.Index(fields=['-first_seen_at', '-id'], name='finding_newest'),
        ),
        migrations.AddConstraint(
            model_name='finding',
            constraint=models.CheckConstraint(condition=models.Q(('kind__in', ['overdue', 'process_lost', 'process_ended', 'process_reset', 'wedged', 'runs_on', 'drift'])), name='finding_kind_word'),
        ),
        migrations.AddConstraint(
            model_name='finding',
            constraint=models.UniqueConstraint(condition=models.Q(('resolved_at', None)), fields=('order', 'kind'), name='finding_one_open'),
        ),
        migrations.AddConstraint(
            model_name='finding',
            constraint=models.CheckConstraint(condition=models.Q(('last_seen_at__gte', models.F('first_seen_at'))), name='finding_seen_in_order'),
        ),
        migrations.AddConstraint(
            model_name='finding',
            constraint=models.CheckConstraint(condition=models.Q(('resolved_at', None), models.Q(('resolution', ''), _negated=True), _connector='XOR'), name='finding_resolved_says_how'),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='finding',
            trigger=pgtrigger.compiler.Trigger(name='never_deleted', sql=pgtrigger.compiler.UpsertTriggerSql(func="RAISE EXCEPTION 'pgtrigger: Cannot delete rows from % table', TG_TABLE_NAME;", hash='cd6dfd735341c2e5362cfb53fa4eb0ffe75c13ae', operation='DELETE', pgid='pgtrigger_never_deleted_3b3e2', table='orders_finding', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='finding',
            trigger=pgtrigger.compiler.Trigger(name='no_truncate', sql=pgtrigger.compiler.UpsertTriggerSql(func="RAISE EXCEPTION 'Table % may not be truncated.', TG_TABLE_NAME;", hash='4a1c364da3bda74c58a6439476027a4f5c6f65a0', level='STATEMENT', operation='TRUNCATE', pgid='pgtrigger_no_truncate_6bac5', table='orders_finding', when='BEFORE')),
        ),
        migrations.AddIndex(
            model_name='qualitycheck',
            index=models.Index(fields=['-created_at', '-id'], name='quality_newest'),
        ),
        migrations.AddConstraint(
            model_name='qualitycheck',
            constraint=models.CheckConstraint(condition=models.Q(('status__in', ['to_check', 'passed', 'failed'])), name='quality_status_word'),
        ),
        migrations.AddConstraint(
            model_name='qualitycheck',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('checked_at', None), ('checked_by', None), ('note', ''), ('status', orders.vocabulary.quality.QualityStatus['TO_CHECK'])), models.Q(models.Q(('status', orders.vocabulary.quality.QualityStatus['TO_CHECK']), _negated=True), ('checked_at__isnull', False), ('checked_by__isnull', False), models.Q(('note', ''), _negated=True)), _connector='OR'), name='quality_whoever_checked_says_what'),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='qualitycheck',
            trigger=pgtrigger.compiler.Trigger(name='never_deleted', sql=pgtrigger.compiler.UpsertTriggerSql(func="RAISE EXCEPTION 'pgtrigger: Cannot delete rows from % table', TG_TABLE_NAME;", hash='a1bbb822305f8272a2b8d4e4881f28a8f5313c01', operation='DELETE', pgid='pgtrigger_never_deleted_c07f3', table='orders_qualitycheck', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='qualitycheck',
            trigger=pgtrigger.compiler.Trigger(name='no_truncate', sql=pgtrigger.compiler.UpsertTriggerSql(func="RAISE EXCEPTION 'Table % may not be truncated.', TG_TABLE_NAME;", hash='a9a9728b8d6f28d735ef58d77b2d8e3d7f0cdbd6', level='STATEMENT', operation='TRUNCATE', pgid='pgtrigger_no_truncate_33761', table='orders_qualitycheck', when='BEFORE')),
        ),
    ]
