"""The Triton programs behind the interface of `Kernels`; importing this module needs `triton`."""

from __future__ import annotations

import torch
from torch import Tensor
from typing_extensions import override

from hwsearch.supernets.kernels.eager import Activation, Kernels, Norm
from hwsearch.supernets.kernels.native import normalisable, update_statistics
from hwsearch.supernets.kernels.operators.binding import ACTIVATION_NUMBERS
from hwsearch.supernets.kernels.programs.depthwise import depthwise as convolve
from hwsearch.supernets.kernels.programs.norm import norm as normalise

#: number formats that the programs read and write; they add up in float32
FORMATS = (torch.float32, torch.bfloat16, torch.float16)
#: sides of depth-wise kernels, and strides, that programs are written for
KERNEL_SIDES, STRIDES = (3, 5, 7), (1, 2)


class TritonKernels(Kernels):
    """Depth-wise convolution, and batch norm with activation and residual in two passes over memory, as Triton programs.

    The width is an argument of a program, so that none is compiled for a subnet: one for each number format, kernel, stride and
    activation. The other operators are torch's.

    Parameters
    ----------
    devices : tuple of str
        Kinds of device whose tensors they take; ``cpu`` is for Triton's interpreter.
    """

    name = "triton"
    fused = True

    def __init__(self, devices: tuple[str, ...] = ("cuda",)) -> None:
        self.used = False
        self._devices = devices

    @override
    def depthwise(self, x_NCHW: Tensor, weight: Tensor, stride: int) -> Tensor:
        kind = x_NCHW.device.type
        if torch.is_autocast_enabled(kind):  # a convolution computes in its format
            x_NCHW, weight = (t.to(torch.get_autocast_dtype(kind)) for t in (x_NCHW, weight))
        side = weight.shape[-1]
        square = weight.shape[-2] == side and side in KERNEL_SIDES and stride in STRIDES
        if not (square and self._fits(x_NCHW, weight) and x_NCHW.dtype is weight.dtype):
            return super().depthwise(x_NCHW, weight, stride)
        return convolve(x_NCHW, weight, stride)  # type: ignore[no-any-return]

    @override
    def norm_act(
        self, x_NCHW: Tensor, norm: Norm, act: Activation = "identity", residual: Tensor | None = None
    ) -> Tensor:
        fits = self._fits(x_NCHW, norm.weight) and norm.weight.dtype is torch.float32 and normalisable(x_NCHW)
        if not fits or (residual is not None and residual.dtype is not x_NCHW.dtype):
            return super().norm_act(x_NCHW, norm, act, residual)
        out, mean, variance = normalise(x_NCHW, norm.weight, norm.bias, residual, ACTIVATION_NUMBERS[act], norm.eps)
        update_statistics(norm, mean, variance, x_NCHW.numel() // x_NCHW.shape[1])
        return out  # type: ignore[no-any-return]

    def _fits(self, x: Tensor, weight: Tensor) -> bool:
        fits = (
            x.ndim == 4
            and x.device.type in self._devices
            and x.device == weight.device
            and x.dtype in FORMATS
            and x.numel() > 0
        )
        self.used = self.used or fits
        return fits
