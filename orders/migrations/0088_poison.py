"""A recovery may finish an order whose parcel was booked."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('orders', '0087_connections'),
    ]

    operations = [
        migrations.AddField(
            model_name='recovery',
            name='finishes',
            field=models.BooleanField(db_default=False, default=False),
        ),
    ]
