"""What a row of the table of commands is, who holds permissions, and why a door is not offered."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from orders.vocabulary import Channel


class Role(StrEnum):
    """Groups that `manage.py bootstrap` makes. A superuser holds every permission and needs none of them."""

    VIEWER = "viewer"
    AGENT = "agent"
    LEAD = "lead"


AGENTS = frozenset({Role.AGENT, Role.LEAD})
LEADS = frozenset({Role.LEAD})
SUPERUSERS: frozenset[Role] = frozenset()


@dataclass(frozen=True, kw_only=True)
class CommandRule:
    """One row of the table.

    A door is named by what opens it: `OrderAdmin.start_one` (an action), `ProductAdmin.change` (a form: add, change or
    delete), `orders:start` (the name of an address), `Orders.create` (a call of the API), `import_orders` (a
    management command).
    """

    #: as `Command.kind` has it where the command is a row
    name: str
    #: what it does, for the documentation
    says: str
    permission: str
    roles: frozenset[Role]
    doors: Mapping[Channel, tuple[str, ...]]
    #: why it is not offered at one of `CHANNELS`
    not_offered: Mapping[Channel, str] = field(default_factory=dict)
    #: when a second person must agree; empty for never
    four_eyes: str = ""
    #: what the second person needs beside `orders.decide_approval`; as the first one unless it says something else
    approved_with: str = ""

    @property
    def second_needs(self) -> str:
        return self.approved_with or self.permission


#: the doors that people use; feeds and the engine act for somebody who came through one of them
CHANNELS = (Channel.ADMIN, Channel.API, Channel.CLI)

BY_SUPERUSERS = "accounts are managed in the admin, under the eyes of its sign-in rules"
ON_A_PAGE = "decided on the order's page, by a person who sees it"
IN_THE_QUEUE = "done in the queue of tasks, by a person who sees the order"
RULES_BY_PEOPLE = "rules are changed by a person who sees the ones before"
NIGHTLY = "the worker does it every night by itself"
