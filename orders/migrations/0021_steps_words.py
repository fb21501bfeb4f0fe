from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('orders', '0020_steps'),
    ]

    operations = [
        migrations.AlterModelOptions(
            name='order',
            options={'default_permissions': ('view',), 'ordering': ['-created_at', '-id'], 'permissions': [('place_order', 'May place orders'), ('start_order', 'May start the processing of orders'), ('hold_order', 'May hold and release orders'), ('cancel_order', 'May cancel orders'), ('drive_step', 'May try failing steps again at once, pause and resume them'), ('refund_order', 'May refund completed orders'), ('skip_step', 'May do without the partner of a failing step'), ('change_payment_method', 'May change the payment method of an order before it is charged')]},
        ),
        migrations.RemoveConstraint(
            model_name='command',
            name='command_kind_word',
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
            model_name='stafftask',
            name='task_kind_word',
        ),
        migrations.AlterField(
            model_name='command',
            name='kind',
            field=models.CharField(choices=[('start', 'Start'), ('hold', 'Hold'), ('release', 'Release'), ('cancel', 'Cancel'), ('step_retry', 'Step retry'), ('step_pause', 'Step pause'), ('step_resume', 'Step resume'), ('refund', 'Refund'), ('refund_retry', 'Refund retry'), ('review_claim', 'Review claim'), ('review_approve', 'Review approve'), ('review_reject', 'Review reject'), ('review_ask', 'Review ask'), ('review_extend', 'Review extend'), ('import_feed', 'Import feed'), ('erase_customer', 'Erase customer'), ('partner_hold', 'Partner hold'), ('partner_probe', 'Partner probe'), ('partner_close', 'Partner close'), ('step_skip', 'Step skip'), ('payment_method', 'Payment method')], max_length=40),
        ),
        migrations.AlterField(
            model_name='orderevent',
            name='type',
            field=models.CharField(choices=[('order.placed', 'Placed'), ('order.start_requested', 'Start requested'), ('order.validated', 'Validated'), ('order.stock_reserved', 'Stock reserved'), ('order.fraud_checked', 'Fraud checked'), ('order.review_opened', 'Review opened'), ('order.review_claimed', 'Review claimed'), ('order.review_asked', 'Review asked'), ('order.review_extended', 'Review extended'), ('order.review_escalated', 'Review escalated'), ('order.review_seconded', 'Review seconded'), ('order.review_decided', 'Review decided'), ('order.review_obeyed', 'Review obeyed'), ('order.hold_asked', 'Hold asked'), ('order.held', 'Held'), ('order.released', 'Released'), ('order.cancel_asked', 'Cancel asked'), ('order.payment_captured', 'Payment captured'), ('order.shipped', 'Shipped'), ('order.completed', 'Completed'), ('order.step_retrying', 'Step retrying'), ('order.step_retry_asked', 'Step retry asked'), ('order.step_paused', 'Step paused'), ('order.step_resumed', 'Step resumed'), ('order.step_left_alone', 'Step left alone'), ('order.undo_begun', 'Undo begun'), ('order.stock_released', 'Stock released'), ('order.payment_undone', 'Payment undone'), ('order.shipment_undone', 'Shipment undone'), ('order.cancelled', 'Cancelled'), ('order.failed', 'Failed'), ('order.customer_erased', 'Customer erased'), ('order.refund_asked', 'Refund asked'), ('order.refunded', 'Refunded'), ('order.refund_refused', 'Refund refused'), ('order.refund_retried', 'Refund retried'), ('order.refund_settled', 'Refund settled'), ('order.refund_dropped', 'Refund dropped'), ('order.task_opened', 'Task opened'), ('order.task_acknowledged', 'Task acknowledged'), ('order.task_done', 'Task done'), ('order.step_skip_asked', 'Step skip asked'), ('order.payment_method_asked', 'Payment method asked'), ('order.payment_method_changed', 'Payment method changed')], max_length=40),
        ),
        migrations.AlterField(
            model_name='outboxmessage',
            name='topic',
            field=models.CharField(choices=[('order.start', 'Start'), ('order.tell', 'Tell'), ('order.cancel', 'Cancel'), ('order.step', 'Step'), ('feed_import.start', 'Start'), ('refund.send', 'Send'), ('command.over', 'Over')], max_length=40),
        ),
        migrations.AlterField(
            model_name='stafftask',
            name='kind',
            field=models.CharField(choices=[('refund_owed', 'Refund owed'), ('recall_by_hand', 'Recall by hand')], max_length=40),
        ),
        migrations.AddConstraint(
            model_name='command',
            constraint=models.CheckConstraint(condition=models.Q(('kind__in', ['start', 'hold', 'release', 'cancel', 'step_retry', 'step_pause', 'step_resume', 'refund', 'refund_retry', 'review_claim', 'review_approve', 'review_reject', 'review_ask', 'review_extend', 'import_feed', 'erase_customer', 'partner_hold', 'partner_probe', 'partner_close', 'step_skip', 'payment_method'])), name='command_kind_word'),
        ),
        migrations.AddConstraint(
            model_name='orderevent',
            constraint=models.CheckConstraint(condition=models.Q(('type__in', ['order.placed', 'order.start_requested', 'order.validated', 'order.stock_reserved', 'order.fraud_checked', 'order.review_opened', 'order.review_claimed', 'order.review_asked', 'order.review_extended', 'order.review_escalated', 'order.review_seconded', 'order.review_decided', 'order.review_obeyed', 'order.hold_asked', 'order.held', 'order.released', 'order.cancel_asked', 'order.payment_captured', 'order.shipped', 'order.completed', 'order.step_retrying', 'order.step_retry_asked', 'order.step_paused', 'order.step_resumed', 'order.step_left_alone', 'order.undo_begun', 'order.stock_released', 'order.payment_undone', 'order.shipment_undone', 'order.cancelled', 'order.failed', 'order.customer_erased', 'order.refund_asked', 'order.refunded', 'order.refund_refused', 'order.refund_retried', 'order.refund_settled', 'order.refund_dropped', 'order.task_opened', 'order.task_acknowledged', 'order.task_done', 'order.step_skip_asked', 'order.payment_method_asked', 'order.payment_method_changed'])), name='event_type_word'),
        ),
        migrations.AddConstraint(
            model_name='outboxmessage',
            constraint=models.CheckConstraint(condition=models.Q(('topic__in', ['order.start', 'order.tell', 'order.cancel', 'order.step', 'feed_import.start', 'refund.send', 'command.over'])), name='outbox_topic_word'),
        ),
        migrations.AddConstraint(
            model_name='stafftask',
            constraint=models.CheckConstraint(condition=models.Q(('kind__in', ['refund_owed', 'recall_by_hand'])), name='task_kind_word'),
        ),
    ]
