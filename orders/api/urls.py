"""The addresses of the API. The last one catches the rest, so that nothing below /api/ answers with an HTML page."""

from django.urls import path, re_path

from orders.api.approval_views import Approvals
from orders.api.batch_views import BatchCommands, Batches, BatchItems
from orders.api.customer_views import Customers
from orders.api.dispute_views import Disputes
from orders.api.export_plan_views import ExportPlans
from orders.api.export_views import Exports
from orders.api.finding_views import Findings
from orders.api.gateway_event_views import GatewayEvents
from orders.api.import_command_views import ImportCommands
from orders.api.import_views import Imports
from orders.api.incident_views import Incidents
from orders.api.notice_views import Notices
from orders.api.order_command_views import OrderCommands, Reviews, StepCommands
from orders.api.order_views import OrderHistory, Orders
from orders.api.partner_run_views import OrderAnswers, PartnerRunCalls, PartnerRuns
from orders.api.partner_views import Partners
from orders.api.playbook_run_views import PlaybookRuns
from orders.api.playbook_trigger_views import PlaybookStarts
from orders.api.playbook_views import Playbooks
from orders.api.process_views import Processes
from orders.api.quality_views import QualityChecks
from orders.api.refund_views import Refunds
from orders.api.restore_views import RestoreDifferences
from orders.api.return_views import OrderReturns, Returns
from orders.api.schedule_views import Health, Schedules
from orders.api.system_event_views import SystemEvents
from orders.api.task_views import Tasks
from orders.api.token_views import Tokens
from orders.api.views import Docs, NotHere, Root, Schema
from orders.api.why_views import WhyOrders
from orders.vocabulary import PartnerCode

app_name = "api"
# An address that cannot be an order's number never reaches the database.
ORDER = r"^orders/(?P<number>[A-Za-z0-9-]{1,32})/"
#: a schedule of ours
SCHEDULE = r"^schedules/(?P<name>backoffice:[a-z0-9-]{1,64})/"
PARTNER = rf"^partners/(?P<code>{'|'.join(PartnerCode)})/"
PLAYBOOK = r"^playbooks/(?P<slug>[a-z][a-z0-9_]{0,39})/"
VERSION = rf"{PLAYBOOK}versions/(?P<number>[1-9][0-9]{{0,8}})/"

