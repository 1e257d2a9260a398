"""Base of every supernet: what it offers to the rest of the engine."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor, nn

from hwsearch._typing import FloatArray, IntArray
from hwsearch.errors import DataError, SupernetError
from hwsearch.spaces import Architecture, SearchSpace
from hwsearch.supernets.gates import GateSite
from hwsearch.tasks.data import Data
from hwsearch.tasks.inputs import Input, image
from predictors.schema import Column, Schema


def with_logs(costs: dict[str, FloatArray]) -> dict[str, FloatArray]:
    """Add the logarithms of the three cost features that span orders of magnitude.

    Parameters
    ----------
    costs : dict of str to FloatArray
        Features, each of shape ``(n,)``, among them macs, params and activations.

    Returns
    -------
    dict of str to FloatArray
        The same, and their logarithms under ``log_…``.
    """
    return {**costs, **{f"log_{k}": np.log(costs[k]) for k in ("macs", "params", "activations")}}


@dataclass(frozen=True)
class Part:
    """One model file of a deployed subnet.

    Parameters
    ----------
    name : str
        What the file's name gets; empty where there is only one file.
    net : torch.nn.Module
        Plain, static, in evaluation mode; takes the tensors of `inputs`, gives those of `outputs`.
    inputs : tuple of Input
        The inputs.
    outputs : tuple of str
        Names of the outputs.
    runs : int
        Calls of this model that make one inference.
    output_axes : tuple of dict
        As `Input.axes`, of each output, batch axis included (0 is the batch where none are given).
    """

    name: str
    net: nn.Module
    inputs: tuple[Input, ...]
    outputs: tuple[str, ...] = ("logits",)
    runs: int = 1
    output_axes: tuple[dict[int, str], ...] = ()


class Supernet(nn.Module, ABC):
    """A weight-sharing network with a search space.

    Attributes
    ----------
    space : SearchSpace
        The search space; subnets are its architectures.
    classes : int
        Number of outputs.
    """

    space: SearchSpace
    classes: int

    @abstractmethod
    def activate(self, arch: Architecture) -> None:
        """Use one architecture in the following weight-shared forward passes.

        Parameters
        ----------
        arch : Architecture
            An architecture of `space`.

        Raises
        ------
        SpaceError
            If it is of another space.
        """

    @abstractmethod
    def subnet(self, arch: Architecture) -> nn.Module:
        """Cut out one architecture.

        Parameters
        ----------
        arch : Architecture
            An architecture of `space`.

        Returns
        -------
        torch.nn.Module
            A plain static module with weights of its own, equal to the activated supernet to 1e-6.

        Raises
        ------
        SpaceError
            If the architecture is of another space.
        """

    @abstractmethod
    def input_shape(self, arch: Architecture) -> tuple[int, ...]:
        """Tell the shape of one input, without the batch axis.

        Parameters
        ----------
        arch : Architecture
            An architecture of `space`.

        Returns
        -------
        tuple of int
            Channels, height and width of an image; the number of tokens of a sequence; the number of features.
        """

    def input_size(self, arch: Architecture) -> int:
        """Tell what data are prepared for: the side of images in pixels, the tokens of sequences.

        Parameters
        ----------
        arch : Architecture
            An architecture of `space`.

        Returns
        -------
        int
            The size that `hwsearch.tasks.data.Data.batches` takes.
        """
        return self.input_shape(arch)[-1]

    def parts(self, arch: Architecture, net: nn.Module) -> list[Part]:
        """List the model files that deploy a subnet: usually one.

        Parameters
        ----------
        arch : Architecture
            An architecture of `space`.
        net : torch.nn.Module
            Its static subnet.

        Returns
        -------
        list of Part
            The models, in the order in which they run.
        """
        shape = self.input_shape(arch)
        return [Part("", net, image(shape) if len(shape) == 3 else (Input("input", shape),))]

    def macs_array(self, rows: IntArray) -> FloatArray:
        """Count the multiply-accumulates of convolutions and linears for one example.

        Parameters
        ----------
        rows : IntArray
            Rows of genes, shape ``(n, genes)``, as in `hwsearch.spaces.SearchSpace.to_array`.

        Returns
        -------
        FloatArray
            MACs, shape ``(n,)``.
        """
        return self.cost_features(rows)["macs"]

    def params_array(self, rows: IntArray) -> FloatArray:
        """Count the weights of the extracted subnets.

        Parameters
        ----------
        rows : IntArray
            Rows of genes, shape ``(n, genes)``, as in `hwsearch.spaces.SearchSpace.to_array`.

        Returns
        -------
        FloatArray
            Parameters, shape ``(n,)``.
        """
        return self.cost_features(rows)["params"]

    @abstractmethod
    def cost_features(self, rows: IntArray) -> dict[str, FloatArray]:
        """Compute named cost features for predictors.

        Parameters
        ----------
        rows : IntArray
            Rows of genes, shape ``(n, genes)``, as in `hwsearch.spaces.SearchSpace.to_array`.

        Returns
        -------
        dict of str to FloatArray
            ``macs``, ``params`` and what else tells costs, each of shape ``(n,)``.
        """

    def check_data(self, data: Data, split: str) -> None:
        """Check that the network was made for such examples.

        Parameters
        ----------
        data : Data
            The examples.
        split : str
            What they are used for, for the message.

        Raises
        ------
        DataError
            If they have another number of classes than the network has outputs, or do not fit in another way.
        """
        if data.classes and len(data.classes) != self.classes:
            raise DataError(
                f"the {split} data {data.name!r} have {len(data.classes)} classes, the supernet {self.classes}.",
                hint="A class folder is missing, or the weights are of another data set.",
            )

    def rename(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Bring a weight file's tensors under this network's names, where the authors' files spell them in other ways.

        Parameters
        ----------
        state : mapping of str to Tensor
            The file's tensors.

        Returns
        -------
        dict of str to Tensor
            The same tensors under this network's names.
        """
        return dict(state)

    def structure(self) -> str:
        """Describe what of the network its weights do not tell, where that is code of the user's.

        Returns
        -------
        str
            Part of what the supernet is known by; empty by default.
        """
        return ""

    def sort_channels(self) -> None:
        """Put what subnets cut in order of importance, in place; the largest subnet stays the same, up to rounding.

        Raises
        ------
        SupernetError
            If the family cannot do it (the default).
        """
        raise SupernetError(
            f"{type(self).__name__} cannot sort its channels by importance.", hint="Leave [supernet] sort out."
        )

    def gate_sites(self) -> list[GateSite]:
        """List where gates can take the part of genes, for pruning in one training run.

        Returns
        -------
        list of GateSite
            One a gene of a depth or width that has several values, none for other genes.

        Raises
        ------
        SupernetError
            If the family has no such places (the default).
        """
        raise SupernetError(
            f"{type(self).__name__} has no places for gates.",
            hint="Networks declared with Depth and Width, and the plain ones of the catalogue such as 'resnet18', have them.",
        )

    def after_loading(self) -> None:
        """Do whatever has to follow from the weights; called once those of a file are in place."""

    def macs(self, arch: Architecture) -> int:
        """Count the multiply-accumulates of one architecture.

        Parameters
        ----------
        arch : Architecture
            An architecture of `space`.

        Returns
        -------
        int
            MACs for one example.
        """
        return int(self.macs_array(self.space.to_array([arch]))[0])

    def params(self, arch: Architecture) -> int:
        """Count the weights of one architecture.

        Parameters
        ----------
        arch : Architecture
            An architecture of `space`.

        Returns
        -------
        int
            Parameters.
        """
        return int(self.params_array(self.space.to_array([arch]))[0])

    @abstractmethod
    def forward(self, *inputs: Tensor) -> Tensor:
        """Run the active architecture.

        Parameters
        ----------
        *inputs : Tensor
            Inputs as the task prepares them; images are ``(N, C, H, W)``.

        Returns
        -------
        Tensor
            Outputs, examples along the first axis: logits ``(N, classes)``.
        """

    def features_array(self, rows: IntArray) -> tuple[FloatArray, list[str]]:
        """Compute features for predictors: one-hot genes, then cost features.

        Parameters
        ----------
        rows : IntArray
            Rows of genes, shape ``(n, genes)``, as in `hwsearch.spaces.SearchSpace.to_array`.

        Returns
        -------
        features : FloatArray
            Shape ``(n, columns)``.
        names : list of str
            Names of the columns.
        """
        costs = self.cost_features(rows)
        columns = [self.space.encode_array(rows, "onehot")]
        columns += [np.asarray(v, np.float64)[:, None] for v in costs.values()]
        return np.concatenate(columns, axis=1), [*self.space.feature_names("onehot"), *costs]

    def schema(self) -> Schema:
        """Describe the columns of `features_array`, for predictors.

        Returns
        -------
        Schema
            The genes, then the cost features as facts.
        """
        costs = self.cost_features(self.space.to_array([self.space.smallest()]))
        return self.space.schema(Column(name) for name in costs)

    def features(self, archs: Sequence[Architecture]) -> tuple[FloatArray, list[str]]:
        """Compute the features of architectures; see `features_array`.

        Parameters
        ----------
        archs : sequence of Architecture
            Architectures of `space`.

        Returns
        -------
        features : FloatArray
            Shape ``(n, columns)``.
        names : list of str
            Names of the columns.
        """
        return self.features_array(self.space.to_array(archs))


def tensors_of(net: nn.Module) -> dict[str, Tensor]:
    """Name the parameters and buffers of a network, under the names by which its layers know them.

    Parameters
    ----------
    net : torch.nn.Module
        The network.

    Returns
    -------
    dict of str to Tensor
        Name → the tensor itself.
    """
    return {**dict(net.named_parameters()), **dict(net.named_buffers())}
