"""Customers' names, addresses and countries move into one encrypted column, with a key of each customer's own.

Needs BACKOFFICE_PERSONAL_DATA_KEYS only where there are customers already. The old columns are emptied before they are
dropped; what the dead rows still hold goes with `VACUUM FULL orders_customer` (docs/personal-data.md).
"""

import json
import os
import django.db.models.deletion
import orders.vocabulary
import uuid
from django.conf import settings
from django.db import migrations, models

from orders import keyring

CHUNK = 1_000


def encrypt_customers(apps, schema_editor):
    Customer, CustomerKey = apps.get_model("orders", "Customer"), apps.get_model("orders", "CustomerKey")
    while customers := list(Customer.objects.filter(key=None).order_by("pk")[:CHUNK]):
        master = keyring.keyring("BACKOFFICE_PERSONAL_DATA_KEYS", settings.PERSONAL_DATA_KEYS)
        keys = []
        for customer in customers:
            key, secret = CustomerKey(id=uuid.uuid4()), os.urandom(keyring.KEY_BYTES)
            place = f"orders_customerkey.wrapped of {key.id}"
            key.master_key_id, key.wrapped = master.encrypt(secret, place=place)
            keys.append(key)
            told = {"name": customer.name, "email": customer.email, "country": customer.country}
            place = f"orders_customer.personal under {key.id}"
            customer.personal = keyring.encrypt(secret, json.dumps(told).encode(), place=place)
            customer.key = key
            customer.name = customer.email = customer.country = ""
        CustomerKey.objects.bulk_create(keys)
        Customer.objects.bulk_update(customers, ["personal", "key", "name", "email", "country"])
    # A table with checks that wait for the end of the transaction cannot be altered.
    schema_editor.execute("SET CONSTRAINTS ALL IMMEDIATE")


class Migration(migrations.Migration):

    dependencies = [
        ('orders', '0007_api_tokens'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='CustomerKey',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('master_key_id', models.CharField(max_length=64)),
                ('wrapped', models.BinaryField()),
                ('created_at', models.DateTimeField(auto_now_add=True)),
            ],
            options={
                'default_permissions': (),
            },
        ),
        migrations.AlterModelOptions(
            name='customer',
            options={'default_permissions': ('view',), 'permissions': [('erase_customer', 'May erase the personal data of customers')]},
        ),
        migrations.RemoveConstraint(
            model_name='command',
            name='command_kind_word',
        ),
        migrations.RemoveConstraint(
            model_name='orderevent',
            name='event_type_word',
        ),
        migrations.AddField(
            model_name='command',
            name='customer',
            field=models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='commands', to='orders.customer'),
        ),
        migrations.AddField(
            model_name='customer',
            name='erased_at',
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name='customer',
            name='erased_digest',
            field=models.CharField(blank=True, db_index=True, max_length=64),
        ),
        migrations.AddField(
            model_name='customer',
            name='personal',
            field=models.BinaryField(default=b''),
        ),
        migrations.AlterField(
            model_name='command',
            name='kind',
            field=models.CharField(choices=[('start', 'Start'), ('import_feed', 'Import feed'), ('erase_customer', 'Erase customer')], max_length=40),
        ),
        migrations.AlterField(
            model_name='orderevent',
            name='type',
            field=models.CharField(choices=[('order.placed', 'Placed'), ('order.start_requested', 'Start requested'), ('order.validated', 'Validated'), ('order.stock_reserved', 'Stock reserved'), ('order.payment_captured', 'Payment captured'), ('order.shipped', 'Shipped'), ('order.completed', 'Completed'), ('order.step_retrying', 'Step retrying'), ('order.undo_begun', 'Undo begun'), ('order.stock_released', 'Stock released'), ('order.payment_undone', 'Payment undone'), ('order.shipment_undone', 'Shipment undone'), ('order.cancelled', 'Cancelled'), ('order.failed', 'Failed'), ('order.customer_erased', 'Customer erased')], max_length=40),
        ),
        migrations.AddConstraint(
            model_name='command',
            constraint=models.CheckConstraint(condition=models.Q(('kind__in', ['start', 'import_feed', 'erase_customer'])), name='command_kind_word'),
        ),
        migrations.AddConstraint(
            model_name='command',
            constraint=models.UniqueConstraint(condition=models.Q(('kind', orders.vocabulary.CommandKind['ERASE_CUSTOMER'])), fields=('customer',), name='command_one_erasure'),
        ),
        migrations.AddConstraint(
            model_name='orderevent',
            constraint=models.CheckConstraint(condition=models.Q(('type__in', ['order.placed', 'order.start_requested', 'order.validated', 'order.stock_reserved', 'order.payment_captured', 'order.shipped', 'order.completed', 'order.step_retrying', 'order.undo_begun', 'order.stock_released', 'order.payment_undone', 'order.shipment_undone', 'order.cancelled', 'order.failed', 'order.customer_erased'])), name='event_type_word'),
        ),
        migrations.AddField(
            model_name='customer',
            name='key',
            field=models.OneToOneField(blank=True, editable=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='customer', to='orders.customerkey'),
        ),
        migrations.RunPython(encrypt_customers),
        migrations.RemoveField(model_name='customer', name='country'),
        migrations.RemoveField(model_name='customer', name='email'),
        migrations.RemoveField(model_name='customer', name='name'),
        migrations.AddConstraint(
            model_name='customer',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('erased_at__isnull', True), ('erased_digest', ''), ('key__isnull', False)), models.Q(('erased_at__isnull', False), ('key__isnull', True), ('personal', b''), models.Q(('erased_digest', ''), _negated=True)), _connector='OR'), name='customer_erased_has_no_key'),
        ),
    ]
