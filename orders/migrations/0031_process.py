import django.db.models.deletion
import django.utils.timezone
import orders.vocabulary.commands
import orders.vocabulary.processes
import pgtrigger.compiler
import pgtrigger.migrations
import uuid
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ("orders", "0028_batch"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='ProcessDifference',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('kind', models.CharField(choices=[('ledger', 'Ledger'), ('unknown_to_us', 'Unknown to us'), ('missing_at_gateway', 'Missing at gateway'), ('amount', 'Amount'), ('stock', 'Stock'), ('shipment', 'Shipment')], max_length=40)),
                ('reference', models.CharField(max_length=128)),
                ('says', models.CharField(max_length=500)),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now)),
            ],
            options={
                'ordering': ['id'],
                'default_permissions': ('view',),
            },
        ),
        migrations.CreateModel(
            name='ProcessRun',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('definition', models.CharField(choices=[('day_end_close', 'Day end close')], max_length=40)),
                ('business_day', models.DateField()),
                ('covers_from', models.DateTimeField()),
                ('covers_until', models.DateTimeField()),
                ('status', models.CharField(choices=[('running', 'Running'), ('pausing', 'Pausing'), ('paused', 'Paused'), ('cancelling', 'Cancelling'), ('cancelled', 'Cancelled'), ('completed', 'Completed'), ('failed', 'Failed')], default=orders.vocabulary.processes.ProcessStatus['RUNNING'], max_length=40)),
                ('status_since', models.DateTimeField(default=django.utils.timezone.now)),
                ('status_by', models.CharField(max_length=150)),
                ('status_reason', models.CharField(max_length=500)),
                ('actor', models.CharField(max_length=150)),
                ('channel', models.CharField(choices=[('admin', 'Admin'), ('api', 'Api'), ('cli', 'Cli'), ('feed', 'Feed'), ('engine', 'Engine')], max_length=40)),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now)),
                ('finished_at', models.DateTimeField(blank=True, null=True)),
            ],
            options={
                'ordering': ['-created_at', '-id'],
                'permissions': [('run_process', 'May start, pause, resume and cancel processes such as the day-end close')],
                'default_permissions': ('view',),
            },
        ),
        migrations.CreateModel(
            name='ProcessStep',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('position', models.PositiveSmallIntegerField()),
                ('name', models.CharField(choices=[('settle_captures', 'Settle captures'), ('reconcile', 'Reconcile'), ('release_stale', 'Release stale'), ('refresh_tracking', 'Refresh tracking'), ('send_summary', 'Send summary')], max_length=40)),
                ('on_failure', models.CharField(choices=[('stop', 'Stop'), ('continue', 'Continue')], max_length=40)),
                ('delay_seconds', models.PositiveIntegerField(default=0)),
                ('status', models.CharField(choices=[('pending', 'Pending'), ('waiting', 'Waiting'), ('running', 'Running'), ('done', 'Done'), ('failed', 'Failed'), ('skipped', 'Skipped')], default=orders.vocabulary.processes.ProcessStepStatus['PENDING'], max_length=40)),
                ('due_at', models.DateTimeField(blank=True, null=True)),
                ('token', models.PositiveIntegerField(default=0)),
                ('cursor', models.CharField(blank=True, max_length=128)),
                ('figures', models.JSONField(default=dict)),
                ('outcome', models.CharField(blank=True, max_length=500)),
                ('error', models.CharField(blank=True, max_length=500)),
                ('started_at', models.DateTimeField(blank=True, null=True)),
                ('finished_at', models.DateTimeField(blank=True, null=True)),
            ],
            options={
                'ordering': ['run', 'position'],
                'default_permissions': ('view',),
            },
        ),
        migrations.CreateModel(
            name='QueueState',
            fields=[
                ('name', models.CharField(max_length=64, primary_key=True, serialize=False)),
                ('known_since', models.DateTimeField()),
                ('served_at', models.DateTimeField(blank=True, null=True)),
                ('pollers', models.PositiveIntegerField(blank=True, null=True)),
                ('backlog', models.PositiveBigIntegerField(blank=True, null=True)),
                ('oldest_seconds', models.FloatField(blank=True, null=True)),
                ('asked_at', models.DateTimeField(blank=True, null=True)),
            ],
            options={
                'ordering': ['name'],
                'default_permissions': ('view',),
            },
        ),
        migrations.CreateModel(
            name='ScheduleState',
            fields=[
                ('name', models.CharField(max_length=128, primary_key=True, serialize=False)),
                ('summary', models.CharField(blank=True, max_length=200)),
                ('next_run_at', models.DateTimeField(blank=True, null=True)),
                ('last_run_at', models.DateTimeField(blank=True, null=True)),
                ('last_result', models.CharField(blank=True, max_length=200)),
                ('last_workflow_id', models.CharField(blank=True, max_length=200)),
                ('paused', models.BooleanField(default=False)),
                ('paused_by', models.CharField(blank=True, max_length=150)),
                ('pause_reason', models.CharField(blank=True, max_length=500)),
                ('missed', models.PositiveIntegerField(default=0)),
                ('seen_at', models.DateTimeField()),
            ],
            options={
                'ordering': ['name'],
                'permissions': [('drive_schedule', 'May pause, resume, run and backfill schedules')],
                'default_permissions': ('view',),
            },
        ),
        migrations.AddField(
            model_name='command',
            name='subject',
            field=models.CharField(blank=True, default='', max_length=128),
        ),
        migrations.AddConstraint(
            model_name='command',
            constraint=models.UniqueConstraint(condition=models.Q(('status', orders.vocabulary.commands.CommandStatus['ACCEPTED']), models.Q(('subject', ''), _negated=True)), fields=('subject', 'kind'), name='command_one_standing_subject'),
        ),
        migrations.AddField(
            model_name='processdifference',
            name='order',
            field=models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='orders.order'),
        ),
        migrations.AddField(
            model_name='processrun',
            name='requested_by',
            field=models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddField(
            model_name='processdifference',
            name='run',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='differences', to='orders.processrun'),
        ),
        migrations.AddField(
            model_name='processstep',
            name='run',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='steps', to='orders.processrun'),
        ),
        migrations.AddConstraint(
            model_name='processrun',
            constraint=models.CheckConstraint(condition=models.Q(('definition__in', ['day_end_close'])), name='process_definition_word'),
        ),
        migrations.AddConstraint(
            model_name='processrun',
            constraint=models.CheckConstraint(condition=models.Q(('status__in', ['running', 'pausing', 'paused', 'cancelling', 'cancelled', 'completed', 'failed'])), name='process_status_word'),
        ),
        migrations.AddConstraint(
            model_name='processrun',
            constraint=models.CheckConstraint(condition=models.Q(('channel__in', ['admin', 'api', 'cli', 'feed', 'engine'])), name='process_channel_word'),
        ),
        migrations.AddConstraint(
            model_name='processrun',
            constraint=models.CheckConstraint(condition=models.Q(('covers_from__lt', models.F('covers_until'))), name='process_covers_something'),
        ),
        migrations.AddConstraint(
            model_name='processrun',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('finished_at__isnull', False), ('status__in', [orders.vocabulary.processes.ProcessStatus['CANCELLED'], orders.vocabulary.processes.ProcessStatus['COMPLETED'], orders.vocabulary.processes.ProcessStatus['FAILED']])), models.Q(('finished_at', None), models.Q(('status__in', [orders.vocabulary.processes.ProcessStatus['CANCELLED'], orders.vocabulary.processes.ProcessStatus['COMPLETED'], orders.vocabulary.processes.ProcessStatus['FAILED']]), _negated=True)), _connector='OR'), name='process_ended_has_time'),
        ),
        migrations.AddConstraint(
            model_name='processrun',
            constraint=models.UniqueConstraint(condition=models.Q(('status__in', [orders.vocabulary.processes.ProcessStatus['CANCELLED'], orders.vocabulary.processes.ProcessStatus['FAILED']]), _negated=True), fields=('definition', 'business_day'), name='process_once_a_day'),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='processrun',
            trigger=pgtrigger.compiler.Trigger(name='never_deleted', sql=pgtrigger.compiler.UpsertTriggerSql(func="RAISE EXCEPTION 'pgtrigger: Cannot delete rows from % table', TG_TABLE_NAME;", hash='151b494852b20b69b90a670c13a9a54285e35e3d', operation='DELETE', pgid='pgtrigger_never_deleted_d6234', table='orders_processrun', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='processrun',
            trigger=pgtrigger.compiler.Trigger(name='no_truncate', sql=pgtrigger.compiler.UpsertTriggerSql(func="RAISE EXCEPTION 'Table % may not be truncated.', TG_TABLE_NAME;", hash='9e8871c60d0e9029c667312220c3be00920ff87a', level='STATEMENT', operation='TRUNCATE', pgid='pgtrigger_no_truncate_d3a68', table='orders_processrun', when='BEFORE')),
        ),
        migrations.AddConstraint(
            model_name='processdifference',
            constraint=models.CheckConstraint(condition=models.Q(('kind__in', ['ledger', 'unknown_to_us', 'missing_at_gateway', 'amount', 'stock', 'shipment'])), name='process_difference_kind_word'),
        ),
        migrations.AddConstraint(
            model_name='processdifference',
            constraint=models.UniqueConstraint(fields=('run', 'kind', 'reference'), name='process_difference_once'),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='processdifference',
            trigger=pgtrigger.compiler.Trigger(name='append_only', sql=pgtrigger.compiler.UpsertTriggerSql(func="RAISE EXCEPTION 'pgtrigger: Cannot update or delete rows from % table', TG_TABLE_NAME;", hash='a11682468f0f8301dc7787b3fb38dde3c7da3b86', operation='UPDATE OR DELETE', pgid='pgtrigger_append_only_4d0f3', table='orders_processdifference', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='processdifference',
            trigger=pgtrigger.compiler.Trigger(name='no_truncate', sql=pgtrigger.compiler.UpsertTriggerSql(func="RAISE EXCEPTION 'Table % may not be truncated.', TG_TABLE_NAME;", hash='0b83205de87d483daf6627d198ca59d5c31feb60', level='STATEMENT', operation='TRUNCATE', pgid='pgtrigger_no_truncate_317e8', table='orders_processdifference', when='BEFORE')),
        ),
        migrations.AddConstraint(
            model_name='processstep',
            constraint=models.UniqueConstraint(fields=('run', 'position'), name='process_step_position'),
        ),
        migrations.AddConstraint(
            model_name='processstep',
            constraint=models.UniqueConstraint(condition=models.Q(('status', orders.vocabulary.processes.ProcessStepStatus['RUNNING'])), fields=('run',), name='process_step_one_at_a_time'),
        ),
        migrations.AddConstraint(
            model_name='processstep',
            constraint=models.CheckConstraint(condition=models.Q(('name__in', ['settle_captures', 'reconcile', 'release_stale', 'refresh_tracking', 'send_summary'])), name='process_step_name_word'),
        ),
        migrations.AddConstraint(
            model_name='processstep',
            constraint=models.CheckConstraint(condition=models.Q(('on_failure__in', ['stop', 'continue'])), name='process_step_on_failure_word'),
        ),
        migrations.AddConstraint(
            model_name='processstep',
            constraint=models.CheckConstraint(condition=models.Q(('status__in', ['pending', 'waiting', 'running', 'done', 'failed', 'skipped'])), name='process_step_status_word'),
        ),
        migrations.AddConstraint(
            model_name='processstep',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('finished_at__isnull', False), ('status__in', [orders.vocabulary.processes.ProcessStepStatus['DONE'], orders.vocabulary.processes.ProcessStepStatus['FAILED'], orders.vocabulary.processes.ProcessStepStatus['SKIPPED']]), models.Q(('outcome', ''), _negated=True)), models.Q(('finished_at', None), ('outcome', ''), models.Q(('status__in', [orders.vocabulary.processes.ProcessStepStatus['DONE'], orders.vocabulary.processes.ProcessStepStatus['FAILED'], orders.vocabulary.processes.ProcessStepStatus['SKIPPED']]), _negated=True)), _connector='OR'), name='process_step_ended_says_how'),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='processstep',
            trigger=pgtrigger.compiler.Trigger(name='never_deleted', sql=pgtrigger.compiler.UpsertTriggerSql(func="RAISE EXCEPTION 'pgtrigger: Cannot delete rows from % table', TG_TABLE_NAME;", hash='fd4c51c60f0de3b2c4f7f22806d16a93b195ba5a', operation='DELETE', pgid='pgtrigger_never_deleted_c79fd', table='orders_processstep', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='processstep',
            trigger=pgtrigger.compiler.Trigger(name='no_truncate', sql=pgtrigger.compiler.UpsertTriggerSql(func="RAISE EXCEPTION 'Table % may not be truncated.', TG_TABLE_NAME;", hash='d5d249e77a571937b2a56a39287d2db60c3fffc3', level='STATEMENT', operation='TRUNCATE', pgid='pgtrigger_no_truncate_20c8c', table='orders_processstep', when='BEFORE')),
        ),
    ]
