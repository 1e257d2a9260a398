"""Random shapes and layouts of an operator's inputs, and its results beside those of float64."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from hypothesis import strategies as st
from torch import Tensor

from hwsearch.supernets.kernels import ACTIVATIONS, EAGER, Kernels, Norm

LAYOUTS = ("channels last", "channels first", "every other channel", "part of an image")
#: largest error: difference over the largest value of a result
TOLERANCE = 1e-5


#: where the slope of an activation jumps: rounding decides on which side a value falls
KINKS = {"relu": (0.0,), "relu6": (0.0, 6.0), "hardswish": (-3.0, 3.0)}


def smooth(z: Tensor, act: str) -> bool:
    """Whether no value is so near to a jump of the slope that rounding can move it across."""
    return all(bool(((z - k).abs() > 4e-6).all()) for k in KINKS.get(act, ()))


@dataclass(frozen=True)
class Case:
    images: int
    channels: int
    height: int
    width: int
    outputs: int
    kernel: int
    stride: int
    act: str
    layout: str
    residual: bool
    threads: int
    seed: int

    @property
    def pixels(self) -> int:
        """Pixels behind a convolution with this stride."""
        return self.images * (-(-self.height // self.stride)) * (-(-self.width // self.stride))

    def draw(self, *shape: int) -> Tensor:
        generator = torch.Generator().manual_seed(self.seed + sum(shape))
        return torch.randn(*shape, generator=generator)

    def image(self, channels: int, height: int, width: int) -> Tensor:
        """A tensor of images in the case's layout."""
        if self.layout == "every other channel":
            return self.draw(self.images, 2 * channels, height, width)[:, ::2]
        if self.layout == "part of an image":
            whole = self.draw(self.images, channels, height + 1, width + 2)
            return whole.contiguous(memory_format=torch.channels_last)[:, :, 1:, 1:-1]
        plain = self.draw(self.images, channels, height, width)
        return plain.contiguous(memory_format=torch.channels_last) if self.layout == "channels last" else plain

    def norm(self, channels: int) -> Norm:
        weight, bias = self.draw(channels, 1)[:, 0] + 1.5, self.draw(channels, 2)[:, 0]
        return Norm(weight, bias, torch.zeros(channels), torch.ones(channels), 0.1, 1e-5)


def cases(smallest_batch: int = 0) -> st.SearchStrategy[Case]:
    return st.builds(
        Case,
        images=st.integers(smallest_batch, 4),
        channels=st.sampled_from([1, 2, 7, 8, 9, 16, 24, 33, 40]),
        height=st.integers(1, 9),
        width=st.integers(1, 9),
        outputs=st.sampled_from([1, 3, 8, 17, 32, 45]),
        kernel=st.sampled_from([3, 5, 7]),
        stride=st.sampled_from([1, 2]),
        act=st.sampled_from(sorted(ACTIVATIONS)),
        layout=st.sampled_from(LAYOUTS),
        residual=st.booleans(),
        threads=st.integers(1, 4),
        seed=st.integers(0, 1000),
    )


#: maps kernels and inputs, of which the first are leaves, to an output
Operator = Callable[[Kernels, Sequence[Tensor]], Tensor]


def results(kernels: Kernels, operator: Operator, inputs: Sequence[Tensor]) -> list[Tensor]:
    """Output and gradients of all inputs, for an output gradient that is channels first."""
    leaves = [t.detach().clone(memory_format=torch.preserve_format).requires_grad_() for t in inputs]
    y = operator(kernels, leaves)
    upstream = torch.cos(torch.arange(y.numel(), dtype=torch.float64) ** 1.5).to(y.dtype).view(y.shape)
    return [y.detach(), *torch.autograd.grad(y, leaves, upstream)]


def check(kernels: Kernels, operator: Operator, inputs: Sequence[Tensor], threads: int, floor: float = 1e-3) -> float:
    """The largest error of output and gradients against float64; asserts that shapes are equal and it is small.

    Inputs are about 1: below `floor` of that size a gradient is a difference of large numbers, as behind norms of few
    pixels.
    """
    exact = results(EAGER, operator, [t.double() for t in inputs])
    plain = results(EAGER, operator, inputs)
    torch.set_num_threads(threads)
    found = results(kernels, operator, inputs)
    torch.set_num_threads(1)
    worst = 0.0
    for a, b, c in zip(found, exact, plain, strict=True):
        assert a.shape == b.shape and a.dtype is torch.float32
        if a.numel():
            scale = b.abs().max().clamp_min(floor)
            error, torchs = (float((t.double() - b).abs().max() / scale) for t in (a, c))
            assert error <= max(TOLERANCE, 2 * torchs), (error, torchs)
            worst = max(worst, error)
    return worst


def cast(norm: Norm, like: Tensor) -> Norm:
    """The norm with statistics of a tensor's type, which are not updated elsewhere."""
    return norm._replace(
        running_mean=norm.running_mean.to(like.dtype, copy=True), running_var=norm.running_var.to(like.dtype, copy=True)
    )
