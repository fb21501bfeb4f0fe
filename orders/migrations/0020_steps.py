import django.db.models.functions.datetime
import orders.vocabulary
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ("orders", "0018_errors"),
    ]

    operations = [
        migrations.RemoveConstraint(
            model_name='command',
            name='command_one_standing',
        ),
        migrations.AddField(
            model_name='command',
            name='details',
            field=models.JSONField(blank=True, default=dict),
        ),
        migrations.AddField(
            model_name='command',
            name='until',
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name='outboxmessage',
            name='due_at',
            field=models.DateTimeField(db_default=django.db.models.functions.datetime.Now()),
        ),
        migrations.AddField(
            model_name='payment',
            name='generation',
            field=models.PositiveSmallIntegerField(default=1),
        ),
        migrations.AddField(
            model_name='payment',
            name='payment_method',
            field=models.CharField(blank=True, max_length=128),
        ),
        # What is charged at this moment was made with the method that its order names.
        migrations.RunSQL(
            "UPDATE orders_payment SET payment_method = orders_order.payment_method"
            " FROM orders_order WHERE orders_order.id = orders_payment.order_id",
            migrations.RunSQL.noop,
        ),
        migrations.AddField(
            model_name='shipment',
            name='by_hand',
            field=models.BooleanField(default=False),
        ),
        migrations.AlterField(
            model_name='fraudcheck',
            name='partner_asked_at',
            field=models.DateTimeField(null=True),
        ),
        migrations.AlterField(
            model_name='fraudcheck',
            name='partner_score',
            field=models.PositiveSmallIntegerField(null=True),
        ),
        migrations.AddConstraint(
            model_name='command',
            constraint=models.UniqueConstraint(condition=models.Q(('kind__in', [orders.vocabulary.commands.CommandKind['HOLD'], orders.vocabulary.commands.CommandKind['CANCEL'], orders.vocabulary.commands.CommandKind['STEP_PAUSE'], orders.vocabulary.commands.CommandKind['STEP_SKIP'], orders.vocabulary.commands.CommandKind['PAYMENT_METHOD']]), ('status', orders.vocabulary.commands.CommandStatus['ACCEPTED'])), fields=('order', 'kind'), name='command_one_standing'),
        ),
        migrations.AddConstraint(
            model_name='command',
            constraint=models.CheckConstraint(condition=models.Q(('until', None), ('kind__in', [orders.vocabulary.commands.CommandKind['HOLD'], orders.vocabulary.commands.CommandKind['STEP_PAUSE']]), _connector='OR'), name='command_that_ends'),
        ),
        migrations.AddConstraint(
            model_name='fraudcheck',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('partner_score', None), _negated=True), ('partner_asked_at', None), _connector='XOR'), name='fraud_partner_asked_or_skipped'),
        ),
    ]
