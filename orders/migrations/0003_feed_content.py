"""A received file is read slice by slice: stored uncompressed, and never loaded by a list of imports."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("orders", "0002_order_number")]
    operations = [
        migrations.AlterModelOptions(
            name="feedimport",
            options={
                "base_manager_name": "objects",
                "default_permissions": ("view",),
                "ordering": ["-created_at"],
                "permissions": [("import_feed", "May import order feeds")],
            },
        ),
        migrations.RunSQL(
            "ALTER TABLE orders_feedimport ALTER COLUMN content SET STORAGE EXTERNAL",
            "ALTER TABLE orders_feedimport ALTER COLUMN content SET STORAGE EXTENDED",
        ),
    ]
