from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('orders', '0031_process'),
    ]

    operations = [
        migrations.RemoveConstraint(
            model_name='command',
            name='command_kind_word',
        ),
        migrations.RemoveConstraint(
            model_name='outboxmessage',
            name='outbox_topic_word',
        ),
        migrations.AlterField(
            model_name='command',
            name='kind',
            field=models.CharField(choices=[('start', 'Start'), ('hold', 'Hold'), ('release', 'Release'), ('cancel', 'Cancel'), ('step_retry', 'Step retry'), ('step_pause', 'Step pause'), ('step_resume', 'Step resume'), ('refund', 'Refund'), ('refund_retry', 'Refund retry'), ('review_claim', 'Review claim'), ('review_approve', 'Review approve'), ('review_reject', 'Review reject'), ('review_ask', 'Review ask'), ('review_extend', 'Review extend'), ('import_feed', 'Import feed'), ('erase_customer', 'Erase customer'), ('partner_hold', 'Partner hold'), ('partner_probe', 'Partner probe'), ('partner_close', 'Partner close'), ('process_start', 'Process start'), ('process_pause', 'Process pause'), ('process_resume', 'Process resume'), ('process_cancel', 'Process cancel'), ('schedule_pause', 'Schedule pause'), ('schedule_resume', 'Schedule resume'), ('schedule_run', 'Schedule run'), ('schedule_backfill', 'Schedule backfill')], max_length=40),
        ),
        migrations.AlterField(
            model_name='outboxmessage',
            name='topic',
            field=models.CharField(choices=[('order.start', 'Start'), ('order.tell', 'Tell'), ('order.cancel', 'Cancel'), ('order.step', 'Step'), ('feed_import.start', 'Start'), ('refund.send', 'Send'), ('process.tell', 'Tell'), ('schedule.drive', 'Drive')], max_length=40),
        ),
        migrations.AddConstraint(
            model_name='command',
            constraint=models.CheckConstraint(condition=models.Q(('kind__in', ['start', 'hold', 'release', 'cancel', 'step_retry', 'step_pause', 'step_resume', 'refund', 'refund_retry', 'review_claim', 'review_approve', 'review_reject', 'review_ask', 'review_extend', 'import_feed', 'erase_customer', 'partner_hold', 'partner_probe', 'partner_close', 'process_start', 'process_pause', 'process_resume', 'process_cancel', 'schedule_pause', 'schedule_resume', 'schedule_run', 'schedule_backfill'])), name='command_kind_word'),
        ),
        migrations.AddConstraint(
            model_name='outboxmessage',
            constraint=models.CheckConstraint(condition=models.Q(('topic__in', ['order.start', 'order.tell', 'order.cancel', 'order.step', 'feed_import.start', 'refund.send', 'process.tell', 'schedule.drive'])), name='outbox_topic_word'),
        ),
    ]
