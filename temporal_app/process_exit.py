"""Leave the process without running the interpreter's own shutdown.

A process that used the Temporal client has native threads that may touch the interpreter while it is being torn down:
measured, one exit in five under load ended in "Fatal Python error: PyGILState_Release" after all work was done
(temporalio/sdk-python#300). A command that worked must not report a crash.
"""

import logging
import os
import sys
from typing import NoReturn


def hard_exit(code: int) -> NoReturn:
    """Flush what is buffered and end the process with `code` (0 to 255)."""
    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (BrokenPipeError, ValueError):
            # The reader has gone; there is nobody left to tell.
            continue
    os._exit(code)
