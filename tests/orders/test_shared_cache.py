"""What all web processes must know together is kept once, as JSON, and ends."""

import pytest
from django.core.cache import cache
from django.db import connection

from orders.models import SharedNote

pytestmark = pytest.mark.django_db


def test_of_two_that_add_the_same_one_is_told_no_until_it_is_over() -> None:
    assert cache.add("code", "y", 30)
    assert not cache.add("code", "y", 30)
    SharedNote.objects.update(ends_at="2020-01-01T00:00:00Z")
    assert cache.get("code") is None
    assert cache.add("code", [1.5, 2], 30)
    assert cache.get("code") == [1.5, 2]


def test_it_is_set_again_deleted_and_forgotten() -> None:
    cache.set("a", 1, 30)
    cache.set("a", {"b": None}, 30)
    assert cache.get("a") == {"b": None}
    assert (cache.delete("a"), cache.delete("a"), cache.get("a", "none")) == (True, False, "none")
    cache.set("old", 1, 30)
    SharedNote.objects.update(ends_at="2020-01-01T00:00:00Z")
    cache.add("new", 1, 30)
    assert [note.key for note in SharedNote.objects.all()] == [":1:new"]


def test_nothing_that_runs_when_it_is_read_is_ever_stored() -> None:
    with pytest.raises(TypeError):
        cache.set("code", object(), 30)
    with connection.cursor() as cursor:
        cursor.execute("SELECT relpersistence FROM pg_class WHERE relname = 'orders_sharednote'")
        assert cursor.fetchone()[0] == "u"
