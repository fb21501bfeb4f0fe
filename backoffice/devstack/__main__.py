"""The command table of `./dev`: a name, what it does, and the function that does it.

A later command is one more row. Each function takes the remaining arguments and returns the exit code; its docstring is
the help line.
"""

import sys
from collections.abc import Callable

from backoffice.bench.run import bench
from backoffice.chaos.run import chaos
from backoffice.devstack import lifecycle, project_commands, supply
from backoffice.devstack.doctor import doctor
from backoffice.devstack.errors import DevstackError

COMMANDS: dict[str, Callable[[list[str]], int]] = {
    "up": lifecycle.up,
    "down": lifecycle.down,
    "status": lifecycle.status,
    "test": project_commands.test,
    "check": project_commands.check,
    "manage": project_commands.manage,
    "reset": lifecycle.reset,
    "doctor": doctor,
    "sbom": supply.sbom,
    "audit": supply.audit,
    "chaos": chaos,
    "bench": bench,
}


def usage() -> str:
    lines = ["usage: ./dev COMMAND [arguments]", ""]
    lines += [f"  {name:<8} {(function.__doc__ or '').splitlines()[0]}" for name, function in COMMANDS.items()]
    return "\n".join(lines)


def main() -> int:
    name, arguments = (sys.argv[1] if len(sys.argv) > 1 else "help"), sys.argv[2:]
    if name in ("help", "-h", "--help"):
        print(usage())
        return 0
    if name not in COMMANDS:
        print(f"dev: there is no command {name!r}\n{usage()}", file=sys.stderr)
        return 2
    try:
        return COMMANDS[name](arguments)
    except DevstackError as error:
        print(f"dev: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
