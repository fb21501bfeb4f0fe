"""Every text of the database is declared: without words of strangers, searched at an erasure, or encrypted."""

import pytest
from django.apps import apps
from django.contrib.postgres.fields import ArrayField
from django.db import models

from orders.services.texts import registry

MODELS = {
    model._meta.label: model
    for model in apps.get_models(include_auto_created=True)
    if model._meta.managed and not model._meta.proxy
}
SAYS = "say in orders/services/texts/registry.py what stands in it, and whether an erasure must search it"


@pytest.mark.parametrize("label", sorted(MODELS))
def test_each_text_of_each_table_is_declared_once(label: str) -> None:
    assert sorted(registry.declared(label)) == sorted(registry.texts_of(MODELS[label])), f"{label}: {SAYS}"


def test_nothing_is_declared_of_a_table_that_there_is_not() -> None:
    assert {label for kind in registry.KINDS for label in kind} <= MODELS.keys()


class Telling(models.Model):
    words = models.CharField(max_length=9)
    free = models.TextField()
    document = models.JSONField()
    content = models.BinaryField()
    listed = ArrayField(models.CharField(max_length=9))
    kind = models.CharField(max_length=9, choices=[("a", "A")])
    count = models.IntegerField()
    ids = ArrayField(models.UUIDField())

    class Meta:
        app_label = "telling"
        managed = False

    def __str__(self) -> str:
        return self.words


def test_a_column_of_any_kind_that_can_hold_words_is_seen() -> None:
    assert registry.texts_of(Telling) == ["words", "free", "document", "content", "listed"]
