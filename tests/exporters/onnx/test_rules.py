"""Each rule against torch, and what no rule can follow."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hwsearch.exporters import lower, run_onnx, torch_export
from hwsearch.exporters.onnx.dims import NoRuleError
from hwsearch.exporters.onnx.lower import by_rules
from hwsearch.tasks.inputs import Input

#: an image, tokens and a sequence of vectors, of variable length
IMAGE = (Input("image", (4, 9, 10)),)
TOKENS = (Input("tokens", (6,), high=7, axes=("length",)),)
VECTORS = (Input("x", (6, 8), axes=("length", None)),)
TWO = (*VECTORS, Input("y", (3, 8), axes=("other", None)))


class Call(nn.Module):
    """A function with a few weights at hand."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__()
        self.function = function
        generator = torch.Generator().manual_seed(0)
        self.weight = nn.Parameter(torch.randn(8, 8, generator=generator))
        self.register_buffer("table", torch.randn(40, 8, generator=generator))
        self.layers = nn.ModuleDict(
            {
                "norm": nn.GroupNorm(2, 4),
                "batch": nn.BatchNorm2d(4),
                "conv": nn.Conv2d(4, 4, 3, 2, 1, dilation=2, groups=2),
                "attention": nn.MultiheadAttention(8, 2, batch_first=True),
            }
        )

    def forward(self, *inputs: Tensor) -> Any:
        return self.function(self, *inputs)


