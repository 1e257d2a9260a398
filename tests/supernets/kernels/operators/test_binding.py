"""`bind_norm` on an operator of plain torch: gradients by finite differences, and shapes without numbers."""

from __future__ import annotations

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.library import custom_op

from hwsearch.supernets.kernels.operators.binding import bind_norm


def normalised(x: Tensor, weight: Tensor, bias: Tensor, eps: float) -> tuple[Tensor, Tensor, Tensor]:
    variance, mean = torch.var_mean(x, (0, 2, 3), correction=0)
    y = (x - mean[:, None, None]) * (variance + eps).rsqrt()[:, None, None]
    return y * weight[:, None, None] + bias[:, None, None], mean, variance


@custom_op("hwsearch_tests::norm", mutates_args=())
def norm(
    x: Tensor, weight: Tensor, bias: Tensor, residual: Tensor | None, act: int, eps: float
) -> tuple[Tensor, Tensor, Tensor]:
    out, mean, variance = normalised(x, weight, bias, eps)
    return out + residual if residual is not None else out, mean, variance


@custom_op("hwsearch_tests::norm_backward", mutates_args=())
def backward(
    g: Tensor, x: Tensor, weight: Tensor, bias: Tensor, mean: Tensor, variance: Tensor, act: int, eps: float
) -> tuple[Tensor, Tensor, Tensor]:
    y = (x - mean[:, None, None]) * (variance + eps).rsqrt()[:, None, None]
    dbias, dweight = g.sum((0, 2, 3)), (g * y).sum((0, 2, 3))
    pixels = x.numel() / x.shape[1]
    inner = g - dbias[:, None, None] / pixels - y * dweight[:, None, None] / pixels
    return (weight * (variance + eps).rsqrt())[:, None, None] * inner, dweight, dbias


bind_norm(norm, backward)


def given() -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    shapes = ((2, 3, 4, 2), (3,), (3,), (2, 3, 4, 2))
    return [torch.randn(s, generator=generator, dtype=torch.float64, requires_grad=True) for s in shapes]


def test_gradients_are_those_of_finite_differences() -> None:
    assert torch.autograd.gradcheck(lambda *t: norm(*t, 0, 1e-3)[0], given())
    x, weight, bias, _ = given()
    assert torch.autograd.gradcheck(lambda *t: norm(*t, None, 0, 1e-3)[0], (x, weight, bias))


def test_shapes_are_known_without_numbers() -> None:
    with FakeTensorMode() as mode:
        x, weight, bias, residual = (mode.from_tensor(t.detach()) for t in given())
        out, mean, variance = norm(x, weight, bias, residual, 0, 1e-3)
        found = backward(out, x, weight, bias, mean, variance, 0, 1e-3)
    assert [t.shape for t in (out, mean, variance)] == [x.shape, (3,), (3,)]
    assert [t.shape for t in found] == [x.shape, (3,), (3,)]
