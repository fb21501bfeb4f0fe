"""Every text, JSON and binary column of every model, declared as one of a few kinds.

Words of a closed vocabulary (columns with choices) need no entry. Whoever adds a column asks: can a person, or somebody
else's system, write a stranger's name into it? If so it belongs to `MASKED`, or is encrypted.
"""

from __future__ import annotations

from collections.abc import Mapping

from django.apps import apps
from django.contrib.postgres.fields import ArrayField
from django.db.models import BinaryField, CharField, Field, JSONField, Model, TextField

#: what people type or senders write: searched and masked at each erasure
MASKED: Mapping[str, str] = {
    "admin.LogEntry": "object_repr change_message",
    "axes.AccessAttempt": "user_agent username http_accept path_info get_data post_data",
    "axes.AccessFailureLog": "user_agent username http_accept path_info",
    "axes.AccessLog": "user_agent username http_accept path_info",
    "orders.ApiToken": "name revoked_why",
    "orders.Approval": "says parameters reason decision",
    "orders.Batch": "reason note inputs selection summary",
    "orders.BatchItem": "outcome error_message",
    "orders.Command": "reason details outcome",
    "orders.Export": "note reason selection",
    "orders.ExportPlan": "name filter last_problem",
    "orders.FeedDocument": "reject_detail",
    "orders.FeedImport": "name failure_message",
    "orders.Finding": "says repair resolution",
    # Of a repeated request the key alone is compared; a masked one is free for another request.
    "orders.IdempotencyRecord": "key route",
    "orders.Incident": "cause says resolution",
    "orders.Notice": "subject text note",
    "orders.Order": "failure_message",
    "orders.OrderTag": "tag",
    "orders.OutboxMessage": "body last_error",
    "orders.PartnerAnswer": "parameters body",
    "orders.PartnerCall": "error_message outcome",
    "orders.PartnerEndpoint": "name url",
    "orders.PartnerHealth": "last_error",
    "orders.PartnerRun": "reason note",
    "orders.PlaybookRun": "inputs reason message",
    "orders.PlaybookSchedule": "condition last_problem",
    "orders.PlaybookStepRun": "parameters result error",
    "orders.PlaybookTrigger": "condition last_problem",
    "orders.PlaybookVersion": "document title",
    "orders.ProcessRun": "status_reason",
    "orders.ProcessStep": "figures outcome error",
    "orders.QualityCheck": "note",
    "orders.Recovery": "why",
    "orders.Refund": "reason note",
    "orders.RefusedAction": "subject detail",
    "orders.RestoreDifference": "name note",
    "orders.ReturnCase": "reason note",
    "orders.ReviewCase": "question note",
    "orders.ScheduleState": "summary last_result pause_reason",
    "orders.StaffTask": "says resolution reference",
    "orders.Step": "result last_error",
    "orders.SystemEvent": "message note",
    "orders.Voucher": "reason",
    "pghistory.Context": "metadata",
}
#: searched and replaced by code of their own: `erasing.py`, `saved_answers.py`, and `feeds/forgetting.py`, where digits
#: alone may be another row's quantity
REPLACED: Mapping[str, str] = {
    "orders.Customer": "reference",
    "orders.FeedRow": "description customer_reference country error problems raw",
    "orders.IdempotencyRecord": "body",
    "orders.Order": "payment_method",
    "orders.Payment": "payment_method",
    "orders.Shipment": "label_url",
}
#: encrypted, with a key of their own that the erasure or the end of the file destroys
SEALED: Mapping[str, str] = {
    "orders.Customer": "personal",
    "orders.ExportPart": "content",
    "orders.FeedImport": "content",
}
#: what people type, in rows that nobody can change: encrypted, each text with a key that the erasure destroys when it
#: names the person (`orders.models.typed_words`)
TYPED: Mapping[str, str] = {
    "orders.AutomationChange": "before after",
    "orders.FeedLayout": "reason",
    "orders.FraudRules": "reason",
    "orders.OrderEvent": "reason",
}
#: the same in clear: names of things, and what an event says besides; they stay, and the report counts them. What an
#: earlier version has stored of `TYPED` stays too
STAYS: Mapping[str, str] = {
    "orders.AutomationChange": "subject",
    "orders.OrderEvent": "data",
}
#: no words of strangers: ids, digests, states, figures, accounts and roles of ours, names of goods, words of a partner
WORDLESS: Mapping[str, str] = {
    # Of accounts of ours, as what follows.
    "account.EmailAddress": "email",
    "account.EmailConfirmation": "key",
    "admin.LogEntry": "object_id",
    "auth.Group": "name",
    "auth.Permission": "name codename",
    "auth.User": "password username first_name last_name email",
    "axes.AccessLog": "session_hash",
    "contenttypes.ContentType": "app_label model",
    "mfa.Authenticator": "data",
    "orders.ApiToken": "digest token_key scopes issued_by revoked_by",
    "orders.Approval": "command subject asked_digest decided_digest",
    "orders.ApprovalMaker": "part",
    "orders.AutomationChange": "actor",
    "orders.Batch": "actor sums",
    "orders.BatchItem": "error_type former_status",
    "orders.Command": "subject actor request_id",
    "orders.CreditNote": "source number",
    "orders.CreditNoteLine": "sku description",
    "orders.Customer": "erased_digest",
    "orders.CustomerKey": "master_key_id wrapped",
    "orders.Dispute": "gateway_reference reason gateway_status",
    "orders.EngineUse": "name proof",
    "orders.Export": "actor",
    "orders.FeedDocument": "reference",
    "orders.FeedImport": "layout sha256 actor",
    "orders.FeedLayout": "name columns default_country payment_method credit_note_prefix made_by",
    "orders.FeedRow": "reference sku",
    "orders.FileKey": "master_key_id wrapped",
    "orders.Finding": "reference payments",
    "orders.FraudCheck": "hits partner_reasons",
    "orders.FraudRules": "made_by",
    "orders.GatewayEvent": "id type payment_reference object_reference outcome",
    "orders.GivenPermission": "role permission",
    "orders.HistorySeal": "heads_hash logs_hash previous_hash hash actor",
    "orders.IdempotencyRecord": "request_hash",
    "orders.LedgerTransfer": "key",
    "orders.MaskedLine": "log row_key before_hash after_hash keyed_digest",
    "orders.Notice": "key",
    "orders.Order": "number source reference ship_to_country process_run_id chain_head",
    "orders.OrderEvent": "actor step status_before status_after workflow_id run_id previous_hash hash",
    "orders.OrderLine": "description",
    "orders.OrderTag": "made_by",
    "orders.OutboxMessage": "aggregate",
    "orders.PartnerAnswer": "key endpoint",
    "orders.PartnerCall": "subject error_type",
    "orders.PartnerEndpoint": "made_by",
    "orders.PartnerHealth": "failed_subjects",
    "orders.PartnerRun": "actor",
    "orders.Payment": "gateway_reference refund_reference decline_code gateway_status action_url",
    "orders.Playbook": "slug created_by",
    "orders.PlaybookRun": "version_hash cause",
    "orders.PlaybookSchedule": "made_by cursor",
    "orders.PlaybookStepRun": "path step_id type decided_by",
    "orders.PlaybookTrigger": "made_by",
    "orders.PlaybookVersion": "hash keyed_digest",
    "orders.ProcessDifference": "reference says",
    "orders.ProcessRun": "status_by actor",
    "orders.ProcessStep": "cursor",
    "orders.Product": "sku name",
    "orders.ProductEvent": "pgh_label sku name",
    "orders.QualitySample": "run_id",
    "orders.QuestionLease": "key",
    "orders.QueueState": "name",
    "orders.Recovery": "ended_run_id run_id asked_by",
    "orders.Refund": "key actor gateway_reference gateway_status",
    "orders.RefusedAction": "actor action permission address request_id",
    "orders.RequestCount": "caller",
    "orders.RestoreDifference": "reference payment_reference currency decided_by",
    "orders.ReturnCase": "actor received_by ended_by",
    "orders.ScheduleState": "name last_workflow_id paused_by written",
    "orders.SealedHead": "order_number chain_head",
    "orders.SealedLog": "log rows_hash",
    "orders.ServiceBeat": "identity service detail stopped",
    # Names of limits with digests of whom they are about, and how often; for a day at most.
    "orders.SharedNote": "key value",
    "orders.Shipment": "reference carrier tracking_number",
    "orders.StaffTask": "subject opened_by done_by",
    "orders.Step": "key",
    "orders.SweepProgress": "skipped cursor closed_cursor places again",
    "orders.SystemEvent": "request_id workflow_id run_id activity error_type",
    "orders.TrackingEvent": "event_id",
    "orders.Voucher": "code key made_by",
    "orders.WordKey": "master_key_id wrapped",
    # Signed; what it holds are ids, and at most a message until the next page.
    "sessions.Session": "session_key session_data",
    "socialaccount.SocialAccount": "provider uid extra_data",
    "socialaccount.SocialApp": "provider provider_id name client_id secret key settings",
    "socialaccount.SocialToken": "token token_secret",
    "usersessions.UserSession": "session_key user_agent data",
}
KINDS = (MASKED, REPLACED, SEALED, TYPED, STAYS, WORDLESS)


def columns(kind: Mapping[str, str]) -> dict[type[Model], tuple[str, ...]]:
    """The columns of a kind, by model."""
    return {apps.get_model(label): tuple(names.split()) for label, names in kind.items()}


def declared(label: str) -> list[str]:
    """All columns of the model that stand in some kind."""
    return [name for kind in KINDS for name in kind.get(label, "").split()]


def texts_of(model: type[Model]) -> list[str]:
    """The columns of the model that could hold words."""
    return [field.name for field in model._meta.concrete_fields if _holds_words(field)]


def _holds_words(field: Field) -> bool:  # type: ignore[type-arg]
    if isinstance(field, ArrayField):
        return _holds_words(field.base_field)
    is_text = isinstance(field, CharField | TextField | JSONField | BinaryField)
    return is_text and not field.choices
