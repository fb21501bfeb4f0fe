"""Mail to customers: queued with the change that it tells of, sent by a process of its own, given up after a while.

Claim, act, mark: no transaction is open while the mail server is asked, and only the newest attempt marks the row. An
attempt that dies between the server's yes and the mark is made again under the same Message-ID, by which mail servers
know it for the same mail. An order never waits for any of this.
"""

from __future__ import annotations

import smtplib

from django.conf import settings
from django.core.mail import EmailMessage
from django.db import transaction

from orders import clock, history, outbox
from orders.actor import Actor
from orders.connections import give_back
from orders.errors import PartnerUnavailable, WrongState
from orders.models import Notice, Order
from orders.notice_letters import letter
from orders.services import commands
from orders.vocabulary import UNSENT_NOTICES, CommandKind, EventType, NoticeKind, NoticeStatus, Topic

NO_SERVER = "Not sent: no mail server is configured."


def queue(order: Order, kind: NoticeKind) -> Notice:
    """The notice of that kind, on its way or dropped with the reason. The caller holds the order's lock."""
    notice = Notice.objects.filter(order=order, kind=kind).first()
    return notice or _new(Notice(order=order, kind=kind))


def message(order: Order, *, subject: str, text: str, key: str) -> Notice:
    """A mail with these words, once for `key`. The caller holds the order's lock and has asked for the permission."""
    notice = Notice.objects.filter(key=key).first()
    return notice or _new(Notice(order=order, kind=NoticeKind.MESSAGE, subject=subject, text=text, key=key))


def _new(notice: Notice) -> Notice:
    why = _why_not(notice.order)
    if why:
        notice.status, notice.note, notice.finished_at = NoticeStatus.DROPPED, why, clock.now()
    notice.save(force_insert=True)
    if not why:
        publish(notice)
    return notice


def send(notice_id: str, *, tries: int, actor: Actor) -> NoticeStatus:
    """Send it unless that was done or given up; answers where it stands.

    Raises `PartnerUnavailable` when the mail server did not take it and may do so later.
    """
    held = _claim(notice_id, tries)
    if held.status != NoticeStatus.QUEUED:
        return NoticeStatus(held.status)
    order = Order.objects.select_related("customer__key", "payment").get(pk=held.order_id)
    why = _why_not(order)
    if why:
        return _end(held, NoticeStatus.DROPPED, why, actor=actor)
    mail = _message(held, order)
    give_back()
    try:
        mail.send()
    except (smtplib.SMTPException, OSError) as error:
        says, is_final = _reading(error)
        if is_final:
            return _end(held, NoticeStatus.FAILED, says, actor=actor)
        Notice.objects.filter(pk=held.pk, attempts=held.attempts, status=NoticeStatus.QUEUED).update(note=says)
        raise PartnerUnavailable(says) from error
    except ValueError:
        # A line break or worse in it; the words of the error repeat the address.
        return _end(held, NoticeStatus.FAILED, "The customer's e-mail address cannot be written to.", actor=actor)
    return _end(held, NoticeStatus.SENT, "", actor=actor)


def give_up(notice_id: str, *, tries: int, actor: Actor) -> NoticeStatus:
    """Its time is over; a person may have it sent again."""
    held = Notice.objects.get(pk=notice_id)
    if held.status != NoticeStatus.QUEUED or held.tries != tries:
        return NoticeStatus(held.status)
    return _end(held, NoticeStatus.FAILED, held.note or "It could not be sent in time.", actor=actor)


