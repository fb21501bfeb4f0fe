"""Domain errors as Temporal understands them: final or to be retried, typed, short, without personal data.

PostgreSQL puts the values of the offending row into its messages, and whatever an activity raises is stored in the
history. So only our own sentences pass; of every other error its class name is told, and the rest goes to the log.
"""

import logging
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from django.core.exceptions import ObjectDoesNotExist
from django.db import Error as DatabaseError
from temporalio import activity
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory, FailureError

from orders import database_errors
from orders.database_errors import is_passing
from orders.errors import DomainError, NoSuchOrder, PartnerUnavailable, RequestRefused, StaleAttempt, StepMissing
from orders.services import system_events
from orders.services.run_kinds import KINDS
from orders.services.sweeping import restoring
from orders.vocabulary import FailureType
from temporal_app.policies import NO_ROW, UNEXPECTED
from temporal_app.runs import kind_of

logger = logging.getLogger(__name__)

#: two transactions that meet are weather; the same trouble at the third attempt is somebody's to look into
DATABASE_PATIENCE = 3
NO_ROW_SAYS = "The database has no row of this process"
ROOT = Path(__file__).resolve().parent.parent


@contextmanager
def translated_errors(*, undoing: bool = False, final: tuple[type[DomainError], ...] | None = None) -> Iterator[None]:
    """Around the body of every activity: our own errors leave as `ApplicationError`.

    With `undoing` nothing is final: an undo that was given up would leave money or stock where it does not belong. It
    is retried until it succeeds, and staff see it among the steps that fail. With `final` only errors of those types
    are final: whoever counts the attempts says when there are no more.
    """
    try:
        yield
    except PartnerUnavailable as error:
        # Out of order or busy: the activity waits as long as the breaker or the partner says, and so does the workflow.
        known = error.retry_after is not None
        failure = FailureType.PARTNER_DOWN if known else error.failure_type
        raise ApplicationError(str(error)[:500], type=failure, next_retry_delay=error.retry_after) from None
    except StaleAttempt as error:
        # Retried too: the next one finds what the winner has done.
        raise ApplicationError(str(error)[:500], type=error.failure_type) from None
    except (StepMissing, NoSuchOrder) as error:
        # The process must go back, or end, in an undo too: tried again as it is, it would be refused for ever.
        raise ApplicationError(str(error)[:500], type=error.failure_type, non_retryable=True) from None
    except DomainError as error:
        # A step that is parked with a task waits for somebody to mend it, and the workflow waits with it.
        parked = error.retry_after if isinstance(error, RequestRefused) else None
        final_here = not undoing if final is None else isinstance(error, final)
        # Benign: a declined card is an answer, and must not fill the error log.
        raise ApplicationError(
            str(error)[:500],
            type=error.failure_type,
            next_retry_delay=parked,
            non_retryable=final_here and parked is None,
            category=ApplicationErrorCategory.UNSPECIFIED if undoing else ApplicationErrorCategory.BENIGN,
        ) from None
    except DatabaseError as error:
        raise _of_database(error) from None
    except FailureError:
        # Temporal's own words: a cancellation, or an error that is told as it must be.
        raise
    except Exception as error:
        if is_passing(error):
            raise _of_database(error) from None
        if isinstance(error, ObjectDoesNotExist) and _has_no_row():
            raise ApplicationError(NO_ROW_SAYS, type=NO_ROW, non_retryable=True) from None
        logger.exception("An activity failed unexpectedly")
        _remember(UNEXPECTED, error)
        raise ApplicationError(f"An unexpected error: {type(error).__name__}", type=UNEXPECTED) from None


def _has_no_row() -> bool:
    """Whether the row of the process that asks is gone, and a lead has looked at the database that forgot it."""
    named = kind_of(activity.info().workflow_id or "")
    if named is None:
        return False
    kind, key = KINDS[named[0]], named[1]
    name = kind.name(key)
    is_there = kind.is_name(name) and kind.rows.filter(**{kind.column: name}).exists()
    return not is_there and not restoring.is_standing()


def _of_database(error: Exception) -> ApplicationError:
    # Its message quotes values of the row.
    logger.warning("The database failed an activity: %s", type(error).__name__, exc_info=error)
    _remember("database", error, from_attempt=DATABASE_PATIENCE)
    return ApplicationError(f"The database did not answer: {type(error).__name__}", type="database")


def _remember(error_type: str, error: Exception, *, from_attempt: int = 1) -> None:
    """Write a system event about the running activity; nothing outside of one."""
    if not activity.in_activity():
        return
    info = activity.info()
    if info.attempt < from_attempt:
        return
    workflow_id = info.workflow_id or ""
    kind, _, business_id = workflow_id.partition(":")
    of_an_order = kind in {"order", "order-recovery"}
    says = root_cause_words(error)
    system_events.remember(
        error_type,
        says,
        workflow_id=workflow_id,
        run_id=info.workflow_run_id or "",
        activity=info.activity_type,
        attempt=info.attempt,
        order_id=business_id if of_an_order else None,
        cause=f"{info.activity_type}: {says}" if of_an_order else "",
    )


def _is_ours(path: Path) -> bool:
    # Libraries may be installed within the checkout; and every statement passes through one module of ours.
    return path.is_relative_to(ROOT) and "site-packages" not in path.parts and path != Path(database_errors.__file__)


def root_cause_words(error: BaseException) -> str:
    """The innermost error and the line of ours where it came out: never its message, which may quote a person."""
    root = error
    while root.__cause__ is not None:
        root = root.__cause__
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if _is_ours(Path(frame.filename))]
    where = f" at {Path(frames[-1].filename).relative_to(ROOT)}:{frames[-1].lineno}" if frames else ""
    caused = "" if root is error else f", caused by {type(root).__name__}"
    return f"{type(error).__name__}{caused}{where}"
