"""The groups of people and what each may see; what each may do comes from the table of commands (`orders.access`).

Permissions are asked for by the services; here and there it only says which group holds which, so that "may an agent
import?" is answered by reading, not by clicking through the admin.
"""

from dataclasses import dataclass

from django.contrib.auth.models import Group, Permission
from django.db.models import Q

from orders import access
from orders.access import Role
from orders.models import GivenPermission

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
    "view_automationchange",
    "view_accountchange",
)

#: what each role sees
SIGHT: dict[Role, tuple[str, ...]] = {
    Role.VIEWER: VIEW,
    Role.AGENT: (*VIEW, *FEEDS, *REFRESHES),
    Role.LEAD: (*VIEW, *FEEDS, *REFRESHES, *OPERATIONS, "decode_payloads"),
}

#: whoever decides about an account or a group sees it
SIGHT_OF_ACCOUNTS = ("auth.view_user", "auth.view_group")

#: role -> its permissions, as "app.codename"
ROLES: dict[str, tuple[str, ...]] = {
    role.value: (
        *(f"orders.{name}" for name in SIGHT[role]),
        *(SIGHT_OF_ACCOUNTS if role is Role.LEAD else ()),
        *access.permissions_of(role),
    )
    for role in Role
}


@dataclass(frozen=True, kw_only=True)
class Difference:
    """Where a role in the database is not what the table of commands says; sorted "app.codename"."""

    role: str
    #: taken away by somebody since we gave it
    missing: tuple[str, ...] = ()
    #: given by somebody
    extra: tuple[str, ...] = ()

    def __str__(self) -> str:
        parts = [f"lacks {', '.join(self.missing)}"] * bool(self.missing)
        parts += [f"holds besides {', '.join(self.extra)}"] * bool(self.extra)
        return f"The role {self.role} {' and '.join(parts)}."


def ensure_roles(*, reset: bool = False) -> list[Difference]:
    """Make the roles that are missing, and give each the permissions that it has never had; answers what differs.

    What somebody took away stays away, and what somebody gave stays, unless `reset`: then each role holds exactly its
    permissions, and what differed before is the answer.
    """
    found = []
    for role, names in ROLES.items():
        group, _ = Group.objects.get_or_create(name=role)
        wanted = _permissions(role, names)
        held = {_name(one): one for one in group.permissions.select_related("content_type")}
        given = set(GivenPermission.objects.filter(role=role).values_list("permission", flat=True))
        new = {name: one for name, one in wanted.items() if name not in given}
        GivenPermission.objects.bulk_create(GivenPermission(role=role, permission=name) for name in sorted(new))
        missing = tuple(sorted(wanted.keys() - held.keys() - new.keys()))
        extra = tuple(sorted(held.keys() - wanted.keys()))
        if missing or extra:
            found.append(Difference(role=role, missing=missing, extra=extra))
        if reset:
            group.permissions.set(wanted.values())
        else:
            group.permissions.add(*new.values())
    return found


def _permissions(role: str, names: tuple[str, ...]) -> dict[str, Permission]:
    wanted = Q(pk=None)
    for name in names:
        app, codename = name.split(".")
        wanted |= Q(content_type__app_label=app, codename=codename)
    found = {_name(one): one for one in Permission.objects.filter(wanted).select_related("content_type")}
    missing = set(names) - found.keys()
    if missing:
        raise RuntimeError(f"Role {role} names unknown permissions: {', '.join(sorted(missing))}")
    return found


def _name(permission: Permission) -> str:
    return f"{permission.content_type.app_label}.{permission.codename}"
