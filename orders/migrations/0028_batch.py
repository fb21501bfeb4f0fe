import django.db.models.deletion
import django.utils.timezone
import orders.vocabulary.batches
import pgtrigger.compiler
import pgtrigger.migrations
import uuid
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ("orders", "0026_sweeper"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='Batch',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('action', models.CharField(choices=[('start', 'Start'), ('hold', 'Hold'), ('release', 'Release'), ('cancel', 'Cancel'), ('recheck', 'Recheck'), ('check_shipment', 'Check shipment')], max_length=40)),
                ('reason', models.CharField(max_length=500)),
                ('actor', models.CharField(max_length=150)),
                ('channel', models.CharField(choices=[('admin', 'Admin'), ('api', 'Api'), ('cli', 'Cli'), ('feed', 'Feed'), ('engine', 'Engine')], max_length=40)),
                ('status', models.CharField(choices=[('preparing', 'Preparing'), ('running', 'Running'), ('pausing', 'Pausing'), ('paused', 'Paused'), ('cancelling', 'Cancelling'), ('cancelled', 'Cancelled'), ('completed', 'Completed')], default=orders.vocabulary.batches.BatchStatus['PREPARING'], max_length=40)),
                ('status_since', models.DateTimeField(default=django.utils.timezone.now)),
                ('note', models.CharField(blank=True, max_length=500)),
                ('selection', models.JSONField(blank=True, default=dict)),
                ('item_count', models.PositiveIntegerField(default=0)),
                ('sums', models.JSONField(blank=True, default=dict)),
                ('auto_pause_percent', models.PositiveSmallIntegerField(default=20)),
                ('ended_before', models.PositiveIntegerField(default=0)),
                ('failed_before', models.PositiveIntegerField(default=0)),
                ('summary', models.JSONField(blank=True, default=dict)),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now)),
                ('started_at', models.DateTimeField(blank=True, null=True)),
                ('finished_at', models.DateTimeField(blank=True, null=True)),
            ],
            options={
                'verbose_name_plural': 'batches',
                'ordering': ['-created_at', '-id'],
                'permissions': [('run_batch', 'May run, pause, resume, cancel, retry and undo batches')],
                'default_permissions': ('view',),
            },
        ),
        migrations.CreateModel(
            name='BatchItem',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('position', models.PositiveIntegerField()),
                ('status', models.CharField(choices=[('pending', 'Pending'), ('running', 'Running'), ('done', 'Done'), ('failed', 'Failed'), ('skipped', 'Skipped')], default=orders.vocabulary.batches.ItemStatus['PENDING'], max_length=40)),
                ('outcome', models.CharField(blank=True, max_length=200)),
                ('error_type', models.CharField(blank=True, max_length=40)),
                ('error_message', models.CharField(blank=True, max_length=500)),
                ('former_status', models.CharField(blank=True, max_length=40)),
                ('tries', models.PositiveSmallIntegerField(default=0)),
                ('started_at', models.DateTimeField(blank=True, null=True)),
                ('finished_at', models.DateTimeField(blank=True, null=True)),
            ],
            options={
                'ordering': ['batch', 'position'],
                'default_permissions': ('view',),
            },
        ),
        migrations.AddField(
            model_name='batch',
            name='requested_by',
            field=models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddField(
            model_name='batch',
            name='undo_of',
            field=models.OneToOneField(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='undone_by', to='orders.batch'),
        ),
        migrations.AddField(
            model_name='command',
            name='batch',
            field=models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='commands', to='orders.batch'),
        ),
        migrations.AddField(
            model_name='batchitem',
            name='batch',
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='items', to='orders.batch'),
        ),
        migrations.AddField(
            model_name='batchitem',
            name='order',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='batch_items', to='orders.order'),
        ),
        migrations.AddConstraint(
            model_name='batch',
            constraint=models.CheckConstraint(condition=models.Q(('action__in', ['start', 'hold', 'release', 'cancel', 'recheck', 'check_shipment'])), name='batch_action_word'),
        ),
        migrations.AddConstraint(
            model_name='batch',
            constraint=models.CheckConstraint(condition=models.Q(('status__in', ['preparing', 'running', 'pausing', 'paused', 'cancelling', 'cancelled', 'completed'])), name='batch_status_word'),
        ),
        migrations.AddConstraint(
            model_name='batch',
            constraint=models.CheckConstraint(condition=models.Q(('channel__in', ['admin', 'api', 'cli', 'feed', 'engine'])), name='batch_channel_word'),
        ),
        migrations.AddConstraint(
            model_name='batch',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('reason', ''), _negated=True), models.Q(('actor', ''), _negated=True)), name='batch_has_reason'),
        ),
        migrations.AddConstraint(
            model_name='batch',
            constraint=models.CheckConstraint(condition=models.Q(('auto_pause_percent__lte', 100)), name='batch_auto_pause_is_percent'),
        ),
        migrations.AddConstraint(
            model_name='batch',
            constraint=models.CheckConstraint(condition=models.Q(('finished_at', None), ('status__in', [orders.vocabulary.batches.BatchStatus['CANCELLED'], orders.vocabulary.batches.BatchStatus['COMPLETED']]), _connector='XOR'), name='batch_ended_has_time'),
        ),
        migrations.AddConstraint(
            model_name='batch',
            constraint=models.CheckConstraint(condition=models.Q(('undo_of', None), models.Q(('undo_of', models.F('id')), _negated=True), _connector='OR'), name='batch_undoes_another'),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='batch',
            trigger=pgtrigger.compiler.Trigger(name='never_deleted', sql=pgtrigger.compiler.UpsertTriggerSql(func="RAISE EXCEPTION 'pgtrigger: Cannot delete rows from % table', TG_TABLE_NAME;", hash='5244e14ce23515e2cf2398dd2d6cf819b77adaa6', operation='DELETE', pgid='pgtrigger_never_deleted_484ef', table='orders_batch', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='batch',
            trigger=pgtrigger.compiler.Trigger(name='no_truncate', sql=pgtrigger.compiler.UpsertTriggerSql(func="RAISE EXCEPTION 'Table % may not be truncated.', TG_TABLE_NAME;", hash='360cd1752dc0d53cd2b00e1f82f2ded7ca932680', level='STATEMENT', operation='TRUNCATE', pgid='pgtrigger_no_truncate_40866', table='orders_batch', when='BEFORE')),
        ),
        migrations.AddIndex(
            model_name='batchitem',
            index=models.Index(fields=['batch', 'status', 'position'], name='batch_item_by_status'),
        ),
        migrations.AddIndex(
            model_name='batchitem',
            index=models.Index(fields=['batch', 'finished_at'], name='batch_item_finished'),
        ),
        migrations.AddConstraint(
            model_name='batchitem',
            constraint=models.UniqueConstraint(fields=('batch', 'position'), name='batch_item_position'),
        ),
        migrations.AddConstraint(
            model_name='batchitem',
            constraint=models.UniqueConstraint(fields=('batch', 'order'), name='batch_item_order'),
        ),
        migrations.AddConstraint(
            model_name='batchitem',
            constraint=models.UniqueConstraint(condition=models.Q(('status__in', [orders.vocabulary.batches.ItemStatus['PENDING'], orders.vocabulary.batches.ItemStatus['RUNNING']])), fields=('order',), name='batch_item_one_open'),
        ),
        migrations.AddConstraint(
            model_name='batchitem',
            constraint=models.CheckConstraint(condition=models.Q(('status__in', ['pending', 'running', 'done', 'failed', 'skipped'])), name='batch_item_status_word'),
        ),
        migrations.AddConstraint(
            model_name='batchitem',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('finished_at', None), models.Q(('status__in', [orders.vocabulary.batches.ItemStatus['PENDING'], orders.vocabulary.batches.ItemStatus['RUNNING']]), _negated=True), _connector='OR'), models.Q(('finished_at__isnull', False), models.Q(('status__in', [orders.vocabulary.batches.ItemStatus['DONE'], orders.vocabulary.batches.ItemStatus['FAILED'], orders.vocabulary.batches.ItemStatus['SKIPPED']]), _negated=True), _connector='OR')), name='batch_item_ended_has_time'),
        ),
        migrations.AddConstraint(
            model_name='batchitem',
            constraint=models.CheckConstraint(condition=models.Q(('error_type', ''), ('status', orders.vocabulary.batches.ItemStatus['FAILED']), _connector='XOR'), name='batch_item_failed_says_why'),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='batchitem',
            trigger=pgtrigger.compiler.Trigger(name='never_deleted', sql=pgtrigger.compiler.UpsertTriggerSql(func="RAISE EXCEPTION 'pgtrigger: Cannot delete rows from % table', TG_TABLE_NAME;", hash='6061b038f61fb3cd24b97f45287812de614d7f85', operation='DELETE', pgid='pgtrigger_never_deleted_62edd', table='orders_batchitem', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='batchitem',
            trigger=pgtrigger.compiler.Trigger(name='no_truncate', sql=pgtrigger.compiler.UpsertTriggerSql(func="RAISE EXCEPTION 'Table % may not be truncated.', TG_TABLE_NAME;", hash='d3e1ed03ee48375a5493fcb72bd81eaf4f0162eb', level='STATEMENT', operation='TRUNCATE', pgid='pgtrigger_no_truncate_c14b2', table='orders_batchitem', when='BEFORE')),
        ),
    ]
