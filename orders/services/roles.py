"""The groups of people and what each may see; what each may do comes from the table of commands (`orders.access`).

Permissions are asked for by the services; here and there it only says which group holds which, so that "may an agent
import?" is answered by reading, not by clicking through the admin.
"""

from django.contrib.auth.models import Group, Permission
from django.db.models import Q

from orders import access
from orders.access import Role

VIEW = (
    "view_order",
    "view_orderline",
    "view_orderevent",
    "view_payment",
    "view_ledgertransfer",
    "view_refund",
    "view_dispute",
    "view_customer",
    "view_product",
    "view_stockitem",
    "view_reservation",
    "view_shipment",
    "view_trackingevent",
    "view_creditnote",
    "view_command",
    "view_reviewcase",
    "view_fraudcheck",
    "view_stafftask",
    "view_returncase",
    "view_notice",
    "view_finding",
    "view_incident",
    "view_qualitycheck",
    "view_batch",
    "view_batchitem",
    "view_playbook",
    "view_playbookversion",
    "view_playbookrun",
    "view_playbooksteprun",
    "view_ordertag",
    "view_voucher",
)
FEEDS = ("view_feedimport", "view_feeddocument", "view_feedlayout")
REFRESHES = ("view_partnerrun", "view_partnercall", "view_partneranswer")
OPERATIONS = (
    "view_outboxmessage",
    "view_gatewayevent",
    "view_partnerhealth",
    "view_servicebeat",
    "view_historyseal",
    "view_apitoken",
    "view_refusedaction",
    "view_approval",
    "view_fraudrules",
    "view_processrun",
    "view_processstep",
    "view_processdifference",
    "view_schedulestate",
    "view_queuestate",
    "view_systemevent",
    "view_recovery",
    "view_sweepprogress",
    "view_restoredifference",
    "view_qualitysample",
    "view_export",
    "view_exportplan",
    "view_playbooktrigger",
    "view_playbookschedule",
    "view_partnerendpoint",
)

#: what each role sees
SIGHT: dict[Role, tuple[str, ...]] = {
    Role.VIEWER: VIEW,
    Role.AGENT: (*VIEW, *FEEDS, *REFRESHES),
    Role.LEAD: (*VIEW, *FEEDS, *REFRESHES, *OPERATIONS, "decode_payloads"),
}

#: role -> its permissions, as "app.codename"
ROLES: dict[str, tuple[str, ...]] = {
    role.value: (*(f"orders.{name}" for name in SIGHT[role]), *access.permissions_of(role)) for role in Role
}


def ensure_roles() -> None:
    """Create the groups and give each exactly its permissions."""
    for role, names in ROLES.items():
        group, _ = Group.objects.get_or_create(name=role)
        wanted = Q(pk=None)
        for name in names:
            app, codename = name.split(".")
            wanted |= Q(content_type__app_label=app, codename=codename)
        permissions = Permission.objects.filter(wanted).select_related("content_type")
        missing = set(names) - {f"{found.content_type.app_label}.{found.codename}" for found in permissions}
        if missing:
            raise RuntimeError(f"Role {role} names unknown permissions: {', '.join(sorted(missing))}")
        group.permissions.set(permissions)
