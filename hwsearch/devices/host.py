"""Facts about this machine that make a latency what it is."""

from __future__ import annotations

import os
import platform
import sys
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import psutil

from hwsearch._json import JsonObject


@cache
def host_facts() -> JsonObject:
    """Describe this machine.

    Returns
    -------
    dict
        CPU model, cores, memory (GiB), frequency governor, container quota, operating system; unknown facts are None.
    """
    return {
        "cpu": cpu_model(),
        "machine": platform.machine(),
        "cores_physical": psutil.cpu_count(logical=False),
        "cores_usable": usable_cores(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "governor": _read("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
        "cpu_quota": _read("/sys/fs/cgroup/cpu.max"),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
    }


def usable_cores() -> int:
    """Count the cores that this process may run on.

    Returns
    -------
    int
        By the process's affinity on Linux, else all cores.
    """
    return len(os.sched_getaffinity(0)) if sys.platform.startswith("linux") else (os.cpu_count() or 1)


def cpu_model() -> str:
    """Name the processor.

    Returns
    -------
    str
        Its own name, with family and model where that name is vague.
    """
    text = _read("/proc/cpuinfo") or ""
    facts: dict[str, str] = {}
    for line in text.splitlines():
        key, _, value = line.partition(":")
        facts.setdefault(key.strip(), value.strip())
    name = facts.get("model name") or platform.processor() or "unknown"
    if "cpu family" in facts and "model" in facts:
        return f"{name} (family {facts['cpu family']}, model {facts['model']})"
    return name


def versions(*packages: str) -> dict[str, str]:
    """Look up installed versions of distributions.

    Parameters
    ----------
    *packages : str
        Names of distributions.

    Returns
    -------
    dict of str to str
        By name; missing distributions are left out.
    """
    found = {}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def throttled() -> int | None:
    """Count how often the container's CPU quota has throttled this process so far.

    Returns
    -------
    int or None
        None where the system does not tell.
    """
    text = _read("/sys/fs/cgroup/cpu.stat") or ""
    for line in text.splitlines():
        if line.startswith("nr_throttled"):
            return int(line.split()[1])
    return None


def load_average() -> float | None:
    """Return the average number of processes that wanted to run in the last minute.

    Returns
    -------
    float or None
        None where the system does not tell.
    """
    try:
        return round(os.getloadavg()[0], 2)
    except OSError:
        return None


def _read(path: str) -> str | None:
    try:
        return Path(path).read_text().strip() or None
    except OSError:
        return None