RULES: dict[str, tuple[tuple[Input, ...], Callable[..., Any]]] = {
    "arithmetic": (VECTORS, lambda m, x: 2 - x * 3 + (1 / (x * x + 1)) - 0.5**x / 4),
    "integers": (TOKENS, lambda m, x: (x * 2 - 1) / 4 + (x + 0.5) * m.table[0, 0]),
    "powers": (VECTORS, lambda m, x: x**2 + x.abs().pow(1.5) + torch.sqrt(x.abs()) + x.exp().log()),
    "compare": (VECTORS, lambda m, x: torch.where((x > 0) & ~(x >= 1) | (x.ne(x)), x, -x)),
    "masks": (TOKENS, lambda m, x: ((x == 3) | (x < 2)).float() - (x != 1).long()),
    "bounds": (VECTORS, lambda m, x: x.clamp(-0.5, 0.5) + torch.maximum(x, m.table[:1]) + x.clamp(min=0.1)),
    "reduce": (VECTORS, lambda m, x: x.mean(-1) + x.sum((2,)) + x.amax(2) - x.amin(-1)),
    "reduce all": (VECTORS, lambda m, x: x.mean((1, 2), keepdim=True) + x.sum(1, keepdim=True)),
    "positions": (TOKENS, lambda m, x: F.embedding((x != 2).long().cumsum(1) * (x != 2), m.table)),
    "range": (VECTORS, lambda m, x: x + m.table[torch.arange(x.shape[1])] + torch.arange(2, 10)),
    "table": (VECTORS, lambda m, x: x + m.table[: x.shape[1]] + m.table[x.size(1) : x.size(1) + 1]),
    "causal": (
        VECTORS,
        lambda m, x: (x @ x.mT)
        .masked_fill(torch.ones(x.shape[1], x.shape[1], dtype=torch.bool).triu(1), -torch.inf)
        .softmax(-1),
    ),
    "made": (VECTORS, lambda m, x: torch.cat([x, x.new_zeros((x.shape[0], 2, 8)), torch.ones_like(x)], 1)),
    "full": (VECTORS, lambda m, x: torch.full((x.shape[1], 1), 2.5) * x + torch.zeros(x.shape[1], 8).tril()),
    "linear": (VECTORS, lambda m, x: F.linear(x, m.weight, m.weight[0]) + F.linear(x, m.weight)),
    "products": (TWO, lambda m, x, y: torch.matmul(x, y.transpose(1, 2)) @ y + torch.bmm(x, y.mT) @ m.table[: y.shape[1]]),
    "weights first": (VECTORS, lambda m, x: m.weight @ x.permute(0, 2, 1) + m.weight.sum()),
    "attention": (TWO, lambda m, x, y: F.scaled_dot_product_attention(x, y, y)),
    "attention with a mask": (TWO, lambda m, x, y: F.scaled_dot_product_attention(x, y, y, x[:, :, :1] > 0 * y[:, :1, 0:1])),
    "heads": (VECTORS, lambda m, x: x.view(x.shape[0], x.shape[1], 2, 4).transpose(1, 2).reshape(-1, x.size(1), 4)),
    "fold": (VECTORS, lambda m, x: x.flatten(0, 1).t().reshape(2, 4, -1).unflatten(1, (2, -1)).permute(3, 0, 1, 2)),
    "squeeze": (VECTORS, lambda m, x: x.unsqueeze(-1).squeeze(-1)[:, None].squeeze(1).expand(3, -1, -1, -1)),
    "expand": (VECTORS, lambda m, x: m.weight[0].expand(x.shape[0], 1, -1) + m.weight[0].expand_as(x) * x),
    "repeat": (VECTORS, lambda m, x: x.repeat(1, 2, 1) + x.repeat(1, 1, 2)[..., :8].repeat(1, 2, 1)),
    "split": (VECTORS, lambda m, x: [*x.split(3, dim=2), *x.chunk(2, -1), *x.split((1, 7), 2), x.unbind(2)[5]]),
    "parts": (VECTORS, lambda m, x: [x[:, 0], x[..., -1], x[:, 1:-1, ::2], x.narrow(1, 1, 2), x[:, -3:], x.select(1, 2)]),
    "index": (TOKENS, lambda m, x: [m.table[x], m.table.index_select(1, x[0]), m.table[:3, None, x]]),
    "gather": (VECTORS, lambda m, x: x.gather(1, (x[:, :2] > 0).long()) + torch.stack([x[:, 0], x[:, 1]], 1)),
    "types": (TOKENS, lambda m, x: x.to(torch.float32).type_as(m.weight).double().float() + x.bool().int()),
    "layer norm": (VECTORS, lambda m, x: F.layer_norm(x, (8,)) + F.layer_norm(x, (8,), m.weight[0], m.weight[1], 1e-3)),
    "group norm": (IMAGE, lambda m, x: m.layers["norm"](x)),
    "batch norm": (IMAGE, lambda m, x: m.layers["batch"](m.layers["conv"](m.layers["batch"](x)))),
    "shared convolution": (IMAGE, lambda m, x: [m.layers["conv"](x), m.layers["batch"](m.layers["conv"](x))]),
    "activations": (
        VECTORS,
        lambda m, x: [
            f(x)
            for f in (F.relu, F.relu6, F.hardswish, F.hardsigmoid, F.silu, F.elu, F.gelu, F.leaky_relu, F.hardtanh,
                      torch.tanh, torch.sigmoid, lambda v: F.gelu(v, approximate="tanh"), lambda v: F.log_softmax(v, 1))
        ],
    ),
    "pools": (
        IMAGE,
        lambda m, x: [
            F.max_pool2d(x, 3, 2, 1), F.max_pool2d(x, 2, ceil_mode=True), F.avg_pool2d(x, 2, 2, 0, True),
            F.avg_pool2d(x, 3, 2, 1, False, False), F.adaptive_avg_pool2d(x, 1), F.adaptive_avg_pool2d(x, (3, None)),
            F.avg_pool2d(x, (9, 2)),
        ],
    ),
    "shuffle": (IMAGE, lambda m, x: x.view(-1, 2, x.shape[1] // 2, *x.shape[2:]).transpose(1, 2).flatten(1, 2)),
    "change in place": (VECTORS, lambda m, x: [y := x * 1, y.relu_(), y + 0 * y.add_(1), F.relu(z := x - 1, True) + z]),
    "kinds of input": (VECTORS, lambda m, x: x * 2 if isinstance(x, Tensor) and torch.is_tensor(x) else x),
    "operator in place": (VECTORS, lambda m, x: torch.add(y := x * 2, y.__iadd__(x))),
}  # fmt: skip


def compared(net: nn.Module, model: onnx.ModelProto, inputs: tuple[Input, ...], lengths: tuple[int, ...]) -> None:
    """Batch 1 and 3, and each variable axis as long as given."""
    onnx.checker.check_model(model, full_check=True)
    for batch in (1, 3):
        for length in lengths:
            rng = np.random.default_rng([batch, length])
            sized = [
                Input(i.name, tuple(length if i.axes and i.axes[k] else s for k, s in enumerate(i.shape)), i.high)
                for i in inputs
            ]
            x = [np.asarray(i.sample(batch, rng)) for i in sized]
            with torch.no_grad():
                given = net(*map(torch.from_numpy, x))
            expected = [given] if isinstance(given, Tensor) else list(given)
            found = run_onnx(model.SerializeToString(), *x)
            assert len(found) == len(expected)
            for a, b in zip(found, expected, strict=True):
                assert a.shape == tuple(b.shape) and torch.from_numpy(a).dtype == b.dtype
                np.testing.assert_allclose(a, b.numpy(), rtol=1e-5, atol=1e-5)


def model_of(net: nn.Module, inputs: tuple[Input, ...], by: Any = by_rules) -> onnx.ModelProto:
    with torch.no_grad():
        given = net(*(torch.from_numpy(np.asarray(i.sample(2, np.random.default_rng(0)))) for i in inputs))
    names = ["out"] if isinstance(given, Tensor) else [f"out{k}" for k in range(len(given))]
    return by(net, inputs, outputs=names)  # type: ignore[no-any-return]


@pytest.mark.parametrize("name", RULES)
def test_a_rule_gives_what_torch_gives(name: str, randomise: Callable[..., None]) -> None:
    inputs, function = RULES[name]
    net = Call(function)
    randomise(net)
    net.eval()
    compared(net, model_of(net, inputs), inputs, (3, 6, 9) if len(inputs) == 1 else (6,))


def view_in_place(m: Call, x: Tensor) -> Tensor:
    y = x * 1
    y[:, 0].relu_()
    return y


def steps(m: Call, x: Tensor) -> Tensor:
    total = x[:, 0]
    for i in range(1, x.shape[1]):
        total = total + x[:, i]
    return total


UNKNOWN: dict[str, tuple[tuple[Input, ...], Callable[..., Any]]] = {
    "an operation without a rule": (IMAGE, lambda m, x: torch.atan(x)),
    "a change in place of a part": (VECTORS, view_in_place),
    "a layer of many operations": (VECTORS, lambda m, x: m.layers["attention"](x, x, x, need_weights=False)[0]),
    "an option without a rule": (VECTORS, lambda m, x: torch.div(x, 0.3, rounding_mode="floor")),
}


@pytest.mark.parametrize("name", UNKNOWN)
def test_what_has_no_rule_goes_through_torchs_exporter(name: str) -> None:
    inputs, function = UNKNOWN[name]
    net = Call(function).eval()
    with pytest.raises(NoRuleError):
        model_of(net, inputs)
    model = model_of(net, inputs, lower)
    assert model.producer_name == "pytorch"
    compared(net, model, inputs, (6,))


@pytest.mark.parametrize(
    "function",
    [
        steps,
        lambda m, x: x if x.sum() > 0 else -x,
        lambda m, x: x if x.shape[1] > 4 else -x,
        lambda m, x: x * x.mean().item(),
        lambda m, x: x + torch.rand(8),
        lambda m, x: x[x > 0],
        lambda m, x: x.numpy(),
    ],
    ids=["loop over a length", "branch", "branch on a length", "number", "random", "mask as index", "numpy"],
)
def test_what_depends_on_numbers_is_not_followed(function: Callable[..., Any]) -> None:
    """A trace would freeze what this input, or this length, happened to choose."""
    with pytest.raises(NoRuleError):
        by_rules(Call(function).eval(), VECTORS)


def test_fixed_sizes_may_be_branched_on() -> None:
    net = Call(lambda m, x: x.flatten(1) if x.shape[-1] % 2 else x[..., : x.shape[-1] // 2]).eval()
    compared(net, by_rules(net, IMAGE), IMAGE, (1,))


def test_each_module_gets_its_own_mode_back() -> None:
    net = Call(lambda m, x: m.layers["batch"](x)).train()
    net.layers["norm"].eval()
    before = [m.training for m in net.modules()]
    mean = net.layers["batch"].running_mean.clone()
    for by in (by_rules, torch_export):
        by(net, IMAGE)
        assert [m.training for m in net.modules()] == before
    assert torch.equal(net.layers["batch"].running_mean, mean)


def test_weights_stay_as_they_are() -> None:
    net = Call(RULES["table"][1]).eval()
    before = {k: v.clone() for k, v in net.state_dict().items()}
    by_rules(net, VECTORS)
    assert all(torch.equal(v, before[k]) for k, v in net.state_dict().items())
    assert not any(vars(v) for v in (*net.parameters(), *net.buffers()))


def test_equal_nodes_are_written_once() -> None:
    net = Call(lambda m, x: x.relu() + x.relu() * (x.shape[1] - 0 * x.shape[1])).eval()
    kinds = [n.op_type for n in by_rules(net, VECTORS).graph.node]
    assert kinds.count("Relu") == 1 and kinds.count("Shape") == 1
