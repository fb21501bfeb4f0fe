from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('orders', '0028_batch'),
    ]

    operations = [
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
        migrations.AlterField(
            model_name='command',
            name='kind',
            field=models.CharField(choices=[('start', 'Start'), ('hold', 'Hold'), ('release', 'Release'), ('cancel', 'Cancel'), ('step_retry', 'Step retry'), ('step_pause', 'Step pause'), ('step_resume', 'Step resume'), ('refund', 'Refund'), ('refund_retry', 'Refund retry'), ('review_claim', 'Review claim'), ('review_approve', 'Review approve'), ('review_reject', 'Review reject'), ('review_ask', 'Review ask'), ('review_extend', 'Review extend'), ('import_feed', 'Import feed'), ('erase_customer', 'Erase customer'), ('partner_hold', 'Partner hold'), ('partner_probe', 'Partner probe'), ('partner_close', 'Partner close'), ('batch_run', 'Batch run'), ('batch_pause', 'Batch pause'), ('batch_resume', 'Batch resume'), ('batch_cancel', 'Batch cancel'), ('batch_retry', 'Batch retry'), ('batch_undo', 'Batch undo')], max_length=40),
        ),
        migrations.AlterField(
            model_name='orderevent',
            name='type',
            field=models.CharField(choices=[('order.placed', 'Placed'), ('order.start_requested', 'Start requested'), ('order.validated', 'Validated'), ('order.stock_reserved', 'Stock reserved'), ('order.fraud_checked', 'Fraud checked'), ('order.review_opened', 'Review opened'), ('order.review_claimed', 'Review claimed'), ('order.review_asked', 'Review asked'), ('order.review_extended', 'Review extended'), ('order.review_escalated', 'Review escalated'), ('order.review_seconded', 'Review seconded'), ('order.review_decided', 'Review decided'), ('order.review_obeyed', 'Review obeyed'), ('order.hold_asked', 'Hold asked'), ('order.held', 'Held'), ('order.released', 'Released'), ('order.cancel_asked', 'Cancel asked'), ('order.payment_captured', 'Payment captured'), ('order.shipped', 'Shipped'), ('order.completed', 'Completed'), ('order.step_retrying', 'Step retrying'), ('order.step_retry_asked', 'Step retry asked'), ('order.step_paused', 'Step paused'), ('order.step_resumed', 'Step resumed'), ('order.step_left_alone', 'Step left alone'), ('order.undo_begun', 'Undo begun'), ('order.stock_released', 'Stock released'), ('order.payment_undone', 'Payment undone'), ('order.shipment_undone', 'Shipment undone'), ('order.cancelled', 'Cancelled'), ('order.failed', 'Failed'), ('order.customer_erased', 'Customer erased'), ('order.refund_asked', 'Refund asked'), ('order.refunded', 'Refunded'), ('order.refund_refused', 'Refund refused'), ('order.refund_retried', 'Refund retried'), ('order.refund_settled', 'Refund settled'), ('order.refund_dropped', 'Refund dropped'), ('order.task_opened', 'Task opened'), ('order.task_acknowledged', 'Task acknowledged'), ('order.task_done', 'Task done'), ('order.rechecked', 'Rechecked'), ('order.shipment_checked', 'Shipment checked')], max_length=40),
        ),
        migrations.AlterField(
            model_name='outboxmessage',
            name='topic',
            field=models.CharField(choices=[('order.start', 'Start'), ('order.tell', 'Tell'), ('order.cancel', 'Cancel'), ('order.step', 'Step'), ('feed_import.start', 'Start'), ('refund.send', 'Send'), ('batch.run', 'Run')], max_length=40),
        ),
        migrations.AddConstraint(
            model_name='orderevent',
            constraint=models.CheckConstraint(condition=models.Q(('type__in', ['order.placed', 'order.start_requested', 'order.validated', 'order.stock_reserved', 'order.fraud_checked', 'order.review_opened', 'order.review_claimed', 'order.review_asked', 'order.review_extended', 'order.review_escalated', 'order.review_seconded', 'order.review_decided', 'order.review_obeyed', 'order.hold_asked', 'order.held', 'order.released', 'order.cancel_asked', 'order.payment_captured', 'order.shipped', 'order.completed', 'order.step_retrying', 'order.step_retry_asked', 'order.step_paused', 'order.step_resumed', 'order.step_left_alone', 'order.undo_begun', 'order.stock_released', 'order.payment_undone', 'order.shipment_undone', 'order.cancelled', 'order.failed', 'order.customer_erased', 'order.refund_asked', 'order.refunded', 'order.refund_refused', 'order.refund_retried', 'order.refund_settled', 'order.refund_dropped', 'order.task_opened', 'order.task_acknowledged', 'order.task_done', 'order.rechecked', 'order.shipment_checked'])), name='event_type_word'),
        ),
        migrations.AddConstraint(
            model_name='outboxmessage',
            constraint=models.CheckConstraint(condition=models.Q(('topic__in', ['order.start', 'order.tell', 'order.cancel', 'order.step', 'feed_import.start', 'refund.send', 'batch.run'])), name='outbox_topic_word'),
        ),
        migrations.AddConstraint(
            model_name='command',
            constraint=models.CheckConstraint(condition=models.Q(('kind__in', ['start', 'hold', 'release', 'cancel', 'step_retry', 'step_pause', 'step_resume', 'refund', 'refund_retry', 'review_claim', 'review_approve', 'review_reject', 'review_ask', 'review_extend', 'import_feed', 'erase_customer', 'partner_hold', 'partner_probe', 'partner_close', 'batch_run', 'batch_pause', 'batch_resume', 'batch_cancel', 'batch_retry', 'batch_undo'])), name='command_kind_word'),
        ),
    ]
