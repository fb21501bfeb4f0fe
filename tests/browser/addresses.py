"""Every address of the back office, from the table of addresses itself, and what stands for each argument.

A new address without arguments is opened by itself; one with arguments needs a line in `MADE` or `STANDING`, or is one
of the admin's, which stand on a row of their model. `tests/architecture/test_page_table.py` names those without.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from allauth.account.app_settings import PASSWORD_RESET_TOKEN_GENERATOR
from allauth.account.utils import user_pk_to_url_str
from allauth.mfa.models import Authenticator
from django.contrib import admin
from django.contrib.admin.utils import quote
from django.contrib.auth.models import User
from django.db.models import Model
from django.urls import NoReverseMatch, URLPattern, get_resolver, reverse

from orders.models import (
    Approval,
    Batch,
    Export,
    ExportPlan,
    FeedImport,
    HistorySeal,
    Order,
    PartnerRun,
    PlaybookRun,
    PlaybookVersion,
    ProcessRun,
    ReturnCase,
)
from tests.orders import test_command_pages as pages
from tests.orders.attempts_exports import make_written
from tests.orders.attempts_returns import make_announced, make_received

Maker = Callable[[], str]
#: for programs, or outside of the frame; the API has tests of its own
ELSEWHERE = ("api", "codec/", "healthz", "readyz")


def patterns() -> Iterator[tuple[str, URLPattern]]:
    """Each named address with its full name. Django's catch-alls have no name."""
    yield from _under(get_resolver().url_patterns, "", "")


def _under(found: Any, route: str, space: str) -> Iterator[tuple[str, URLPattern]]:
    for pattern in found:
        where = route + str(pattern.pattern)
        if where.startswith(ELSEWHERE):
            continue
        if not isinstance(pattern, URLPattern):
            inner = f"{space}{pattern.namespace}:" if pattern.namespace else space
            yield from _under(pattern.url_patterns, where, inner)
        elif pattern.name:
            yield space + pattern.name, pattern


def model_of(name: str) -> type[Model] | None:
    """The model whose admin an address belongs to."""
    for model in admin.site._registry:
        if name.startswith(f"admin:{model._meta.app_label}_{model._meta.model_name}_"):
            return model
    return None


def takes_a_row(pattern: URLPattern) -> bool:
    return list(pattern.pattern.converters) in (["object_id"], ["id"])


def takes_arguments(name: str) -> bool:
    """Of its own, or of what it is included under."""
    try:
        reverse(name)
    except NoReverseMatch:
        return True
    return False


def _of(name: str, argument: Callable[[], Any]) -> Maker:
    """The address with the arguments that `argument` answers: one, or several as a tuple."""

    def make() -> str:
        given = argument()
        return reverse(name, args=given if isinstance(given, tuple) else [given])

    return make


def _last(model: type[Model], field: str = "pk") -> Callable[[], Any]:
    return lambda: getattr(model._default_manager.order_by("-pk")[0], field)


def _standing(*names: str, on: Callable[[], Any]) -> dict[str, tuple[Maker, ...]]:
    return {name: (_of(name, on),) for name in names}


def _version() -> tuple[str, int]:
    version = PlaybookVersion.objects.select_related("playbook").latest("pk")
    return version.playbook.slug, version.number


def _slug() -> str:
    return _version()[0]


def _invited() -> tuple[str, str]:
    """Of the letter to somebody who has not chosen a password yet."""
    user = User.objects.get(username="invited")
    return user_pk_to_url_str(user), PASSWORD_RESET_TOKEN_GENERATOR().make_token(user)


def _order() -> str:
    return Order.objects.filter(status="placed").earliest("created_at").number


