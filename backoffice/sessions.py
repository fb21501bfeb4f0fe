"""The session store: a note of the last use that cannot be written just now ends no request.

Django turns every database error of a save into "the session was deleted", a 400 that nobody understands.
"""

import logging

from django.contrib.sessions.backends.base import UpdateError
from django.contrib.sessions.backends.db import SessionStore as DatabaseStore

from orders.database_errors import is_passing, is_write_refused

logger = logging.getLogger(__name__)


class SessionStore(DatabaseStore):
    #: whether the only change is when it was last used; see `backoffice.session_age`
    may_be_lost = False

    def save(self, must_create: bool = False) -> None:
        """Raises the error of the database: whoever signs in or chooses something must not be told that it is kept."""
        try:
            super().save(must_create)
        except UpdateError as error:
            cause = error.__context__
            if self.may_be_lost and is_write_refused(cause):
                logger.warning("The last use of a session was not written: %s", type(cause).__name__)
            elif cause is not None and is_passing(cause):
                raise cause from cause.__cause__
            else:
                raise
