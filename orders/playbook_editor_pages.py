"""The editor of a playbook, and its simulation on a real order.

The document travels as one JSON text: the form that the script draws and the text beside it are two views of the same,
so the page works without the script, and nothing is lost when the server refuses what was typed.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_safe

from orders.actor import person
from orders.errors import InvalidInput
from orders.frames import in_frame
from orders.models import Order, Playbook
from orders.playbook_forms import PREFIX, InputsForm
from orders.playbooks import definition as limits
from orders.playbooks.catalogue import CATALOGUE
from orders.playbooks.definition import AskStep, Definition, OnFailure, ValueType, walk
from orders.playbooks.facts import ORDER_FACTS
from orders.playbooks.graph import State, draw
from orders.playbooks.outline import outline
from orders.playbooks.validation import InvalidPlaybook, Problem
from orders.selectors import playbooks
from orders.selectors.playbook_runs import ROUND
from orders.services.playbooks import publishing, simulating
from orders.services.playbooks.simulating import Line
from orders.vocabulary import Channel

EDIT = "orders.edit_playbook"
MAX_CHARACTERS = 200_000
EMPTY: dict[str, Any] = {"title": "", "description": "", "inputs": [], "steps": []}
ANSWER = "answer-"


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def edit(request: HttpRequest, slug: str = "") -> HttpResponse:
    """GET shows the newest version, or another one to begin from; POST saves a new one, a draft."""
    if not request.user.has_perm(EDIT):  # type: ignore[union-attr]
        raise PermissionDenied(f"This needs the permission {EDIT}.")
    is_new = not slug
    if not is_new and not Playbook.objects.filter(slug=slug).exists():
        shown: dict[str, Any] = {"what": f"playbook {slug[:40]}"}
        return in_frame(request, "orders/playbooks/not_found.html", "No such playbook", shown, status=404)
    problems: list[Problem] = []
    if request.method == "POST":
        name = request.POST.get("name", "").strip() if is_new else slug
        text = request.POST.get("document", "")
        if is_new and Playbook.objects.filter(slug=name.replace("\x00", "")).exists():
            problems = [Problem(path="name", message=f"There is a playbook {name[:40]} already: edit that one.")]
        else:
            problems = _saved(request, name, text)
        if not problems:
            return redirect("orders:playbook", slug=name)
    else:
        name, text = slug, json.dumps(_document(slug, request.GET.get("version")), indent=2, ensure_ascii=False)
    shown = {
        "slug": slug,
        "name": name,
        "text": text,
        "problems": problems,
        "data": _what_there_is(problems),
    }
    title = f"Edit {slug}" if slug else "New playbook"
    return in_frame(request, "orders/playbooks/edit.html", title, shown)


def _saved(request: HttpRequest, name: str, text: str) -> list[Problem]:
    """What is wrong; nothing when it was saved."""
    if len(text) > MAX_CHARACTERS:
        return [Problem(path="", message=f"At most {MAX_CHARACTERS} characters are read.")]
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        return [Problem(path="", message=f"This is not JSON: {error}")]
    try:
        version = publishing.save(name, document, actor=person(request.user, Channel.ADMIN))
    except InvalidPlaybook as refusal:
        return refusal.problems
    except InvalidInput as refusal:
        return [Problem(path="name", message=str(refusal))]
    messages.success(request, f"Version {version.number} of {name} is saved as {version.status}.")
    return []


def _document(slug: str, number: str | None) -> dict[str, Any]:
    chosen = int(number) if number and number.isascii() and number.isdecimal() and len(number) < 10 else None
    found = playbooks.version(slug, chosen) if slug else None
    return dict(found.document) if found is not None else EMPTY


def _what_there_is(problems: Iterable[Problem]) -> dict[str, Any]:
    """What the script needs to draw the form; all of it comes from the one definition and the one catalogue."""
    return {
        "problems": [{"path": one.path, "message": one.message} for one in problems],
        "catalogue": [
            {
                "name": entry.name,
                "title": entry.title,
                "says": entry.says,
                "undoneBy": entry.undone_by,
                "results": dict(entry.results),
                "parameters": [
                    {
                        "name": one.name,
                        "type": one.type,
                        "label": one.label or one.name.replace("_", " ").capitalize(),
                        "required": one.required,
                        "choices": one.choices,
                        "least": one.least,
                        "most": one.most,
                    }
                    for one in entry.parameters
                ],
            }
            for entry in CATALOGUE.values()
        ],
        "facts": ORDER_FACTS,
        "valueTypes": list(ValueType),
        "onFailure": list(OnFailure),
        "playbooks": [
            {
                "slug": one.slug,
                "version": one.number,
                "title": one.title,
                "inputs": [
                    {"name": given.name, "type": given.type, "label": given.label or given.name, "choices": []}
                    for given in one.definition.inputs
                ],
            }
            for one in playbooks.choices()
        ],
        "limits": {"iterations": limits.MAX_ITERATIONS, "seconds": limits.MAX_SECONDS, "attempts": limits.MAX_ATTEMPTS},
    }


@require_safe
@login_required
def simulate(request: HttpRequest, slug: str) -> HttpResponse:
    """What a version would do with an order; a question, so its address can be kept and sent to a colleague."""
    if not request.user.has_perm(EDIT):  # type: ignore[union-attr]
        raise PermissionDenied(f"This needs the permission {EDIT}.")
    number = request.GET.get("version")
    chosen = int(number) if number and number.isascii() and number.isdecimal() and len(number) < 10 else None
    version = playbooks.version(slug, chosen)
    if version is None:
        shown: dict[str, Any] = {"what": f"such version of a playbook {slug[:40]}"}
        return in_frame(request, "orders/playbooks/not_found.html", "No such playbook", shown, status=404)
    definition = playbooks.read(version)
    asked = "order" in request.GET
    form = _form(definition, request.GET if asked else None)
    shown = {"version": version, "form": form, "graph": draw(definition)}
    if asked and form.is_valid():
        shown |= _simulated(request, version.document, form)
    return in_frame(request, "orders/playbooks/simulate.html", f"Simulate {version.title}", shown)


def _form(definition: Definition, given: Any) -> InputsForm:
    form = InputsForm(definition, given)
    inputs = dict(form.fields)
    form.fields.clear()
    form.fields["order"] = forms.CharField(max_length=32, label="Number of an order")
    form.fields |= inputs
    for _, step, _ in walk(definition.steps):
        if isinstance(step, AskStep):
            options = [(one, one) for one in step.options]
            form.fields[f"{ANSWER}{step.id}"] = forms.ChoiceField(
                choices=options, initial=step.default, required=False, label=f"Assumed answer: {step.question}"
            )
    return form


def _simulated(request: HttpRequest, document: Any, form: InputsForm) -> dict[str, Any]:
    said = form.cleaned_data
    answers = {name.removeprefix(ANSWER): one for name, one in said.items() if name.startswith(ANSWER) and one}
    try:
        found = simulating.simulate(
            document,
            said["order"].strip(),
            actor=person(request.user, Channel.ADMIN),
            inputs=form.values(),
            answers=answers,
        )
    except Order.DoesNotExist:
        form.add_error("order", "There is no such order.")
    except InvalidPlaybook as refusal:
        for problem in refusal.problems:
            field = f"{PREFIX}{problem.path.removeprefix('inputs.')}"
            form.add_error(field if field in form.fields else None, problem.message)
    else:
        states = _states(found.lines)
        address = f"{reverse('orders:page', args=[found.order_number])}"
        return {
            "simulation": found,
            "graph": draw(found.definition, states),
            "outline": outline(found.definition, states),
            "order_address": address,
        }
    return {}


def _states(lines: Iterable[Line]) -> dict[str, State]:
    """The way taken, by the path of the step in the document."""
    found: dict[str, State] = {}
    for line in lines:
        note = {True: "yes", False: "no", None: ""}[line.holds]
        status = "failed" if line.problem else "done"
        found[ROUND.sub("", line.path)] = State(status=status, error=line.problem, note=note)
    return found
