#!/usr/bin/env python
"""Django's command line. `./dev manage ...` gives it the addresses of the running services."""

import os
import sys
import traceback

#: they change tables or roles, so they connect as the owner where one is given
OWNER_COMMANDS = {"migrate", "bootstrap", "grant_roles"}


def main() -> int:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "backoffice.settings")
    if sys.argv[1:2] and sys.argv[1] in OWNER_COMMANDS and os.environ.get("DATABASE_OWNER_URL"):
        os.environ["DATABASE_URL"] = os.environ["DATABASE_OWNER_URL"]
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
