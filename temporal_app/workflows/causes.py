"""What really went wrong: the innermost error. An ActivityError itself says no more than "Activity task failed"."""

from dataclasses import dataclass

from temporalio.exceptions import ApplicationError


@dataclass(frozen=True, kw_only=True)
class Cause:
    #: the type of our own error, or the name of Temporal's, such as TimeoutError
    type: str
    message: str


def root_cause(error: BaseException) -> Cause:
    while error.__cause__ is not None:
        error = error.__cause__
    named = error.type if isinstance(error, ApplicationError) else None
    message = getattr(error, "message", "") or str(error)
    return Cause(type=named or type(error).__name__, message=str(message)[:500])
