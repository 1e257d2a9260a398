"""Elastic layers: one full-size weight, of which each call uses a slice.

Rules of Once-for-All (Cai, Gan, Wang, Zhang, Han, 2020, arXiv 1908.09791). Parameter names are those
of the reference implementation, so that its checkpoints load unchanged. Tensors are NCHW.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, cast

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hwsearch.errors import CheckpointError
from hwsearch.spaces.space import FloatArray


def make_divisible(value: float, divisor: int = 8, minimum: int | None = None) -> int:
    """The multiple of `divisor` nearest to `value`, never less than 90 % of it."""
    minimum = divisor if minimum is None else minimum
    rounded = max(minimum, int(value + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * value else rounded


def make_divisible_array(values: FloatArray) -> FloatArray:
    """`make_divisible` by 8 of whole numbers, element by element."""
    found, place = np.unique(values, return_inverse=True)
    return np.array([float(make_divisible(int(v))) for v in found])[place]


def renamed(
    state: Mapping[str, Tensor], own: Mapping[str, Tensor], spellings: Callable[[str], Iterable[str]]
) -> dict[str, Tensor]:
    """Tensors of a file under a network's own names.

    spellings : other names that one of the file may stand for; the first that the network has is taken
    Raises `CheckpointError` where a file holds the same tensor under two names.
    """
    result: dict[str, Tensor] = {}
    source: dict[str, str] = {}
    for name, value in state.items():
        new = name if name in own else next((n for n in spellings(name) if n in own), name)
        if new in result:
            raise CheckpointError(f"the file holds {new!r} twice, as {source[new]!r} and as {name!r}.")
        result[new], source[new] = value, name
    return result


class GlobalAveragePool(nn.Module):
    """Mean over height and width, kept as 1×1."""

    def forward(self, x_NCHW: Tensor) -> Tensor:
        return x_NCHW.mean((2, 3), keepdim=True)


class Named(nn.Module):
    """A container that only gives its children the names of the reference implementation."""

    def __init__(self, **children: nn.Module) -> None:
        super().__init__()
        for name, child in children.items():
            self.add_module(name, child)

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any: ...


class ElasticConv(nn.Module):
    """Convolution whose first `outputs` rows and first input columns are used; padding keeps the size."""

    def __init__(self, max_in: int, max_out: int, kernel: int = 1, stride: int = 1) -> None:
        super().__init__()
        self.stride, self.padding = stride, kernel // 2
        self.conv = nn.Conv2d(max_in, max_out, kernel, stride, kernel // 2, bias=False)

    def weight(self, inputs: int, outputs: int) -> Tensor:
        return self.conv.weight[:outputs, :inputs]

    def forward(self, x_NCHW: Tensor, outputs: int) -> Tensor:
        return F.conv2d(x_NCHW, self.weight(x_NCHW.shape[1], outputs), None, self.stride, self.padding)

    def static(self, inputs: int, outputs: int) -> nn.Conv2d:
        """A plain convolution with a copy of the slice."""
        conv = nn.Conv2d(inputs, outputs, self.conv.kernel_size, self.stride, self.padding, bias=False)  # type: ignore[arg-type]
        with torch.no_grad():
            conv.weight.copy_(self.weight(inputs, outputs))
        return conv


class ElasticClassifier(nn.Module):
    """Linear layer with bias, of which the first input columns are used."""

    def __init__(self, max_in: int, classes: int) -> None:
        super().__init__()
        self.linear = nn.Linear(max_in, classes)

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.linear.weight[:, : x.shape[1]], self.linear.bias)

    def static(self, inputs: int) -> nn.Linear:
        """A plain linear layer with a copy of the slice."""
        linear = nn.Linear(inputs, self.linear.out_features)
        with torch.no_grad():
            linear.weight.copy_(self.linear.weight[:, :inputs])
            linear.bias.copy_(self.linear.bias)
        return linear


class ElasticDepthwise(nn.Module):
    """Depth-wise convolution with elastic channels and elastic kernel.

    A smaller kernel is the centre of the next larger one times a learned matrix, shared over the
    channels: 7 → 5 → 3, always along the whole chain. In the state dict the matrices stand beside
    the convolution, as in the reference; files that name them below it load as well.

    transform : False where a smaller kernel is the plain centre (BigNAS; Yu et al., 2020, arXiv 2003.11142)
    """

    def __init__(self, max_channels: int, kernels: Sequence[int], stride: int, *, transform: bool = True) -> None:
        super().__init__()
        self.kernels = sorted(kernels)
        self.stride = stride
        largest = self.kernels[-1]
        self.conv = nn.Conv2d(
            max_channels, max_channels, largest, stride, largest // 2, groups=max_channels, bias=False
        )
        self._matrices: list[str] = []
        for small, large in zip(self.kernels[:-1], self.kernels[1:], strict=True) if transform else ():
            self._matrices.append(f"{large}to{small}_matrix")
            self.conv.register_parameter(self._matrices[-1], nn.Parameter(torch.eye(small**2)))
        self.register_state_dict_post_hook(_matrices_beside)
        self.register_load_state_dict_pre_hook(_matrices_below)

    def weight(self, channels: int, kernel: int) -> Tensor:
        """The (channels, 1, kernel, kernel) weight of a subnet."""
        weight = self.conv.weight[:channels]
        for i in range(len(self.kernels) - 1, 0, -1):
            large, small = self.kernels[i], self.kernels[i - 1]
            if kernel >= large:
                break
            start = large // 2 - small // 2
            centre = weight[:, :, start : start + small, start : start + small]
            if not self._matrices:
                weight = centre
                continue
            matrix = self.conv.get_parameter(f"{large}to{small}_matrix")
            weight = F.linear(centre.reshape(-1, small**2), matrix).view(channels, 1, small, small)
        return weight

    def forward(self, x_NCHW: Tensor, kernel: int) -> Tensor:
        channels = x_NCHW.shape[1]
        return F.conv2d(x_NCHW, self.weight(channels, kernel), None, self.stride, kernel // 2, 1, channels)

    def static(self, channels: int, kernel: int) -> nn.Conv2d:
        """A plain depth-wise convolution with a copy of the slice, transformed to `kernel`."""
        conv = nn.Conv2d(channels, channels, kernel, self.stride, kernel // 2, groups=channels, bias=False)
        with torch.no_grad():
            conv.weight.copy_(self.weight(channels, kernel))
        return conv


def _matrices_beside(layer: nn.Module, state: dict[str, Any], prefix: str, *_: Any) -> None:
    for name in cast(ElasticDepthwise, layer)._matrices:
        state[f"{prefix}{name}"] = state.pop(f"{prefix}conv.{name}")


def _matrices_below(layer: nn.Module, state: dict[str, Any], prefix: str, *_: Any) -> None:
    for name in cast(ElasticDepthwise, layer)._matrices:
        if f"{prefix}{name}" in state:
            state[f"{prefix}conv.{name}"] = state.pop(f"{prefix}{name}")


class ElasticBatchNorm(nn.Module):
    """Batch normalisation over the first channels; running statistics are those of whoever trained last.

    Before a subnet is judged its statistics are recalibrated (`hwsearch.accuracy.recalibrate`).
    """

    def __init__(self, max_channels: int, eps: float = 1e-5, momentum: float = 0.1) -> None:
        super().__init__()
        self.bn = nn.BatchNorm2d(max_channels, eps=eps, momentum=momentum)

    def forward(self, x_NCHW: Tensor) -> Tensor:
        bn, n = self.bn, x_NCHW.shape[1]
        assert bn.running_mean is not None and bn.running_var is not None and bn.momentum is not None
        return F.batch_norm(
            x_NCHW,
            bn.running_mean[:n],
            bn.running_var[:n],
            bn.weight[:n],
            bn.bias[:n],
            bn.training,
            bn.momentum,
            bn.eps,
        )

    def static(self, channels: int) -> nn.BatchNorm2d:
        """A plain batch norm with copies of the first channels."""
        bn = nn.BatchNorm2d(channels, eps=self.bn.eps, momentum=self.bn.momentum)
        copy_batch_norm(bn, self.bn)
        return bn


class ElasticSqueezeExcite(nn.Module):
    """Squeeze-and-excitation (Hu, Shen, Sun, 2018, arXiv 1709.01507) with elastic channels; bottleneck C/4."""

    def __init__(self, max_channels: int) -> None:
        super().__init__()
        middle = make_divisible(max_channels // 4)
        self.fc = nn.ModuleDict(
            {"reduce": nn.Conv2d(max_channels, middle, 1), "expand": nn.Conv2d(middle, max_channels, 1)}
        )

    def forward(self, x_NCHW: Tensor) -> Tensor:
        channels = x_NCHW.shape[1]
        middle = make_divisible(channels // 4)
        reduce, expand = self.fc["reduce"], self.fc["expand"]
        assert isinstance(reduce, nn.Conv2d) and isinstance(expand, nn.Conv2d)
        assert reduce.bias is not None and expand.bias is not None
        s = x_NCHW.mean((2, 3), keepdim=True)
        s = F.relu(F.conv2d(s, reduce.weight[:middle, :channels], reduce.bias[:middle]))
        s = F.hardsigmoid(F.conv2d(s, expand.weight[:channels, :middle], expand.bias[:channels]))
        return x_NCHW * s

    def static(self, channels: int) -> SqueezeExcite:
        """The plain form with copies of the slices."""
        block = SqueezeExcite(channels)
        with torch.no_grad():
            for mine, full in ((block.reduce, self.fc["reduce"]), (block.expand, self.fc["expand"])):
                assert isinstance(full, nn.Conv2d) and mine.bias is not None and full.bias is not None
                mine.weight.copy_(full.weight[: mine.out_channels, : mine.in_channels])
                mine.bias.copy_(full.bias[: mine.out_channels])
        return block


class SqueezeExcite(nn.Module):
    """The static form of `ElasticSqueezeExcite`, part of an extracted subnet."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        middle = make_divisible(channels // 4)
        self.reduce = nn.Conv2d(channels, middle, 1)
        self.act = nn.ReLU()
        self.expand = nn.Conv2d(middle, channels, 1)
        self.gate = nn.Hardsigmoid()

    def forward(self, x_NCHW: Tensor) -> Tensor:
        s = x_NCHW.mean((2, 3), keepdim=True)
        return x_NCHW * self.gate(self.expand(self.act(self.reduce(s))))


