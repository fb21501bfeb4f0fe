"""The name of a related row is a link only for whoever may open that row's page."""

import pytest
from django.contrib.auth.models import User

from orders.models import AccountChange
from tests.orders.staff import make_user, signed_in

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(("sight", "is_link"), [((), False), (("auth.view_user",), True)])
def test_a_name_is_a_link_for_whoever_may_open_it_only(sight: tuple[str, ...], is_link: bool) -> None:
    reader = signed_in("orders.view_accountchange", *sight)
    anna: User = make_user(name="anna")
    change = AccountChange.objects.filter(account=anna).latest("pk")

    page = reader.get(f"/admin/orders/accountchange/{change.pk}/change/").content.decode()

    assert "anna" in page
    assert (f"/admin/auth/user/{anna.pk}/change/" in page) is is_link
