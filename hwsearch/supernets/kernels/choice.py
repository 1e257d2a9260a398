"""Choose the kernels of a process, and say which were chosen and why."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal, get_args

import torch

from hwsearch.errors import SupernetError
from hwsearch.supernets.kernels.building import built_library, packaged_library
from hwsearch.supernets.kernels.eager import EAGER, Kernels, Norm
from hwsearch.supernets.kernels.library import Library, load_library
from hwsearch.supernets.kernels.masked import MaskedKernels
from hwsearch.supernets.kernels.processor import instruction_sets, machine

log = logging.getLogger(__name__)

KernelsName = Literal["auto", "eager", "native", "masked", "triton"]
#: names that `choose` takes
NAMES: tuple[str, ...] = get_args(KernelsName)
#: largest difference of the check after loading, against float64; rounding makes 1e-6 of it
TOLERANCE = 1e-4

# a plain global: torch.compile reads it without a break of the graph
_active: Kernels = EAGER


@dataclass(frozen=True)
class Choice:
    """Kernels, and why these.

    Attributes
    ----------
    kernels : Kernels
        The kernels.
    reason : str
        Instruction set, or what kept the native ones away.
    """

    kernels: Kernels
    reason: str

    def __str__(self) -> str:
        return f"{self.kernels.name} ({self.reason})"

    def after_a_step(self) -> str:
        """Say which kernels have computed a step of training.

        Returns
        -------
        str
            As the choice itself, unless the network has no layer that these kernels could take.
        """
        return str(self) if self.kernels.used else f"eager (no layer of this network can use {self.kernels.name} ones)"


def active() -> Kernels:
    """Return the kernels that layers in training mode use.

    Returns
    -------
    Kernels
        Those of the innermost `using`, by default the eager ones.
    """
    return _active


@contextmanager
def using(kernels: Kernels) -> Iterator[None]:
    """Let layers in training mode use some kernels inside the block.

    Parameters
    ----------
    kernels : Kernels
        The kernels.

    Yields
    ------
    None
        Nothing; the block trains.

    Examples
    --------
    >>> with using(EAGER):
    ...     active().name
    'eager'
    """
    global _active
    before, _active = _active, kernels
    try:
        yield
    finally:
        _active = before


def choose(name: str = "auto", device: str = "cpu") -> Choice:
    """Choose kernels by name; the native ones are compiled first if need be.

    Parameters
    ----------
    name : str, default "auto"
        ``eager``; ``native``; ``masked``; ``triton``; or ``auto``: the native ones where they can be had, else the eager ones.
    device : str, default "cpu"
        Kind of device that computes; the native ones are for the processor, those of Triton for GPUs.

    Returns
    -------
    Choice
        The kernels and the reason for them.

    Raises
    ------
    SupernetError
        If the name is none of these, or the native ones or those of Triton are asked for and cannot be had, or not on this device.

    Examples
    --------
    >>> print(choose("eager"))
    eager (asked for)
    """
    if name not in NAMES:
        raise SupernetError(f"kernels={name!r} is not valid: choose one of {', '.join(NAMES)}.")
    if name == "eager":
        return Choice(EAGER, "asked for")
    if name == "masked":
        return Choice(MaskedKernels(), "full width; graphs on a GPU only, without one slower than eager")
    if name == "triton":
        return _triton(device)
    if device != "cpu":
        if name == "native":
            raise SupernetError(
                f"native kernels are compiled for the processor, and the training is on device {device}.",
                hint="Use --kernels eager or masked, or --device cpu.",
            )
        return Choice(EAGER, f"on {device}")
    library, said = _native()
    if library is not None:
        from hwsearch.supernets.kernels.native import NativeKernels  # late: it registers operators with torch

        return Choice(NativeKernels(library), said)
    if name == "native":
        raise SupernetError(f"native kernels cannot be had: {said}.", hint="Use --kernels auto, or eager.")
    return Choice(EAGER, f"no native ones: {said}")


def _triton(device: str) -> Choice:
    """Load Triton's programs; on the processor only its interpreter, a tool for tests, can run them."""
    if device == "cpu" and os.environ.get("TRITON_INTERPRET") != "1":
        raise SupernetError(
            "triton kernels are programs for GPUs, and the training is on the processor.",
            hint="Use --device cuda, or --kernels auto.",
        )
    try:
        import triton

        from hwsearch.supernets.kernels.triton import TritonKernels  # late: an optional package
    except ImportError as error:
        raise SupernetError(
            f"triton kernels cannot be had: {error}.",
            hint="Install the package triton (builds of torch with CUDA bring it), or use --kernels eager.",
        ) from error
    return Choice(TritonKernels((device,)), f"{triton.__version__}")


