"""Who acts through which door, what they may ask for, and what the relay carries to Temporal."""

from enum import StrEnum


class ActorKind(StrEnum):
    PERSON = "person"
    SYSTEM = "system"


class Channel(StrEnum):
    """The door through which a command or change came."""

    ADMIN = "admin"
    API = "api"
    CLI = "cli"
    FEED = "feed"
    ENGINE = "engine"


class CommandKind(StrEnum):
    START = "start"
    PLACE_AGAIN = "place_again"
    HOLD = "hold"
    RELEASE = "release"
    CANCEL = "cancel"
    STEP_RETRY = "step_retry"
    STEP_PAUSE = "step_pause"
    STEP_RESUME = "step_resume"
    REFUND = "refund"
    REFUND_RETRY = "refund_retry"
    REVIEW_CLAIM = "review_claim"
    REVIEW_APPROVE = "review_approve"
    REVIEW_REJECT = "review_reject"
    REVIEW_ASK = "review_ask"
    REVIEW_EXTEND = "review_extend"
    IMPORT_FEED = "import_feed"
    ERASE_CUSTOMER = "erase_customer"
    PARTNER_HOLD = "partner_hold"
    PARTNER_PROBE = "partner_probe"
    PARTNER_CLOSE = "partner_close"
    STEP_SKIP = "step_skip"
    PAYMENT_METHOD = "payment_method"
    RETURN_ANNOUNCE = "return_announce"
    RETURN_RECEIVE = "return_receive"
    RETURN_WITHDRAW = "return_withdraw"
    RETURN_REFUND = "return_refund"
    RETURN_CLOSE = "return_close"
    PROCESS_START = "process_start"
    PROCESS_PAUSE = "process_pause"
    PROCESS_RESUME = "process_resume"
    PROCESS_CANCEL = "process_cancel"
    SCHEDULE_PAUSE = "schedule_pause"
    SCHEDULE_RESUME = "schedule_resume"
    SCHEDULE_RUN = "schedule_run"
    SCHEDULE_BACKFILL = "schedule_backfill"
    NOTICE_SEND = "notice_send"
    IMPORT_COMMIT = "import_commit"
    IMPORT_PAUSE = "import_pause"
    IMPORT_RESUME = "import_resume"
    IMPORT_CANCEL = "import_cancel"
    PARTNER_RUN = "partner_run"
    PARTNER_RUN_CANCEL = "partner_run_cancel"
    QUALITY_PASS = "quality_pass"
    QUALITY_FAIL = "quality_fail"
    BATCH_RUN = "batch_run"
    BATCH_PAUSE = "batch_pause"
    BATCH_RESUME = "batch_resume"
    BATCH_CANCEL = "batch_cancel"
    BATCH_RETRY = "batch_retry"
    BATCH_UNDO = "batch_undo"
    EXPORT = "export"
    EXPORT_CANCEL = "export_cancel"
    EXPORT_DOWNLOAD = "export_download"
    EXPORT_PLAN = "export_plan"
    EXPORT_PLAN_CHANGE = "export_plan_change"
    EXPORT_PLAN_PAUSE = "export_plan_pause"
    EXPORT_PLAN_RESUME = "export_plan_resume"
    EXPORT_PLAN_RUN = "export_plan_run"
    PLAYBOOK_START = "playbook_start"
    PLAYBOOK_PAUSE = "playbook_pause"
    PLAYBOOK_RESUME = "playbook_resume"
    PLAYBOOK_CANCEL = "playbook_cancel"
    PLAYBOOK_RETRY = "playbook_retry"
    PLAYBOOK_SKIP = "playbook_skip"
    PLAYBOOK_ANSWER = "playbook_answer"


class CommandStatus(StrEnum):
    ACCEPTED = "accepted"  # recorded with its outbox row
    DONE = "done"


class ApprovalStatus(StrEnum):
    """What became of a command that needs a second person."""

    WAITING = "waiting"
    DONE = "done"  # a second person agreed, and it was done
    DECLINED = "declined"
    EXPIRED = "expired"
    VOID = "void"  # approved too late: what it was about had changed


#: PostgreSQL channel that wakes relays
OUTBOX_CHANNEL = "backoffice_outbox"


class Topic(StrEnum):
    """Outbox topics: imperative; the starter has one function for each."""

    START_ORDER = "order.start"
    TELL_ORDER = "order.tell"  # a command was recorded; the process must look
    CANCEL_ORDER = "order.cancel"
    DRIVE_STEP = "order.step"  # try again at once, pause or resume; the kind of the command says which
    START_FEED_IMPORT = "feed_import.start"
    SEND_REFUND = "refund.send"  # there is something to do for the refund's process
    COMMAND_OVER = "command.over"  # the time of a hold or a pause is over; obeyed in the database, Temporal hears after
    TELL_PROCESS = "process.tell"  # a run was started, or a command for it recorded
    DRIVE_SCHEDULE = "schedule.drive"  # pause, resume, run now or backfill; the kind of the command says which
    SEND_NOTICE = "notice.send"
    TELL_FEED_IMPORT = "feed_import.tell"  # a command was recorded; the import must look
    START_PARTNER_RUN = "partner_run.start"
    CANCEL_PARTNER_RUN = "partner_run.cancel"
    RECOVER_ORDER = "order.recover"  # its process ended from outside; another one undoes it
    RUN_BATCH = "batch.run"  # there is something to do for the batch's process
    RUN_EXPORT = "export.run"
    START_PLAYBOOK = "playbook.start"
    TELL_PLAYBOOK = "playbook.tell"  # something was decided about a run; its process must look
    CANCEL_PLAYBOOK = "playbook.cancel"
    GATEWAY_EVENT = "gateway.event"  # the payment gateway told of a payment; its books are read again
    FIRE_TRIGGERS = "playbook.event"  # an event of an order starts playbooks by itself