def copy_batch_norm(target: nn.BatchNorm2d, source: nn.BatchNorm2d) -> None:
    """Copy the first channels of `source` into `target` (weights, statistics, eps)."""
    n = target.num_features
    with torch.no_grad():
        target.weight.copy_(source.weight[:n])
        target.bias.copy_(source.bias[:n])
        assert target.running_mean is not None and source.running_mean is not None
        assert target.running_var is not None and source.running_var is not None
        target.running_mean.copy_(source.running_mean[:n])
        target.running_var.copy_(source.running_var[:n])


# ---------------------------------------------------------------------- layers that take the place of plain ones
#: of each tensor of a layer, the part that each of its axes plays: "out", "in", or None for one that is never cut
Axes = dict[str, tuple[str | None, ...]]


class ElasticConv2d(nn.Conv2d):
    """Convolution with the parameters of `source`: its first rows, the input columns that it sees, its kernel's centre.

    outputs : rows in use; a depth-wise convolution has as many as it sees inputs
    crop : weights cut from each side of the kernel; the padding shrinks by as much, so the output keeps its size
    """

    def __init__(self, source: nn.Conv2d) -> None:
        super().__init__(source.in_channels, source.out_channels, source.kernel_size, **_conv_options(source))  # type: ignore[arg-type]
        self.weight, self.bias = source.weight, source.bias
        self.outputs = source.out_channels
        self.crop = 0
        self.train(source.training)

    @property
    def depthwise(self) -> bool:
        return is_depthwise(self)

    @property
    def axes(self) -> Axes:
        return {"weight": ("out", None if self.depthwise else "in"), "bias": ("out",)}

    def sliced(self, inputs: int, outputs: int, crop: int) -> tuple[Tensor, Tensor | None, dict[str, Any]]:
        """Weight, bias, and the padding and groups that go with them."""
        outputs = inputs if self.depthwise else outputs
        weight = self.weight[:outputs] if self.depthwise else self.weight[:outputs, :inputs]
        padding: Any = self.padding
        if crop:
            weight = weight[:, :, crop:-crop, crop:-crop]
            if not isinstance(padding, str):
                padding = tuple(p - crop * d for p, d in zip(padding, self.dilation, strict=True))
        options = {"padding": padding, "groups": inputs if self.depthwise else self.groups}
        return weight, _first(self.bias, outputs), options

    def forward(self, input: Tensor) -> Tensor:
        weight, bias, options = self.sliced(input.shape[1], self.outputs, self.crop)
        return F.conv2d(input, weight, bias, self.stride, dilation=self.dilation, **options)

    def static(self, inputs: int, outputs: int | None = None, crop: int = 0) -> nn.Conv2d:
        """A plain convolution of that size (None: all outputs), with a copy of the weights."""
        weight, bias, options = self.sliced(inputs, outputs or self.out_channels, crop)
        plain = nn.Conv2d(inputs, len(weight), weight.shape[2:], **_conv_options(self) | options)  # type: ignore[arg-type]
        return _adopt(plain, self, weight=weight, bias=bias)  # type: ignore[no-any-return]


