"""The sidebar: what the signed-in person may see, with the number of orders that need a human."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from django.urls import reverse
from unfold.dataclasses import SearchResult

from orders.actor import person
from orders.models import Order
from orders.selectors.approvals import may_ask
from orders.selectors.dashboard import needs_a_human
from orders.vocabulary import Channel

#: (title, icon, name of its address, in the admin unless it says otherwise, permission; without one it is for whoever
#: may give a command that can take two people)
SECTIONS: list[tuple[str, bool, list[tuple[str, str, str, str]]]] = [
    (
        "Orders",
        False,
        [
            ("All orders", "receipt_long", "orders_order_changelist", "orders.view_order"),
            ("Reviews", "policy", "orders_reviewcase_changelist", "orders.view_reviewcase"),
            ("Batches", "stacks", "orders_batch_changelist", "orders.view_batch"),
            ("Incidents", "crisis_alert", "orders_incident_changelist", "orders.view_incident"),
            ("Tasks", "task_alt", "orders_stafftask_changelist", "orders.view_stafftask"),
            ("Quality checks", "fact_check", "orders_qualitycheck_changelist", "orders.view_qualitycheck"),
            ("Imports", "upload_file", "orders_feedimport_changelist", "orders.view_feedimport"),
            ("Exports", "file_download", "orders_export_changelist", "orders.view_export"),
            ("Export plans", "event_repeat", "orders_exportplan_changelist", "orders.view_exportplan"),
            ("Second person", "how_to_reg", "orders_approval_changelist", "orders.view_approval"),
            ("What I asked for", "outgoing_mail", "orders:approvals-asked", ""),
            ("Credit notes", "assignment_return", "orders_creditnote_changelist", "orders.view_creditnote"),
            ("Returns", "move_to_inbox", "orders_returncase_changelist", "orders.view_returncase"),
        ],
    ),
    (
        "Playbooks",
        False,
        [
            ("Playbooks", "account_tree", "orders:playbooks", "orders.view_playbook"),
            ("Runs", "directions_run", "orders_playbookrun_changelist", "orders.view_playbookrun"),
            ("Vouchers", "redeem", "orders_voucher_changelist", "orders.view_voucher"),
            ("Endpoints", "hub", "orders_partnerendpoint_changelist", "orders.view_partnerendpoint"),
            ("Changes", "manage_history", "orders_automationchange_changelist", "orders.view_automationchange"),
        ],
    ),
    (
        "Catalogue",
        False,
        [
            ("Customers", "group", "orders_customer_changelist", "orders.view_customer"),
            ("Products", "sell", "orders_product_changelist", "orders.view_product"),
            ("Stock", "inventory_2", "orders_stockitem_changelist", "orders.view_stockitem"),
        ],
    ),
    (
        "Money",
        False,
        [
            ("Payments", "credit_card", "orders_payment_changelist", "orders.view_payment"),
            ("Refunds", "undo", "orders_refund_changelist", "orders.view_refund"),
            ("Disputes", "gavel", "orders_dispute_changelist", "orders.view_dispute"),
            ("Ledger", "account_balance", "orders_ledgertransfer_changelist", "orders.view_ledgertransfer"),
            ("Processes", "event_repeat", "orders_processrun_changelist", "orders.view_processrun"),
            ("Differences", "rule_settings", "orders_processdifference_changelist", "orders.view_processdifference"),
        ],
    ),
    (
        "Machinery",
        True,
        [
            ("History", "history", "orders_orderevent_changelist", "orders.view_orderevent"),
            ("Seals", "verified", "orders_historyseal_changelist", "orders.view_historyseal"),
            ("Commands", "touch_app", "orders_command_changelist", "orders.view_command"),
            ("Outbox", "outbox", "orders_outboxmessage_changelist", "orders.view_outboxmessage"),
            ("Gateway events", "webhook", "orders_gatewayevent_changelist", "orders.view_gatewayevent"),
            ("Feed layouts", "table_view", "orders_feedlayout_changelist", "orders.view_feedlayout"),
            ("Fraud rules", "rule", "orders_fraudrules_changelist", "orders.view_fraudrules"),
            ("Findings", "troubleshoot", "orders_finding_changelist", "orders.view_finding"),
            ("Workers", "memory", "orders_servicebeat_changelist", "orders.view_servicebeat"),
            (
                "Restored database",
                "settings_backup_restore",
                "orders_restoredifference_changelist",
                "orders.view_restoredifference",
            ),
            ("Queues", "stacks", "orders_queuestate_changelist", "orders.view_queuestate"),
            ("Schedules", "calendar_clock", "orders_schedulestate_changelist", "orders.view_schedulestate"),
            ("Partners", "handshake", "orders_partnerhealth_changelist", "orders.view_partnerhealth"),
            ("System events", "emergency_home", "orders_systemevent_changelist", "orders.view_systemevent"),
            ("Mail to customers", "mail", "orders_notice_changelist", "orders.view_notice"),
            ("Partner runs", "sync", "orders_partnerrun_changelist", "orders.view_partnerrun"),
            ("Partner answers", "cached", "orders_partneranswer_changelist", "orders.view_partneranswer"),
        ],
    ),
    (
        "Access",
        True,
        [
            ("Users", "person", "auth_user_changelist", "auth.view_user"),
            ("Account changes", "manage_accounts", "orders_accountchange_changelist", "orders.view_accountchange"),
            ("Sessions", "devices", "usersessions_usersession_changelist", "usersessions.view_usersession"),
            ("Groups", "badge", "auth_group_changelist", "auth.view_group"),
            ("API tokens", "key", "orders_apitoken_changelist", "orders.view_apitoken"),
            ("Locks", "lock", "axes_accessattempt_changelist", "axes.view_accessattempt"),
            ("Failed sign-ins", "gpp_bad", "axes_accessfailurelog_changelist", "axes.view_accessfailurelog"),
            ("Refused actions", "block", "orders_refusedaction_changelist", "orders.view_refusedaction"),
            ("Sign-ins", "login", "axes_accesslog_changelist", "axes.view_accesslog"),
        ],
    ),
]


def sections(request: HttpRequest) -> list[dict[str, Any]]:
    """Unfold's sidebar for this request; one query at most, for the counter."""
    needing = needs_a_human(request.user)
    today: dict[str, Any] = {"title": "Today", "icon": "dashboard", "link": reverse("admin:index")}
    if needing:
        today |= {"badge": "1000+" if needing >= 1000 else str(needing), "badge_variant": "danger"}
    groups: list[dict[str, Any]] = [{"items": [today]}]
    asks = may_ask(person(request.user, Channel.ADMIN))
    for title, collapsible, entries in SECTIONS:
        items = [
            {"title": name, "icon": icon, "link": reverse(_named(url)), "active": _active(request, url)}
            for name, icon, url, permission in entries
            if (request.user.has_perm(permission) if permission else asks)  # type: ignore[union-attr]
        ]
        if items:
            groups.append({"title": title, "collapsible": collapsible, "items": items})
    return groups


def _named(url: str) -> str:
    return url if ":" in url else f"admin:{url}"


def _active(request: HttpRequest, url: str) -> bool:
    path, own = request.path, reverse(_named(url))
    if path.startswith("/orders/playbook"):
        return url == "orders:playbooks"
    if path.startswith("/orders/approvals/"):
        return path == own or (url == "orders_approval_changelist" and path != reverse("orders:approvals-asked"))
    if path.startswith("/orders/"):
        return url == "orders_order_changelist"
    return path.startswith(own)


def search(request: HttpRequest, term: str) -> list[SearchResult]:
    """What the command palette finds besides pages: an order by its number or reference."""
    if "\x00" in term or not request.user.has_perm("orders.view_order"):  # type: ignore[union-attr]
        return []
    orders = list(Order.objects.filter(number=term.upper()))
    if not orders:
        # Unfold hands the term on in small letters and references keep their case, so both are tried.
        orders = list(Order.objects.filter(reference__in={term, term.upper()}).exclude(reference="")[:5])
    return [
        SearchResult(
            title=order.number,
            description=f"Order, {order.get_status_display()}",
            link=reverse("orders:page", args=[order.number]),
            icon="receipt_long",
        )
        for order in orders
    ]
