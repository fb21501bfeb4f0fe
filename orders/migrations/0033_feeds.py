"""Layouts that staff map, and imports that are checked, paused and followed up."""

import django.db.models.deletion
import django.utils.timezone
import orders.vocabulary.feeds
import pgtrigger.compiler
import pgtrigger.migrations
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ("orders", "0031_process"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='FeedLayout',
            fields=[
                ('version', models.AutoField(primary_key=True, serialize=False)),
                ('name', models.SlugField(max_length=40)),
                ('columns', models.JSONField()),
                ('date_format', models.CharField(choices=[('yyyy-mm-dd', 'Yyyy-mm-dd'), ('dd/mm/yyyy', 'Dd/mm/yyyy'), ('mm/dd/yyyy', 'Mm/dd/yyyy'), ('dd.mm.yyyy', 'Yyyy'), ('yyyymmdd', 'Yyyymmdd')], default=orders.vocabulary.feeds.DateFormat['ISO'], max_length=40)),
                ('decimal_comma', models.BooleanField(default=False)),
                ('price_means', models.CharField(choices=[('unit_price', 'Unit price'), ('line_total', 'Line total')], default=orders.vocabulary.feeds.PriceMeaning['UNIT_PRICE'], max_length=40)),
                ('default_quantity', models.PositiveIntegerField(default=1)),
                ('default_country', models.CharField(blank=True, max_length=80)),
                ('currency', models.CharField(choices=[('GBP', 'Gbp'), ('EUR', 'Eur'), ('USD', 'Usd')], max_length=40)),
                ('payment_method', models.CharField(max_length=128)),
                ('credit_note_prefix', models.CharField(blank=True, max_length=8)),
                ('made_by', models.CharField(max_length=150)),
                ('reason', models.CharField(max_length=500)),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now)),
            ],
            options={
                'ordering': ['-version'],
                'default_permissions': ('view', 'add'),
            },
        ),
        migrations.AddField(
            model_name='command',
            name='feed',
            field=models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='commands', to='orders.feedimport'),
        ),
        migrations.AddField(
            model_name='feedimport',
            name='dry_run',
            field=models.BooleanField(default=False),
        ),
        migrations.AddField(
            model_name='feedimport',
            name='follows',
            field=models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='follow_ups', to='orders.feedimport'),
        ),
        migrations.AddField(
            model_name='feedimport',
            name='format',
            field=models.CharField(choices=[('csv', 'Csv'), ('xlsx', 'Xlsx'), ('json_lines', 'Json lines')], default=orders.vocabulary.feeds.FeedFormat['CSV'], max_length=40),
        ),
        migrations.AddField(
            model_name='feedimport',
            name='phase_since',
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name='feedimport',
            name='resume_status',
            field=models.CharField(blank=True, choices=[('received', 'Received'), ('validating', 'Validating'), ('transforming', 'Transforming'), ('storing', 'Storing'), ('completed', 'Completed'), ('failed', 'Failed'), ('paused', 'Paused'), ('checked', 'Checked'), ('discarded', 'Discarded'), ('cancelled', 'Cancelled')], default='', max_length=40),
        ),
        migrations.AddField(
            model_name='feedimport',
            name='rows_expected',
            field=models.BigIntegerField(default=0),
        ),
        migrations.AddField(
            model_name='feedrow',
            name='problems',
            field=models.JSONField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name='outboxmessage',
            name='bulk',
            field=models.BooleanField(default=False),
        ),
        migrations.AddIndex(
            model_name='outboxmessage',
            index=models.Index(condition=models.Q(('bulk', True), ('delivered_at', None)), fields=['id'], name='outbox_pending_bulk'),
        ),
        migrations.AddIndex(
            model_name='outboxmessage',
            index=models.Index(condition=models.Q(('bulk', True)), fields=['delivered_at'], name='outbox_delivered_bulk'),
        ),
        migrations.AddConstraint(
            model_name='feedlayout',
            constraint=models.CheckConstraint(condition=models.Q(('date_format__in', ['yyyy-mm-dd', 'dd/mm/yyyy', 'mm/dd/yyyy', 'dd.mm.yyyy', 'yyyymmdd'])), name='feed_layout_date_format_word'),
        ),
        migrations.AddConstraint(
            model_name='feedlayout',
            constraint=models.CheckConstraint(condition=models.Q(('price_means__in', ['unit_price', 'line_total'])), name='feed_layout_price_means_word'),
        ),
        migrations.AddConstraint(
            model_name='feedlayout',
            constraint=models.CheckConstraint(condition=models.Q(('currency__in', ['GBP', 'EUR', 'USD'])), name='feed_layout_currency_word'),
        ),
        migrations.AddConstraint(
            model_name='feedlayout',
            constraint=models.CheckConstraint(condition=models.Q(('default_quantity__gte', 1)), name='feed_layout_quantity_positive'),
        ),
        migrations.AddConstraint(
            model_name='feedlayout',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('made_by', ''), _negated=True), models.Q(('reason', ''), _negated=True)), name='feed_layout_has_author_and_reason'),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='feedlayout',
            trigger=pgtrigger.compiler.Trigger(name='append_only', sql=pgtrigger.compiler.UpsertTriggerSql(func="RAISE EXCEPTION 'pgtrigger: Cannot update or delete rows from % table', TG_TABLE_NAME;", hash='401f34e743a479c71a9389b261b5cfa8e2b21f29', operation='UPDATE OR DELETE', pgid='pgtrigger_append_only_71d99', table='orders_feedlayout', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='feedlayout',
            trigger=pgtrigger.compiler.Trigger(name='no_truncate', sql=pgtrigger.compiler.UpsertTriggerSql(func="RAISE EXCEPTION 'Table % may not be truncated.', TG_TABLE_NAME;", hash='4352a4f69aee011790efb4ebad83ea491db9e38d', level='STATEMENT', operation='TRUNCATE', pgid='pgtrigger_no_truncate_82d85', table='orders_feedlayout', when='BEFORE')),
        ),
        migrations.AddField(
            model_name='feedimport',
            name='layout_version',
            field=models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='orders.feedlayout'),
        ),
        migrations.AddConstraint(
            model_name='feedimport',
            constraint=models.CheckConstraint(condition=models.Q(('format__in', ['csv', 'xlsx', 'json_lines'])), name='feed_format_word'),
        ),
        migrations.AddConstraint(
            model_name='feedimport',
            constraint=models.CheckConstraint(condition=models.Q(('status', orders.vocabulary.feeds.FeedStatus['PAUSED']), ('resume_status', ''), _connector='XOR'), name='feed_resumes_from_pause'),
        ),
    ]
