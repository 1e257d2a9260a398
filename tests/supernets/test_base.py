"""The base of supernets: costs of one subnet and of many, features, parts, and refusals."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from hwsearch._typing import FloatArray, IntArray
from hwsearch.errors import DataError, SupernetError
from hwsearch.spaces import Architecture, Choice, SearchSpace
from hwsearch.supernets.base import Supernet, with_logs


class Tiny(Supernet):
    """Costs are numbers of its genes; images or sequences by its shape."""

    def __init__(self, shape: tuple[int, ...] = (3, 8, 9)) -> None:
        super().__init__()
        self.space = SearchSpace("tiny", [Choice("depth", (1, 2)), Choice("width", (8, 16, 32))])
        self.classes, self.shape = 3, shape

    def activate(self, arch: Architecture) -> None: ...

    def subnet(self, arch: Architecture) -> nn.Module:
        return nn.Identity()

    def input_shape(self, arch: Architecture) -> tuple[int, ...]:
        return self.shape

    def cost_features(self, rows: IntArray) -> dict[str, FloatArray]:
        return {"macs": 100.0 * rows[:, 1] + 7, "params": 10.0 * rows[:, 0] + 5}

    def forward(self, *inputs: Tensor) -> Tensor:
        return inputs[0]


class Examples:
    name = "mine"

    def __init__(self, *classes: str) -> None:
        self.classes = classes


def test_costs_of_one_architecture_are_those_of_its_row() -> None:
    net = Tiny()
    arch = net.space.architecture({"depth": 2, "width": 32})
    assert (net.macs(arch), net.params(arch)) == (207, 15)
    rows = net.space.to_array([arch, net.space.smallest()])
    assert net.macs_array(rows).tolist() == [207, 7] and net.params_array(rows).tolist() == [15, 5]


def test_features_are_one_hot_genes_and_costs_with_names() -> None:
    net = Tiny()
    features, names = net.features([net.space.architecture({"depth": 2, "width": 8})])
    assert names[-2:] == ["macs", "params"] and features.shape == (1, len(names)) == (1, 7)
    assert features[0].tolist() == [0, 1, 1, 0, 0, 7, 15]


def test_logarithms_are_natural_and_of_three_costs_alone() -> None:
    costs = {name: np.array([1.0, np.e]) for name in ("macs", "params", "activations", "depth")}
    found = with_logs(costs)
    assert set(found) - set(costs) == {"log_macs", "log_params", "log_activations"}
    np.testing.assert_allclose(found["log_macs"], [0.0, 1.0])


@pytest.mark.parametrize(("shape", "size", "name"), [((3, 8, 9), 9, "image"), ((12,), 12, "input")])
def test_one_part_by_default_whose_input_is_an_image_or_a_sequence(shape, size: int, name: str) -> None:
    net = Tiny(shape)
    arch = net.space.smallest()
    (part,) = net.parts(arch, net.subnet(arch))
    assert (part.name, part.runs, part.outputs) == ("", 1, ("logits",))
    assert part.inputs[0].shape == shape and net.input_size(arch) == size
    assert (part.inputs[0].name == "input") == (name == "input")


def test_data_must_have_the_networks_classes_where_they_have_some() -> None:
    net = Tiny()
    net.check_data(Examples("a", "b", "c"), "test")  # type: ignore[arg-type]
    net.check_data(Examples(), "test")  # type: ignore[arg-type]
    with pytest.raises(DataError, match="the test data 'mine' have 2 classes, the supernet 3"):
        net.check_data(Examples("a", "b"), "test")  # type: ignore[arg-type]


def test_a_family_that_cannot_sort_says_so_and_others_need_not_rename() -> None:
    net = Tiny()
    with pytest.raises(SupernetError, match=r"Tiny cannot sort its channels.*Leave \[supernet\] sort out"):
        net.sort_channels()
    state = {"w": torch.zeros(1)}
    assert net.rename(state) == state and net.rename(state) is not state and net.structure() == ""
