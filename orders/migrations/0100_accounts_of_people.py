"""What web processes remember together, and two more things that make an account fresh."""

from django.conf import settings
from django.db import migrations, models
from django.db.models.functions import Lower


def in_small_letters(apps, schema_editor):
    apps.get_model("auth", "User").objects.update(email=Lower("email"))


class Migration(migrations.Migration):

    dependencies = [
        ('orders', '0097_accounts'),
        ('auth', '0012_alter_user_first_name_max_length'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='SharedNote',
            fields=[
                ('key', models.CharField(max_length=250, primary_key=True, serialize=False)),
                ('value', models.JSONField()),
                ('ends_at', models.DateTimeField(db_index=True)),
            ],
            options={
                'default_permissions': (),
            },
        ),
        # Notes of minutes: not worth a write to the log, and little is lost with them.
        migrations.RunSQL('ALTER TABLE orders_sharednote SET UNLOGGED', 'ALTER TABLE orders_sharednote SET LOGGED'),
        migrations.RunPython(in_small_letters, migrations.RunPython.noop),
        migrations.RemoveConstraint(
            model_name='accountchange',
            name='account_change_what_word',
        ),
        migrations.AlterField(
            model_name='accountchange',
            name='what',
            field=models.CharField(choices=[('created', 'Created'), ('password', 'Password'), ('role', 'Role'), ('active', 'Active'), ('email', 'Email'), ('factor', 'Factor')], max_length=40),
        ),
        migrations.AddConstraint(
            model_name='accountchange',
            constraint=models.CheckConstraint(condition=models.Q(('what__in', ['created', 'password', 'role', 'active', 'email', 'factor'])), name='account_change_what_word'),
        ),
    ]
