"""Runs that are no orders: what was found of them, and tasks about neither an order nor a batch."""

import orders.vocabulary.staff
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('orders', '0070_parked_messages'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.AddField(
            model_name='servicebeat',
            name='taken',
            field=models.PositiveIntegerField(db_default=0, default=0),
        ),
        migrations.AddField(
            model_name='servicebeat',
            name='failed',
            field=models.PositiveIntegerField(db_default=0, default=0),
        ),
        migrations.AddField(
            model_name='schedulestate',
            name='written',
            field=models.CharField(blank=True, db_default='', default='', max_length=64),
        ),
        migrations.RemoveConstraint(
            model_name='finding',
            name='finding_kind_word',
        ),
        migrations.RemoveConstraint(
            model_name='stafftask',
            name='task_about_one_thing',
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
            model_name='stafftask',
            name='subject',
            field=models.CharField(blank=True, db_default='', default='', max_length=160),
        ),
        migrations.AlterField(
            model_name='finding',
            name='kind',
            field=models.CharField(choices=[('overdue', 'Overdue'), ('process_lost', 'Process lost'), ('process_ended', 'Process ended'), ('process_reset', 'Process reset'), ('wedged', 'Wedged'), ('runs_on', 'Runs on'), ('drift', 'Drift'), ('run_ended', 'Run ended'), ('run_wedged', 'Run wedged')], max_length=40),
        ),
        migrations.AlterField(
            model_name='finding',
            name='reference',
            field=models.CharField(blank=True, db_default='', default='', max_length=160),
        ),
        migrations.AlterField(
            model_name='stafftask',
            name='kind',
            field=models.CharField(choices=[('refund_owed', 'Refund owed'), ('recall_by_hand', 'Recall by hand'), ('escalation', 'Escalation'), ('outcome_unknown', 'Outcome unknown'), ('parcel_left', 'Parcel left'), ('overdue', 'Overdue'), ('wedged', 'Wedged'), ('process_ended', 'Process ended'), ('drift', 'Drift'), ('run', 'Run'), ('restored', 'Restored'), ('quality_failed', 'Quality failed'), ('playbook', 'Playbook'), ('payment_state', 'Payment state'), ('request_refused', 'Request refused'), ('refund_outside', 'Refund outside'), ('dispute', 'Dispute'), ('batch_paused', 'Batch paused')], max_length=40),
        ),
        migrations.AlterField(
            model_name='sweepprogress',
            name='part',
            field=models.CharField(choices=[('deadlines', 'Deadlines'), ('processes', 'Processes'), ('books', 'Books'), ('events', 'Events'), ('runs', 'Runs')], max_length=40, primary_key=True, serialize=False),
        ),
        migrations.AddConstraint(
            model_name='finding',
            constraint=models.CheckConstraint(condition=models.Q(('kind__in', ['overdue', 'process_lost', 'process_ended', 'process_reset', 'wedged', 'runs_on', 'drift', 'run_ended', 'run_wedged'])), name='finding_kind_word'),
        ),
        migrations.AddConstraint(
            model_name='stafftask',
            constraint=models.CheckConstraint(condition=models.Q(('kind__in', ['refund_owed', 'recall_by_hand', 'escalation', 'outcome_unknown', 'parcel_left', 'overdue', 'wedged', 'process_ended', 'drift', 'run', 'restored', 'quality_failed', 'playbook', 'payment_state', 'request_refused', 'refund_outside', 'dispute', 'batch_paused'])), name='task_kind_word'),
        ),
        migrations.AddConstraint(
            model_name='stafftask',
            constraint=models.UniqueConstraint(condition=models.Q(models.Q(('status', orders.vocabulary.staff.TaskStatus['DONE']), _negated=True), models.Q(('subject', ''), _negated=True)), fields=('subject', 'kind'), name='task_one_open_of_subject'),
        ),
        migrations.AddConstraint(
            model_name='stafftask',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('batch', None), ('order__isnull', False), ('subject', '')), models.Q(('batch__isnull', False), ('order', None), ('subject', '')), models.Q(('batch', None), ('order', None), models.Q(('subject', ''), _negated=True)), _connector='OR'), name='task_about_one_of_three'),
        ),
        migrations.AddConstraint(
            model_name='sweepprogress',
            constraint=models.CheckConstraint(condition=models.Q(('part__in', ['deadlines', 'processes', 'books', 'events', 'runs'])), name='sweep_progress_part_word'),
        ),
    ]
