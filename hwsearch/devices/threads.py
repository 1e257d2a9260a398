"""Threads of this process's own computing: how many, and that they sleep while they wait for each other."""

from __future__ import annotations

import math
import os
from pathlib import Path

from hwsearch.devices.host import usable_cores

#: where Linux mounts control groups
CGROUPS = Path("/sys/fs/cgroup")


def compute_threads(processes: int = 1) -> int:
    """Return how many threads evaluation and training should use.

    Parameters
    ----------
    processes : int
        Processes of this host that compute together and share its cores out.

    Returns
    -------
    int
        What the environment variable ``OMP_NUM_THREADS`` says; else the cores that this process may run on, or fewer where
        a control group's quota allows less processor time than they have, divided by `processes`; at least 1.
    """
    wanted = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()
    if wanted.isdigit() and int(wanted) > 0:
        return int(wanted)
    return max(1, allowed_cores() // processes)


def allowed_cores() -> int:
    """Return how many cores this process may use: those of its affinity, or fewer where a control group has a quota.

    Returns
    -------
    int
        At least 1.
    """
    quota = cpu_quota()
    return max(1, usable_cores() if quota is None else min(usable_cores(), math.ceil(quota)))


def cpu_quota(root: Path = CGROUPS, membership: Path = Path("/proc/self/cgroup")) -> float | None:
    """Return how many cores' time the control groups of this process allow it.

    Parameters
    ----------
    root : pathlib.Path
        Where control groups are mounted.
    membership : pathlib.Path
        The file that names this process's control groups.

    Returns
    -------
    float or None
        The least of all groups that it is in; None where none sets a quota, or the system does not tell.
    """
    try:
        lines = [line.split(":", 2) for line in membership.read_text().splitlines()]
    except OSError:
        lines = []
    found = []
    for _, controllers, path in (line for line in lines if len(line) == 3):
        if not controllers:  # version 2: one hierarchy
            found += [_quota_v2(folder) for folder in _with_parents(root, path)]
        elif "cpu" in controllers.split(","):
            found += [_quota_v1(folder) for folder in _with_parents(root / "cpu", path)]
    return min((q for q in (*found, _quota_v2(root)) if q is not None), default=None)


def _with_parents(root: Path, path: str) -> list[Path]:
    """Return the folders of a control group and of those around it."""
    parts = [p for p in path.split("/") if p not in ("", "..")]
    return [root.joinpath(*parts[:n]) for n in range(len(parts), -1, -1)]


def _quota_v2(folder: Path) -> float | None:
    try:
        quota, period = (folder / "cpu.max").read_text().split()
        return None if quota == "max" else int(quota) / int(period)
    except (OSError, ValueError, ZeroDivisionError):
        return None


def _quota_v1(folder: Path) -> float | None:
    try:
        quota, period = (int((folder / f"cpu.cfs_{name}_us").read_text()) for name in ("quota", "period"))
        return None if quota <= 0 else quota / period
    except (OSError, ValueError, ZeroDivisionError):
        return None
