"""The mail at the end of the day: what was done, what was not, and what does not agree.

A mail server that is down costs the mail and nothing else. A mail may be sent twice when a worker dies between the
server's answer and our commit; both carry the same Message-ID, by which mail programs know them as one.
"""

from __future__ import annotations

from smtplib import SMTPException

from django.conf import settings
from django.core.mail import EmailMessage

from orders.amounts import counted
from orders.connections import give_back
from orders.errors import MailUnavailable
from orders.models import ProcessRun
from orders.services.processes.pacing import Pace
from orders.vocabulary import ProcessStepName, ProcessStepStatus
from orders.wording import status_word


def send_summary(pace: Pace) -> str:
    """Raises `MailUnavailable` when the mail server does not take it."""
    recipients = list(settings.DAY_END_MAIL_TO)
    if not recipients:
        return "No mail was sent: nobody is named in DAY_END_MAIL_TO."
    run = pace.run
    pace.rest()
    mail = EmailMessage(
        subject=_subject(run),
        body=summary(run),
        to=recipients,
        headers={"Message-ID": f"<process-{run.pk}-summary@backoffice>"},
    )
    give_back()
    try:
        mail.send()
    except (SMTPException, OSError) as error:
        raise MailUnavailable(f"The mail server did not take the summary: {type(error).__name__}.") from error
    with pace.chunk() as step:
        step.figures["recipients"] = len(recipients)
    return f"Sent to {counted(len(recipients), 'person', 'people')}."


def _subject(run: ProcessRun) -> str:
    name = status_word(run.definition)
    complete = not run.steps.filter(status=ProcessStepStatus.FAILED).exists()
    differing = run.differences.count()
    told = "all agrees" if complete and not differing else counted(differing, "difference")
    return f"{name} {run.business_day:%d %b %Y}: {told if complete else f'incomplete, {told}'}"


def summary(run: ProcessRun) -> str:
    """The text of the mail: a line for each step, then the first differences."""
    steps = run.steps.exclude(name=ProcessStepName.SEND_SUMMARY)
    lines = [
        f"{status_word(run.definition)} of {run.business_day:%d %b %Y}, from {run.covers_from:%d %b %H:%M} "
        f"until {run.covers_until:%d %b %H:%M} UTC.",
        "",
        *(f"{status_word(step.name)}: {status_word(step.status).lower()}. {step.outcome}" for step in steps),
    ]
    differences = list(run.differences.all()[:50])
    if differences:
        lines += ["", "Differences:", *(f"- {found.reference}: {found.says}" for found in differences)]
        more = run.differences.count() - len(differences)
        lines += [f"- and {more} more, on the page of the run"] if more else []
    return "\n".join(lines) + "\n"
