"""The words of imports that people steer."""

import orders.vocabulary.feeds
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('orders', '0033_feeds'),
    ]

    operations = [
        migrations.RemoveConstraint(
            model_name='command',
            name='command_kind_word',
        ),
        migrations.RemoveConstraint(
            model_name='feedimport',
            name='feed_status_word',
        ),
        migrations.RemoveConstraint(
            model_name='outboxmessage',
            name='outbox_topic_word',
        ),
        migrations.AlterField(
            model_name='command',
            name='kind',
            field=models.CharField(choices=[('start', 'Start'), ('hold', 'Hold'), ('release', 'Release'), ('cancel', 'Cancel'), ('step_retry', 'Step retry'), ('step_pause', 'Step pause'), ('step_resume', 'Step resume'), ('refund', 'Refund'), ('refund_retry', 'Refund retry'), ('review_claim', 'Review claim'), ('review_approve', 'Review approve'), ('review_reject', 'Review reject'), ('review_ask', 'Review ask'), ('review_extend', 'Review extend'), ('import_feed', 'Import feed'), ('erase_customer', 'Erase customer'), ('partner_hold', 'Partner hold'), ('partner_probe', 'Partner probe'), ('partner_close', 'Partner close'), ('import_commit', 'Import commit'), ('import_pause', 'Import pause'), ('import_resume', 'Import resume'), ('import_cancel', 'Import cancel')], max_length=40),
        ),
        migrations.AlterField(
            model_name='feedimport',
            name='status',
            field=models.CharField(choices=[('received', 'Received'), ('validating', 'Validating'), ('transforming', 'Transforming'), ('storing', 'Storing'), ('completed', 'Completed'), ('failed', 'Failed'), ('paused', 'Paused'), ('checked', 'Checked'), ('discarded', 'Discarded'), ('cancelled', 'Cancelled')], default=orders.vocabulary.feeds.FeedStatus['RECEIVED'], max_length=40),
        ),
        migrations.AlterField(
            model_name='outboxmessage',
            name='topic',
            field=models.CharField(choices=[('order.start', 'Start'), ('order.tell', 'Tell'), ('order.cancel', 'Cancel'), ('order.step', 'Step'), ('feed_import.start', 'Start'), ('refund.send', 'Send'), ('feed_import.tell', 'Tell')], max_length=40),
        ),
        migrations.AddConstraint(
            model_name='command',
            constraint=models.CheckConstraint(condition=models.Q(('kind__in', ['start', 'hold', 'release', 'cancel', 'step_retry', 'step_pause', 'step_resume', 'refund', 'refund_retry', 'review_claim', 'review_approve', 'review_reject', 'review_ask', 'review_extend', 'import_feed', 'erase_customer', 'partner_hold', 'partner_probe', 'partner_close', 'import_commit', 'import_pause', 'import_resume', 'import_cancel'])), name='command_kind_word'),
        ),
        migrations.AddConstraint(
            model_name='outboxmessage',
            constraint=models.CheckConstraint(condition=models.Q(('topic__in', ['order.start', 'order.tell', 'order.cancel', 'order.step', 'feed_import.start', 'refund.send', 'feed_import.tell'])), name='outbox_topic_word'),
        ),
        migrations.AddConstraint(
            model_name='feedimport',
            constraint=models.CheckConstraint(condition=models.Q(('status__in', ['received', 'validating', 'transforming', 'storing', 'completed', 'failed', 'paused', 'checked', 'discarded', 'cancelled'])), name='feed_status_word'),
        ),
    ]
