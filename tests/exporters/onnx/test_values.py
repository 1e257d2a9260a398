"""Tensors without numbers, as a network's code sees them."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from hwsearch.exporters.onnx.dims import Atom, Dim, NoRuleError
from hwsearch.exporters.onnx.values import TracedTensor, result_type

BATCH = Dim.of(Atom("batch", ("x", 0)))


class Calls:
    """Notes what is called, and answers with its name."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def call(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any] | None = None) -> Any:
        self.names.append(name)
        return [name]


def tensor(*shape: Any, dtype: torch.dtype = torch.float32) -> TracedTensor:
    return TracedTensor(Calls(), "x", shape, dtype)


def test_it_passes_for_a_tensor_and_knows_its_shape() -> None:
    x = tensor(BATCH, 3, 8)
    assert isinstance(x, torch.Tensor) and x.shape == (BATCH, 3, 8) and x.ndim == x.dim() == 3
    assert x.size(1) == 3 and x.size() == x.shape and x.numel() == BATCH * 24
    assert x.is_floating_point() and not tensor(2, dtype=torch.int64).is_floating_point()
    assert len(tensor(5, 2)) == 5 and x.device == torch.device("cpu") and not x.shared


def test_what_is_done_with_it_goes_to_the_recorder() -> None:
    x = tensor(4, 4)
    _ = x.T, x.mT, list(x), torch.relu(x), x.exp()
    assert x.recorder.names == ["t", "transpose", "unbind", "relu", "exp"]


@pytest.mark.parametrize("use", [bool, int, float, lambda x: [1, 2, 3][x]])
def test_it_has_no_number(use: Any) -> None:
    with pytest.raises(NoRuleError, match="number"):
        use(tensor(1, dtype=torch.int64))


def test_a_list_of_tensors_alone_cannot_be_recorded() -> None:
    with pytest.raises(NoRuleError, match="in a list"):
        torch.cat([tensor(2)])


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        (tensor(2), 1, torch.float32),
        (tensor(2, dtype=torch.int64), 1.5, torch.float32),
        (tensor(2, dtype=torch.int64), BATCH, torch.int64),
        (tensor(2), torch.zeros((), dtype=torch.float64), torch.float32),
        (tensor(2), torch.zeros(1, dtype=torch.float64), torch.float64),
        (tensor(2, dtype=torch.bool), 1, torch.int64),
    ],
)
def test_types_are_promoted_as_torch_does(a: Any, b: Any, expected: torch.dtype) -> None:
    assert result_type(a, b) == expected
