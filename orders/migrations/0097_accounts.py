"""What happened to accounts, and which permissions roles have been given: of a role that exists, all there are."""

import django.db.models.deletion
import orders.clock
import pgtrigger.compiler
import pgtrigger.migrations
from django.conf import settings
from django.db import migrations, models


def remember_what_was_given(apps, schema_editor):
    """Permissions that exist by now were given before; one that a role lacks was taken away by somebody."""
    given = apps.get_model("orders", "GivenPermission")
    names = apps.get_model("auth", "Permission").objects.values_list("content_type__app_label", "codename")
    for role in apps.get_model("auth", "Group").objects.filter(name__in=["viewer", "agent", "lead"]):
        given.objects.bulk_create(given(role=role.name, permission=f"{app}.{name}") for app, name in names)


class Migration(migrations.Migration):

    dependencies = [
        ('orders', '0096_limits_alone'),
        ('auth', '0012_alter_user_first_name_max_length'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='AccountChange',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('what', models.CharField(choices=[('created', 'Created'), ('password', 'Password'), ('role', 'Role'), ('active', 'Active')], max_length=40)),
                ('at', models.DateTimeField(default=orders.clock.now, editable=False)),
                ('account', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('by', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'ordering': ['-id'],
                'default_permissions': ('view',),
            },
        ),
        migrations.CreateModel(
            name='GivenPermission',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('role', models.CharField(max_length=40)),
                ('permission', models.CharField(max_length=150)),
                ('at', models.DateTimeField(default=orders.clock.now, editable=False)),
            ],
            options={
                'default_permissions': ('view',),
                'constraints': [models.UniqueConstraint(fields=('role', 'permission'), name='given_permission_once')],
            },
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='givenpermission',
            trigger=pgtrigger.compiler.Trigger(name='append_only', sql=pgtrigger.compiler.UpsertTriggerSql(func="RAISE EXCEPTION 'pgtrigger: Cannot update or delete rows from % table', TG_TABLE_NAME;", hash='35240bce096d25d313d401061985dcb9f0766520', operation='UPDATE OR DELETE', pgid='pgtrigger_append_only_9d102', table='orders_givenpermission', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='givenpermission',
            trigger=pgtrigger.compiler.Trigger(name='no_truncate', sql=pgtrigger.compiler.UpsertTriggerSql(func="RAISE EXCEPTION 'Table % may not be truncated.', TG_TABLE_NAME;", hash='2ea335e5d2da6092b56902bc501f028a5b052852', level='STATEMENT', operation='TRUNCATE', pgid='pgtrigger_no_truncate_19f1c', table='orders_givenpermission', when='BEFORE')),
        ),
        migrations.AddIndex(
            model_name='accountchange',
            index=models.Index(fields=['account', '-at'], name='account_change_recent'),
        ),
        migrations.AddConstraint(
            model_name='accountchange',
            constraint=models.CheckConstraint(condition=models.Q(('what__in', ['created', 'password', 'role', 'active'])), name='account_change_what_word'),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='accountchange',
            trigger=pgtrigger.compiler.Trigger(name='append_only', sql=pgtrigger.compiler.UpsertTriggerSql(func="RAISE EXCEPTION 'pgtrigger: Cannot update or delete rows from % table', TG_TABLE_NAME;", hash='758d37597b3bd341fd63b1a1c8c9235dc5571691', operation='UPDATE OR DELETE', pgid='pgtrigger_append_only_5197e', table='orders_accountchange', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='accountchange',
            trigger=pgtrigger.compiler.Trigger(name='no_truncate', sql=pgtrigger.compiler.UpsertTriggerSql(func="RAISE EXCEPTION 'Table % may not be truncated.', TG_TABLE_NAME;", hash='10937853ae9346e437885b2effaddf0a2102910e', level='STATEMENT', operation='TRUNCATE', pgid='pgtrigger_no_truncate_c27c5', table='orders_accountchange', when='BEFORE')),
        ),
        migrations.RunPython(remember_what_was_given, migrations.RunPython.noop),
    ]
