"""Commands as pages offer them: each is a form of its own with one button, so that Enter gives no other command.

A refused command comes back on the same page as the bound form: what was typed stands in it, and each problem at its
field. The templates are `orders/commands.html` and `orders/command_form.html`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.utils.text import slugify

from orders.errors import InvalidInput, WrongState


def line(**attrs: str) -> forms.TextInput:
    """A text input in which the browser suggests nothing: what was typed about another order does not belong here."""
    return forms.TextInput(attrs={"autocomplete": "off", **attrs})


class ReasonForm(forms.Form):
    reason = forms.CharField(
        max_length=500, widget=line(), error_messages={"required": "Say why; it is kept with your name."}
    )


class OptionalReasonForm(forms.Form):
    reason = forms.CharField(max_length=500, required=False, label="Reason (may be left out)", widget=line())


class NothingForm(forms.Form):
    """Of a command that asks nothing."""


@dataclass(frozen=True, kw_only=True)
class OfferedCommand:
    """One command of a page.

    Attributes:
        key: unique on its page; the ids of the form's elements begin with `command-<key>`.
        title: what the control says that opens the form.
        verb: what the form's button says; it tells how much money or how many goods the command moves.
        form: the fields; bound when the command was refused. None for a command that has a page of its own.
    """

    key: str
    title: str
    icon: str
    address: str
    verb: str = ""
    form: forms.Form | None = None
    primary: bool = False

    @property
    def id(self) -> str:
        return f"command-{self.key}"

    @property
    def has_page(self) -> bool:
        return self.form is None

    @property
    def asks(self) -> bool:
        """Whether there is anything to fill in."""
        return self.form is not None and bool(self.form.visible_fields())

    @property
    def is_refused(self) -> bool:
        return self.form is not None and self.form.is_bound


@dataclass(frozen=True, kw_only=True)
class Refused:
    """A command that was not taken, with its bound form."""

    key: str
    form: forms.Form


def key_of(*parts: object) -> str:
    """A command's key, of its name and of what else tells it from others on the page."""
    return "-".join(slug for part in parts if (slug := slugify(str(part).replace(".", "-").replace("/", "-"))))


def page_command(key: str, verb: str, icon: str, form: forms.Form) -> OfferedCommand:
    """The one command of a page of its own (`orders/page_form.html`); its first field has the focus."""
    for field in form.visible_fields()[:1]:
        field.field.widget.attrs["autofocus"] = True
    return OfferedCommand(key=key, title=verb, verb=verb, icon=icon, address="", form=form)


def bound(form: type[forms.Form], key: str, given: Mapping[str, Any]) -> forms.Form:
    """The form of the command `key` with what was sent."""
    return form(given, auto_id=f"command-{key}-%s")


def empty(form: type[forms.Form], key: str, refused: Refused | None, **initial: object) -> forms.Form:
    """The form of the command `key` as it begins, or as it was refused."""
    if refused is not None and refused.key == key:
        return refused.form
    return form(auto_id=f"command-{key}-%s", initial=initial)


def take(
    request: HttpRequest,
    form: forms.Form,
    key: str,
    work: Callable[..., HttpResponse],
    page: Callable[[Refused, int], HttpResponse],
) -> HttpResponse:
    """Answer with what `work` makes of the form's values; a refusal answers with `page`, with 400 or 409.

    `page` must raise or show the reader's whole page, with `told_if_gone` where the command may be gone from it.
    """
    refused = Refused(key=key, form=form)
    if not form.is_valid():
        tell_problems(request, form)
        return page(refused, 400)
    try:
        return work(**form.cleaned_data)
    except InvalidInput as refusal:
        refuse(form, refusal)
        tell_problems(request, form)
        return page(refused, 400)
    except WrongState as refusal:
        refuse(form, refusal)
        return page(refused, 409)


def told_if_gone(request: HttpRequest, refused: Refused | None, offered: Iterable[OfferedCommand]) -> None:
    """Say on top of the page why a command was refused whose form the page no longer has."""
    if refused is not None and not is_offered(refused.key, offered):
        messages.warning(request, with_words(refused.form))


def is_offered(key: str, offered: Iterable[OfferedCommand]) -> bool:
    """Whether the page still has the form of the command."""
    return any(one.key == key and one.asks for one in offered)


def refuse(form: forms.Form, refusal: Exception) -> None:
    """Put a service's refusal at the field that it names, or above the form."""
    field = getattr(refusal, "field", "").removesuffix("_minor")
    form.add_error(field if field in form.fields else None, str(refusal))


def tell_problems(request: HttpRequest, form: forms.Form) -> None:
    """Say on top of the page, too, that nothing was done and which field is why."""
    for name, problems in form.errors.items():
        label = (form.fields[name].label if name in form.fields else "") or ""
        field = f"{label.partition(' (')[0] or name.replace('_', ' ').capitalize()}: " if name in form.fields else ""
        messages.error(request, f"Nothing was done. {field}{' '.join(map(str, problems))}")


def with_words(form: forms.Form) -> str:
    """Why a command was refused whose form is no longer offered, with the words that would be lost."""
    why = " ".join(str(problem) for problems in form.errors.values() for problem in problems)
    typed = str(form.data.get("reason", "")).strip()[:500]
    return f"{why} You wrote: {typed}" if typed and "\x00" not in typed else why
