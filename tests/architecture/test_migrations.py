"""While a release is rolled out the old code runs on the new schema, and knows nothing of the new columns."""

from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from django.db import migrations, models
from django.db.models.fields import NOT_PROVIDED

FOLDER = Path(__file__).resolve().parents[2] / "orders" / "migrations"
#: those up to here were made before the rule, and no release that is out runs beside them
LAST_WITHOUT_RULE = "0085"
RULED = sorted(path.stem for path in FOLDER.glob("[0-9]*.py") if path.stem[:4] > LAST_WITHOUT_RULE)


@pytest.mark.parametrize("name", RULED or [pytest.param("", marks=pytest.mark.skip("no migration under the rule"))])
def test_old_code_can_insert_into_a_table_with_a_new_column(name: str) -> None:
    found = refused_by_old_code(import_module(f"orders.migrations.{name}").Migration.operations)
    assert not found, f"{name}: give {', '.join(found)} a db_default, or null=True; old code inserts without them."


def refused_by_old_code(operations: list[Any]) -> list[str]:
    """The columns without which an insert fails, of tables that are older than the migration."""
    every = list(flat(operations))
    new_tables = {one.name_lower for one in every if isinstance(one, migrations.CreateModel)}
    return [
        f"{one.model_name}.{one.name}"
        for one in every
        if isinstance(one, migrations.AddField) and one.model_name_lower not in new_tables and is_wanted(one.field)
    ]


def flat(operations: list[Any]) -> Any:
    for one in operations:
        if isinstance(one, migrations.SeparateDatabaseAndState):
            yield from flat(one.database_operations)
        else:
            yield one


def is_wanted(field: Any) -> bool:
    is_column = not isinstance(field, (models.ManyToManyField, models.GeneratedField))
    return is_column and not field.null and field.db_default is NOT_PROVIDED


@pytest.mark.parametrize(
    ("field", "is_refused"),
    [
        (models.BooleanField(default=False), True),
        (models.CharField(max_length=9, default=""), True),
        (models.BooleanField(db_default=False), False),
        (models.DateTimeField(null=True), False),
    ],
    ids=["default", "default text", "db_default", "nullable"],
)
def test_the_rule_sees_a_column_without_a_default_of_the_database(field: Any, is_refused: bool) -> None:
    adding = migrations.AddField("order", "new", field)
    assert bool(refused_by_old_code([adding])) == is_refused
    assert not refused_by_old_code([migrations.CreateModel("Order", []), adding]), "nobody knows a new table"
