"""What an API token leaves of its user's permissions.

A token on a server somewhere should be able to do the one thing it is for. Scopes only narrow: what the user may not
do, no scope allows. A permission that no scope names is held by `full` alone, so a new command is closed to every
narrow token until somebody decides where it belongs.
"""

from collections.abc import Iterable, Mapping
from enum import StrEnum


class Scope(StrEnum):
    FULL = "full"
    READ = "orders:read"
    WRITE = "orders:write"
    IMPORTS = "imports"


SAYS: Mapping[Scope, str] = {
    Scope.FULL: "everything its user may do",
    Scope.READ: "read orders, their history and what belongs to them",
    Scope.WRITE: "place, start, hold, release and cancel orders, drive their steps, announce and receive returns",
    Scope.IMPORTS: "send order feeds and follow them",
}
#: FULL is not listed: it covers all there is; every `orders.view_*` belongs to READ
COVERS: Mapping[Scope, frozenset[str]] = {
    Scope.WRITE: frozenset(
        {
            "orders.place_order",
            "orders.start_order",
            "orders.hold_order",
            "orders.cancel_order",
            "orders.drive_step",
            "orders.change_payment_method",
            "orders.announce_return",
            "orders.receive_return",
        }
    ),
    Scope.IMPORTS: frozenset({"orders.import_feed", "orders.add_product", "orders.view_feedimport"}),
}
#: commands of the API for which a token must be `full`, on purpose
FULL_ONLY = frozenset(
    {
        "orders.issue_token",
        "orders.revoke_token",
        "orders.erase_customer",
        "orders.decide_approval",
        # So is money that goes out.
        "orders.refund_order",
        # A verdict is a person's.
        "orders.decide_review",
        "orders.extend_review",
        # So is the word that something was done.
        "orders.work_task",
        "orders.work_lead_task",
        "orders.decide_incident",
        "orders.decide_restore",
        # A check that is left out, and a parcel that somebody says was booked.
        "orders.skip_step",
        "orders.acknowledge_systemevent",
        # It writes to a customer.
        "orders.send_notice",
        # It makes as many calls to a partner as there are open shipments.
        "orders.run_partner_calls",
        # So are orders by the thousand.
        "orders.run_batch",
        "orders.reprice_order",
        # It takes orders by the thousand out of the house.
        "orders.export_orders",
        # And does so by itself, from then on.
        "orders.plan_exports",
        # So are procedures, and who answers or steers them.
        "orders.edit_playbook",
        "orders.publish_playbook",
        "orders.set_trigger",
        "orders.run_playbook",
        "orders.drive_playbook",
        # It stops everybody's orders.
        "orders.drive_breaker",
        # So are the books of the day, and what runs by itself.
        "orders.run_process",
        "orders.drive_schedule",
        # Somebody looked.
        "orders.check_quality",
    }
)


def allow(scopes: Iterable[str], permission: str) -> bool:
    """Whether a token with these scopes lets `permission` through."""
    held = set(scopes)
    if Scope.FULL in held or (Scope.READ in held and permission.startswith("orders.view_")):
        return True
    return any(permission in COVERS.get(Scope(scope), frozenset()) for scope in held)
