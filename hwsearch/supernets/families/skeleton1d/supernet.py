"""Elastic ensemble of residual 1-D convolutional networks for skeleton sequences.

Genes: ``branches`` (which of four are on), ``fusion`` (how they are joined, of two or more), and for branch i of
`hwsearch.supernets.families.skeleton1d.config.BRANCHES`, where it is on, ``d[i]`` (residual blocks), ``w[i]`` (share of the
width) and ``ks[i]`` (taps of its convolutions).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from typing_extensions import override

from hwsearch._typing import FloatArray, IntArray
from hwsearch.errors import DataError
from hwsearch.spaces import Architecture
from hwsearch.supernets.base import Part, Supernet
from hwsearch.supernets.families.skeleton1d.branches import Branch, SkeletonSubnet, fuse
from hwsearch.supernets.families.skeleton1d.config import BRANCHES, Skeleton1DConfig
from hwsearch.supernets.families.skeleton1d.costs import network_costs
from hwsearch.supernets.families.skeleton1d.layers import ElasticBaseNet
from hwsearch.tasks.data import Data
from hwsearch.tasks.inputs import Input
from hwsearch.tasks.sequences.data import SequenceData
from hwsearch.tasks.sequences.layout import JOINTS


class ElasticBranch(Branch):
    """A `Branch` whose base networks are elastic and share one classifier, of which the features in use are sliced.

    Parameters
    ----------
    view : str
        One of `BRANCHES`.
    config : Skeleton1DConfig
        Shape of the supernet.
    """

    def __init__(self, view: str, config: Skeleton1DConfig) -> None:
        c, sizes = config, config.nets(view)
        nets = [
            ElasticBaseNet(n, c.width, max(c.blocks), max(c.kernels), attention=view == "attention") for n, _ in sizes
        ]
        super().__init__(view, nets, nn.Linear(len(nets) * c.width, c.classes))
        self.full, self.width = c.width, c.width

    def activate(self, blocks: int, width: int, kernel: int) -> None:
        """Use these sizes from now on.

        Parameters
        ----------
        blocks, width, kernel : int
            As of `ElasticBaseNet.activate`.
        """
        self.width = width
        for net in self.nets:
            assert isinstance(net, ElasticBaseNet)
            net.activate(blocks, width, kernel)

    def head_weight(self) -> Tensor:
        """Slice the classifier: of each base network the first features, side by side.

        Returns
        -------
        Tensor
            Shape (classes, base networks x width).
        """
        weight = self.head.weight
        return weight.view(len(weight), len(self.nets), self.full)[:, :, : self.width].flatten(1)

    @override
    def forward(self, x_NCT: Tensor, mask_N1T: Tensor) -> Tensor:
        found = [net(*given) for net, given in zip(self.nets, self.inputs(x_NCT, mask_N1T), strict=True)]
        return nn.functional.linear(torch.cat(found, 1), self.head_weight(), self.head.bias)

    def static(self) -> Branch:
        """Extract the active sizes as a plain branch with weights of its own.

        Returns
        -------
        Branch
            The branch.
        """
        nets = []
        for net in self.nets:
            assert isinstance(net, ElasticBaseNet)
            nets.append(net.static())
        head = nn.Linear(len(nets) * self.width, self.head.out_features)
        with torch.no_grad():
            head.weight.copy_(self.head_weight())
            head.bias.copy_(self.head.bias)
        return Branch(self.view, nets, head)


class Skeleton1D(Supernet):
    """The weight-sharing ensemble of 1-D networks for skeleton sequences.

    Parameters
    ----------
    config : Skeleton1DConfig
        Shape and elastic choices; `space` has its genes.

    References
    ----------
    Xu and Wang, 2018, Ensemble One-dimensional Convolution Neural Networks for Skeleton-based Action
    Recognition, arXiv 1801.02475: the four branches and late fusion. Blocks, widths and kernels are choices here.
    """

    def __init__(self, config: Skeleton1DConfig) -> None:
        super().__init__()
        self.config, self.space, self.classes = config, config.search_space(), config.classes
        for view in BRANCHES:
            self.add_module(view, ElasticBranch(view, config))
        self.on: list[str] = []
        self.fusion = ""
        self.activate(self.space.largest())

    def branch(self, view: str) -> ElasticBranch:
        """Find a branch.

        Parameters
        ----------
        view : str
            One of `BRANCHES`.

        Returns
        -------
        ElasticBranch
            The branch.
        """
        found = self._modules[view]
        assert isinstance(found, ElasticBranch)
        return found

    @override
    def input_shape(self, arch: Architecture) -> tuple[int, ...]:
        return 3 * JOINTS, self.config.frames

    @override
    def parts(self, arch: Architecture, net: nn.Module) -> list[Part]:
        frames = self.config.frames
        inputs = (Input("joints", (3 * JOINTS, frames)), Input("mask", (frames,), low=0, high=2))
        return [Part("", net, inputs, output_axes=({0: "batch"},))]

    @override
    def activate(self, arch: Architecture) -> None:
        self.space.check_space(arch)
        on = str(arch["branches"]).split("+")
        for i, view in enumerate(BRANCHES):
            if view in on:
                width = self.config.channels(float(arch[f"w[{i}]"]))
                self.branch(view).activate(arch.integer(f"d[{i}]"), width, arch.integer(f"ks[{i}]"))
        self.on, self.fusion = on, str(arch["fusion"]) if len(on) > 1 else ""

    @override
    def forward(self, *inputs: Tensor) -> Tensor:
        """Compute logits (N, classes) of positions (N, 75, T) and mask (N, T) by the active architecture."""
        x_NCT, mask_NT = inputs
        mask = mask_NT.to(x_NCT.dtype)[:, None]
        x = x_NCT * mask
        return fuse([self.branch(view)(x, mask) for view in self.on], self.fusion)

    @override
    def subnet(self, arch: Architecture) -> SkeletonSubnet:
        before = [(v, *self._sizes(v)) for v in BRANCHES], self.on, self.fusion
        self.activate(arch)
        try:
            plain = SkeletonSubnet({view: self.branch(view).static() for view in self.on}, self.fusion)
        finally:
            sizes, self.on, self.fusion = before
            for view, blocks, width, kernel in sizes:
                self.branch(view).activate(blocks, width, kernel)
        return plain.train(self.training)

    def _sizes(self, view: str) -> tuple[int, int, int]:
        net = self.branch(view).nets[0]
        assert isinstance(net, ElasticBaseNet)
        return net.depth, net.width, net.stem.kernel  # type: ignore[return-value]

    @override
    def check_data(self, data: Data, split: str) -> None:
        if not isinstance(data, SequenceData):
            raise DataError(f"the {split} data {data.name!r} are no skeleton sequences.")
        super().check_data(data, split)

    @override
    def cost_features(self, rows: IntArray) -> dict[str, FloatArray]:
        return network_costs(self.config, self.space, rows)