urlpatterns = [
    path("", Root.as_view(), name="root"),
    path("orders/", Orders.as_view({"get": "list", "post": "create"}), name="orders"),
    re_path(rf"{ORDER}\Z", Orders.as_view({"get": "retrieve"}), name="order"),
    re_path(rf"{ORDER}why/\Z", WhyOrders.as_view({"get": "retrieve"}), name="order-why"),
    re_path(rf"{ORDER}start/\Z", Orders.as_view({"post": "start"}), name="order-start"),
    re_path(rf"{ORDER}place-again/\Z", Orders.as_view({"post": "place_again"}), name="order-place-again"),
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
    re_path(rf"{ORDER}notices/\Z", Notices.as_view({"get": "list"}), name="order-notices"),
    re_path(rf"{ORDER}notice/send/\Z", Notices.as_view({"post": "send"}), name="order-notice-send"),
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
    path("imports/<uuid:pk>/report/", Imports.as_view({"get": "report"}), name="import-report"),
    path("imports/<uuid:pk>/invoices/", Imports.as_view({"get": "invoices"}), name="import-invoices"),
    path("imports/<uuid:pk>/commit/", ImportCommands.as_view({"post": "commit"}), name="import-commit"),
    path("imports/<uuid:pk>/pause/", ImportCommands.as_view({"post": "pause"}), name="import-pause"),
    path("imports/<uuid:pk>/resume/", ImportCommands.as_view({"post": "resume"}), name="import-resume"),
    path("imports/<uuid:pk>/cancel/", ImportCommands.as_view({"post": "cancel"}), name="import-cancel"),
    path("exports/", Exports.as_view({"post": "create"}), name="exports"),
    path("exports/<uuid:pk>/", Exports.as_view({"get": "retrieve"}), name="export"),
    path("exports/<uuid:pk>/cancel/", Exports.as_view({"post": "cancel"}), name="export-cancel"),
    path("exports/<uuid:pk>/download/", Exports.as_view({"get": "download"}), name="export-download"),
    path("export-plans/", ExportPlans.as_view({"get": "list", "post": "create"}), name="export-plans"),
    path("export-plans/<uuid:pk>/", ExportPlans.as_view({"get": "retrieve"}), name="export-plan"),
    *(
        path(f"export-plans/<uuid:pk>/{verb}/", ExportPlans.as_view({"post": verb}), name=f"export-plan-{verb}")
        for verb in ("change", "pause", "resume", "run")
    ),
    path("approvals/", Approvals.as_view({"get": "list"}), name="approvals"),
    path("approvals/<uuid:pk>/", Approvals.as_view({"get": "retrieve"}), name="approval"),
    path("approvals/<uuid:pk>/approve/", Approvals.as_view({"post": "approve"}), name="approval-approve"),
    path("approvals/<uuid:pk>/decline/", Approvals.as_view({"post": "decline"}), name="approval-decline"),
    path("disputes/", Disputes.as_view({"get": "list"}), name="disputes"),
    path("gateway/events/", GatewayEvents.as_view({"post": "create"}), name="gateway-events"),
    path("partners/", Partners.as_view({"get": "list"}), name="partners"),
    re_path(rf"{PARTNER}hold/\Z", Partners.as_view({"post": "hold"}), name="partner-hold"),
    re_path(rf"{PARTNER}probe/\Z", Partners.as_view({"post": "probe"}), name="partner-probe"),
    re_path(rf"{PARTNER}close/\Z", Partners.as_view({"post": "close"}), name="partner-close"),
    re_path(rf"{PARTNER}runs/\Z", PartnerRuns.as_view({"post": "create"}), name="partner-runs"),
    path("partner-runs/<uuid:pk>/", PartnerRuns.as_view({"get": "retrieve"}), name="partner-run"),
    path("partner-runs/<uuid:pk>/calls/", PartnerRunCalls.as_view({"get": "list"}), name="partner-run-calls"),
    path("partner-runs/<uuid:pk>/cancel/", PartnerRuns.as_view({"post": "cancel"}), name="partner-run-cancel"),
    re_path(rf"{ORDER}answers/\Z", OrderAnswers.as_view({"get": "list"}), name="order-answers"),
    path("tasks/", Tasks.as_view({"get": "list"}), name="tasks"),
    path("tasks/<uuid:pk>/acknowledge/", Tasks.as_view({"post": "acknowledge"}), name="task-acknowledge"),
    path("tasks/<uuid:pk>/resolve/", Tasks.as_view({"post": "resolve"}), name="task-resolve"),
    path("processes/", Processes.as_view({"post": "create"}), name="processes"),
    path("process-runs/", Processes.as_view({"get": "list"}), name="process-runs"),
    path("process-runs/<uuid:pk>/", Processes.as_view({"get": "retrieve"}), name="process-run"),
    path("process-runs/<uuid:pk>/pause/", Processes.as_view({"post": "pause"}), name="process-pause"),
    path("process-runs/<uuid:pk>/resume/", Processes.as_view({"post": "resume"}), name="process-resume"),
    path("process-runs/<uuid:pk>/cancel/", Processes.as_view({"post": "cancel"}), name="process-cancel"),
    path("schedules/", Schedules.as_view({"get": "list"}), name="schedules"),
    re_path(rf"{SCHEDULE}pause/\Z", Schedules.as_view({"post": "pause"}), name="schedule-pause"),
    re_path(rf"{SCHEDULE}resume/\Z", Schedules.as_view({"post": "resume"}), name="schedule-resume"),
    re_path(rf"{SCHEDULE}run/\Z", Schedules.as_view({"post": "run"}), name="schedule-run"),
    re_path(rf"{SCHEDULE}backfill/\Z", Schedules.as_view({"post": "backfill"}), name="schedule-backfill"),
    path("health/", Health.as_view({"get": "retrieve"}), name="health"),
    path("system-events/", SystemEvents.as_view({"get": "list"}), name="system-events"),
    path(
        "system-events/<uuid:pk>/acknowledge/",
        SystemEvents.as_view({"post": "acknowledge"}),
        name="system-event-acknowledge",
    ),
    path("restore-differences/", RestoreDifferences.as_view({"get": "list"}), name="restore-differences"),
    path("restore-differences/decide/", RestoreDifferences.as_view({"post": "decide"}), name="restore-decide"),
    path("incidents/", Incidents.as_view({"get": "list"}), name="incidents"),
    path("incidents/<uuid:pk>/", Incidents.as_view({"get": "retrieve"}), name="incident"),
    path("incidents/<uuid:pk>/decide/", Incidents.as_view({"post": "decide"}), name="incident-decide"),
    path("findings/", Findings.as_view({"get": "list"}), name="findings"),
    path("quality-checks/", QualityChecks.as_view({"get": "list"}), name="quality-checks"),
    path("quality-checks/<uuid:pk>/pass/", QualityChecks.as_view({"post": "passed"}), name="quality-check-pass"),
    path("quality-checks/<uuid:pk>/fail/", QualityChecks.as_view({"post": "failed"}), name="quality-check-fail"),
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
    path("batches/", Batches.as_view({"get": "list", "post": "create"}), name="batches"),
    path("batches/preview/", Batches.as_view({"post": "preview"}), name="batch-preview"),
    path("batches/<uuid:pk>/", Batches.as_view({"get": "retrieve"}), name="batch"),
    path("batches/<uuid:pk>/items/", BatchItems.as_view({"get": "list"}), name="batch-items"),
    path("batches/<uuid:pk>/items/download/", BatchItems.as_view({"get": "download"}), name="batch-download"),
    path("batches/<uuid:pk>/pause/", BatchCommands.as_view({"post": "pause"}), name="batch-pause"),
    path("batches/<uuid:pk>/resume/", BatchCommands.as_view({"post": "resume"}), name="batch-resume"),
    path("batches/<uuid:pk>/cancel/", BatchCommands.as_view({"post": "cancel"}), name="batch-cancel"),
    path("batches/<uuid:pk>/retry-failed/", BatchCommands.as_view({"post": "retry_failed"}), name="batch-retry"),
    path("batches/<uuid:pk>/undo/", BatchCommands.as_view({"post": "undo"}), name="batch-undo"),
    path("schema/", Schema.as_view(), name="schema"),
    path("docs/", Docs.as_view(), name="docs"),
    re_path(r"", NotHere.as_view(), name="not-here"),
]
