"""What every supernet offers to the rest of the engine."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence

import numpy as np
from torch import Tensor, nn

from hwsearch.spaces import Architecture, SearchSpace
from hwsearch.spaces.space import FloatArray, IntArray


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
    def input_shape(self, arch: Architecture) -> tuple[int, int, int]:
        """(channels, height, width) of one input image of `arch`."""

    @abstractmethod
    def macs_array(self, rows: IntArray) -> FloatArray:
        """Multiply-accumulates of convolutions and linears for one image; rows: (n, genes) as in `SearchSpace`."""

    @abstractmethod
    def params_array(self, rows: IntArray) -> FloatArray:
        """Number of weights of the extracted subnets; rows: (n, genes)."""

    @abstractmethod
    def cost_features(self, rows: IntArray) -> dict[str, FloatArray]:
        """Named cost features (n,) for predictors, of rows (n, genes): MACs and activations, whole and by stage."""

    def rename(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """A weight file's tensors under this network's names, where the authors' files spell them in other ways."""
        return dict(state)

    def macs(self, arch: Architecture) -> int:
        return int(self.macs_array(self.space.to_array([arch]))[0])

    def params(self, arch: Architecture) -> int:
        return int(self.params_array(self.space.to_array([arch]))[0])

    @abstractmethod
    def forward(self, x_NCHW: Tensor) -> Tensor:
        """Logits (N, classes) of the active architecture."""

    def features_array(self, rows: IntArray) -> tuple[FloatArray, list[str]]:
        """Features (n, columns) for predictors, with names: one-hot genes, then cost features; rows: (n, genes)."""
        costs = self.cost_features(rows)
        columns = [self.space.encode_array(rows, "onehot")]
        columns += [np.asarray(v, np.float64)[:, None] for v in costs.values()]
        return np.concatenate(columns, axis=1), [*self.space.feature_names("onehot"), *costs]

    def features(self, archs: Sequence[Architecture]) -> tuple[FloatArray, list[str]]:
        """As `features_array`, of architectures."""
        return self.features_array(self.space.to_array(archs))
