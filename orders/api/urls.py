"""The addresses of the API. The last one catches the rest, so that nothing below /api/ answers with an HTML page."""

from django.urls import path, re_path

from orders.api.approval_views import Approvals
from orders.api.customer_views import Customers
from orders.api.import_views import Imports
from orders.api.order_command_views import OrderCommands, Reviews, StepCommands
from orders.api.order_views import OrderHistory, Orders
from orders.api.partner_views import Partners
from orders.api.playbook_run_views import PlaybookRuns
from orders.api.playbook_trigger_views import PlaybookStarts
from orders.api.playbook_views import Playbooks
from orders.api.refund_views import Refunds
from orders.api.task_views import Tasks
from orders.api.token_views import Tokens
from orders.api.views import Docs, NotHere, Root, Schema
from orders.api.why_views import WhyOrders
from orders.vocabulary import PartnerCode

app_name = "api"
# An address that cannot be an order's number never reaches the database.
ORDER = r"^orders/(?P<number>[A-Za-z0-9-]{1,32})/"
PARTNER = rf"^partners/(?P<code>{'|'.join(PartnerCode)})/"
PLAYBOOK = r"^playbooks/(?P<slug>[a-z][a-z0-9_]{0,39})/"
VERSION = rf"{PLAYBOOK}versions/(?P<number>[1-9][0-9]{{0,8}})/"

urlpatterns = [
    path("", Root.as_view(), name="root"),
    path("orders/", Orders.as_view({"get": "list", "post": "create"}), name="orders"),
    re_path(rf"{ORDER}\Z", Orders.as_view({"get": "retrieve"}), name="order"),
    re_path(rf"{ORDER}why/\Z", WhyOrders.as_view({"get": "retrieve"}), name="order-why"),
    re_path(rf"{ORDER}start/\Z", Orders.as_view({"post": "start"}), name="order-start"),
    re_path(rf"{ORDER}hold/\Z", OrderCommands.as_view({"post": "hold"}), name="order-hold"),
    re_path(rf"{ORDER}release/\Z", OrderCommands.as_view({"post": "release"}), name="order-release"),
    re_path(rf"{ORDER}cancel/\Z", OrderCommands.as_view({"get": "plan", "post": "cancel"}), name="order-cancel"),
    re_path(rf"{ORDER}step/retry/\Z", StepCommands.as_view({"post": "retry"}), name="order-step-retry"),
    re_path(rf"{ORDER}step/pause/\Z", StepCommands.as_view({"post": "pause"}), name="order-step-pause"),
    re_path(rf"{ORDER}step/resume/\Z", StepCommands.as_view({"post": "resume"}), name="order-step-resume"),
    re_path(rf"{ORDER}refunds/\Z", Refunds.as_view({"get": "list", "post": "create"}), name="order-refunds"),
    re_path(rf"{ORDER}refunds/retry/\Z", Refunds.as_view({"post": "retry"}), name="order-refund-retry"),
    re_path(rf"{ORDER}review/claim/\Z", Reviews.as_view({"post": "claim"}), name="review-claim"),
    re_path(rf"{ORDER}review/ask/\Z", Reviews.as_view({"post": "ask"}), name="review-ask"),
    re_path(rf"{ORDER}review/extend/\Z", Reviews.as_view({"post": "extend"}), name="review-extend"),
    re_path(rf"{ORDER}review/approve/\Z", Reviews.as_view({"post": "approve"}), name="review-approve"),
    re_path(rf"{ORDER}review/reject/\Z", Reviews.as_view({"post": "reject"}), name="review-reject"),
    path("reviews/", Reviews.as_view({"get": "list"}), name="reviews"),
    re_path(rf"{ORDER}history/\Z", OrderHistory.as_view({"get": "list"}), name="order-history"),
    re_path(
        r"^customers/(?P<reference>[^/\x00]{1,64})/erase/\Z",
        Customers.as_view({"post": "erase"}),
        name="customer-erase",
    ),
    path("imports/", Imports.as_view({"post": "create"}), name="imports"),
    path("imports/<uuid:pk>/", Imports.as_view({"get": "retrieve"}), name="import"),
    path("imports/<uuid:pk>/rejected/", Imports.as_view({"get": "rejected"}), name="import-rejected"),
    path("approvals/", Approvals.as_view({"get": "list"}), name="approvals"),
    path("approvals/<uuid:pk>/approve/", Approvals.as_view({"post": "approve"}), name="approval-approve"),
    path("approvals/<uuid:pk>/decline/", Approvals.as_view({"post": "decline"}), name="approval-decline"),
    path("partners/", Partners.as_view({"get": "list"}), name="partners"),
    re_path(rf"{PARTNER}hold/\Z", Partners.as_view({"post": "hold"}), name="partner-hold"),
    re_path(rf"{PARTNER}probe/\Z", Partners.as_view({"post": "probe"}), name="partner-probe"),
    re_path(rf"{PARTNER}close/\Z", Partners.as_view({"post": "close"}), name="partner-close"),
    path("tasks/", Tasks.as_view({"get": "list"}), name="tasks"),
    path("tasks/<uuid:pk>/acknowledge/", Tasks.as_view({"post": "acknowledge"}), name="task-acknowledge"),
    path("tasks/<uuid:pk>/resolve/", Tasks.as_view({"post": "resolve"}), name="task-resolve"),
    path("playbooks/", Playbooks.as_view({"get": "list"}), name="playbooks"),
    path("playbook-catalogue/", Playbooks.as_view({"get": "catalogue"}), name="playbook-catalogue"),
    path("playbook-schema/", Playbooks.as_view({"get": "definition"}), name="playbook-schema"),
    re_path(
        rf"{PLAYBOOK}versions/\Z", Playbooks.as_view({"get": "versions", "post": "save"}), name="playbook-versions"
    ),
    re_path(
        rf"{PLAYBOOK}starts/\Z", PlaybookStarts.as_view({"get": "list", "post": "trigger"}), name="playbook-starts"
    ),
    re_path(rf"{PLAYBOOK}starts/schedule/\Z", PlaybookStarts.as_view({"post": "schedule"}), name="playbook-schedule"),
    re_path(rf"{PLAYBOOK}simulate/\Z", Playbooks.as_view({"post": "simulate"}), name="playbook-simulate"),
    re_path(rf"{VERSION}\Z", Playbooks.as_view({"get": "version"}), name="playbook-version"),
    re_path(rf"{VERSION}publish/\Z", Playbooks.as_view({"post": "publish"}), name="playbook-publish"),
    re_path(rf"{VERSION}retire/\Z", Playbooks.as_view({"post": "retire"}), name="playbook-retire"),
    path("playbook-runs/", PlaybookRuns.as_view({"get": "list", "post": "start"}), name="playbook-runs"),
    path("playbook-runs/<uuid:pk>/", PlaybookRuns.as_view({"get": "retrieve"}), name="playbook-run"),
    *(
        path(f"playbook-runs/<uuid:pk>/{verb}/", PlaybookRuns.as_view({"post": verb}), name=f"playbook-run-{verb}")
        for verb in ("pause", "resume", "cancel", "retry", "skip", "answer")
    ),
    path("tokens/", Tokens.as_view({"get": "list", "post": "create"}), name="tokens"),
    path("tokens/<uuid:token_id>/revoke/", Tokens.as_view({"post": "revoke"}), name="token-revoke"),
    path("schema/", Schema.as_view(), name="schema"),
    path("docs/", Docs.as_view(), name="docs"),
    re_path(r"", NotHere.as_view(), name="not-here"),
]
