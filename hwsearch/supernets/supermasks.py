"""One plain network for many tasks: a mask over its weights, statistics of batch norms and perhaps a head for each task."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from hwsearch.errors import CheckpointError, SupernetError
from hwsearch.supernets.checkpoint import digest

#: what of a batch norm belongs to a task
STATISTICS = ("running_mean", "running_var")


@dataclass(frozen=True)
class MaskedTask:
    """Masks, statistics and classifier of one task: all but the weights, which it shares.

    Parameters
    ----------
    name : str
        The task.
    classes : tuple of str
        Its classes, in the order of its outputs.
    masks : dict of str to Tensor
        Which entries of each shared weight it uses: booleans, by the weight's name.
    statistics : dict of str to Tensor
        Its running means and variances, by the buffers' names.
    head : dict of str to Tensor
        ``weight`` and perhaps ``bias`` of a classifier of its own; empty where it masks the network's.
    digest : str
        Digest of its network (`MaskedNetwork.cut`), which changes if any weight that it uses does.
    """

    name: str
    classes: tuple[str, ...]
    masks: dict[str, Tensor]
    statistics: dict[str, Tensor]
    head: dict[str, Tensor] = field(default_factory=dict)
    digest: str = ""


class MaskedNetwork:
    """A plain network whose convolutions and linear layers are shared by tasks, each under a mask.

    Biases and the factors and offsets of norms are shared as they are, and never trained.

    Parameters
    ----------
    net : torch.nn.Module
        The network.
    classes : int
        Number of its outputs.

    Attributes
    ----------
    names : tuple of str
        Names of the weights that masks lie over.
    head : str
        Name of the classifier: the last linear layer with as many outputs as there are classes.
    statistics : tuple of str
        Names of the batch norms' running means and variances.

    Raises
    ------
    SupernetError
        If the network has no such classifier, or convolutions over one or three axes, on which no mask lies.
    """

    def __init__(self, net: nn.Module, classes: int) -> None:
        self.net, self.classes = net.eval(), classes
        layers = [(n, m) for n, m in net.named_modules() if isinstance(m, nn.Conv2d | nn.Linear)]
        if other := [n for n, m in net.named_modules() if isinstance(m, nn.Conv1d | nn.Conv3d)]:
            raise SupernetError(
                f"{type(net).__name__} has convolutions over one or three axes, such as {other[0]!r}, on which no mask lies.",
                hint="Take a network of 2-D convolutions and linear layers.",
            )
        heads = [n for n, m in layers if isinstance(m, nn.Linear) and m.out_features == classes]
        if not heads:
            raise SupernetError(
                f"{type(net).__name__} has no linear layer of {classes} outputs, which tasks could replace.",
                hint="Take a network that ends in nn.Linear.",
            )
        self.head = heads[-1]
        seen: dict[int, str] = {}
        for name, module in layers:
            seen.setdefault(id(module.weight), f"{name}.weight")
        self.names = tuple(seen.values())
        norms = [n for n, m in net.named_modules() if isinstance(m, _BatchNorm) and m.track_running_stats]
        self.statistics = tuple(f"{n}.{s}" for n in norms for s in STATISTICS)

    @property
    def head_weight(self) -> str:
        """Name of the classifier's weight."""
        return f"{self.head}.weight"

    def masked(self, classes: int) -> tuple[str, ...]:
        """List the weights over which a task of so many classes has a mask; it has a head of its own where the number differs.

        Parameters
        ----------
        classes : int
            Classes of the task.

        Returns
        -------
        tuple of str
            Names.
        """
        return tuple(n for n in self.names if classes == self.classes or n != self.head_weight)

    def weight(self, name: str) -> Tensor:
        """Return a weight of the network, without gradient.

        Parameters
        ----------
        name : str
            Its name.

        Returns
        -------
        Tensor
            The weight itself.
        """
        return self.net.get_parameter(name).detach()

    @torch.no_grad()
    def cut(self, task: MaskedTask) -> nn.Module:
        """Cut out the plain network of a task.

        Parameters
        ----------
        task : MaskedTask
            The task.

        Returns
        -------
        torch.nn.Module
            A network with weights of its own, zero where the task's mask is, in evaluation mode.

        Raises
        ------
        CheckpointError
            If masks, statistics or head are not of this network's shapes.
        """
        net = copy.deepcopy(self.net).eval()
        for name in self.names:
            weight, mask = net.get_parameter(name), task.masks.get(name)
            if mask is None or mask.shape != weight.shape:
                raise _other(task.name, f"{name!r} has another shape")
            weight.copy_(torch.where(mask, weight, torch.zeros(())))  # a product would keep the sign of a zero
        for name in self.statistics:
            buffer, own = net.get_buffer(name), task.statistics.get(name)
            if own is None or own.shape != buffer.shape:
                raise _other(task.name, f"{name!r} has another shape")
            buffer.copy_(own)
        if task.head:
            net.set_submodule(self.head, self.new_head(task))
        return net

    def new_head(self, task: MaskedTask) -> nn.Linear:
        """Make a task's own classifier.

        Parameters
        ----------
        task : MaskedTask
            A task with a head.

        Returns
        -------
        torch.nn.Linear
            The layer.

        Raises
        ------
        CheckpointError
            If the head does not fit.
        """
        weight, bias = task.head.get("weight"), task.head.get("bias")
        old, outputs = self.net.get_submodule(self.head), len(task.classes)
        fits = (
            weight is not None and weight.shape == (outputs, old.in_features) and not {*task.head} - {"weight", "bias"}
        )
        if weight is None or not fits or (bias is not None and bias.shape != (outputs,)):
            raise _other(task.name, "its head has another shape")
        layer = nn.Linear(weight.shape[1], outputs, bias=bias is not None)
        layer.weight.data = weight.clone()
        if bias is not None:
            layer.bias.data = bias.clone()
        return layer.eval()

    def digest(self, task: MaskedTask) -> str:
        """Compute the digest of a task's network.

        Parameters
        ----------
        task : MaskedTask
            The task.

        Returns
        -------
        str
            Twelve hexadecimal digits; equal ones mean equal outputs to the bit.
        """
        return digest(self.cut(task))

    def check(self, task: MaskedTask) -> None:
        """Check that a task's network is the one that was trained.

        Parameters
        ----------
        task : MaskedTask
            The task, with the digest of its network.

        Raises
        ------
        CheckpointError
            If any weight that it uses differs: masks of another backbone, or a damaged file; or if it names more or fewer
            classes than its network has outputs.
        """
        if not task.head and len(task.classes) != self.classes:
            raise _other(task.name, f"it has {len(task.classes)} classes, and its network {self.classes} outputs")
        found = self.digest(task)
        if found != task.digest:
            raise _other(task.name, f"its network has digest {found}, not {task.digest}")

    def taken(self, tasks: Iterable[MaskedTask]) -> dict[str, Tensor]:
        """Unite the masks of tasks: what no later task may train.

        Parameters
        ----------
        tasks : iterable of MaskedTask
            The tasks.

        Returns
        -------
        dict of str to Tensor
            Booleans, by the weight's name.
        """
        found = {n: torch.zeros(self.weight(n).shape, dtype=torch.bool) for n in self.names}
        for task in tasks:
            for name, mask in task.masks.items():
                found[name] |= mask
        return found

    def pack(self, masks: Mapping[str, Tensor]) -> Tensor:
        """Pack masks, one bit a weight, in the order of `names`; a weight without a mask has zeros.

        Parameters
        ----------
        masks : mapping of str to Tensor
            Booleans.

        Returns
        -------
        Tensor
            Bytes (uint8), the first weight in the highest bit, as `numpy.packbits` does.
        """
        none = {n: torch.zeros(self.weight(n).shape, dtype=torch.bool) for n in self.names if n not in masks}
        bits = [(masks[n] if n in masks else none[n]).numpy().reshape(-1) for n in self.names]
        return torch.from_numpy(np.packbits(np.concatenate(bits)))

    def unpack(self, packed: Tensor, task: str) -> dict[str, Tensor]:
        """Unpack what `pack` made.

        Parameters
        ----------
        packed : Tensor
            The bytes.
        task : str
            Name of the task, for messages.

        Returns
        -------
        dict of str to Tensor
            Booleans, by the weight's name.

        Raises
        ------
        CheckpointError
            If there are not as many bits as weights.
        """
        shapes = [self.weight(n).shape for n in self.names]
        sizes = [math.prod(s) for s in shapes]
        if packed.dtype != torch.uint8 or packed.shape != ((sum(sizes) + 7) // 8,):
            raise _other(task, f"{packed.numel()} bytes are no bit for each of {sum(sizes)} weights")
        bits = torch.from_numpy(np.unpackbits(packed.numpy(), count=sum(sizes)).astype(bool))
        return {n: b.reshape(s) for n, s, b in zip(self.names, shapes, bits.split(sizes), strict=True)}


@torch.no_grad()
def signed_constants(net: nn.Module) -> None:
    """Bring fresh weights to one magnitude a layer, and norms to factor 1 and offset 0, in place.

    Each weight of a convolution or linear layer keeps its sign and gets the magnitude √(2 / fan-in); biases are 0.

    Parameters
    ----------
    net : torch.nn.Module
        The network.

    References
    ----------
    Ramanujan et al., "What's hidden in a randomly weighted neural network?", 2019, arXiv 1911.13299.
    """
    for module in net.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            fan_in = module.weight[0].numel()
            module.weight.copy_(torch.where(module.weight < 0, -1.0, 1.0) * math.sqrt(2 / fan_in))
            if module.bias is not None:
                module.bias.zero_()
        elif isinstance(module, _BatchNorm) and module.affine:
            module.weight.fill_(1)
            module.bias.zero_()


def _other(task: str, why: str) -> CheckpointError:
    return CheckpointError(
        f"the masks of task {task!r} are not of this backbone, or damaged: {why}.",
        hint="Give the folder and the supernet that the task was added to.",
    )
