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
    START_PLAYBOOK = "playbook.start"
    TELL_PLAYBOOK = "playbook.tell"  # something was decided about a run; its process must look
    CANCEL_PLAYBOOK = "playbook.cancel"
    FIRE_TRIGGERS = "playbook.event"  # an event of an order starts playbooks by itself
