"""What a playbook can do: the only names that an activity step may use, with typed parameters and results.

A procedure that could name any function would be a way around every permission. Each entry says which permission its
effect needs; it is asked for when a version is published and again when a step runs. The work itself is done by
`orders.services.playbooks.actions`, one function for each entry; a test compares both.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from orders.playbooks.definition import ValueType


@dataclass(frozen=True, kw_only=True)
class Parameter:
    name: str
    type: ValueType = ValueType.STRING
    label: str = ""
    #: whether a step must give it; one that need not be given is "", 0 or false
    required: bool = True
    #: of a text; a number is within `least` and `most`
    max_length: int = 500
    least: int = 0
    most: int = 99_999_999
    #: the only values of a text, where these are few
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One thing that a playbook can do."""

    name: str
    title: str
    #: for whoever builds a playbook
    says: str
    #: "app.codename" of the permission that its effect needs
    permission: str
    parameters: tuple[Parameter, ...] = ()
    #: what later steps may read as `results.<step>.<name>`
    results: Mapping[str, ValueType] = field(default_factory=dict)
    #: "nothing to take back" (reads, notes), or the entry that takes it back
    undone_by: str = ""
    #: whether the step itself calls somebody; its run then has it done in a lane of its own
    calls_out: bool = False
    #: whether money or its worth leaves us by it: what starts such a playbook by itself takes two people
    gives_money: bool = False

    def parameter(self, name: str) -> Parameter | None:
        return next((one for one in self.parameters if one.name == name), None)


REASON = Parameter(name="reason", label="Reason, kept in the history")
TEXT = ValueType.STRING

CATALOGUE: Mapping[str, Entry] = {
    entry.name: entry
    for entry in (
        Entry(
            name="add_note",
            title="Write a note",
            says="Adds a line to the order's history that staff read.",
            permission="orders.note_order",
            parameters=(Parameter(name="text", label="What the note says"),),
        ),
        Entry(
            name="add_tag",
            title="Tag the order",
            says="Tags are filters of the order list and facts for conditions.",
            permission="orders.note_order",
            parameters=(Parameter(name="tag", max_length=40),),
            undone_by="remove_tag",
        ),
        Entry(
            name="remove_tag",
            title="Remove a tag",
            says="Takes a tag away; one that is not there is no error.",
            permission="orders.note_order",
            parameters=(Parameter(name="tag", max_length=40),),
            undone_by="add_tag",
        ),
        Entry(
            name="hold_order",
            title="Hold the order",
            says="Stops the order before its next step.",
            permission="orders.hold_order",
            parameters=(REASON,),
            undone_by="release_order",
        ),
        Entry(
            name="release_order",
            title="Release the order",
            says="Lets a held order go on.",
            permission="orders.hold_order",
            parameters=(REASON,),
            undone_by="hold_order",
        ),
        Entry(
            name="start_order",
            title="Start processing",
            says="Starts a placed order.",
            permission="orders.start_order",
            parameters=(REASON,),
        ),
        Entry(
            name="cancel_order",
            title="Cancel the order",
            says="Cancels the order; its process undoes what had happened.",
            permission="orders.cancel_order",
            parameters=(REASON,),
            gives_money=True,
        ),
        Entry(
            name="refund_order",
            title="Refund",
            says="Asks for a refund; above the limit a second person must agree.",
            permission="orders.refund_order",
            parameters=(Parameter(name="amount_minor", type=ValueType.INT, least=1, label="Minor units"), REASON),
            results={"waits_for_second": ValueType.BOOL},
            gives_money=True,
        ),
        Entry(
            name="issue_voucher",
            title="Issue a voucher",
            says="Makes a voucher for the customer; its code can be used in a mail.",
            permission="orders.issue_voucher",
            parameters=(Parameter(name="amount_minor", type=ValueType.INT, least=1, most=10_000), REASON),
            results={"code": TEXT},
            undone_by="withdraw_voucher",
            gives_money=True,
        ),
        Entry(
            name="withdraw_voucher",
            title="Withdraw a voucher",
            says="Withdraws a voucher that was not used.",
            permission="orders.issue_voucher",
            parameters=(Parameter(name="code", max_length=40), REASON),
        ),
        Entry(
            name="mail_customer",
            title="Mail the customer",
            says="Queues a mail, sent once; guests and erased customers get none, and the result says why.",
            permission="orders.mail_customer",
            parameters=(
                Parameter(name="subject", max_length=120),
                Parameter(name="text", max_length=2_000),
            ),
            results={"queued": ValueType.BOOL, "why_not": TEXT},
        ),
        Entry(
            name="open_task",
            title="Give staff a task",
            says="Opens a task in the queue.",
            permission="orders.work_task",
            parameters=(Parameter(name="says"), Parameter(name="level", choices=("agent", "lead"))),
        ),
        Entry(
            name="change_country",
            title="Correct the country",
            says="Changes where the order ships to, before it is shipped.",
            permission="orders.change_address",
            parameters=(Parameter(name="country", max_length=60), REASON),
            results={"before": TEXT},
            undone_by="change_country",
        ),
        Entry(
            name="call_partner",
            title="Call a partner",
            says="Sends the order's number and a text to an endpoint that the administrator has named.",
            permission="orders.call_partner",
            parameters=(Parameter(name="endpoint", max_length=40), Parameter(name="text", max_length=2_000)),
            results={"answer": TEXT},
            calls_out=True,
        ),
    )
}
