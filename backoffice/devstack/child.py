"""Become a server process that cannot outlive its supervisor.

The supervisor starts every child through this file, which drops to the wanted account, asks the kernel for a signal
when the parent dies, and then becomes the server (same pid). Without it a `kill -9` of the supervisor leaves servers
running that hold the ports and the data folder. It runs by path with `python -I -S`, so it imports nothing of ours.
"""

import argparse
import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--parent", type=int, default=0)
    parser.add_argument("--death-signal", type=int, default=0)
    parser.add_argument("--private", action="store_true", help="files it makes are readable by its account only")
    parser.add_argument("--uid", type=int)
    parser.add_argument("--gid", type=int)
    parser.add_argument("command", nargs=argparse.REMAINDER)
    asked = parser.parse_args()
    if asked.private:
        os.umask(0o077)
    if asked.uid is not None and asked.gid is not None:
        os.setgroups([])
        os.setgid(asked.gid)
        os.setuid(asked.uid)
    if asked.death_signal and sys.platform == "linux":
        # After setuid, which clears the setting; and it survives the exec below because that changes no account.
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, asked.death_signal, 0, 0, 0)
        if os.getppid() != asked.parent:
            sys.exit("the supervisor died while this process was starting")
    # This interpreter ignores SIGPIPE, and a shell that started us in the background ignores SIGINT; an ignored signal
    # stays ignored across exec, and a server that cannot be interrupted never stops.
    for number in (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGINT, signal.SIGQUIT, signal.SIGHUP, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    command = asked.command[1:] if asked.command[:1] == ["--"] else asked.command
    os.execvp(command[0], command)


if __name__ == "__main__":
    main()
