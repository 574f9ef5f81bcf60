"""Becomes another program that dies with its parent: `python -I -S launch.py PARENT SIGNAL UID GID PROGRAM ARGS…`.

A small program of its own rather than a `preexec_fn`, which isn't safe in a process with threads. It drops
root's rights itself (UID `-` keeps them): the Python running it may lie where only root can look.
"""

import ctypes
import os
import sys

_PR_SET_PDEATHSIG = 1


def main(arguments: list[str]) -> None:
    parent_pid, death_signal, uid, gid, *command = arguments
    if uid != "-":
        os.setgroups([])
        os.setgid(int(gid))
        os.setuid(int(uid))
    # After the change of user, which would clear it.
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, int(death_signal), 0, 0, 0)
    if os.getppid() != int(parent_pid):  # the parent died before the line above
        sys.exit(1)
    os.execv(command[0], command)


if __name__ == "__main__":
    main(sys.argv[1:])
