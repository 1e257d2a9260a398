"""Elastic convolution and classifier: one full-size weight, of which each call uses a slice."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hwsearch.supernets.kernels import EAGER, Activation, active
from hwsearch.supernets.layers.norm import ElasticBatchNorm, norm_act


class ElasticConv(nn.Module):
    """Convolution without bias of which the first output and input channels are used; padding keeps the size.

    The number of input channels follows from the input.

    Parameters
    ----------
    max_in : int
        Input channels at full size.
    max_out : int
        Output channels at full size.
    kernel : int, default 1
        Side of the kernel.
    stride : int, default 1
        Stride along both axes.
    """

    def __init__(self, max_in: int, max_out: int, kernel: int = 1, stride: int = 1) -> None:
        super().__init__()
        self.stride, self.padding = stride, kernel // 2
        self.pointwise = kernel == stride == 1
        self.conv = nn.Conv2d(max_in, max_out, kernel, stride, kernel // 2, bias=False)

    def weight(self, inputs: int, outputs: int) -> Tensor:
        """Slice the weight of a subnet.

        Parameters
        ----------
        inputs : int
            Input channels.
        outputs : int
            Output channels.

        Returns
        -------
        Tensor
            View of shape (outputs, inputs, kernel, kernel).
        """
        return self.conv.weight[:outputs, :inputs]

    def forward(self, x_NCHW: Tensor, outputs: int) -> Tensor:
        """Convolve with the first `outputs` filters.

        Parameters
        ----------
        x_NCHW : Tensor
            Input of shape (N, C, H, W) with C up to `max_in`.
        outputs : int
            Output channels.

        Returns
        -------
        Tensor
            Output of shape (N, outputs, H', W').
        """
        weight = self.weight(x_NCHW.shape[1], outputs)
        if self.pointwise:
            return (active() if self.training else EAGER).pointwise(x_NCHW, weight)
        return F.conv2d(x_NCHW, weight, None, self.stride, self.padding)

    def normed(
        self,
        x_NCHW: Tensor,
        outputs: int,
        norm: ElasticBatchNorm,
        act: Activation = "identity",
        residual: Tensor | None = None,
    ) -> Tensor:
        """Convolve, normalise, activate and add a residual; in training mode by the active kernels.

        Parameters
        ----------
        x_NCHW : Tensor
            Input of shape (N, C, H, W) with C up to `max_in`.
        outputs : int
            Output channels.
        norm : ElasticBatchNorm
            Norm behind the convolution.
        act : str
            Activation behind the norm.
        residual : Tensor, optional
            What is added in the end, shape (N, outputs, H', W').

        Returns
        -------
        Tensor
            Output of shape (N, outputs, H', W').
        """
        kernels = active()
        if not (kernels.fused and norm.bn.training and self.pointwise):
            return norm_act(self(x_NCHW, outputs), norm, act, residual)
        weight = self.weight(x_NCHW.shape[1], outputs)
        return kernels.pointwise_norm_act(x_NCHW, weight, norm.tensors(outputs), act, residual)

    def static(self, inputs: int, outputs: int) -> nn.Conv2d:
        """Extract a plain convolution with a copy of the slice.

        Parameters
        ----------
        inputs : int
            Input channels.
        outputs : int
            Output channels.

        Returns
        -------
        nn.Conv2d
            The convolution.
        """
        conv = nn.Conv2d(inputs, outputs, self.conv.kernel_size, self.stride, self.padding, bias=False)  # type: ignore[arg-type]
        with torch.no_grad():
            conv.weight.copy_(self.weight(inputs, outputs))
        return conv


class ElasticClassifier(nn.Module):
    """Linear layer with bias of which the first input columns are used.

    Parameters
    ----------
    max_in : int
        Input features at full size.
    classes : int
        Output features.
    """

    def __init__(self, max_in: int, classes: int) -> None:
        super().__init__()
        self.linear = nn.Linear(max_in, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Compute logits from as many features as the input has.

        Parameters
        ----------
        x : Tensor
            Input of shape (N, features) with up to `max_in` features.

        Returns
        -------
        Tensor
            Logits of shape (N, classes).
        """
        return F.linear(x, self.linear.weight[:, : x.shape[1]], self.linear.bias)

    def static(self, inputs: int) -> nn.Linear:
        """Extract a plain linear layer with a copy of the slice.

        Parameters
        ----------
        inputs : int
            Input features.

        Returns
        -------
        nn.Linear
            The layer.
        """
        linear = nn.Linear(inputs, self.linear.out_features)
        with torch.no_grad():
            linear.weight.copy_(self.linear.weight[:, :inputs])
            linear.bias.copy_(self.linear.bias)
        return linear
