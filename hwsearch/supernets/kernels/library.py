"""A compiled library of kernels, loaded by ctypes."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from pathlib import Path

import torch  # noqa: F401  loads the OpenMP library first, which the kernels then share

from hwsearch.errors import SupernetError

#: what `hwsearch_interface` of a library must return
INTERFACE = 2
#: floats in a vector of each instruction set, which `hwsearch_lanes` must return
LANES = {"x86-64-v2": 4, "x86-64-v3": 8, "x86-64-v4": 16, "neon": 4}

_P, _I, _F = ctypes.c_void_p, ctypes.c_int64, ctypes.c_double
_GEOMETRY = [_I] * 6
#: function → types of its arguments, as in ``source/library.cpp``; the last is the number of threads
_SIGNATURES: dict[str, list[type]] = {
    "pointwise": [_P, _P, _I, _I, _P, _I, _I, _I, _I],
    "pointwise_backward": [_P, _P, _P, _I, _I, _P, _P, _I, _I, _I, _I],
    "pointwise_norm": [_P, _P, _I, _I, *[_P] * 7, _I, _I, _I, _I, _F, _I],
    "pointwise_norm_backward": [_P, _P, _P, _I, _I, *[_P] * 9, _I, _I, _I, _I, _F, _I],
    "norm": [*[_P] * 7, _I, _I, _I, _F, _I],
    "norm_backward": [*[_P] * 9, _I, _I, _I, _F, _I],
    "depthwise": [_P, _P, _I, _I, _P, *_GEOMETRY, _I],
    "depthwise_backward": [_P, _P, _P, _I, _I, _P, _P, *_GEOMETRY, _I],
    "depthwise_norm": [_P, _P, _I, _I, *[_P] * 6, *_GEOMETRY, _I, _F, _I],
    "depthwise_norm_backward": [_P, _P, _P, _I, _I, *[_P] * 9, *_GEOMETRY, _I, _F, _I],
    "expand": [_P, _P, _I, _I, _P, _P, _P, _I, _I, *[_P] * 9, _I, *_GEOMETRY, _I, _F, _F, _I],
    "expand_backward": [_P, _P, _P, _I, _I, _P, _P, _P, _I, _I, *[_P] * 16, _I, *_GEOMETRY, _I, _F, _F, _I],
    "pool": [_P, _P, _I, _I, _I, _I],
    "gate": [_P, _P, _P, _I, _I, _I, _I],
    "gate_sums": [_P, _P, _P, _I, _I, _I, _I],
    "gate_backward": [_P, _P, _P, _P, _I, _I, _I, _I],
}


@dataclass(frozen=True)
class Library:
    """A loaded library of kernels.

    Attributes
    ----------
    functions : ctypes.CDLL
        Its functions, with their types declared.
    path : Path
        The file.
    level : str
        Instruction set that it was compiled for, such as ``x86-64-v3``.
    openmp : bool
        Whether it computes with several threads.
    """

    functions: ctypes.CDLL
    path: Path
    level: str
    openmp: bool


def load_library(path: Path, level: str) -> Library:
    """Load a compiled library; its code for the given instruction set must be known to run on this processor.

    Parameters
    ----------
    path : Path
        The file.
    level : str
        Instruction set that it was compiled for.

    Returns
    -------
    Library
        The library.

    Raises
    ------
    SupernetError
        If the file cannot be loaded, or is of another interface or instruction set.
    """
    try:
        functions = ctypes.CDLL(str(path))
        for name in ("interface", "lanes", "openmp"):
            getattr(functions, f"hwsearch_{name}").restype = _I
        for name, arguments in _SIGNATURES.items():
            function = getattr(functions, f"hwsearch_{name}")
            function.argtypes, function.restype = arguments, None
        interface, lanes = int(functions.hwsearch_interface()), int(functions.hwsearch_lanes())
    except (OSError, AttributeError) as error:
        raise SupernetError(f"the library of kernels {str(path)!r} cannot be loaded: {error}.") from error
    if interface != INTERFACE:
        raise SupernetError(f"the library of kernels {str(path)!r} has interface {interface}, expected {INTERFACE}.")
    if lanes != LANES.get(level, lanes):
        raise SupernetError(
            f"the library of kernels {str(path)!r} computes {lanes} floats at once, {level} has {LANES[level]}."
        )
    return Library(functions, path, level, bool(functions.hwsearch_openmp()))
