"""Playbooks for tests: documents, published versions, and runs."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import Permission, User

from orders.actor import Actor, person
from orders.models import Order, PlaybookRun, PlaybookVersion
from orders.services import deciding
from orders.services.playbooks import publishing, running
from orders.vocabulary import Channel


def note(step_id: str, text: str = "noted", **more: Any) -> dict[str, Any]:
    return {"type": "activity", "id": step_id, "activity": "add_note", "parameters": {"text": text}, **more}


def tag(step_id: str, name: str = "vip", **more: Any) -> dict[str, Any]:
    undo = {"activity": "remove_tag", "parameters": {"tag": name}}
    return {"type": "activity", "id": step_id, "activity": "add_tag", "parameters": {"tag": name}, "undo": undo, **more}


def document(*steps: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"title": "A test", "steps": list(steps), **more}


def chief(name: str = "chief") -> Actor:
    """Somebody who may do everything with orders, and makes no accounts."""
    user = User.objects.filter(username=name).first()
    if user is None:
        user = User.objects.create_user(name, is_staff=True)
        user.user_permissions.set(Permission.objects.filter(content_type__app_label="orders"))
    return person(user, Channel.ADMIN)


def published(*steps: dict[str, Any], slug: str = "test", **more: Any) -> PlaybookVersion:
    """A version that two people published."""
    version = publishing.save(slug, document(*steps, **more), actor=chief())
    approval = publishing.publish(slug, version.number, actor=chief(), reason="test")
    deciding.approve(approval.pk, actor=chief("second"))
    version.refresh_from_db()
    return version


def start(order: Order, *steps: dict[str, Any], slug: str = "test", inputs: Any = None, **more: Any) -> PlaybookRun:
    """A run of these steps on the order."""
    published(*steps, slug=slug, **more)
    return running.start(order.number, slug, actor=chief(), reason="test", inputs=inputs)
