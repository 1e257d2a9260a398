"""Activations that stand aside where the norm before them has computed them already."""

from __future__ import annotations

import copy
from typing import cast

import torch.nn.functional as F
from torch import Tensor, nn
from typing_extensions import override

from hwsearch.supernets.kernels import Activation


class Handover:
    """Result of a norm for the activation behind it.

    Attributes
    ----------
    activated : Tensor or None
        The norm's output, where the activation is applied to it already.
    """

    activated: Tensor | None = None


class _Handed(nn.Module):
    """An activation that gives back what its norm has activated, and computes everything else."""

    kind: Activation

    def __init__(self, source: nn.Module) -> None:
        super().__init__()
        self.__dict__.update(copy.deepcopy(source).__dict__)
        self.handover = Handover()

    def take(self, x: Tensor) -> bool:
        """Tell whether a tensor is activated already; it is forgotten then."""
        done, self.handover.activated = self.handover.activated, None
        return done is x

    def plain(self) -> nn.Module:
        """Make the activation as it was in the network."""
        base = cast(type[nn.Module], type(self).__mro__[2])
        found = base()
        found.__dict__.update({k: v for k, v in copy.copy(self).__dict__.items() if k != "handover"})
        return found


class HandedReLU(_Handed, nn.ReLU):
    """ReLU behind a norm."""

    kind = "relu"

    @override
    def forward(self, input: Tensor) -> Tensor:
        return input if self.take(input) else F.relu(input, self.inplace)


class HandedReLU6(_Handed, nn.ReLU6):
    """ReLU6 behind a norm."""

    kind = "relu6"

    @override
    def forward(self, input: Tensor) -> Tensor:
        return input if self.take(input) else F.relu6(input, self.inplace)


class HandedHardswish(_Handed, nn.Hardswish):
    """Hard swish behind a norm."""

    kind = "hardswish"

    @override
    def forward(self, input: Tensor) -> Tensor:
        return input if self.take(input) else F.hardswish(input, self.inplace)


class HandedSiLU(_Handed, nn.SiLU):
    """SiLU behind a norm."""

    kind = "silu"

    @override
    def forward(self, input: Tensor) -> Tensor:
        return input if self.take(input) else F.silu(input, self.inplace)


HandedActivation = HandedReLU | HandedReLU6 | HandedHardswish | HandedSiLU

#: plain activation → what takes its place behind a norm
HANDED: dict[type[nn.Module], type[HandedActivation]] = {
    nn.ReLU: HandedReLU,
    nn.ReLU6: HandedReLU6,
    nn.Hardswish: HandedHardswish,
    nn.SiLU: HandedSiLU,
}
