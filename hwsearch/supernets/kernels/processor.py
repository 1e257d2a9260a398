"""Which instruction set this processor has, and the compiler's flags for each."""

from __future__ import annotations

import platform
from pathlib import Path

#: level → flags that this level asks of /proc/cpuinfo, beyond the level before it
X86_LEVELS: dict[str, frozenset[str]] = {
    "x86-64-v2": frozenset({"cx16", "popcnt", "pni", "sse4_1", "sse4_2", "ssse3"}),
    "x86-64-v3": frozenset({"avx", "avx2", "bmi1", "bmi2", "f16c", "fma", "movbe"}),
    "x86-64-v4": frozenset({"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"}),
}
_V2 = ("-msse4.2", "-mpopcnt")
_V3 = (*_V2, "-mavx2", "-mfma", "-mf16c", "-mbmi", "-mbmi2", "-mmovbe")
_V4 = (*_V3, "-mavx512f", "-mavx512bw", "-mavx512cd", "-mavx512dq", "-mavx512vl", "-mprefer-vector-width=512")
#: instruction set → the compiler's flags; NEON is part of every 64-bit ARM
FLAGS: dict[str, tuple[str, ...]] = {"x86-64-v2": _V2, "x86-64-v3": _V3, "x86-64-v4": _V4, "neon": ()}
_CPUINFO = Path("/proc/cpuinfo")
#: what torch finds by asking the processor itself → how many of `X86_LEVELS` that allows; fewer for other names
_TORCH_LEVELS = {"AVX512": 3, "AVX2": 2}


def machine() -> str:
    """Name the kind of processor.

    Returns
    -------
    str
        ``x86_64``, ``aarch64``, or what the system says of others.
    """
    name = platform.machine().lower()
    return {"amd64": "x86_64", "arm64": "aarch64"}.get(name, name)


def instruction_sets(cpuinfo: Path = _CPUINFO) -> tuple[str, ...]:
    """List the instruction sets that code on this processor may use, best first.

    Parameters
    ----------
    cpuinfo : Path
        The file in which Linux lists a processor's flags. Torch's finding, which asks the processor itself, must allow a level
        as well: an emulator may have less than the file of its host says. ``ATEN_CPU_CAPABILITY`` lowers it.

    Returns
    -------
    tuple of str
        Keys of `FLAGS`; none for an unknown kind of processor.
    """
    kind = machine()
    if kind == "aarch64":
        return ("neon",)
    if kind != "x86_64":
        return ()
    import torch  # late: wheels are built without it

    flags = processor_flags(cpuinfo)
    allowed = _TORCH_LEVELS.get(torch.backends.cpu.get_cpu_capability(), 1 if flags else 0)
    found: list[str] = []
    for level, needed in list(X86_LEVELS.items())[:allowed]:
        if flags and not needed <= flags:
            break
        found.insert(0, level)
    return tuple(found)


def processor_flags(cpuinfo: Path = _CPUINFO) -> frozenset[str]:
    """Read the flags that every core of this machine has.

    Parameters
    ----------
    cpuinfo : Path
        The file in which Linux lists them.

    Returns
    -------
    frozenset of str
        Empty where there is no such file.
    """
    try:
        lines = cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return frozenset()
    cores = [frozenset(line.partition(":")[2].split()) for line in lines if line.startswith("flags")]
    return frozenset.intersection(*cores) if cores else frozenset()
