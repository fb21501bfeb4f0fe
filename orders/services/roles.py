"""Who may do what, as one table. A group of each role exists after `manage.py bootstrap`.

Permissions are asked for by the services; this table only says which group holds which, so that "may an agent import?"
is answered by reading, not by clicking through the admin.
"""

from django.contrib.auth.models import Group, Permission

VIEW = (
    "view_order",
    "view_orderline",
    "view_orderevent",
    "view_payment",
    "view_ledgertransfer",
    "view_customer",
    "view_product",
    "view_stockitem",
    "view_reservation",
    "view_shipment",
    "view_creditnote",
    "view_command",
)
OPERATIONS = (
    "view_outboxmessage",
    "view_partnerhealth",
    "view_servicebeat",
    "view_feedimport",
    "view_feeddocument",
    "view_historyseal",
    "export_historyseal",
)

ROLES: dict[str, tuple[str, ...]] = {
    "viewer": VIEW,
    "agent": (*VIEW, "view_feedimport", "view_feeddocument", "place_order", "start_order"),
    "lead": (*VIEW, *OPERATIONS, "place_order", "start_order", "import_feed", "add_product", "change_product"),
}


def ensure_roles() -> None:
    """Create the groups and give each exactly its permissions."""
    for role, codenames in ROLES.items():
        group, _ = Group.objects.get_or_create(name=role)
        permissions = Permission.objects.filter(content_type__app_label="orders", codename__in=codenames)
        missing = set(codenames) - set(permissions.values_list("codename", flat=True))
        if missing:
            raise RuntimeError(f"Role {role} names unknown permissions: {', '.join(sorted(missing))}")
        group.permissions.set(permissions)
