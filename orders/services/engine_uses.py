"""Which namespace and which payload keys open processes need, from what workers noted of their own use.

A worker of another namespace would find none of our processes, and one without a key cannot read their histories: both
must not work. Only what stands in our database counts here: what somebody sends to Temporal says nothing of our keys.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta

from django.db.models import Min
from django.db.models.functions import Now

from orders import keyring
from orders.models import EngineUse, Order, OrderEvent
from orders.services import system_events
from orders.services.run_kinds import WITH_OPEN_ROWS
from orders.vocabulary import IN_PROCESS_STATUSES, EngineUseKind, EventType

PLAIN = b"payload key"
#: a living worker notes its use more often
IN_USE = timedelta(minutes=1)
NOTED_WITHIN = timedelta(seconds=20)
#: what nothing needed by then is forgotten
FORGOTTEN_AFTER = timedelta(days=1)
UNREADABLE_KEY = "payload_key_missing"


def obstacle(namespace: str, keys: Mapping[str, bytes]) -> str:
    """Why a worker of that namespace with those keys (id: secret) must take no work; empty when it may."""
    if other := _needed(EngineUseKind.NAMESPACE, {namespace}):
        return f"Open processes are in the namespace {other[0]}, and this worker is connected to {namespace}."
    reason = _key_obstacle(keys)
    if reason:
        system_events.remember(UNREADABLE_KEY, reason, workflow_id="worker")
    return reason


def _key_obstacle(keys: Mapping[str, bytes]) -> str:
    if missing := _needed(EngineUseKind.PAYLOAD_KEY, keys):
        return (
            f"Open processes need the payload key {missing[0]}, which BACKOFFICE_PAYLOAD_KEYS of this worker does not "
            f"hold (it holds {', '.join(keys)}). Add it behind the others; nothing is lost."
        )
    for use in EngineUse.objects.filter(kind=EngineUseKind.PAYLOAD_KEY, name__in=keys, proof__isnull=False):
        try:
            keyring.decrypt(keys[use.name], bytes(use.proof or b""), place=_place(use.name))
        except keyring.Unreadable:
            return f"BACKOFFICE_PAYLOAD_KEYS of this worker holds another key under the id {use.name}."
    return ""


def note(namespace: str, key_id: str, secret: bytes) -> None:
    """A worker uses the namespace, and encrypts with the key. Call it only where `obstacle` found none."""
    proof = keyring.encrypt(secret, PLAIN, place=_place(key_id))
    for kind, name, sealed in (
        (EngineUseKind.NAMESPACE, namespace, None),
        (EngineUseKind.PAYLOAD_KEY, key_id, proof),
    ):
        EngineUse.objects.bulk_create([EngineUse(kind=kind, name=name, proof=sealed)], ignore_conflicts=True)
        EngineUse.objects.filter(kind=kind, name=name, last_used_at__lt=Now() - NOTED_WITHIN).update(last_used_at=Now())


def forget(kind: EngineUseKind, name: str) -> bool:
    """Take it that no process needs it any more, for a key that is lost for good; False when it is not noted."""
    return bool(EngineUse.objects.filter(kind=kind, name=name).delete()[0])


def _needed(kind: EngineUseKind, held: Collection[str]) -> list[str]:
    """Those that others noted and this worker does not hold, while a worker uses them or a process is open since."""
    noted = EngineUse.objects.filter(kind=kind).exclude(name__in=held).order_by("-last_used_at")
    if not noted.exists():
        return []
    used = noted.filter(last_used_at__gte=Now() - IN_USE)
    since = open_since()
    if since is not None:
        used |= noted.filter(last_used_at__gte=since)
    needed = list(used.values_list("name", flat=True))
    noted.filter(last_used_at__lt=Now() - FORGOTTEN_AFTER).exclude(name__in=needed).delete()
    return needed


def open_since() -> datetime | None:
    """When the oldest process that is open now was started; None when none is."""
    orders = Order.objects.filter(status__in=IN_PROCESS_STATUSES)
    started = OrderEvent.objects.filter(type=EventType.START_REQUESTED, order__in=orders).aggregate(at=Min("at"))["at"]
    found = [started] if started else []
    for kind in WITH_OPEN_ROWS:
        if kind.model is not Order:
            oldest = kind.rows.filter(kind.open).aggregate(at=Min(kind.made_at))["at"]
            found += [oldest] if oldest else []
    return min(found, default=None)


def _place(key_id: str) -> str:
    return f"orders_engineuse/{key_id}"
