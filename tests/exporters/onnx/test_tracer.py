"""Calls on tensors without numbers, and what is written down for them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from hwsearch.exporters.onnx import rules  # noqa: F401  (registers all rules)
from hwsearch.exporters.onnx.dims import Atom, Dim, NoRuleError
from hwsearch.exporters.onnx.tracer import OnnxTracer
from hwsearch.exporters.onnx.values import TracedTensor, result_type

LENGTH = Dim.of(Atom("length", ("x", 1)))


def traced(tracer: OnnxTracer, *shape: Any, dtype: torch.dtype = torch.float32) -> TracedTensor:
    return TracedTensor(tracer, "x", shape, dtype)


def kinds(function: Callable[[TracedTensor], Any], *shape: Any, dtype: torch.dtype = torch.float32) -> list[str]:
    """ONNX operators that a function writes."""
    tracer = OnnxTracer(nn.Identity(), ["x"])
    with tracer:
        function(traced(tracer, *shape, dtype=dtype))
    return [n.kind for n in tracer.graph.nodes]


def test_operators_methods_and_functions_of_one_operation_are_written_alike() -> None:
    for function in (lambda x: x + 1, lambda x: x.add(1), lambda x: torch.add(x, 1), lambda x: 1 + x):
        assert kinds(function, 2, 3) == ["Add"]
    assert kinds(lambda x: x.clip(0, 1), 2) == kinds(lambda x: x.clamp(0, 1), 2)
    assert kinds(lambda x: torch.concat([x, x]), 2) == ["Concat"]


def test_what_is_computed_from_weights_alone_becomes_a_constant() -> None:
    weight = torch.ones(3)
    assert kinds(lambda x: x * (weight + 1).exp().sum(), 2, 3) == ["Mul"]


def test_shapes_follow_without_numbers() -> None:
    tracer = OnnxTracer(nn.Identity(), ["x"])
    with tracer:
        x = traced(tracer, 2, LENGTH, 8)
        y = x.reshape(2, -1).unsqueeze(0)
    assert y.shape == (1, 2, LENGTH * 8)
    assert (x.dim(), x.size(2), len(x)) == (3, 8, 2)
    assert x.numel() == LENGTH * 16 and x.is_floating_point()


def test_a_change_in_place_is_followed_and_one_of_a_view_is_refused() -> None:
    tracer = OnnxTracer(nn.Identity(), ["x"])
    with tracer:
        x = traced(tracer, 2, 3)
        x += 1
        assert x.name == "Add"
        y = x.unsqueeze(0)
        with pytest.raises(NoRuleError, match="in place"):
            y.relu_()
        with pytest.raises(NoRuleError, match="in place"):
            x += 1


@pytest.mark.parametrize(
    "use", [bool, int, float, lambda x: x.item(), lambda x: torch.atan(x)], ids=["bool", "int", "float", "item", "atan"]
)
def test_numbers_and_unknown_operations_are_refused(use: Callable[[TracedTensor], Any]) -> None:
    with pytest.raises(NoRuleError):
        kinds(use, 1)


def test_a_list_of_variable_sizes_is_computed_when_the_model_runs() -> None:
    tracer = OnnxTracer(nn.Identity(), ["x"])
    name = tracer.sizes([4, LENGTH * 2 + 1, 8])
    assert [n.kind for n in tracer.graph.nodes] == ["Shape", "Mul", "Add", "Concat"]
    assert tracer.graph.nodes[-1].outputs == [name]
    assert tracer.graph.nodes[0].attributes == {"start": 1, "end": 2}
    fixed = OnnxTracer(nn.Identity(), [])
    assert fixed.graph.constants[fixed.sizes([4, 8])].tolist() == [4, 8]


def test_casts_are_written_only_where_the_type_differs() -> None:
    assert kinds(lambda x: x.float(), 2) == []
    assert kinds(lambda x: x.float() * 2, 2, dtype=torch.int64) == ["Cast", "Mul"]
    with pytest.raises(NoRuleError, match="float16"):
        kinds(lambda x: x.to(torch.float16), 2)


def test_types_are_promoted_as_torch_does() -> None:
    tracer = OnnxTracer(nn.Identity(), ["x"])
    whole, scalar = traced(tracer, 2, dtype=torch.int64), torch.tensor(1.5)
    assert result_type(whole, 2) == result_type(whole, LENGTH) == torch.int64
    assert result_type(whole, 0.5) == result_type(whole, scalar) == torch.float32