class ElasticLinear(nn.Linear):
    """Linear layer with the parameters of `source`: its first `outputs` rows, and the input columns that it sees."""

    axes: ClassVar[Axes] = {"weight": ("out", "in"), "bias": ("out",)}

    def __init__(self, source: nn.Linear) -> None:
        super().__init__(source.in_features, source.out_features, source.bias is not None, device="meta")
        self.weight, self.bias = source.weight, source.bias
        self.outputs = source.out_features
        self.train(source.training)

    def forward(self, input: Tensor) -> Tensor:
        return F.linear(input, self.weight[: self.outputs, : input.shape[-1]], _first(self.bias, self.outputs))

    def static(self, inputs: int, outputs: int | None = None) -> nn.Linear:
        """A plain linear layer of that size (None: all outputs), with a copy of the weights."""
        outputs = outputs or self.out_features
        weight, bias = self.weight[:outputs, :inputs], _first(self.bias, outputs)
        plain = nn.Linear(inputs, outputs, bias is not None, device="meta")
        return _adopt(plain, self, weight=weight, bias=bias)


class _ElasticBatchNorm(nn.modules.batchnorm._BatchNorm):
    """Batch normalisation of the channels that it sees, with the parameters and statistics of `source`."""

    kind: type[nn.modules.batchnorm._BatchNorm]
    axes: ClassVar[Axes] = dict.fromkeys(("weight", "bias", "running_mean", "running_var"), ("out",))

    def __init__(self, source: nn.modules.batchnorm._BatchNorm) -> None:
        options = (source.eps, source.momentum, source.affine, source.track_running_stats)
        super().__init__(source.num_features, *options, device="meta")
        for name in (*self.axes, "num_batches_tracked"):
            setattr(self, name, getattr(source, name))
        self.train(source.training)

    def forward(self, input: Tensor) -> Tensor:
        mean, var, weight, bias = (_first(getattr(self, n), input.shape[1]) for n in _NORM_TENSORS)
        momentum = self.momentum
        if self.training and self.num_batches_tracked is not None:
            self.num_batches_tracked.add_(1)
            momentum = 1 / float(self.num_batches_tracked) if momentum is None else momentum
        training = self.training or mean is None
        return F.batch_norm(input, mean, var, weight, bias, training, momentum or 0.0, self.eps)

    def static(self, inputs: int) -> nn.Module:
        """A plain batch norm of so many channels, with copies."""
        options = (self.eps, self.momentum, self.affine, self.track_running_stats)
        plain = self.kind(inputs, *options, device="meta")
        count = self.num_batches_tracked
        return _adopt(
            plain, self, num_batches_tracked=count, **{n: _first(getattr(self, n), inputs) for n in self.axes}
        )


