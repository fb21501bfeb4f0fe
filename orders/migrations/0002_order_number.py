"""The sequence behind order numbers: numbers never repeat, whatever rolls back."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("orders", "0001_initial")]
    operations = [
        migrations.RunSQL("CREATE SEQUENCE orders_order_number START 100001", "DROP SEQUENCE orders_order_number"),
    ]
