"""What every supernet offers to the rest of the engine."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor, nn

from hwsearch._typing import FloatArray, IntArray
from hwsearch.errors import DataError, SupernetError
from hwsearch.spaces import Architecture, SearchSpace
from hwsearch.tasks.data import Data
from hwsearch.tasks.inputs import Input, image


def with_logs(costs: dict[str, FloatArray]) -> dict[str, FloatArray]:
    """Cost features with the logarithms of the three that span orders of magnitude."""
    return {**costs, **{f"log_{k}": np.log(costs[k]) for k in ("macs", "params", "activations")}}


@dataclass(frozen=True)
class Part:
    """One model file of a deployed subnet; `runs` calls of it are one inference.

    name : what the file's name gets, empty where there is only one
    net : plain, static, in evaluation mode; takes the tensors of `inputs`, gives those of `outputs`
    output_axes : as `Input.axes`, of each output, batch axis included (0 is the batch where none are given)
    """

    name: str
    net: nn.Module
    inputs: tuple[Input, ...]
    outputs: tuple[str, ...] = ("logits",)
    runs: int = 1
    output_axes: tuple[dict[int, str], ...] = ()


class Supernet(nn.Module, ABC):
    """A weight-sharing network with a search space.

    space : the search space; subnets are its architectures
    classes : number of outputs
    """

    space: SearchSpace
    classes: int

    @abstractmethod
    def activate(self, arch: Architecture) -> None:
        """Use `arch` in the following weight-shared forward passes."""

    @abstractmethod
    def subnet(self, arch: Architecture) -> nn.Module:
        """A plain static module with weights of its own, equal to the activated supernet to 1e-6."""

    @abstractmethod
    def input_shape(self, arch: Architecture) -> tuple[int, ...]:
        """The shape of one input of `arch`: (channels, height, width) of an image, (tokens,) of a sequence."""

    def input_size(self, arch: Architecture) -> int:
        """What data are prepared for: the side of images in pixels, the tokens of sequences."""
        return self.input_shape(arch)[-1]

    def parts(self, arch: Architecture, net: nn.Module) -> list[Part]:
        """The model files that deploy `net`, which is the static subnet of `arch`: usually one, of one image."""
        shape = self.input_shape(arch)
        return [Part("", net, image(shape) if len(shape) == 3 else (Input("input", shape),))]

    def macs_array(self, rows: IntArray) -> FloatArray:
        """Multiply-accumulates of convolutions and linears for one example; rows: (n, genes) as in `SearchSpace`."""
        return self.cost_features(rows)["macs"]

    def params_array(self, rows: IntArray) -> FloatArray:
        """Number of weights of the extracted subnets; rows: (n, genes)."""
        return self.cost_features(rows)["params"]

    @abstractmethod
    def cost_features(self, rows: IntArray) -> dict[str, FloatArray]:
        """Named cost features (n,) for predictors, of rows (n, genes): ``macs``, ``params`` and what else tells costs."""

    def check_data(self, data: Data, split: str) -> None:
        """Raise `DataError` where these examples are not such as this network was made for."""
        if data.classes and len(data.classes) != self.classes:
            raise DataError(
                f"the {split} data {data.name!r} have {len(data.classes)} classes, the supernet {self.classes}.",
                hint="A class folder is missing, or the weights are of another data set.",
            )

    def rename(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """A weight file's tensors under this network's names, where the authors' files spell them in other ways."""
        return dict(state)

    def structure(self) -> str:
        """What of the network its weights do not tell, where that is code of the user's; part of what it is known by."""
        return ""

    def sort_channels(self) -> None:
        """Put what subnets cut in order of importance, in place; the largest subnet stays the same, up to rounding."""
        raise SupernetError(
            f"{type(self).__name__} cannot sort its channels by importance.", hint="Leave [supernet] sort out."
        )

    def after_loading(self) -> None:
        """Called once the weights of a file are in place: whatever has to follow from them."""

    def macs(self, arch: Architecture) -> int:
        return int(self.macs_array(self.space.to_array([arch]))[0])

    def params(self, arch: Architecture) -> int:
        return int(self.params_array(self.space.to_array([arch]))[0])

    @abstractmethod
    def forward(self, *inputs: Tensor) -> Tensor:
        """Logits (N, classes) of the active architecture; images are (N, C, H, W)."""

    def features_array(self, rows: IntArray) -> tuple[FloatArray, list[str]]:
        """Features (n, columns) for predictors, with names: one-hot genes, then cost features; rows: (n, genes)."""
        costs = self.cost_features(rows)
        columns = [self.space.encode_array(rows, "onehot")]
        columns += [np.asarray(v, np.float64)[:, None] for v in costs.values()]
        return np.concatenate(columns, axis=1), [*self.space.feature_names("onehot"), *costs]

    def features(self, archs: Sequence[Architecture]) -> tuple[FloatArray, list[str]]:
        """As `features_array`, of architectures."""
        return self.features_array(self.space.to_array(archs))
