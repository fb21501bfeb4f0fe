"""A worker that is not as it should be: its clock goes wrong, it holds few workflows, or a guard is missing.

`python -m backoffice.chaos.worker`, told by its environment; in a chaos run only.
"""

import logging
import os
import sys
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest import mock

import django
from django.core.management import execute_from_command_line

from backoffice.chaos import unguarded
from backoffice.chaos.acts import CLOCK, PLACES

logger = logging.getLogger(__name__)


def shift_clock(seconds: int) -> None:
    """From now on this process believes that it is so much later."""
    import time_machine

    time_machine.travel(datetime.now(UTC) + timedelta(seconds=seconds), tick=True).start()
    logger.warning("The clock of this worker is %+d s off", seconds)


def make_small(places: int) -> None:
    """Give the workers of this process so many workflow tasks at a time."""
    import temporalio.worker

    from temporal_app import worker

    ordinary = temporalio.worker.Worker

    def small(*arguments: Any, **options: Any) -> Any:
        # Who hands out the places itself is left alone.
        limit = {} if "tuner" in options else {"max_concurrent_workflow_tasks": places}
        return ordinary(*arguments, **{**options, **limit})

    mock.patch.object(worker, "Worker", small).start()


def main() -> None:
    """Raises SystemExit outside of a chaos run."""
    if os.environ.get("BACKOFFICE_ENV") != "chaos":
        raise SystemExit("A worker can be made worse in a chaos run only (BACKOFFICE_ENV=chaos).")
    if CLOCK in os.environ:
        shift_clock(int(os.environ[CLOCK]))
    if "BACKOFFICE_DISABLE_GUARD" in os.environ:
        unguarded.take_away()
    else:
        django.setup()
    if PLACES in os.environ:
        make_small(int(os.environ[PLACES]))
    execute_from_command_line([sys.argv[0], "run_worker"])


if __name__ == "__main__":
    main()
