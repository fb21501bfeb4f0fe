"""Incidents, and what a restored database does not have as it is."""

import django.db.models.deletion
import orders.clock
import pgtrigger.compiler
import pgtrigger.migrations
import uuid
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('orders', '0089_lanes'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='Incident',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('cause', models.CharField(max_length=250)),
                ('says', models.CharField(max_length=500)),
                ('created_at', models.DateTimeField(default=orders.clock.now)),
                ('told_at', models.DateTimeField(blank=True, null=True)),
                ('most', models.PositiveIntegerField(default=0)),
                ('closed_at', models.DateTimeField(blank=True, null=True)),
                ('resolution', models.CharField(blank=True, max_length=500)),
            ],
            options={
                'ordering': ['-created_at', '-id'],
                'permissions': [('decide_incident', 'May decide for all that an incident is about')],
                'default_permissions': ('view',),
            },
        ),
        migrations.CreateModel(
            name='RestoreDifference',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('kind', models.CharField(choices=[('order_behind', 'Order behind'), ('order_unknown', 'Order unknown'), ('run_behind', 'Run behind')], max_length=40)),
                ('reference', models.CharField(max_length=160)),
                ('name', models.CharField(max_length=160)),
                ('found_at', models.DateTimeField(default=orders.clock.now)),
                ('asked_at', models.DateTimeField(blank=True, null=True)),
                ('payment_reference', models.CharField(blank=True, max_length=128)),
                ('amount_minor', models.BigIntegerField(default=0)),
                ('taken_minor', models.BigIntegerField(default=0)),
                ('currency', models.CharField(blank=True, max_length=3)),
                ('has_parcel', models.BooleanField(default=False)),
                ('decision', models.CharField(blank=True, choices=[('undo', 'Undo'), ('finish', 'Finish'), ('again', 'Again'), ('keep', 'Keep')], default='', max_length=40)),
                ('decided_at', models.DateTimeField(blank=True, null=True)),
                ('decided_by', models.CharField(blank=True, max_length=150)),
                ('note', models.CharField(blank=True, max_length=500)),
            ],
            options={
                'ordering': ['found_at', 'id'],
                'permissions': [('decide_restore', 'May decide what becomes of what a restored database does not have')],
                'default_permissions': ('view',),
            },
        ),
        migrations.RemoveConstraint(
            model_name='orderevent',
            name='event_type_word',
        ),
        migrations.RemoveConstraint(
            model_name='playbooktrigger',
            name='playbooktrigger_event_word',
        ),
        migrations.RemoveConstraint(
            model_name='stafftask',
            name='task_kind_word',
        ),
        migrations.AddField(
            model_name='systemevent',
            name='over_at',
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AlterField(
            model_name='orderevent',
            name='type',
            field=models.CharField(choices=[('order.placed', 'Placed'), ('order.start_requested', 'Start requested'), ('order.validated', 'Validated'), ('order.stock_reserved', 'Stock reserved'), ('order.fraud_checked', 'Fraud checked'), ('order.review_opened', 'Review opened'), ('order.review_claimed', 'Review claimed'), ('order.review_asked', 'Review asked'), ('order.review_extended', 'Review extended'), ('order.review_escalated', 'Review escalated'), ('order.review_seconded', 'Review seconded'), ('order.review_decided', 'Review decided'), ('order.review_obeyed', 'Review obeyed'), ('order.hold_asked', 'Hold asked'), ('order.held', 'Held'), ('order.released', 'Released'), ('order.cancel_asked', 'Cancel asked'), ('order.payment_waits', 'Payment waits'), ('order.payment_captured', 'Payment captured'), ('order.shipped', 'Shipped'), ('order.completed', 'Completed'), ('order.step_retrying', 'Step retrying'), ('order.step_retry_asked', 'Step retry asked'), ('order.step_paused', 'Step paused'), ('order.step_resumed', 'Step resumed'), ('order.step_left_alone', 'Step left alone'), ('order.step_parked', 'Step parked'), ('order.step_unproven', 'Step unproven'), ('order.engine_cancel_ignored', 'Engine cancel ignored'), ('order.undo_begun', 'Undo begun'), ('order.stock_released', 'Stock released'), ('order.payment_undone', 'Payment undone'), ('order.shipment_undone', 'Shipment undone'), ('order.cancelled', 'Cancelled'), ('order.failed', 'Failed'), ('order.customer_erased', 'Customer erased'), ('order.refund_asked', 'Refund asked'), ('order.refund_pending', 'Refund pending'), ('order.refunded', 'Refunded'), ('order.refund_failed', 'Refund failed'), ('order.refunded_outside', 'Refunded outside'), ('order.dispute_opened', 'Dispute opened'), ('order.dispute_changed', 'Dispute changed'), ('order.dispute_closed', 'Dispute closed'), ('order.refund_refused', 'Refund refused'), ('order.refund_retried', 'Refund retried'), ('order.refund_settled', 'Refund settled'), ('order.refund_dropped', 'Refund dropped'), ('order.task_opened', 'Task opened'), ('order.task_acknowledged', 'Task acknowledged'), ('order.task_done', 'Task done'), ('order.step_skip_asked', 'Step skip asked'), ('order.payment_method_asked', 'Payment method asked'), ('order.payment_method_changed', 'Payment method changed'), ('order.return_announced', 'Return announced'), ('order.return_received', 'Return received'), ('order.return_withdrawn', 'Return withdrawn'), ('order.return_closed', 'Return closed'), ('order.notice_sent', 'Notice sent'), ('order.notice_failed', 'Notice failed'), ('order.notice_asked', 'Notice asked'), ('order.settled_by_hand', 'Settled by hand'), ('order.tracking_updated', 'Tracking updated'), ('order.finding_opened', 'Finding opened'), ('order.finding_resolved', 'Finding resolved'), ('order.start_redelivered', 'Start redelivered'), ('order.recovery_begun', 'Recovery begun'), ('order.restore_decided', 'Restore decided'), ('order.quality_sampled', 'Quality sampled'), ('order.quality_checked', 'Quality checked'), ('order.rechecked', 'Rechecked'), ('order.placed_again', 'Placed again'), ('order.repriced', 'Repriced'), ('order.shipment_checked', 'Shipment checked'), ('order.note_added', 'Note added'), ('order.tag_added', 'Tag added'), ('order.tag_removed', 'Tag removed'), ('order.voucher_issued', 'Voucher issued'), ('order.voucher_withdrawn', 'Voucher withdrawn'), ('order.country_changed', 'Country changed'), ('order.partner_called', 'Partner called'), ('order.mail_asked', 'Mail asked'), ('order.playbook_started', 'Playbook started'), ('order.playbook_step_done', 'Playbook step done'), ('order.playbook_step_failed', 'Playbook step failed'), ('order.playbook_step_undone', 'Playbook step undone'), ('order.playbook_asked', 'Playbook asked'), ('order.playbook_told', 'Playbook told'), ('order.playbook_ended', 'Playbook ended')], max_length=40),
        ),
        migrations.AlterField(
            model_name='playbooktrigger',
            name='event',
            field=models.CharField(choices=[('order.placed', 'Placed'), ('order.start_requested', 'Start requested'), ('order.validated', 'Validated'), ('order.stock_reserved', 'Stock reserved'), ('order.fraud_checked', 'Fraud checked'), ('order.review_opened', 'Review opened'), ('order.review_claimed', 'Review claimed'), ('order.review_asked', 'Review asked'), ('order.review_extended', 'Review extended'), ('order.review_escalated', 'Review escalated'), ('order.review_seconded', 'Review seconded'), ('order.review_decided', 'Review decided'), ('order.review_obeyed', 'Review obeyed'), ('order.hold_asked', 'Hold asked'), ('order.held', 'Held'), ('order.released', 'Released'), ('order.cancel_asked', 'Cancel asked'), ('order.payment_waits', 'Payment waits'), ('order.payment_captured', 'Payment captured'), ('order.shipped', 'Shipped'), ('order.completed', 'Completed'), ('order.step_retrying', 'Step retrying'), ('order.step_retry_asked', 'Step retry asked'), ('order.step_paused', 'Step paused'), ('order.step_resumed', 'Step resumed'), ('order.step_left_alone', 'Step left alone'), ('order.step_parked', 'Step parked'), ('order.step_unproven', 'Step unproven'), ('order.engine_cancel_ignored', 'Engine cancel ignored'), ('order.undo_begun', 'Undo begun'), ('order.stock_released', 'Stock released'), ('order.payment_undone', 'Payment undone'), ('order.shipment_undone', 'Shipment undone'), ('order.cancelled', 'Cancelled'), ('order.failed', 'Failed'), ('order.customer_erased', 'Customer erased'), ('order.refund_asked', 'Refund asked'), ('order.refund_pending', 'Refund pending'), ('order.refunded', 'Refunded'), ('order.refund_failed', 'Refund failed'), ('order.refunded_outside', 'Refunded outside'), ('order.dispute_opened', 'Dispute opened'), ('order.dispute_changed', 'Dispute changed'), ('order.dispute_closed', 'Dispute closed'), ('order.refund_refused', 'Refund refused'), ('order.refund_retried', 'Refund retried'), ('order.refund_settled', 'Refund settled'), ('order.refund_dropped', 'Refund dropped'), ('order.task_opened', 'Task opened'), ('order.task_acknowledged', 'Task acknowledged'), ('order.task_done', 'Task done'), ('order.step_skip_asked', 'Step skip asked'), ('order.payment_method_asked', 'Payment method asked'), ('order.payment_method_changed', 'Payment method changed'), ('order.return_announced', 'Return announced'), ('order.return_received', 'Return received'), ('order.return_withdrawn', 'Return withdrawn'), ('order.return_closed', 'Return closed'), ('order.notice_sent', 'Notice sent'), ('order.notice_failed', 'Notice failed'), ('order.notice_asked', 'Notice asked'), ('order.settled_by_hand', 'Settled by hand'), ('order.tracking_updated', 'Tracking updated'), ('order.finding_opened', 'Finding opened'), ('order.finding_resolved', 'Finding resolved'), ('order.start_redelivered', 'Start redelivered'), ('order.recovery_begun', 'Recovery begun'), ('order.restore_decided', 'Restore decided'), ('order.quality_sampled', 'Quality sampled'), ('order.quality_checked', 'Quality checked'), ('order.rechecked', 'Rechecked'), ('order.placed_again', 'Placed again'), ('order.repriced', 'Repriced'), ('order.shipment_checked', 'Shipment checked'), ('order.note_added', 'Note added'), ('order.tag_added', 'Tag added'), ('order.tag_removed', 'Tag removed'), ('order.voucher_issued', 'Voucher issued'), ('order.voucher_withdrawn', 'Voucher withdrawn'), ('order.country_changed', 'Country changed'), ('order.partner_called', 'Partner called'), ('order.mail_asked', 'Mail asked'), ('order.playbook_started', 'Playbook started'), ('order.playbook_step_done', 'Playbook step done'), ('order.playbook_step_failed', 'Playbook step failed'), ('order.playbook_step_undone', 'Playbook step undone'), ('order.playbook_asked', 'Playbook asked'), ('order.playbook_told', 'Playbook told'), ('order.playbook_ended', 'Playbook ended')], max_length=40),
        ),
        migrations.AlterField(
            model_name='stafftask',
            name='kind',
            field=models.CharField(choices=[('refund_owed', 'Refund owed'), ('recall_by_hand', 'Recall by hand'), ('escalation', 'Escalation'), ('outcome_unknown', 'Outcome unknown'), ('parcel_left', 'Parcel left'), ('overdue', 'Overdue'), ('wedged', 'Wedged'), ('process_ended', 'Process ended'), ('drift', 'Drift'), ('run', 'Run'), ('incident', 'Incident'), ('restored', 'Restored'), ('quality_failed', 'Quality failed'), ('playbook', 'Playbook'), ('payment_state', 'Payment state'), ('request_refused', 'Request refused'), ('refund_outside', 'Refund outside'), ('dispute', 'Dispute'), ('batch_paused', 'Batch paused')], max_length=40),
        ),
        migrations.AddConstraint(
            model_name='orderevent',
            constraint=models.CheckConstraint(condition=models.Q(('type__in', ['order.placed', 'order.start_requested', 'order.validated', 'order.stock_reserved', 'order.fraud_checked', 'order.review_opened', 'order.review_claimed', 'order.review_asked', 'order.review_extended', 'order.review_escalated', 'order.review_seconded', 'order.review_decided', 'order.review_obeyed', 'order.hold_asked', 'order.held', 'order.released', 'order.cancel_asked', 'order.payment_waits', 'order.payment_captured', 'order.shipped', 'order.completed', 'order.step_retrying', 'order.step_retry_asked', 'order.step_paused', 'order.step_resumed', 'order.step_left_alone', 'order.step_parked', 'order.step_unproven', 'order.engine_cancel_ignored', 'order.undo_begun', 'order.stock_released', 'order.payment_undone', 'order.shipment_undone', 'order.cancelled', 'order.failed', 'order.customer_erased', 'order.refund_asked', 'order.refund_pending', 'order.refunded', 'order.refund_failed', 'order.refunded_outside', 'order.dispute_opened', 'order.dispute_changed', 'order.dispute_closed', 'order.refund_refused', 'order.refund_retried', 'order.refund_settled', 'order.refund_dropped', 'order.task_opened', 'order.task_acknowledged', 'order.task_done', 'order.step_skip_asked', 'order.payment_method_asked', 'order.payment_method_changed', 'order.return_announced', 'order.return_received', 'order.return_withdrawn', 'order.return_closed', 'order.notice_sent', 'order.notice_failed', 'order.notice_asked', 'order.settled_by_hand', 'order.tracking_updated', 'order.finding_opened', 'order.finding_resolved', 'order.start_redelivered', 'order.recovery_begun', 'order.restore_decided', 'order.quality_sampled', 'order.quality_checked', 'order.rechecked', 'order.placed_again', 'order.repriced', 'order.shipment_checked', 'order.note_added', 'order.tag_added', 'order.tag_removed', 'order.voucher_issued', 'order.voucher_withdrawn', 'order.country_changed', 'order.partner_called', 'order.mail_asked', 'order.playbook_started', 'order.playbook_step_done', 'order.playbook_step_failed', 'order.playbook_step_undone', 'order.playbook_asked', 'order.playbook_told', 'order.playbook_ended'])), name='event_type_word'),
        ),
        migrations.AddConstraint(
            model_name='playbooktrigger',
            constraint=models.CheckConstraint(condition=models.Q(('event__in', ['order.placed', 'order.start_requested', 'order.validated', 'order.stock_reserved', 'order.fraud_checked', 'order.review_opened', 'order.review_claimed', 'order.review_asked', 'order.review_extended', 'order.review_escalated', 'order.review_seconded', 'order.review_decided', 'order.review_obeyed', 'order.hold_asked', 'order.held', 'order.released', 'order.cancel_asked', 'order.payment_waits', 'order.payment_captured', 'order.shipped', 'order.completed', 'order.step_retrying', 'order.step_retry_asked', 'order.step_paused', 'order.step_resumed', 'order.step_left_alone', 'order.step_parked', 'order.step_unproven', 'order.engine_cancel_ignored', 'order.undo_begun', 'order.stock_released', 'order.payment_undone', 'order.shipment_undone', 'order.cancelled', 'order.failed', 'order.customer_erased', 'order.refund_asked', 'order.refund_pending', 'order.refunded', 'order.refund_failed', 'order.refunded_outside', 'order.dispute_opened', 'order.dispute_changed', 'order.dispute_closed', 'order.refund_refused', 'order.refund_retried', 'order.refund_settled', 'order.refund_dropped', 'order.task_opened', 'order.task_acknowledged', 'order.task_done', 'order.step_skip_asked', 'order.payment_method_asked', 'order.payment_method_changed', 'order.return_announced', 'order.return_received', 'order.return_withdrawn', 'order.return_closed', 'order.notice_sent', 'order.notice_failed', 'order.notice_asked', 'order.settled_by_hand', 'order.tracking_updated', 'order.finding_opened', 'order.finding_resolved', 'order.start_redelivered', 'order.recovery_begun', 'order.restore_decided', 'order.quality_sampled', 'order.quality_checked', 'order.rechecked', 'order.placed_again', 'order.repriced', 'order.shipment_checked', 'order.note_added', 'order.tag_added', 'order.tag_removed', 'order.voucher_issued', 'order.voucher_withdrawn', 'order.country_changed', 'order.partner_called', 'order.mail_asked', 'order.playbook_started', 'order.playbook_step_done', 'order.playbook_step_failed', 'order.playbook_step_undone', 'order.playbook_asked', 'order.playbook_told', 'order.playbook_ended'])), name='playbooktrigger_event_word'),
        ),
        migrations.AddConstraint(
            model_name='incident',
            constraint=models.UniqueConstraint(condition=models.Q(('closed_at', None)), fields=('cause',), name='incident_one_open'),
        ),
        migrations.AddConstraint(
            model_name='incident',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('cause', ''), _negated=True), models.Q(('says', ''), _negated=True)), name='incident_says_what'),
        ),
        migrations.AddConstraint(
            model_name='incident',
            constraint=models.CheckConstraint(condition=models.Q(('closed_at', None), models.Q(('resolution', ''), _negated=True), _connector='XOR'), name='incident_closed_says_how'),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='incident',
            trigger=pgtrigger.compiler.Trigger(name='never_deleted', sql=pgtrigger.compiler.UpsertTriggerSql(func="RAISE EXCEPTION 'pgtrigger: Cannot delete rows from % table', TG_TABLE_NAME;", hash='18d2ebaeb9b172f8e7640239665ccdc68090b2b9', operation='DELETE', pgid='pgtrigger_never_deleted_01569', table='orders_incident', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='incident',
            trigger=pgtrigger.compiler.Trigger(name='no_truncate', sql=pgtrigger.compiler.UpsertTriggerSql(func="RAISE EXCEPTION 'Table % may not be truncated.', TG_TABLE_NAME;", hash='62e5fc951cbe873454a4723d3e45043bca64f87c', level='STATEMENT', operation='TRUNCATE', pgid='pgtrigger_no_truncate_bbadd', table='orders_incident', when='BEFORE')),
        ),
        migrations.AddField(
            model_name='stafftask',
            name='incident',
            field=models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='tasks', to='orders.incident'),
        ),
        migrations.AddField(
            model_name='systemevent',
            name='incident',
            field=models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='system_events', to='orders.incident'),
        ),
        migrations.AddConstraint(
            model_name='stafftask',
            constraint=models.CheckConstraint(condition=models.Q(('kind__in', ['refund_owed', 'recall_by_hand', 'escalation', 'outcome_unknown', 'parcel_left', 'overdue', 'wedged', 'process_ended', 'drift', 'run', 'incident', 'restored', 'quality_failed', 'playbook', 'payment_state', 'request_refused', 'refund_outside', 'dispute', 'batch_paused'])), name='task_kind_word'),
        ),
        migrations.AddConstraint(
            model_name='restoredifference',
            constraint=models.CheckConstraint(condition=models.Q(('kind__in', ['order_behind', 'order_unknown', 'run_behind'])), name='restore_difference_kind_word'),
        ),
        migrations.AddConstraint(
            model_name='restoredifference',
            constraint=models.CheckConstraint(condition=models.Q(('decision__in', ['', 'undo', 'finish', 'again', 'keep'])), name='restore_difference_decision_word'),
        ),
        migrations.AddConstraint(
            model_name='restoredifference',
            constraint=models.UniqueConstraint(condition=models.Q(('decision', '')), fields=('reference',), name='restore_difference_one_open'),
        ),
        migrations.AddConstraint(
            model_name='restoredifference',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('decided_at', None), ('decided_by', ''), ('decision', ''), ('note', '')), models.Q(models.Q(('decision', ''), _negated=True), ('decided_at__isnull', False), models.Q(('decided_by', ''), _negated=True), models.Q(('note', ''), _negated=True)), _connector='OR'), name='restore_difference_decided_by_somebody'),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='restoredifference',
            trigger=pgtrigger.compiler.Trigger(name='never_deleted', sql=pgtrigger.compiler.UpsertTriggerSql(func="RAISE EXCEPTION 'pgtrigger: Cannot delete rows from % table', TG_TABLE_NAME;", hash='16c229bf6e63a4056b01b55e148a3889407652a1', operation='DELETE', pgid='pgtrigger_never_deleted_960d1', table='orders_restoredifference', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='restoredifference',
            trigger=pgtrigger.compiler.Trigger(name='no_truncate', sql=pgtrigger.compiler.UpsertTriggerSql(func="RAISE EXCEPTION 'Table % may not be truncated.', TG_TABLE_NAME;", hash='e7a9ba73360241fb3da9d169ce9d8cde30f087b5', level='STATEMENT', operation='TRUNCATE', pgid='pgtrigger_no_truncate_68374', table='orders_restoredifference', when='BEFORE')),
        ),
    ]
