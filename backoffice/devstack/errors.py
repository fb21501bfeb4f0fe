"""The one error of the launcher that a person is meant to read.

The command line prints its text as a single line and exits 1; any other exception is a defect and keeps its traceback.
"""


class DevstackError(Exception):
    """Something the caller can put right; the message says what and how."""