def send_again(order_number: str, *, actor: Actor, reason: str) -> Notice:
    """Try once more. Raises `NotPermitted`, `Order.DoesNotExist`, or `WrongState` saying why it cannot be sent."""
    actor.require("orders.send_notice")
    with transaction.atomic():
        order = Order.objects.select_for_update(no_key=True).get(number=order_number)
        notice = order.notices.select_for_update().filter(status__in=UNSENT_NOTICES).first()
        if notice is None:
            raise WrongState(f"No notice about order {order.number} waits to be sent again.")
        why = _why_not(order)
        if why:
            raise WrongState(why)
        notice.status, notice.finished_at, notice.note = NoticeStatus.QUEUED, None, ""
        notice.tries += 1
        notice.save(update_fields=["status", "finished_at", "note", "tries"])
        command = commands.record(
            CommandKind.NOTICE_SEND, order, actor=actor, reason=reason, done="The notice itself says the rest."
        )
        data = {"notice": str(notice.pk), "command": str(command.pk)}
        history.record(order, EventType.NOTICE_ASKED, actor=actor, reason=reason, data=data)
        publish(notice)
    return notice


def _why_not(order: Order) -> str:
    """Why nothing can be sent; empty when it can."""
    customer = order.customer
    if customer is None:
        return "Not sent: a guest left no e-mail address."
    if not settings.EMAIL_HOST:
        return NO_SERVER
    if customer.erased_at is not None:
        return "Not sent: the customer's personal data was erased."
    if not customer.email:
        return "Not sent: the customer gave no e-mail address."
    return ""


def publish(notice: Notice) -> None:
    """Start the process of this asking. In the caller's transaction."""
    body = {"notice_id": str(notice.pk), "tries": notice.tries}
    outbox.publish(Topic.SEND_NOTICE, aggregate=f"notice:{notice.pk}", body=body)


def _claim(notice_id: str, tries: int) -> Notice:
    """The notice with a token of ours; as it stands when there is nothing to send."""
    with transaction.atomic():
        notice = Notice.objects.select_for_update().get(pk=notice_id)
        if notice.status == NoticeStatus.QUEUED and notice.tries == tries:
            notice.attempts += 1
            notice.save(update_fields=["attempts"])
    if notice.tries != tries:
        # An older process that comes late must not send what a newer one sends.
        notice.status = NoticeStatus.FAILED
    return notice


def _message(notice: Notice, order: Order) -> EmailMessage:
    kind = NoticeKind(notice.kind)
    subject, text = (notice.subject, notice.text) if kind is NoticeKind.MESSAGE else letter(kind, order)
    sender = settings.DEFAULT_FROM_EMAIL
    domain = sender.rpartition("@")[2].rstrip(">") or "localhost"
    assert order.customer is not None
    return EmailMessage(
        subject,
        text,
        from_email=sender,
        to=[order.customer.email],
        # The same at every attempt: whoever gets it twice sees it once.
        headers={"Message-ID": f"<notice.{notice.pk}@{domain}>", "Auto-Submitted": "auto-generated"},
    )


def _reading(error: Exception) -> tuple[str, bool]:
    """The error without the address that servers repeat, and whether it is the server's last word."""
    codes = []
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        codes = [code for code, _ in error.recipients.values()]
    elif isinstance(error, smtplib.SMTPResponseException):
        codes = [error.smtp_code]
    if codes:
        final = all(500 <= code < 600 for code in codes) and not isinstance(error, smtplib.SMTPAuthenticationError)
        return f"The mail server answered {codes[0]} ({type(error).__name__}).", final
    return f"The mail server did not take it: {type(error).__name__}.", False


def _end(held: Notice, status: NoticeStatus, note: str, *, actor: Actor) -> NoticeStatus:
    """Mark it, unless a newer attempt has the claim."""
    with transaction.atomic():
        order = history.lock_order(held.order_id)
        mine = Notice.objects.filter(pk=held.pk, attempts=held.attempts, tries=held.tries, status=NoticeStatus.QUEUED)
        if not mine.update(status=status, note=note[:500], finished_at=clock.now()):
            return NoticeStatus(Notice.objects.values_list("status", flat=True).get(pk=held.pk))
        event = EventType.NOTICE_SENT if status is NoticeStatus.SENT else EventType.NOTICE_FAILED
        reason = note or "The mail server took the mail to the customer"
        history.record(order, event, actor=actor, reason=reason, data={"notice": str(held.pk), "claim": held.attempts})
    return status
