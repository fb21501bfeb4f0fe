"""The addresses of the API. The last one catches the rest, so that nothing below /api/ answers with an HTML page."""

from django.urls import path, re_path

from orders.api.approval_views import Approvals
from orders.api.customer_views import Customers
from orders.api.export_views import Exports
from orders.api.import_views import Imports
from orders.api.order_command_views import OrderCommands, Reviews, StepCommands
from orders.api.order_views import OrderHistory, Orders
from orders.api.partner_views import Partners
from orders.api.refund_views import Refunds
from orders.api.return_views import OrderReturns, Returns
from orders.api.task_views import Tasks
from orders.api.token_views import Tokens
from orders.api.views import Docs, NotHere, Root, Schema
from orders.api.why_views import WhyOrders
from orders.vocabulary import PartnerCode

app_name = "api"
# An address that cannot be an order's number never reaches the database.
ORDER = r"^orders/(?P<number>[A-Za-z0-9-]{1,32})/"
PARTNER = rf"^partners/(?P<code>{'|'.join(PartnerCode)})/"

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
    re_path(rf"{ORDER}step/skip/\Z", StepCommands.as_view({"post": "skip"}), name="order-step-skip"),
    re_path(
        rf"{ORDER}payment-method/\Z", OrderCommands.as_view({"post": "payment_method"}), name="order-payment-method"
    ),
    re_path(rf"{ORDER}refunds/\Z", Refunds.as_view({"get": "list", "post": "create"}), name="order-refunds"),
    re_path(rf"{ORDER}refunds/retry/\Z", Refunds.as_view({"post": "retry"}), name="order-refund-retry"),
    re_path(rf"{ORDER}returns/\Z", OrderReturns.as_view({"get": "list", "post": "announce"}), name="order-returns"),
    path("returns/<uuid:pk>/receive/", Returns.as_view({"post": "receive"}), name="return-receive"),
    path("returns/<uuid:pk>/withdraw/", Returns.as_view({"post": "withdraw"}), name="return-withdraw"),
    path("returns/<uuid:pk>/refund/", Returns.as_view({"post": "refund"}), name="return-refund"),
    path("returns/<uuid:pk>/close/", Returns.as_view({"post": "close"}), name="return-close"),
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
    path("exports/", Exports.as_view({"post": "create"}), name="exports"),
    path("exports/<uuid:pk>/", Exports.as_view({"get": "retrieve"}), name="export"),
    path("exports/<uuid:pk>/cancel/", Exports.as_view({"post": "cancel"}), name="export-cancel"),
    path("exports/<uuid:pk>/download/", Exports.as_view({"get": "download"}), name="export-download"),
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
    path("tokens/", Tokens.as_view({"get": "list", "post": "create"}), name="tokens"),
    path("tokens/<uuid:token_id>/revoke/", Tokens.as_view({"post": "revoke"}), name="token-revoke"),
    path("schema/", Schema.as_view(), name="schema"),
    path("docs/", Docs.as_view(), name="docs"),
    re_path(r"", NotHere.as_view(), name="not-here"),
]
