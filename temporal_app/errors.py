"""Domain errors as Temporal understands them: final or to be retried, typed, short, without personal data.

PostgreSQL puts the values of the offending row into its messages, and whatever an activity raises is stored in the
history. So only our own sentences pass; of every other error its class name is told, and the rest goes to the log.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from django.db import Error as DatabaseError
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory, FailureError

from orders.errors import DomainError, PartnerUnavailable, StaleAttempt
from orders.vocabulary import FailureType

logger = logging.getLogger(__name__)


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
        # Out of order: the activity waits as long as the breaker says, and the workflow waits with it.
        known = error.retry_after is not None
        failure = FailureType.PARTNER_DOWN if known else error.failure_type
        raise ApplicationError(str(error)[:500], type=failure, next_retry_delay=error.retry_after) from None
    except StaleAttempt as error:
        # Retried too: the next one finds what the winner has done.
        raise ApplicationError(str(error)[:500], type=error.failure_type) from None
    except DomainError as error:
        # Benign: a declined card is an answer, and must not fill the error log.
        raise ApplicationError(
            str(error)[:500],
            type=error.failure_type,
            non_retryable=not undoing if final is None else isinstance(error, final),
            category=ApplicationErrorCategory.UNSPECIFIED if undoing else ApplicationErrorCategory.BENIGN,
        ) from None
    except DatabaseError as error:
        # Its message quotes values of the row.
        logger.warning("The database failed an activity: %s", type(error).__name__, exc_info=True)
        raise ApplicationError(f"The database did not answer: {type(error).__name__}", type="database") from None
    except FailureError:
        # Temporal's own words: a cancellation, or an error that is told as it must be.
        raise
    except Exception as error:
        logger.exception("An activity failed unexpectedly")
        raise ApplicationError(f"An unexpected error: {type(error).__name__}", type="unexpected") from None
