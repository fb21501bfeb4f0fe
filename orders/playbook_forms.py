"""The inputs of a playbook as a form, for the pages that ask for them; typed as the playbook declares them."""

from __future__ import annotations

from typing import Any

from django import forms

from orders.playbooks.definition import MAX_TEXT, Definition, Input, ValueType

PREFIX = "input-"


class InputsForm(forms.Form):
    """One field for each input of the definition."""

    def __init__(self, definition: Definition, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for one in definition.inputs:
            self.fields[f"{PREFIX}{one.name}"] = _field(one)

    def values(self) -> dict[str, Any]:
        """What was said, by the name of the input; what was left empty is left to its default."""
        said = {
            name.removeprefix(PREFIX): value for name, value in self.cleaned_data.items() if name.startswith(PREFIX)
        }
        return {name: value for name, value in said.items() if value is not None and value != ""}


def _field(one: Input) -> forms.Field:
    label, required = one.label or one.name.replace("_", " ").capitalize(), one.default is None
    if one.type is ValueType.INT:
        return forms.IntegerField(
            label=label, required=required, initial=one.default, min_value=-(2**53), max_value=2**53
        )
    if one.type is ValueType.BOOL:
        choices = [("true", "Yes"), ("false", "No")]
        if required:
            choices.insert(0, ("", "Choose"))
        return forms.TypedChoiceField(
            label=label,
            required=required,
            choices=choices,
            coerce=lambda text: text == "true",
            empty_value=None,
            initial="true" if one.default else "false",
        )
    return forms.CharField(label=label, required=required, initial=one.default, max_length=MAX_TEXT)
