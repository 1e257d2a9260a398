"""The operators of a training step in plain torch: what every other implementation is compared with, and falls back to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple

import torch.nn.functional as F
from torch import Tensor

Activation = Literal["identity", "relu", "relu6", "hardswish", "silu"]

#: activation → its function in torch
ACTIVATIONS: dict[Activation, Callable[[Tensor], Tensor]] = {
    "identity": lambda x: x,
    "relu": F.relu,
    "relu6": F.relu6,
    "hardswish": F.hardswish,
    "silu": F.silu,
}


class Norm(NamedTuple):
    """The tensors and constants of a batch normalisation in training mode, already cut to the channels in use.

    Attributes
    ----------
    weight : Tensor
        Scale, shape ``(C,)``.
    bias : Tensor
        Shift, shape ``(C,)``.
    running_mean : Tensor
        Running mean, shape ``(C,)``; updated in place.
    running_var : Tensor
        Running unbiased variance, shape ``(C,)``; updated in place.
    momentum : float
        Weight of this batch in the running statistics.
    eps : float
        Added to the variance.
    """

    weight: Tensor
    bias: Tensor
    running_mean: Tensor
    running_var: Tensor
    momentum: float
    eps: float


class Kernels:
    """Depth-wise and point-wise convolution, norm with activation, squeeze-and-excitation, and what can be fused of them.

    This class computes them with torch; a faster implementation overrides methods and calls these for what it cannot
    take. All methods take weights that are already sliced or transformed, so that any way to make a subnet's weight
    from shared ones (slices, kernel matrices, mixtures) stays a matter of autograd in Python.

    Attributes
    ----------
    name : str
        The name that options and checkpoints use.
    fused : bool
        Whether layers should hand over convolution, norm and activation together.
    used : bool
        Whether they have computed anything; a network may have no layer that asks for them.
    """

    name: str = "eager"
    fused: bool = False
    used: bool = True

    @property
    def identity(self) -> str:
        """Identity of the kernels, on which results depend to the bit besides the number of threads: name and instruction set."""
        return self.name

    def depthwise(self, x_NCHW: Tensor, weight: Tensor, stride: int) -> Tensor:
        """Convolve each channel with a kernel of its own, padded by half of the kernel.

        Parameters
        ----------
        x_NCHW : Tensor
            Input, shape ``(N, C, H, W)``.
        weight : Tensor
            Weight, shape ``(C, 1, k, k)`` with odd k.
        stride : int
            Stride along both axes.

        Returns
        -------
        Tensor
            Output, shape ``(N, C, H', W')``.
        """
        return F.conv2d(x_NCHW, weight, None, stride, weight.shape[-1] // 2, 1, x_NCHW.shape[1])

    def pointwise(self, x_NCHW: Tensor, weight: Tensor) -> Tensor:
        """Convolve with a 1×1 kernel.

        Parameters
        ----------
        x_NCHW : Tensor
            Input, shape ``(N, C, H, W)``.
        weight : Tensor
            Weight, shape ``(O, C, 1, 1)``.

        Returns
        -------
        Tensor
            Output, shape ``(N, O, H, W)``.
        """
        return F.conv2d(x_NCHW, weight)

    def norm_act(
        self, x_NCHW: Tensor, norm: Norm, act: Activation = "identity", residual: Tensor | None = None
    ) -> Tensor:
        """Normalise by the batch's statistics, activate, and add a residual: ``act(norm(x)) + residual``.

        Parameters
        ----------
        x_NCHW : Tensor
            Input, shape ``(N, C, H, W)``.
        norm : Norm
            The normalisation; its running statistics are updated in place.
        act : str
            A key of `ACTIVATIONS`.
        residual : Tensor, optional
            What is added behind the activation, of the input's shape.

        Returns
        -------
        Tensor
            Output, of the input's shape.
        """
        y = F.batch_norm(
            x_NCHW, norm.running_mean, norm.running_var, norm.weight, norm.bias, True, norm.momentum, norm.eps
        )
        y = ACTIVATIONS[act](y)
        return y if residual is None else residual + y

    def squeeze_excite(
        self,
        x_NCHW: Tensor,
        reduce_weight: Tensor,
        reduce_bias: Tensor,
        expand_weight: Tensor,
        expand_bias: Tensor,
    ) -> Tensor:
        """Scale each channel by a gate that two small layers compute from the means of all channels.

        Parameters
        ----------
        x_NCHW : Tensor
            Input, shape ``(N, C, H, W)``.
        reduce_weight : Tensor
            First weight, shape ``(m, C, 1, 1)``; ReLU follows.
        reduce_bias : Tensor
            First bias, shape ``(m,)``.
        expand_weight : Tensor
            Second weight, shape ``(C, m, 1, 1)``; hard sigmoid follows.
        expand_bias : Tensor
            Second bias, shape ``(C,)``.

        Returns
        -------
        Tensor
            Output, of the input's shape.
        """
        s = x_NCHW.mean((2, 3), keepdim=True)
        s = F.relu(F.conv2d(s, reduce_weight, reduce_bias))
        s = F.hardsigmoid(F.conv2d(s, expand_weight, expand_bias))
        return x_NCHW * s

    def pointwise_norm_act(
        self,
        x_NCHW: Tensor,
        weight: Tensor,
        norm: Norm,
        act: Activation = "identity",
        residual: Tensor | None = None,
    ) -> Tensor:
        """Run `pointwise`, then `norm_act`.

        Parameters
        ----------
        x_NCHW : Tensor
            Input, shape ``(N, C, H, W)``.
        weight : Tensor
            Weight, shape ``(O, C, 1, 1)``.
        norm : Norm
            Normalisation of the O outputs.
        act : str
            A key of `ACTIVATIONS`.
        residual : Tensor, optional
            What is added in the end, shape ``(N, O, H, W)``.

        Returns
        -------
        Tensor
            Output, shape ``(N, O, H, W)``.
        """
        return self.norm_act(self.pointwise(x_NCHW, weight), norm, act, residual)

    def depthwise_norm_act(
        self, x_NCHW: Tensor, weight: Tensor, stride: int, norm: Norm, act: Activation = "identity"
    ) -> Tensor:
        """Run `depthwise`, then `norm_act`.

        Parameters
        ----------
        x_NCHW : Tensor
            Input, shape ``(N, C, H, W)``.
        weight : Tensor
            Weight, shape ``(C, 1, k, k)`` with odd k.
        stride : int
            Stride along both axes.
        norm : Norm
            Normalisation of the C outputs.
        act : str
            A key of `ACTIVATIONS`.

        Returns
        -------
        Tensor
            Output, shape ``(N, C, H', W')``.
        """
        return self.norm_act(self.depthwise(x_NCHW, weight, stride), norm, act)

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
        """Run `pointwise_norm_act`, then `depthwise_norm_act` with the same activation.

        Parameters
        ----------
        x_NCHW : Tensor
            Input, shape ``(N, I, H, W)``.
        weight : Tensor
            Weight of the 1×1 convolution, shape ``(C, I, 1, 1)``.
        norm : Norm
            Normalisation behind it.
        depthwise_weight : Tensor
            Weight of the depth-wise convolution, shape ``(C, 1, k, k)`` with odd k.
        stride : int
            Stride of the depth-wise convolution.
        depthwise_norm : Norm
            Normalisation behind it.
        act : str
            A key of `ACTIVATIONS`.

        Returns
        -------
        Tensor
            Output, shape ``(N, C, H', W')``.
        """
        y = self.pointwise_norm_act(x_NCHW, weight, norm, act)
        return self.depthwise_norm_act(y, depthwise_weight, stride, depthwise_norm, act)


#: the plain ones; they have no state
EAGER = Kernels()
