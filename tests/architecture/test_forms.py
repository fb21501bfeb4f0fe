"""A form has one submit control, because Enter in any of its fields presses the first one, whatever was meant."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TEMPLATES = ROOT / "templates"
FORM = re.compile(r"<form\b.*?</form>", re.DOTALL)
CONTROL = re.compile(r"<button\b[^>]*>|<input\b[^>]*\btype=[\"']?(?:submit|image)\b[^>]*>", re.DOTALL)
NO_SUBMIT = re.compile(r"\btype=[\"']?(?:button|reset)\b")
LOOP = re.compile(r"{%\s*for\b.*?{%\s*endfor\s*%}", re.DOTALL)
INCLUDE = re.compile(r"{%\s*include\s+\"([^\"]+)\"[^%]*%}")
#: attributes by which one control of several chooses the command
CHOICE = re.compile(r"\b(?:formaction|form|name)=")


def whole(text: str, seen: tuple[str, ...] = ()) -> str:
    """The template with what it includes of ours; an outline that includes itself is not followed."""

    def included(found: re.Match[str]) -> str:
        name = found.group(1)
        path = TEMPLATES / name
        return whole(path.read_text(), (*seen, name)) if path.exists() and name not in seen else ""

    return INCLUDE.sub(included, text)


def problems(text: str) -> list[str]:
    found = []
    for form in FORM.findall(text):
        controls = [control for control in CONTROL.findall(form) if not NO_SUBMIT.search(control)]
        if len(controls) != 1:
            found.append(f"{len(controls)} submit controls in one form")
        if any(CONTROL.search(loop) for loop in LOOP.findall(form)):
            found.append("a submit control in a loop")
    choosing = [control for control in CONTROL.findall(text) if CHOICE.search(control)]
    found += [f"a control that chooses the command: {control}" for control in choosing]
    if any(not NO_SUBMIT.search(control) for control in CONTROL.findall(FORM.sub("", text))):
        found.append("a submit control outside its form")
    return found


@pytest.mark.parametrize("path", sorted(TEMPLATES.rglob("*.html")), ids=lambda path: str(path.relative_to(TEMPLATES)))
def test_each_form_of_a_template_has_one_submit_control(path: Path) -> None:
    found = problems(whole(path.read_text()))
    assert not found, f"{path.name}: {found}. Offer each command with orders/command_form.html."


@pytest.mark.parametrize(
    "bad",
    [
        "<form><input name=reason><button>Start</button><button>Hold</button></form>",
        "<form>{% for one in buttons %}<button formaction='{{ one }}'>{{ one }}</button>{% endfor %}</form>",
        "<form>{% for one in buttons %}<button>{{ one }}</button>{% endfor %}</form>",
        "<form id='tell'><input name=reason></form><button form='tell'>Commit</button>",
        "<form><input type=submit><input type=image></form>",
        "<form><button name='do' value='pause'>Pause</button></form>",
        "<form><input name=reason></form>",
    ],
)
def test_forms_in_which_enter_would_choose_are_found(bad: str) -> None:
    assert problems(bad)


def test_a_form_with_one_submit_control_is_fine() -> None:
    assert not problems('<form><button type="button">Help</button><button type="submit">Hold</button></form>')
