"""People who sign in, each with exactly the permissions a test gives them."""

from django.contrib.auth.models import Permission, User
from django.core.cache import caches
from django.test import Client

VIEW_ORDER, START_ORDER = "orders.view_order", "orders.start_order"


def make_user(*permissions: str, name: str = "olivia", staff: bool = True, password: str | None = None) -> User:
    """Without a password nobody can sign in by hand; hashing one takes longer than most tests."""
    user = User.objects.create_user(name, password=password, is_staff=staff)
    for permission in permissions:
        app, codename = permission.split(".")
        user.user_permissions.add(Permission.objects.get(content_type__app_label=app, codename=codename))
    return user


def signed_in(*permissions: str, name: str = "olivia", staff: bool = True) -> Client:
    """A browser in which such a person has signed in."""
    # The sidebar's counter is kept for some seconds, longer than a test lasts.
    caches["process"].clear()
    client = Client()
    client.force_login(make_user(*permissions, name=name, staff=staff))
    return client