class ElasticBatchNorm1d(_ElasticBatchNorm, nn.BatchNorm1d):
    kind = nn.BatchNorm1d


class ElasticBatchNorm2d(_ElasticBatchNorm, nn.BatchNorm2d):
    kind = nn.BatchNorm2d


class ElasticLayerNorm(nn.LayerNorm):
    """Layer normalisation over as many of the last axis as it sees, with the parameters of `source`."""

    axes: ClassVar[Axes] = {"weight": ("out",), "bias": ("out",)}

    def __init__(self, source: nn.LayerNorm) -> None:
        options = (source.eps, source.elementwise_affine, source.bias is not None)
        super().__init__(source.normalized_shape, *options, device="meta")  # type: ignore[arg-type]
        self.weight, self.bias = source.weight, source.bias
        self.train(source.training)

    def forward(self, input: Tensor) -> Tensor:
        n = input.shape[-1]
        return F.layer_norm(input, (n,), _first(self.weight, n), _first(self.bias, n), self.eps)

    def static(self, inputs: int) -> nn.LayerNorm:
        """A plain layer norm of so many features, with copies."""
        plain = nn.LayerNorm(inputs, self.eps, self.elementwise_affine, self.bias is not None, device="meta")
        return _adopt(plain, self, weight=_first(self.weight, inputs), bias=_first(self.bias, inputs))


