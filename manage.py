#!/usr/bin/env python
"""Django's command line. `./dev manage ...` gives it the addresses of the running services."""

import os
import sys
import traceback

#: they change tables or roles, so they connect as the owner where one is given, and past the pooler
OWNER_COMMANDS = {"migrate", "bootstrap", "grant_roles"}


def main() -> int:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "backoffice.settings")
    command = sys.argv[1] if sys.argv[1:] else ""
    os.environ["BACKOFFICE_PROCESS"] = "worker" if command == "run_worker" else "command"
    # A pooler gives each transaction another session, and these change tables for longer than one.
    owner = os.environ.get("DATABASE_OWNER_URL") or os.environ.get("DATABASE_DIRECT_URL")
    if command in OWNER_COMMANDS and owner:
        os.environ["DATABASE_URL"] = owner
    from django.core.management import execute_from_command_line

    try:
        execute_from_command_line(sys.argv)
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    except Exception:
        # Told here, because the way out below does not come back to the interpreter's own report.
        traceback.print_exc()
        return 1
    return 0


if __name__ == "__main__":
    code = main()
    if "temporalio" in sys.modules:
        from temporal_app.process_exit import hard_exit

        hard_exit(code)
    sys.exit(code)