@cache
def _native() -> tuple[Library | None, str]:
    """Find the library of the best instruction set that is there or builds, loads and computes.

    The package's own comes first, so that a wheel computes alike with a compiler and without one.

    Returns
    -------
    Library or None
        The library.
    str
        Instruction set, origin, and what kept better ones away; or why there is none.
    """
    levels = instruction_sets()
    if not levels:
        return None, f"none are written for this {machine()} processor"
    reasons: dict[str, list[str]] = {}
    for level in levels:
        for origin, find in _PLACES.items():
            try:
                if (path := find(level)) is None:
                    continue
                library = checked(load_library(path, level))
            except SupernetError as error:
                reason = str(error).splitlines()[0].rstrip(".")
                log.info("kernels for %s: %s", level, reason)
                reasons.setdefault(level, []).append(reason)
                continue
            threads = [] if library.openmp else ["one thread: the compiler has no OpenMP"]
            kept_away = dict.fromkeys(reason for found in reasons.values() for reason in found)
            return library, "; ".join([f"{level}, {origin}", *threads, *kept_away])
    return None, "; ".join(reasons[levels[0]])


#: origin of a library → what finds it for an instruction set; tried in this order
_PLACES: dict[str, Callable[[str], Path | None]] = {
    "of the package": packaged_library,
    "compiled here": built_library,
}


def checked(library: Library) -> Library:
    """Let a library compute something small, so that one of a broken compiler is not used.

    Parameters
    ----------
    library : Library
        A loaded library; it is bound to the native operators.

    Returns
    -------
    Library
        The same.

    Raises
    ------
    SupernetError
        If a result or a gradient is wrong.
    """
    from hwsearch.supernets.kernels.native import NativeKernels  # late, as above

    native = NativeKernels(library)
    plain = [_small_step(EAGER, torch.float64), _small_step(native, torch.float32)]
    for expected, found in zip(*plain, strict=True):
        if not float((expected - found.double()).abs().max()) <= TOLERANCE * float(expected.abs().max()):
            raise SupernetError(f"the library of kernels {str(library.path)!r} computes wrong results.")
    return library


def _small_step(kernels: Kernels, dtype: torch.dtype) -> list[torch.Tensor]:
    """Compute a small block and its gradients."""
    generator = torch.Generator().manual_seed(0)

    def leaf(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator).to(dtype).requires_grad_()

    def norm(n: int) -> Norm:
        return Norm(leaf(n), leaf(n), torch.zeros(n, dtype=dtype), torch.ones(n, dtype=dtype), 0.1, 1e-5)

    x, wide, deep, narrow = leaf(2, 5, 6, 7), leaf(19, 5, 1, 1), leaf(19, 1, 5, 5), leaf(5, 19, 1, 1)
    norms = [norm(19), norm(19), norm(5)]
    gates = [leaf(4, 19, 1, 1), leaf(4), leaf(19, 4, 1, 1), leaf(19)]
    with torch.enable_grad():
        y = kernels.pointwise_norm_act(x, wide, norms[0], "hardswish")
        y = kernels.depthwise_norm_act(y, deep, 1, norms[1], "relu")
        y = kernels.squeeze_excite(y, *gates)
        y = kernels.pointwise_norm_act(y, narrow, norms[2], "identity", x)
        leaves = [x, wide, deep, narrow, *gates, *(t for n in norms for t in (n.weight, n.bias))]
        return [y.detach(), *torch.autograd.grad(y.square().sum(), leaves)]
