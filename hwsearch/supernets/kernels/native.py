"""The kernels of the C library behind the interface of `Kernels`."""

from __future__ import annotations

import torch
from torch import Tensor
from typing_extensions import override

from hwsearch.supernets.kernels.eager import Activation, Kernels, Norm
from hwsearch.supernets.kernels.library import Library
from hwsearch.supernets.kernels.operators import depthwise, expand, norm, pointwise, squeeze_excite
from hwsearch.supernets.kernels.operators.binding import ACTIVATION_NUMBERS, bind

#: sides of depth-wise kernels, and strides, that the library has
KERNEL_SIDES, STRIDES = (3, 5, 7), (1, 2)


class NativeKernels(Kernels):
    """Kernels compiled from C++, several times as fast in the gradients of depth-wise convolutions.

    They take float32 on the CPU; for all else, and for empty batches, torch computes. Sums are joined in the order of
    the threads: results are equal bit for bit for equal numbers of threads only.

    Parameters
    ----------
    library : Library
        The loaded library, which the operators of this process call from then on.
    """

    name = "native"
    fused = True

    def __init__(self, library: Library) -> None:
        self.library = library
        self.used = False
        bind(library)

    @property
    @override
    def identity(self) -> str:
        return f"{self.name} {self.library.level}"

    @override
    def depthwise(self, x_NCHW: Tensor, weight: Tensor, stride: int) -> Tensor:
        if not (self._fits(x_NCHW, weight) and _has(weight, stride)):
            return super().depthwise(x_NCHW, weight, stride)
        return depthwise.depthwise(x_NCHW, weight, stride)  # type: ignore[no-any-return]

    @override
    def pointwise(self, x_NCHW: Tensor, weight: Tensor) -> Tensor:
        if not self._fits(x_NCHW, weight):
            return super().pointwise(x_NCHW, weight)
        return pointwise.pointwise(x_NCHW, weight)  # type: ignore[no-any-return]

    @override
    def norm_act(
        self, x_NCHW: Tensor, norm: Norm, act: Activation = "identity", residual: Tensor | None = None
    ) -> Tensor:
        if not (self._fits(x_NCHW, norm.weight) and normalisable(x_NCHW)):
            return super().norm_act(x_NCHW, norm, act, residual)
        return _norm(x_NCHW, norm, act, residual)

    @override
    def squeeze_excite(
        self,
        x_NCHW: Tensor,
        reduce_weight: Tensor,
        reduce_bias: Tensor,
        expand_weight: Tensor,
        expand_bias: Tensor,
    ) -> Tensor:
        if not self._fits(x_NCHW, reduce_weight):
            return super().squeeze_excite(x_NCHW, reduce_weight, reduce_bias, expand_weight, expand_bias)
        out, *_ = squeeze_excite.squeeze_excite(
            x_NCHW, reduce_weight[:, :, 0, 0], reduce_bias, expand_weight[:, :, 0, 0], expand_bias
        )
        return out  # type: ignore[no-any-return]

    @override
    def pointwise_norm_act(
        self,
        x_NCHW: Tensor,
        weight: Tensor,
        norm: Norm,
        act: Activation = "identity",
        residual: Tensor | None = None,
    ) -> Tensor:
        if not (self._fits(x_NCHW, weight) and normalisable(x_NCHW)):
            return super().pointwise_norm_act(x_NCHW, weight, norm, act, residual)
        out, _, mean, variance = pointwise.pointwise_norm(
            x_NCHW, weight, norm.weight, norm.bias, residual, ACTIVATION_NUMBERS[act], norm.eps
        )
        update_statistics(norm, mean, variance, _count(x_NCHW))
        return out  # type: ignore[no-any-return]

    @override
    def depthwise_norm_act(
        self, x_NCHW: Tensor, weight: Tensor, stride: int, norm: Norm, act: Activation = "identity"
    ) -> Tensor:
        count = _strided(x_NCHW, stride)
        if not (self._fits(x_NCHW, weight) and _has(weight, stride) and count > 1):
            return super().depthwise_norm_act(x_NCHW, weight, stride, norm, act)
        out, _, mean, variance = depthwise.depthwise_norm(
            x_NCHW, weight, stride, norm.weight, norm.bias, ACTIVATION_NUMBERS[act], norm.eps
        )
        update_statistics(norm, mean, variance, count)
        return out  # type: ignore[no-any-return]

    @override
    def expand(
        self,
        x_NCHW: Tensor,
        weight: Tensor,
        norm: Norm,
        depthwise_weight: Tensor,
        stride: int,
        depthwise_norm: Norm,
        act: Activation,
    ) -> Tensor:
        count = _strided(x_NCHW, stride)
        if not (self._fits(x_NCHW, weight) and _has(depthwise_weight, stride) and count > 1):
            return super().expand(x_NCHW, weight, norm, depthwise_weight, stride, depthwise_norm, act)
        out, _, mean1, variance1, _, mean2, variance2 = expand.expand(
            x_NCHW, weight, norm.weight, norm.bias, depthwise_weight, depthwise_norm.weight, depthwise_norm.bias,
            stride, ACTIVATION_NUMBERS[act], norm.eps, depthwise_norm.eps,
        )  # fmt: skip
        update_statistics(norm, mean1, variance1, _count(x_NCHW))
        update_statistics(depthwise_norm, mean2, variance2, count)
        return out  # type: ignore[no-any-return]

    def _fits(self, x: Tensor, weight: Tensor) -> bool:
        """Tell whether the library takes a tensor and a weight; outside autocast only, as that would change the type."""
        fits = (
            x.ndim == 4
            and x.device.type == "cpu" == weight.device.type
            and x.dtype is torch.float32 is weight.dtype
            and x.numel() > 0
            and not torch.is_autocast_enabled("cpu")
        )
        self.used = self.used or fits
        return fits


def _norm(x: Tensor, of: Norm, act: Activation, residual: Tensor | None) -> Tensor:
    out, mean, variance = norm.norm(x, of.weight, of.bias, residual, ACTIVATION_NUMBERS[act], of.eps)
    update_statistics(of, mean, variance, _count(x))
    return out  # type: ignore[no-any-return]


def _has(weight: Tensor, stride: int) -> bool:
    return weight.shape[-1] in KERNEL_SIDES and weight.shape[-2] == weight.shape[-1] and stride in STRIDES


def _count(x: Tensor) -> int:
    return x.shape[0] * x.shape[2] * x.shape[3]


def _strided(x: Tensor, stride: int) -> int:
    """Count the pixels behind a convolution with a stride."""
    return x.shape[0] * ((x.shape[2] - 1) // stride + 1) * ((x.shape[3] - 1) // stride + 1)


def normalisable(x: Tensor) -> bool:
    """Tell whether channels have a variance; torch has the error for one that has none.

    Parameters
    ----------
    x : Tensor
        Shape ``(N, C, H, W)``.

    Returns
    -------
    bool
        Whether there are two values a channel.
    """
    return _count(x) > 1


def update_statistics(norm: Norm, mean: Tensor, variance: Tensor, count: int) -> None:
    """Move the running statistics towards those of a batch, as torch does: with the unbiased variance.

    Parameters
    ----------
    norm : Norm
        Has the running statistics.
    mean, variance : Tensor
        Of the batch, the variance biased, shape ``(C,)``.
    count : int
        Values a channel.
    """
    with torch.no_grad():
        norm.running_mean.lerp_(mean, norm.momentum)
        norm.running_var.mul_(1 - norm.momentum).add_(variance, alpha=norm.momentum * count / (count - 1))
