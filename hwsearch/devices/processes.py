"""Start Python programs, and end processes with all that they started.

A measuring process leads a session. The programs that it starts stay in that session, each in a process group of its own,
so that whoever ends the measuring process, or finds it dead, can end them as well.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import psutil

#: adds the starter's import path behind the standard library's and the installed packages', then runs a module
_RUN = "import runpy, sys; module, *paths = sys.argv[1:]; sys.path.extend(p for p in paths if p not in sys.path); del sys.argv[1:]; runpy.run_module(module, run_name='__main__', alter_sys=True)"


def python_command(module: str) -> list[str]:
    """Write the command that runs a module in a fresh Python.

    Parameters
    ----------
    module : str
        As for ``python -m``.

    Returns
    -------
    list of str
        A command whose process can import what this one can. No file of the current folder takes the place of a module of
        the standard library or of an installed package.
    """
    paths = dict.fromkeys(str(Path(p).absolute()) for p in sys.path)
    return [sys.executable, "-P", "-c", _RUN, module, *paths]


def leads_session() -> bool:
    """Tell whether this process leads a session, as measuring processes do.

    Returns
    -------
    bool
        False on systems without sessions.
    """
    return hasattr(os, "getsid") and os.getsid(0) == os.getpid()


def kill_process_group(process: subprocess.Popen[bytes]) -> None:
    """Kill a process and its process group, and wait for its end; groups that it started live on.

    Parameters
    ----------
    process : subprocess.Popen
        Leads a group: started with ``start_new_session=True`` or ``process_group=0``.
    """
    if hasattr(os, "killpg"):
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    if process.poll() is None:
        process.kill()
    process.wait()


def kill_family(process: subprocess.Popen[bytes]) -> None:
    """Kill a process with all that it started, also where it is dead already, and wait for its end.

    Parameters
    ----------
    process : subprocess.Popen
        Leads a session or a process group. Its family are the members of both and what descends from them.
    """
    _kill(family(process.pid, leader_lives=process.poll() is None))
    if process.poll() is None:
        process.kill()
    process.wait()


def end_own_session() -> None:
    """Kill all others of the session that this process leads; nothing where it leads none."""
    if leads_session():
        _kill(family(os.getpid(), leader_lives=True))


def family(leader: int, *, leader_lives: bool) -> set[int]:
    """Find the processes that belong to a leader, and stop them, so that none is started meanwhile.

    Parameters
    ----------
    leader : int
        Process id; its session and process group outlive it as long as they have members.
    leader_lives : bool
        Whether that process has not been waited for; otherwise its id may be another's by now.

    Returns
    -------
    set of int
        Process ids, stopped; this process is never among them.
    """
    first, found = {leader} if leader_lives else set(), set[int]()
    while new := _relatives(leader, first | found) - found:
        for pid in new if hasattr(signal, "SIGSTOP") else ():
            with suppress(OSError):
                os.kill(pid, signal.SIGSTOP)
        found |= new
    return found


def _relatives(leader: int, known: set[int]) -> set[int]:
    """Find members of a leader's session and group and of known processes, and what descends from them."""
    found = set(known)
    if hasattr(os, "getsid"):
        for pid in psutil.pids():
            with suppress(OSError):
                if leader in (os.getsid(pid), os.getpgid(pid)):
                    found.add(pid)
    for pid in tuple(found):
        with suppress(psutil.Error):
            found |= {child.pid for child in psutil.Process(pid).children(recursive=True)}
    return {pid for pid in found - {os.getpid()} if psutil.pid_exists(pid)}


def _kill(pids: set[int]) -> None:
    for pid in pids:
        with suppress(OSError):
            os.kill(pid, getattr(signal, "SIGKILL", signal.SIGTERM))
