
import django.db.models.deletion
import django.db.models.functions.datetime
import django.utils.timezone
import orders.vocabulary.money
import orders.vocabulary.orders
import pgtrigger.compiler
import pgtrigger.migrations
import uuid
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('orders', '0056_item_placed_as'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='Dispute',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('gateway_reference', models.CharField(max_length=128, unique=True)),
                ('amount_minor', models.BigIntegerField()),
                ('currency', models.CharField(choices=[('GBP', 'Gbp'), ('EUR', 'Eur'), ('USD', 'Usd')], max_length=40)),
                ('reason', models.CharField(max_length=64)),
                ('status', models.CharField(choices=[('inquiry', 'Inquiry'), ('open', 'Open'), ('won', 'Won'), ('lost', 'Lost'), ('closed', 'Closed')], max_length=40)),
                ('gateway_status', models.CharField(max_length=40)),
                ('withdrawn_minor', models.BigIntegerField(default=0)),
                ('opened_at', models.DateTimeField()),
                ('evidence_due_at', models.DateTimeField(blank=True, null=True)),
                ('closed_at', models.DateTimeField(blank=True, null=True)),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now)),
            ],
            options={
                'ordering': ['-opened_at', '-id'],
                'default_permissions': ('view',),
            },
        ),
        migrations.CreateModel(
            name='GatewayEvent',
            fields=[
                ('id', models.CharField(max_length=128, primary_key=True, serialize=False)),
                ('type', models.CharField(max_length=80)),
                ('payment_reference', models.CharField(blank=True, default='', max_length=128)),
                ('object_reference', models.CharField(blank=True, default='', max_length=128)),
                ('source', models.CharField(choices=[('webhook', 'Webhook'), ('poll', 'Poll')], max_length=40)),
                ('created_at', models.DateTimeField()),
                ('received_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('handled_at', models.DateTimeField(blank=True, null=True)),
                ('outcome', models.CharField(blank=True, default='', max_length=200)),
            ],
            options={
                'ordering': ['-received_at', '-id'],
                'default_permissions': ('view',),
            },
        ),
        migrations.RemoveConstraint(
            model_name='ledgertransfer',
            name='transfer_debit_account_word',
        ),
        migrations.RemoveConstraint(
            model_name='ledgertransfer',
            name='transfer_credit_account_word',
        ),
        migrations.RemoveConstraint(
            model_name='notice',
            name='notice_kind_word',
        ),
        migrations.RemoveConstraint(
            model_name='order',
            name='order_status_word',
        ),
        migrations.RemoveConstraint(
            model_name='orderevent',
            name='event_type_word',
        ),
        migrations.RemoveConstraint(
            model_name='outboxmessage',
            name='outbox_topic_word',
        ),
        migrations.RemoveConstraint(
            model_name='playbooktrigger',
            name='playbooktrigger_event_word',
        ),
        migrations.RemoveConstraint(
            model_name='refund',
            name='refund_status_word',
        ),
        migrations.RemoveConstraint(
            model_name='refund',
            name='refund_ended_has_time',
        ),
        migrations.RemoveConstraint(
            model_name='refund',
            name='refund_one_open',
        ),
        migrations.RemoveConstraint(
            model_name='stafftask',
            name='task_kind_word',
        ),
        migrations.RemoveConstraint(
            model_name='sweepprogress',
            name='sweep_progress_part_word',
        ),
        migrations.AddField(
            model_name='partnerhealth',
            name='failed_subjects',
            field=models.JSONField(blank=True, db_default=models.Value([], models.JSONField()), default=list),
        ),
        migrations.AddField(
            model_name='payment',
            name='action_url',
            field=models.CharField(blank=True, db_default='', default='', max_length=2000),
        ),
        migrations.AddField(
            model_name='payment',
            name='disputed_minor',
            field=models.BigIntegerField(db_default=0, default=0),
        ),
        migrations.AddField(
            model_name='payment',
            name='gateway_status',
            field=models.CharField(blank=True, db_default='', default='', max_length=40),
        ),
        migrations.AddField(
            model_name='payment',
            name='wait_until',
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name='payment',
            name='waiting_since',
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name='payment',
            name='waits_for',
            field=models.CharField(blank=True, choices=[('customer', 'Customer'), ('bank', 'Bank'), ('person', 'Person')], db_default='', default='', max_length=40),
        ),
        migrations.AddField(
            model_name='refund',
            name='gateway_status',
            field=models.CharField(blank=True, db_default='', default='', max_length=40),
        ),
        migrations.AddField(
            model_name='refund',
            name='key_generation',
            field=models.PositiveIntegerField(db_default=1, default=1),
        ),
        migrations.AddField(
            model_name='refund',
            name='outside',
            field=models.BooleanField(db_default=False, default=False),
        ),
        migrations.AddField(
            model_name='step',
            name='key_generation',
            field=models.PositiveIntegerField(db_default=1, default=1),
        ),
        migrations.AddField(
            model_name='step',
            name='refusal',
            field=models.CharField(blank=True, choices=[('invalid_order', 'Invalid order'), ('out_of_stock', 'Out of stock'), ('payment_declined', 'Payment declined'), ('carrier_rejected', 'Carrier rejected'), ('outcome_unknown', 'Outcome unknown'), ('step_voided', 'Step voided'), ('stale_attempt', 'Stale attempt'), ('not_the_process', 'Not the process'), ('partner_unavailable', 'Partner unavailable'), ('partner_down', 'Partner down'), ('cancelled', 'Cancelled'), ('review_rejected', 'Review rejected'), ('on_hold', 'On hold'), ('invalid_feed', 'Invalid feed'), ('shipment_refused', 'Shipment refused'), ('partner_refused', 'Partner refused'), ('process_ended', 'Process ended'), ('step_failed', 'Step failed'), ('run_paused', 'Run paused'), ('invalid_playbook', 'Invalid playbook'), ('request_refused', 'Request refused'), ('step_missing', 'Step missing')], db_default='', default='', max_length=40),
        ),
        migrations.AlterField(
            model_name='ledgertransfer',
            name='credit_account',
            field=models.CharField(choices=[('gateway', 'Gateway'), ('customer', 'Customer'), ('sales', 'Sales'), ('by_hand', 'By hand'), ('disputed', 'Disputed')], max_length=40),
        ),
        migrations.AlterField(
            model_name='ledgertransfer',
            name='debit_account',
            field=models.CharField(choices=[('gateway', 'Gateway'), ('customer', 'Customer'), ('sales', 'Sales'), ('by_hand', 'By hand'), ('disputed', 'Disputed')], max_length=40),
        ),
        migrations.AlterField(
            model_name='notice',
            name='kind',
            field=models.CharField(choices=[('order_failed', 'Order failed'), ('payment_action', 'Payment action'), ('message', 'Message')], max_length=40),
        ),
        migrations.AlterField(
            model_name='order',
            name='failure_type',
            field=models.CharField(blank=True, choices=[('invalid_order', 'Invalid order'), ('out_of_stock', 'Out of stock'), ('payment_declined', 'Payment declined'), ('carrier_rejected', 'Carrier rejected'), ('outcome_unknown', 'Outcome unknown'), ('step_voided', 'Step voided'), ('stale_attempt', 'Stale attempt'), ('not_the_process', 'Not the process'), ('partner_unavailable', 'Partner unavailable'), ('partner_down', 'Partner down'), ('cancelled', 'Cancelled'), ('review_rejected', 'Review rejected'), ('on_hold', 'On hold'), ('invalid_feed', 'Invalid feed'), ('shipment_refused', 'Shipment refused'), ('partner_refused', 'Partner refused'), ('process_ended', 'Process ended'), ('step_failed', 'Step failed'), ('run_paused', 'Run paused'), ('invalid_playbook', 'Invalid playbook'), ('request_refused', 'Request refused'), ('step_missing', 'Step missing')], default='', max_length=40),
        ),
        migrations.AlterField(
            model_name='order',
            name='resume_status',
            field=models.CharField(blank=True, choices=[('placed', 'Placed'), ('queued', 'Queued'), ('in_review', 'In review'), ('on_hold', 'On hold'), ('reserving', 'Reserving'), ('checking', 'Checking'), ('charging', 'Charging'), ('awaiting_payment', 'Awaiting payment'), ('shipping', 'Shipping'), ('undoing', 'Undoing'), ('completed', 'Completed'), ('cancelled', 'Cancelled'), ('failed', 'Failed')], default='', max_length=40),
        ),
        migrations.AlterField(
            model_name='order',
            name='status',
            field=models.CharField(choices=[('placed', 'Placed'), ('queued', 'Queued'), ('in_review', 'In review'), ('on_hold', 'On hold'), ('reserving', 'Reserving'), ('checking', 'Checking'), ('charging', 'Charging'), ('awaiting_payment', 'Awaiting payment'), ('shipping', 'Shipping'), ('undoing', 'Undoing'), ('completed', 'Completed'), ('cancelled', 'Cancelled'), ('failed', 'Failed')], default=orders.vocabulary.orders.OrderStatus['PLACED'], max_length=40),
        ),
        migrations.AlterField(
            model_name='orderevent',
            name='type',
            field=models.CharField(choices=[('order.placed', 'Placed'), ('order.start_requested', 'Start requested'), ('order.validated', 'Validated'), ('order.stock_reserved', 'Stock reserved'), ('order.fraud_checked', 'Fraud checked'), ('order.review_opened', 'Review opened'), ('order.review_claimed', 'Review claimed'), ('order.review_asked', 'Review asked'), ('order.review_extended', 'Review extended'), ('order.review_escalated', 'Review escalated'), ('order.review_seconded', 'Review seconded'), ('order.review_decided', 'Review decided'), ('order.review_obeyed', 'Review obeyed'), ('order.hold_asked', 'Hold asked'), ('order.held', 'Held'), ('order.released', 'Released'), ('order.cancel_asked', 'Cancel asked'), ('order.payment_waits', 'Payment waits'), ('order.payment_captured', 'Payment captured'), ('order.shipped', 'Shipped'), ('order.completed', 'Completed'), ('order.step_retrying', 'Step retrying'), ('order.step_retry_asked', 'Step retry asked'), ('order.step_paused', 'Step paused'), ('order.step_resumed', 'Step resumed'), ('order.step_left_alone', 'Step left alone'), ('order.step_parked', 'Step parked'), ('order.step_unproven', 'Step unproven'), ('order.engine_cancel_ignored', 'Engine cancel ignored'), ('order.undo_begun', 'Undo begun'), ('order.stock_released', 'Stock released'), ('order.payment_undone', 'Payment undone'), ('order.shipment_undone', 'Shipment undone'), ('order.cancelled', 'Cancelled'), ('order.failed', 'Failed'), ('order.customer_erased', 'Customer erased'), ('order.refund_asked', 'Refund asked'), ('order.refund_pending', 'Refund pending'), ('order.refunded', 'Refunded'), ('order.refund_failed', 'Refund failed'), ('order.refunded_outside', 'Refunded outside'), ('order.dispute_opened', 'Dispute opened'), ('order.dispute_changed', 'Dispute changed'), ('order.dispute_closed', 'Dispute closed'), ('order.refund_refused', 'Refund refused'), ('order.refund_retried', 'Refund retried'), ('order.refund_settled', 'Refund settled'), ('order.refund_dropped', 'Refund dropped'), ('order.task_opened', 'Task opened'), ('order.task_acknowledged', 'Task acknowledged'), ('order.task_done', 'Task done'), ('order.step_skip_asked', 'Step skip asked'), ('order.payment_method_asked', 'Payment method asked'), ('order.payment_method_changed', 'Payment method changed'), ('order.return_announced', 'Return announced'), ('order.return_received', 'Return received'), ('order.return_withdrawn', 'Return withdrawn'), ('order.return_closed', 'Return closed'), ('order.notice_sent', 'Notice sent'), ('order.notice_failed', 'Notice failed'), ('order.notice_asked', 'Notice asked'), ('order.settled_by_hand', 'Settled by hand'), ('order.tracking_updated', 'Tracking updated'), ('order.finding_opened', 'Finding opened'), ('order.finding_resolved', 'Finding resolved'), ('order.start_redelivered', 'Start redelivered'), ('order.recovery_begun', 'Recovery begun'), ('order.quality_sampled', 'Quality sampled'), ('order.quality_checked', 'Quality checked'), ('order.rechecked', 'Rechecked'), ('order.placed_again', 'Placed again'), ('order.repriced', 'Repriced'), ('order.shipment_checked', 'Shipment checked'), ('order.note_added', 'Note added'), ('order.tag_added', 'Tag added'), ('order.tag_removed', 'Tag removed'), ('order.voucher_issued', 'Voucher issued'), ('order.voucher_withdrawn', 'Voucher withdrawn'), ('order.country_changed', 'Country changed'), ('order.partner_called', 'Partner called'), ('order.mail_asked', 'Mail asked'), ('order.playbook_started', 'Playbook started'), ('order.playbook_step_done', 'Playbook step done'), ('order.playbook_step_failed', 'Playbook step failed'), ('order.playbook_step_undone', 'Playbook step undone'), ('order.playbook_asked', 'Playbook asked'), ('order.playbook_told', 'Playbook told'), ('order.playbook_ended', 'Playbook ended')], max_length=40),
        ),
        migrations.AlterField(
            model_name='outboxmessage',
            name='topic',
            field=models.CharField(choices=[('order.start', 'Start'), ('order.tell', 'Tell'), ('order.cancel', 'Cancel'), ('order.step', 'Step'), ('feed_import.start', 'Start'), ('refund.send', 'Send'), ('command.over', 'Over'), ('process.tell', 'Tell'), ('schedule.drive', 'Drive'), ('notice.send', 'Send'), ('feed_import.tell', 'Tell'), ('partner_run.start', 'Start'), ('partner_run.cancel', 'Cancel'), ('order.recover', 'Recover'), ('batch.run', 'Run'), ('export.run', 'Run'), ('playbook.start', 'Start'), ('playbook.tell', 'Tell'), ('playbook.cancel', 'Cancel'), ('gateway.event', 'Event'), ('playbook.event', 'Event')], max_length=40),
        ),
        migrations.AlterField(
            model_name='playbooktrigger',
            name='event',
            field=models.CharField(choices=[('order.placed', 'Placed'), ('order.start_requested', 'Start requested'), ('order.validated', 'Validated'), ('order.stock_reserved', 'Stock reserved'), ('order.fraud_checked', 'Fraud checked'), ('order.review_opened', 'Review opened'), ('order.review_claimed', 'Review claimed'), ('order.review_asked', 'Review asked'), ('order.review_extended', 'Review extended'), ('order.review_escalated', 'Review escalated'), ('order.review_seconded', 'Review seconded'), ('order.review_decided', 'Review decided'), ('order.review_obeyed', 'Review obeyed'), ('order.hold_asked', 'Hold asked'), ('order.held', 'Held'), ('order.released', 'Released'), ('order.cancel_asked', 'Cancel asked'), ('order.payment_waits', 'Payment waits'), ('order.payment_captured', 'Payment captured'), ('order.shipped', 'Shipped'), ('order.completed', 'Completed'), ('order.step_retrying', 'Step retrying'), ('order.step_retry_asked', 'Step retry asked'), ('order.step_paused', 'Step paused'), ('order.step_resumed', 'Step resumed'), ('order.step_left_alone', 'Step left alone'), ('order.step_parked', 'Step parked'), ('order.step_unproven', 'Step unproven'), ('order.engine_cancel_ignored', 'Engine cancel ignored'), ('order.undo_begun', 'Undo begun'), ('order.stock_released', 'Stock released'), ('order.payment_undone', 'Payment undone'), ('order.shipment_undone', 'Shipment undone'), ('order.cancelled', 'Cancelled'), ('order.failed', 'Failed'), ('order.customer_erased', 'Customer erased'), ('order.refund_asked', 'Refund asked'), ('order.refund_pending', 'Refund pending'), ('order.refunded', 'Refunded'), ('order.refund_failed', 'Refund failed'), ('order.refunded_outside', 'Refunded outside'), ('order.dispute_opened', 'Dispute opened'), ('order.dispute_changed', 'Dispute changed'), ('order.dispute_closed', 'Dispute closed'), ('order.refund_refused', 'Refund refused'), ('order.refund_retried', 'Refund retried'), ('order.refund_settled', 'Refund settled'), ('order.refund_dropped', 'Refund dropped'), ('order.task_opened', 'Task opened'), ('order.task_acknowledged', 'Task acknowledged'), ('order.task_done', 'Task done'), ('order.step_skip_asked', 'Step skip asked'), ('order.payment_method_asked', 'Payment method asked'), ('order.payment_method_changed', 'Payment method changed'), ('order.return_announced', 'Return announced'), ('order.return_received', 'Return received'), ('order.return_withdrawn', 'Return withdrawn'), ('order.return_closed', 'Return closed'), ('order.notice_sent', 'Notice sent'), ('order.notice_failed', 'Notice failed'), ('order.notice_asked', 'Notice asked'), ('order.settled_by_hand', 'Settled by hand'), ('order.tracking_updated', 'Tracking updated'), ('order.finding_opened', 'Finding opened'), ('order.finding_resolved', 'Finding resolved'), ('order.start_redelivered', 'Start redelivered'), ('order.recovery_begun', 'Recovery begun'), ('order.quality_sampled', 'Quality sampled'), ('order.quality_checked', 'Quality checked'), ('order.rechecked', 'Rechecked'), ('order.placed_again', 'Placed again'), ('order.repriced', 'Repriced'), ('order.shipment_checked', 'Shipment checked'), ('order.note_added', 'Note added'), ('order.tag_added', 'Tag added'), ('order.tag_removed', 'Tag removed'), ('order.voucher_issued', 'Voucher issued'), ('order.voucher_withdrawn', 'Voucher withdrawn'), ('order.country_changed', 'Country changed'), ('order.partner_called', 'Partner called'), ('order.mail_asked', 'Mail asked'), ('order.playbook_started', 'Playbook started'), ('order.playbook_step_done', 'Playbook step done'), ('order.playbook_step_failed', 'Playbook step failed'), ('order.playbook_step_undone', 'Playbook step undone'), ('order.playbook_asked', 'Playbook asked'), ('order.playbook_told', 'Playbook told'), ('order.playbook_ended', 'Playbook ended')], max_length=40),
        ),
        migrations.AlterField(
            model_name='refund',
            name='status',
            field=models.CharField(choices=[('requested', 'Requested'), ('sent', 'Sent'), ('pending', 'Pending'), ('refused', 'Refused'), ('done', 'Done'), ('settled', 'Settled'), ('dropped', 'Dropped')], default=orders.vocabulary.money.RefundStatus['REQUESTED'], max_length=40),
        ),
        migrations.AlterField(
            model_name='stafftask',
            name='kind',
            field=models.CharField(choices=[('refund_owed', 'Refund owed'), ('recall_by_hand', 'Recall by hand'), ('escalation', 'Escalation'), ('outcome_unknown', 'Outcome unknown'), ('parcel_left', 'Parcel left'), ('overdue', 'Overdue'), ('wedged', 'Wedged'), ('process_ended', 'Process ended'), ('drift', 'Drift'), ('quality_failed', 'Quality failed'), ('playbook', 'Playbook'), ('payment_state', 'Payment state'), ('request_refused', 'Request refused'), ('refund_outside', 'Refund outside'), ('dispute', 'Dispute'), ('batch_paused', 'Batch paused')], max_length=40),
        ),
        migrations.AlterField(
            model_name='sweepprogress',
            name='part',
            field=models.CharField(choices=[('deadlines', 'Deadlines'), ('processes', 'Processes'), ('books', 'Books'), ('events', 'Events')], max_length=40, primary_key=True, serialize=False),
        ),
        migrations.AddConstraint(
            model_name='ledgertransfer',
            constraint=models.CheckConstraint(condition=models.Q(('debit_account__in', ['gateway', 'customer', 'sales', 'by_hand', 'disputed'])), name='transfer_debit_account_word'),
        ),
        migrations.AddConstraint(
            model_name='ledgertransfer',
            constraint=models.CheckConstraint(condition=models.Q(('credit_account__in', ['gateway', 'customer', 'sales', 'by_hand', 'disputed'])), name='transfer_credit_account_word'),
        ),
        migrations.AddConstraint(
            model_name='notice',
            constraint=models.CheckConstraint(condition=models.Q(('kind__in', ['order_failed', 'payment_action', 'message'])), name='notice_kind_word'),
        ),
        migrations.AddConstraint(
            model_name='order',
            constraint=models.CheckConstraint(condition=models.Q(('status__in', ['placed', 'queued', 'in_review', 'on_hold', 'reserving', 'checking', 'charging', 'awaiting_payment', 'shipping', 'undoing', 'completed', 'cancelled', 'failed'])), name='order_status_word'),
        ),
        migrations.AddConstraint(
            model_name='orderevent',
            constraint=models.CheckConstraint(condition=models.Q(('type__in', ['order.placed', 'order.start_requested', 'order.validated', 'order.stock_reserved', 'order.fraud_checked', 'order.review_opened', 'order.review_claimed', 'order.review_asked', 'order.review_extended', 'order.review_escalated', 'order.review_seconded', 'order.review_decided', 'order.review_obeyed', 'order.hold_asked', 'order.held', 'order.released', 'order.cancel_asked', 'order.payment_waits', 'order.payment_captured', 'order.shipped', 'order.completed', 'order.step_retrying', 'order.step_retry_asked', 'order.step_paused', 'order.step_resumed', 'order.step_left_alone', 'order.step_parked', 'order.step_unproven', 'order.engine_cancel_ignored', 'order.undo_begun', 'order.stock_released', 'order.payment_undone', 'order.shipment_undone', 'order.cancelled', 'order.failed', 'order.customer_erased', 'order.refund_asked', 'order.refund_pending', 'order.refunded', 'order.refund_failed', 'order.refunded_outside', 'order.dispute_opened', 'order.dispute_changed', 'order.dispute_closed', 'order.refund_refused', 'order.refund_retried', 'order.refund_settled', 'order.refund_dropped', 'order.task_opened', 'order.task_acknowledged', 'order.task_done', 'order.step_skip_asked', 'order.payment_method_asked', 'order.payment_method_changed', 'order.return_announced', 'order.return_received', 'order.return_withdrawn', 'order.return_closed', 'order.notice_sent', 'order.notice_failed', 'order.notice_asked', 'order.settled_by_hand', 'order.tracking_updated', 'order.finding_opened', 'order.finding_resolved', 'order.start_redelivered', 'order.recovery_begun', 'order.quality_sampled', 'order.quality_checked', 'order.rechecked', 'order.placed_again', 'order.repriced', 'order.shipment_checked', 'order.note_added', 'order.tag_added', 'order.tag_removed', 'order.voucher_issued', 'order.voucher_withdrawn', 'order.country_changed', 'order.partner_called', 'order.mail_asked', 'order.playbook_started', 'order.playbook_step_done', 'order.playbook_step_failed', 'order.playbook_step_undone', 'order.playbook_asked', 'order.playbook_told', 'order.playbook_ended'])), name='event_type_word'),
        ),
        migrations.AddConstraint(
            model_name='outboxmessage',
            constraint=models.CheckConstraint(condition=models.Q(('topic__in', ['order.start', 'order.tell', 'order.cancel', 'order.step', 'feed_import.start', 'refund.send', 'command.over', 'process.tell', 'schedule.drive', 'notice.send', 'feed_import.tell', 'partner_run.start', 'partner_run.cancel', 'order.recover', 'batch.run', 'export.run', 'playbook.start', 'playbook.tell', 'playbook.cancel', 'gateway.event', 'playbook.event'])), name='outbox_topic_word'),
        ),
        migrations.AddConstraint(
            model_name='payment',
            constraint=models.CheckConstraint(condition=models.Q(('waits_for__in', ['', 'customer', 'bank', 'person'])), name='payment_waits_for_word'),
        ),
        migrations.AddConstraint(
            model_name='payment',
            constraint=models.CheckConstraint(condition=models.Q(('waits_for', ''), ('waiting_since__isnull', False), _connector='XOR'), name='payment_wait_has_begun'),
        ),
        migrations.AddConstraint(
            model_name='payment',
            constraint=models.CheckConstraint(condition=models.Q(('disputed_minor__gte', 0), ('disputed_minor__lte', models.F('captured_minor'))), name='payment_disputed_within_capture'),
        ),
        migrations.AddConstraint(
            model_name='playbooktrigger',
            constraint=models.CheckConstraint(condition=models.Q(('event__in', ['order.placed', 'order.start_requested', 'order.validated', 'order.stock_reserved', 'order.fraud_checked', 'order.review_opened', 'order.review_claimed', 'order.review_asked', 'order.review_extended', 'order.review_escalated', 'order.review_seconded', 'order.review_decided', 'order.review_obeyed', 'order.hold_asked', 'order.held', 'order.released', 'order.cancel_asked', 'order.payment_waits', 'order.payment_captured', 'order.shipped', 'order.completed', 'order.step_retrying', 'order.step_retry_asked', 'order.step_paused', 'order.step_resumed', 'order.step_left_alone', 'order.step_parked', 'order.step_unproven', 'order.engine_cancel_ignored', 'order.undo_begun', 'order.stock_released', 'order.payment_undone', 'order.shipment_undone', 'order.cancelled', 'order.failed', 'order.customer_erased', 'order.refund_asked', 'order.refund_pending', 'order.refunded', 'order.refund_failed', 'order.refunded_outside', 'order.dispute_opened', 'order.dispute_changed', 'order.dispute_closed', 'order.refund_refused', 'order.refund_retried', 'order.refund_settled', 'order.refund_dropped', 'order.task_opened', 'order.task_acknowledged', 'order.task_done', 'order.step_skip_asked', 'order.payment_method_asked', 'order.payment_method_changed', 'order.return_announced', 'order.return_received', 'order.return_withdrawn', 'order.return_closed', 'order.notice_sent', 'order.notice_failed', 'order.notice_asked', 'order.settled_by_hand', 'order.tracking_updated', 'order.finding_opened', 'order.finding_resolved', 'order.start_redelivered', 'order.recovery_begun', 'order.quality_sampled', 'order.quality_checked', 'order.rechecked', 'order.placed_again', 'order.repriced', 'order.shipment_checked', 'order.note_added', 'order.tag_added', 'order.tag_removed', 'order.voucher_issued', 'order.voucher_withdrawn', 'order.country_changed', 'order.partner_called', 'order.mail_asked', 'order.playbook_started', 'order.playbook_step_done', 'order.playbook_step_failed', 'order.playbook_step_undone', 'order.playbook_asked', 'order.playbook_told', 'order.playbook_ended'])), name='playbooktrigger_event_word'),
        ),
        migrations.AddConstraint(
            model_name='refund',
            constraint=models.CheckConstraint(condition=models.Q(('status__in', ['requested', 'sent', 'pending', 'refused', 'done', 'settled', 'dropped'])), name='refund_status_word'),
        ),
        migrations.AddConstraint(
            model_name='refund',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('finished_at', None), models.Q(('status__in', [orders.vocabulary.money.RefundStatus['PENDING'], orders.vocabulary.money.RefundStatus['REFUSED'], orders.vocabulary.money.RefundStatus['REQUESTED'], orders.vocabulary.money.RefundStatus['SENT']]), _negated=True), _connector='OR'), models.Q(('finished_at__isnull', False), models.Q(('status__in', [orders.vocabulary.money.RefundStatus['DONE'], orders.vocabulary.money.RefundStatus['DROPPED'], orders.vocabulary.money.RefundStatus['SETTLED']]), _negated=True), _connector='OR')), name='refund_ended_has_time'),
        ),
        migrations.AddConstraint(
            model_name='refund',
            constraint=models.UniqueConstraint(condition=models.Q(('status__in', [orders.vocabulary.money.RefundStatus['REQUESTED'], orders.vocabulary.money.RefundStatus['SENT']])), fields=('order',), name='refund_one_open'),
        ),
        migrations.AddConstraint(
            model_name='stafftask',
            constraint=models.CheckConstraint(condition=models.Q(('kind__in', ['refund_owed', 'recall_by_hand', 'escalation', 'outcome_unknown', 'parcel_left', 'overdue', 'wedged', 'process_ended', 'drift', 'quality_failed', 'playbook', 'payment_state', 'request_refused', 'refund_outside', 'dispute', 'batch_paused'])), name='task_kind_word'),
        ),
        migrations.AddConstraint(
            model_name='step',
            constraint=models.CheckConstraint(condition=models.Q(('refusal__in', ['', 'invalid_order', 'out_of_stock', 'payment_declined', 'carrier_rejected', 'outcome_unknown', 'step_voided', 'stale_attempt', 'not_the_process', 'partner_unavailable', 'partner_down', 'cancelled', 'review_rejected', 'on_hold', 'invalid_feed', 'shipment_refused', 'partner_refused', 'process_ended', 'step_failed', 'run_paused', 'invalid_playbook', 'request_refused', 'step_missing'])), name='step_refusal_word'),
        ),
        migrations.AddConstraint(
            model_name='sweepprogress',
            constraint=models.CheckConstraint(condition=models.Q(('part__in', ['deadlines', 'processes', 'books', 'events'])), name='sweep_progress_part_word'),
        ),
        migrations.AddField(
            model_name='dispute',
            name='order',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='disputes', to='orders.order'),
        ),
        migrations.AddIndex(
            model_name='gatewayevent',
            index=models.Index(condition=models.Q(('handled_at', None)), fields=['payment_reference', 'received_at'], name='gateway_event_waiting'),
        ),
        migrations.AddIndex(
            model_name='gatewayevent',
            index=models.Index(fields=['-received_at', '-id'], name='gateway_event_newest'),
        ),
        migrations.AddConstraint(
            model_name='gatewayevent',
            constraint=models.CheckConstraint(condition=models.Q(('source__in', ['webhook', 'poll'])), name='gateway_event_source_word'),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='gatewayevent',
            trigger=pgtrigger.compiler.Trigger(name='never_deleted', sql=pgtrigger.compiler.UpsertTriggerSql(func="RAISE EXCEPTION 'pgtrigger: Cannot delete rows from % table', TG_TABLE_NAME;", hash='6c5b142e669d2a1d89272e73cd47801635fffc4c', operation='DELETE', pgid='pgtrigger_never_deleted_cbe4f', table='orders_gatewayevent', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='gatewayevent',
            trigger=pgtrigger.compiler.Trigger(name='no_truncate', sql=pgtrigger.compiler.UpsertTriggerSql(func="RAISE EXCEPTION 'Table % may not be truncated.', TG_TABLE_NAME;", hash='82fa8e7cab40e78e30e948b8ad44c16c4fd2eb97', level='STATEMENT', operation='TRUNCATE', pgid='pgtrigger_no_truncate_b30b9', table='orders_gatewayevent', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='gatewayevent',
            trigger=pgtrigger.compiler.Trigger(name='written_once', sql=pgtrigger.compiler.UpsertTriggerSql(condition='WHEN (OLD."id" IS DISTINCT FROM (NEW."id") OR OLD."type" IS DISTINCT FROM (NEW."type") OR OLD."payment_reference" IS DISTINCT FROM (NEW."payment_reference") OR OLD."object_reference" IS DISTINCT FROM (NEW."object_reference") OR OLD."source" IS DISTINCT FROM (NEW."source") OR OLD."created_at" IS DISTINCT FROM (NEW."created_at") OR OLD."received_at" IS DISTINCT FROM (NEW."received_at"))', func="RAISE EXCEPTION 'pgtrigger: Cannot update rows from % table', TG_TABLE_NAME;", hash='0e64b7b481f81c5247fe4bda79f923227263ae7b', operation='UPDATE', pgid='pgtrigger_written_once_ff777', table='orders_gatewayevent', when='BEFORE')),
        ),
        migrations.AddConstraint(
            model_name='dispute',
            constraint=models.CheckConstraint(condition=models.Q(('status__in', ['inquiry', 'open', 'won', 'lost', 'closed'])), name='dispute_status_word'),
        ),
        migrations.AddConstraint(
            model_name='dispute',
            constraint=models.CheckConstraint(condition=models.Q(('currency__in', ['GBP', 'EUR', 'USD'])), name='dispute_currency_word'),
        ),
        migrations.AddConstraint(
            model_name='dispute',
            constraint=models.CheckConstraint(condition=models.Q(('amount_minor__gt', 0)), name='dispute_amount_positive'),
        ),
        migrations.AddConstraint(
            model_name='dispute',
            constraint=models.CheckConstraint(condition=models.Q(('withdrawn_minor__gte', 0), ('withdrawn_minor__lte', models.F('amount_minor'))), name='dispute_withdrawn_within_amount'),
        ),
        migrations.AddConstraint(
            model_name='dispute',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('closed_at', None), models.Q(('status__in', ['inquiry', 'open']), _negated=True), _connector='OR'), models.Q(('closed_at__isnull', False), models.Q(('status__in', ['closed', 'lost', 'won']), _negated=True), _connector='OR')), name='dispute_closed_has_time'),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='dispute',
            trigger=pgtrigger.compiler.Trigger(name='never_deleted', sql=pgtrigger.compiler.UpsertTriggerSql(func="RAISE EXCEPTION 'pgtrigger: Cannot delete rows from % table', TG_TABLE_NAME;", hash='8a2a02031fd662ed84b6a9fa210d449cb8181ff8', operation='DELETE', pgid='pgtrigger_never_deleted_3cb46', table='orders_dispute', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='dispute',
            trigger=pgtrigger.compiler.Trigger(name='no_truncate', sql=pgtrigger.compiler.UpsertTriggerSql(func="RAISE EXCEPTION 'Table % may not be truncated.', TG_TABLE_NAME;", hash='36d9c54faa3c5c59ac998b7d16917744ffec1f67', level='STATEMENT', operation='TRUNCATE', pgid='pgtrigger_no_truncate_ea7e9', table='orders_dispute', when='BEFORE')),
        ),
    ]