#: every command of a page; they are given, and have no page of their own to look at
ORDER_COMMANDS = (
    *("start", "hold", "release", "place-again", "notice-send", "refund-retry"),
    *("step-retry", "step-pause", "step-resume", "step-skip"),
    *("review-claim", "review-ask", "review-extend", "review-approve", "review-reject"),
)
BATCH_PARTS = ("live", "items", "pause", "resume", "cancel", "retry", "undo")
RUN_COMMANDS = ("pause", "resume", "cancel", "retry", "skip", "answer")
#: pages whose subject is made for them, in a state that fills the page
MADE: Mapping[str, tuple[Maker, ...]] = {
    "orders:page": (pages.placed, pages.on_hold, pages.in_review, pages.failing, pages.completed, pages.owed),
    "orders:cancel": (pages.cancelling,),
    "orders:refund": (pages.refunding,),
    "orders:payment-method": (pages.other_method,),
    "orders:return-announce": (pages.returning,),
    "orders:return-receive": (_of("orders:return-receive", lambda: make_announced().order.number),),
    "orders:return-refund": (_of("orders:return-refund", lambda: make_received().order.number),),
    "orders:playbook": (pages.draft,),
    "orders:playbook-run": (pages.question, pages.failed_step),
    "admin:orders_batch_change": (pages.failed_batch, pages.running_batch),
    "admin:orders_batch_new": (pages.new_batch,),
    "admin:orders_feedimport_change": (pages.checked_import,),
    "admin:orders_processrun_change": (pages.process,),
    "admin:orders_export_new": (pages.new_export,),
    "admin:orders_export_change": (pages.export, _of("admin:orders_export_change", lambda: make_written().pk)),
    "admin:orders_export_download": (_of("admin:orders_export_download", lambda: make_written().pk),),
    "admin:orders_exportplan_change": (pages.export_plan,),
    "admin:orders_partnerrun_start": (pages.new_partner_run,),
    "admin:orders_partnerrun_change": (pages.partner_run,),
}
#: what stands for the arguments of the other addresses, of the rows that are there
STANDING: Mapping[str, tuple[Maker, ...]] = {
    **_standing("orders:return-withdraw", "orders:return-close", on=lambda: ReturnCase.objects.all()[0].order.number),
    **_standing("orders:live", "orders:engine", "orders:playbook-start", "orders:playbook-runs", on=_order),
    **_standing(*(f"orders:{name}" for name in ORDER_COMMANDS), on=_order),
    **_standing("orders:approval", "orders:approval-approve", "orders:approval-decline", on=_last(Approval)),
    **_standing(*(f"orders:playbook-{name}" for name in ("edit", "simulate", "diff", "trigger")), on=_slug),
    **_standing("orders:playbook-publish", "orders:playbook-retire", on=_version),
    **_standing("orders:playbook-run-live", on=_last(PlaybookRun)),
    **_standing(*(f"orders:playbook-{name}" for name in RUN_COMMANDS), on=_last(PlaybookRun)),
    **_standing(*(f"admin:orders_batch_{name}" for name in BATCH_PARTS), on=_last(Batch)),
    **_standing(
        *(f"admin:orders_feedimport_{name}" for name in ("live", "rejected", "invoices")), on=_last(FeedImport)
    ),
    **_standing("admin:orders_feedimport_tell", on=lambda: (str(_last(FeedImport)()), "import_pause")),
    **_standing("admin:orders_processrun_live", "admin:orders_processrun_drive", on=_last(ProcessRun)),
    **_standing("admin:orders_export_live", "admin:orders_export_cancel", on=_last(Export)),
    **_standing(
        *(f"admin:orders_exportplan_{name}" for name in ("edit", "pause", "resume", "run")), on=_last(ExportPlan)
    ),
    **_standing("admin:orders_partnerrun_live", "admin:orders_partnerrun_cancel", on=_last(PartnerRun)),
    **_standing("admin:orders_historyseal_download", on=_last(HistorySeal, "sequence")),
    **_standing("admin:app_list", on=lambda: "orders"),
    # A command, and addresses that are closed or off; no row is looked for.
    **_standing("account_end_session", on=lambda: 0),
    **_standing("account_confirm_email", on=lambda: "key"),
    **_standing("openid_connect_login", "openid_connect_callback", on=lambda: "sso"),
    **_standing("mfa_edit_webauthn", "mfa_remove_webauthn", on=lambda: Authenticator.objects.get(type="webauthn").pk),
    # Of a letter that holds, and of one that does not any more.
    "account_reset_password_from_key": tuple(
        _of("account_reset_password_from_key", key) for key in (_invited, lambda: ("0", "0-0"))
    ),
    # Nothing of ours has an address on another site.
    **_standing("admin:view_on_site", on=lambda: ("0", "0")),
}


def made() -> dict[str, list[str]]:
    """The addresses of `MADE`, with their subjects."""
    return {name: [make() for make in makers] for name, makers in MADE.items()}


def standing(name: str, pattern: URLPattern) -> list[str]:
    """Where an address is looked at that is not in `MADE`."""
    if name in STANDING:
        return [make() for make in STANDING[name]]
    if not takes_arguments(name):
        return [reverse(name)]
    model = model_of(name)
    assert model is not None, f"STANDING has nothing for {name}"
    row = model._default_manager.order_by("-pk").first()
    assert row is not None, f"tests/browser/world.py makes no {model.__name__}"
    return [reverse(name, args=[quote(row.pk)])]


def without_subject() -> list[str]:
    """Addresses for which nobody said what stands for their arguments, and entries for addresses that are gone."""
    known = dict(patterns())
    missing = [
        name
        for name, pattern in known.items()
        if takes_arguments(name) and name not in {*MADE, *STANDING} and not (takes_a_row(pattern) and model_of(name))
    ]
    return [*missing, *({*MADE, *STANDING} - known.keys())]