class ElasticGroupNorm(nn.GroupNorm):
    """Group normalisation of the channels that it sees, with the parameters of `source`; groups keep their size."""

    axes: ClassVar[Axes] = {"weight": ("out",), "bias": ("out",)}

    def __init__(self, source: nn.GroupNorm) -> None:
        super().__init__(source.num_groups, source.num_channels, source.eps, source.affine, device="meta")
        self.weight, self.bias = source.weight, source.bias
        self.train(source.training)

    @property
    def group_size(self) -> int:
        return self.num_channels // self.num_groups

    def forward(self, input: Tensor) -> Tensor:
        n = input.shape[1]
        return F.group_norm(input, n // self.group_size, _first(self.weight, n), _first(self.bias, n), self.eps)

    def static(self, inputs: int) -> nn.GroupNorm:
        """A plain group norm of so many channels, with copies."""
        plain = nn.GroupNorm(inputs // self.group_size, inputs, self.eps, self.affine, device="meta")
        return _adopt(plain, self, weight=_first(self.weight, inputs), bias=_first(self.bias, inputs))


ElasticLayer = (
    ElasticConv2d | ElasticLinear | ElasticBatchNorm1d | ElasticBatchNorm2d | ElasticLayerNorm | ElasticGroupNorm
)

#: plain layer → what takes its place
ELASTIC: dict[type[nn.Module], type[ElasticLayer]] = {
    nn.Conv2d: ElasticConv2d,
    nn.Linear: ElasticLinear,
    nn.BatchNorm1d: ElasticBatchNorm1d,
    nn.BatchNorm2d: ElasticBatchNorm2d,
    nn.LayerNorm: ElasticLayerNorm,
    nn.GroupNorm: ElasticGroupNorm,
}
_NORM_TENSORS = ("running_mean", "running_var", "weight", "bias")


class _Kept(nn.Module):
    """A container that runs the children at the positions `kept` and names all of them in its state dict."""

    def __init__(self, source: nn.Module) -> None:
        super().__init__()
        for name, child in source.named_children():
            self.add_module(name, child)
        self.kept: tuple[int, ...] = tuple(range(len(self._modules)))
        self.training = source.training

    def _active(self) -> list[nn.Module]:
        children = [m for m in self._modules.values() if m is not None]
        return [children[i] for i in self.kept]

    def __iter__(self) -> Iterator[nn.Module]:
        return iter(self._active())

    def __len__(self) -> int:
        return len(self.kept)

    def __getitem__(self, index: Any) -> Any:
        return self._active()[index]


class ElasticSequential(_Kept, nn.Sequential):  # type: ignore[misc]
    def static(self, kept: Sequence[int]) -> nn.Sequential:
        """A plain container of those children, under their old names; it shares them."""
        children = list(self._modules.items())
        plain = nn.Sequential(OrderedDict(children[i] for i in kept))  # type: ignore[arg-type]
        plain.training = self.training
        return plain


class ElasticModuleList(_Kept, nn.ModuleList):  # type: ignore[misc]
    def static(self, kept: Sequence[int]) -> nn.ModuleList:
        """A plain list of those children, numbered anew; it shares them."""
        children = list(self._modules.values())
        plain = nn.ModuleList(children[i] for i in kept)  # type: ignore[misc]
        plain.training = self.training
        return plain


def is_depthwise(conv: nn.Conv2d) -> bool:
    """Whether each channel has one filter of its own."""
    return conv.groups > 1 and conv.groups == conv.in_channels == conv.out_channels


def norm_slots(norm: ElasticBatchNorm) -> list[tuple[Tensor, int]]:
    """The tensors of a batch norm that have an entry a channel, as slots of `sort_by_importance`."""
    bn = norm.bn
    assert bn.running_mean is not None and bn.running_var is not None
    return [(bn.weight, 0), (bn.bias, 0), (bn.running_mean, 0), (bn.running_var, 0)]


@torch.no_grad()
def sort_by_importance(
    slots: Sequence[tuple[Tensor, int]], consumers: Sequence[tuple[Tensor, int]], block: int = 1
) -> Tensor:
    """Put the channels that one or several layers share in order of importance, largest first; in place.

    The importance of a channel is the L1 norm of the weights that read it (elastic width of Cai et al., 2020,
    arXiv 1908.09791), so a slice of the first channels keeps the largest share of it. What the network computes
    stays the same, up to rounding.

    slots : each (tensor, axis) along which the channels lie: rows and norms of who makes them, columns of who reads them
    consumers : the (weight, axis) of those that read them
    block : so many neighbouring channels stay together
    Returns the old places (channels,) in their new order.
    """
    importance = torch.stack(
        [w.abs().sum([d for d in range(w.ndim) if d != axis], dtype=torch.float64) for w, axis in consumers]
    ).sum(0)
    blocks = importance.view(-1, block).sum(1).argsort(descending=True, stable=True)
    order = (blocks[:, None] * block + torch.arange(block, device=blocks.device)).flatten()
    for tensor, axis in slots:
        tensor.copy_(tensor.index_select(axis, order))
    return order


def _conv_options(conv: nn.Conv2d) -> dict[str, Any]:
    names = ("stride", "padding", "dilation", "groups", "padding_mode")
    return {n: getattr(conv, n) for n in names} | {"bias": conv.bias is not None, "device": "meta"}


def _first(tensor: Tensor | None, n: int) -> Tensor | None:
    return None if tensor is None else tensor[:n]


def _adopt(plain: Any, source: nn.Module, **tensors: Tensor | None) -> Any:
    """`plain` with copies of these tensors (None: without it), parameters and mode like those of `source`."""
    for name, tensor in tensors.items():
        value: Any = None if tensor is None else tensor.detach().clone()
        if isinstance(parameter := getattr(source, name), nn.Parameter):
            value = nn.Parameter(value, parameter.requires_grad)
        setattr(plain, name, value)
    return plain.train(source.training)
