"""Elastic transformer encoders: layers, heads of a layer and units of its feed-forward part can be chosen.

The encoder of Vaswani et al. (2017, arXiv 1706.03762), with the layer norm after each half (BERT) or before it
(ViT). A subnet keeps the first layers, the first heads and the first units; a head keeps its size, so fewer heads
mean fewer rows of the query, key and value projections and fewer columns of the output projection, as in DyNAS-T
(Intel, Apache-2.0). Parameter names are those of Hugging Face's models. Tensors are (N, T, C): examples, tokens,
channels.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hwsearch._typing import FloatArray, IntArray
from hwsearch.errors import CheckpointError, SpaceError, SupernetError
from hwsearch.spaces import Architecture, Choice, SearchSpace, When
from hwsearch.supernets.base import Supernet, with_logs
from hwsearch.supernets.layers.ordering import sort_by_importance


@dataclass(frozen=True, kw_only=True)
class EncoderConfig:
    """The encoder's shape; `layers`, `heads` and `ffn` are the elastic choices, from the smallest to the largest.

    hidden : width of a token; head_size : width of a head; ffn : units between the two feed-forward linears
    """

    name: str
    classes: int
    norm_eps: float
    hidden: int = 768
    head_size: int = 64
    layers: tuple[int, ...]
    heads: tuple[int, ...] = (6, 8, 10, 12)
    ffn: tuple[int, ...] = (1024, 2048, 3072)

    def __post_init__(self) -> None:
        for name in ("layers", "heads", "ffn"):
            values = getattr(self, name)
            if not values or min(values) < 1 or list(values) != sorted(set(values)):
                raise SupernetError(f"{self.name!r}: {name} {values} must be positive and rise.")

    def choices(self) -> list[Choice]:
        """Genes ``layers``, and ``heads[i]`` and ``ffn[i]`` of every layer i that is there."""
        choices = [Choice("layers", self.layers)]
        for kind, values in (("heads", self.heads), ("ffn", self.ffn)):
            for i in range(max(self.layers)):
                deep = tuple(n for n in self.layers if n > i)
                when = When("layers", deep) if len(deep) < len(self.layers) else None
                choices.append(Choice(f"{kind}[{i}]", values, when))
        return choices


def scaled_choices(heads: int, ffn: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The choices of heads and of units for an encoder with so many of them.

    Heads are 1/2, 2/3, 5/6 and all; units 1/3, 2/3 and all, the parts in multiples of 64: at 12 heads and 3072 units
    the choices of DyNAS-T.
    """
    some_heads = {max(1, round(heads * s / 6)) for s in (3, 4, 5)}
    some_units = {max(1, round(ffn * s / 3 / 64)) * 64 for s in (1, 2) if ffn > 64}
    return tuple(sorted(some_heads | {heads})), tuple(sorted(some_units | {ffn}))


def heads_of(hidden: int, published: dict[int, int]) -> int:
    """The number of heads of a published encoder of this width: a file's tensors do not tell it."""
    if hidden not in published:
        raise CheckpointError(
            f"the weights have width {hidden}, for which no number of heads is known.",
            hint=f"Widths of published encoders are {', '.join(map(str, published))}.",
        )
    return published[hidden]


class LayerPlan(NamedTuple):
    """Heads and feed-forward units of one layer."""

    heads: int
    ffn: int


class LayerNames(NamedTuple):
    """Where a family's files keep a layer's projections of queries, keys and values, and its two layer norms."""

    attention: str
    norm1: str
    norm2: str


def attend(q_NTC: Tensor, k_NTC: Tensor, v_NTC: Tensor, head_size: int, bias: Tensor | None) -> Tensor:
    """Scaled dot-product attention of heads that lie side by side in C; `bias` is added to the (N, heads, T, T) scores."""
    n, t = q_NTC.shape[0], q_NTC.shape[1]
    q, k, v = (x.view(n, t, -1, head_size).transpose(1, 2) for x in (q_NTC, k_NTC, v_NTC))
    scores = torch.matmul(q, k.transpose(2, 3)) / math.sqrt(head_size)
    weights = F.softmax(scores if bias is None else scores + bias, dim=-1)
    return torch.matmul(weights, v).transpose(1, 2).reshape(n, t, -1)


def residual(x: Tensor, norm: nn.Module, body: Callable[[Tensor], Tensor], pre_norm: bool) -> Tensor:
    """x + body(norm(x)) where the norm comes first, else norm(x + body(x))."""
    return x + body(norm(x)) if pre_norm else norm(x + body(x))


class EncoderLayer(nn.Module):
    """The static layer of an extracted subnet."""

    def __init__(self, config: EncoderConfig, plan: LayerPlan, pre_norm: bool) -> None:
        super().__init__()
        self.pre_norm, self.head_size = pre_norm, config.head_size
        width, hidden = plan.heads * config.head_size, config.hidden
        self.query, self.key, self.value = (nn.Linear(hidden, width) for _ in range(3))
        self.project = nn.Linear(width, hidden)
        self.expand = nn.Linear(hidden, plan.ffn)
        self.act = nn.GELU()
        self.contract = nn.Linear(plan.ffn, hidden)
        self.norm1, self.norm2 = (nn.LayerNorm(hidden, eps=config.norm_eps) for _ in range(2))

    def forward(self, x_NTC: Tensor, bias: Tensor | None = None) -> Tensor:
        x = residual(x_NTC, self.norm1, lambda y: self.attention(y, bias), self.pre_norm)
        return residual(x, self.norm2, lambda y: self.contract(self.act(self.expand(y))), self.pre_norm)

    def attention(self, x_NTC: Tensor, bias: Tensor | None) -> Tensor:
        q, k, v = self.query(x_NTC), self.key(x_NTC), self.value(x_NTC)
        return self.project(attend(q, k, v, self.head_size, bias))  # type: ignore[no-any-return]


class ElasticEncoderLayer(nn.Module):
    """A layer whose first heads and first feed-forward units are used."""

    #: parts of the static layer that are linears, with the elastic sizes of (outputs, inputs)
    LINEARS: ClassVar[dict[str, tuple[str | None, str | None]]] = {
        "query": ("heads", None),
        "key": ("heads", None),
        "value": ("heads", None),
        "project": (None, "heads"),
        "expand": ("ffn", None),
        "contract": (None, "ffn"),
    }

    def __init__(self, config: EncoderConfig, names: LayerNames, pre_norm: bool) -> None:
        super().__init__()
        self.config, self.pre_norm = config, pre_norm
        self._paths = {p: f"{names.attention}.{p}" for p in ("query", "key", "value")}
        self._paths |= {"project": "attention.output.dense", "expand": "intermediate.dense", "contract": "output.dense"}
        self._paths |= {"norm1": names.norm1, "norm2": names.norm2}
        full = EncoderLayer(config, LayerPlan(max(config.heads), max(config.ffn)), pre_norm)
        for part, path in self._paths.items():
            place(self, path, full.get_submodule(part))

    def _part(self, part: str) -> nn.Module:
        return self.get_submodule(self._paths[part])

    def _sliced(self, part: str, plan: LayerPlan) -> tuple[Tensor, Tensor]:
        """Weight and bias of a linear of the subnet."""
        linear = self._part(part)
        assert isinstance(linear, nn.Linear)
        sizes = {"heads": plan.heads * self.config.head_size, "ffn": plan.ffn, None: None}
        outputs, inputs = (sizes[s] for s in self.LINEARS[part])
        return linear.weight[:outputs, :inputs], linear.bias[:outputs]

    def forward(self, x_NTC: Tensor, plan: LayerPlan, bias: Tensor | None = None) -> Tensor:
        linear = lambda part, x: F.linear(x, *self._sliced(part, plan))  # noqa: E731

        def attention(y: Tensor) -> Tensor:
            q, k, v = (linear(part, y) for part in ("query", "key", "value"))
            return linear("project", attend(q, k, v, self.config.head_size, bias))

        def feed_forward(y: Tensor) -> Tensor:
            return linear("contract", F.gelu(linear("expand", y)))

        x = residual(x_NTC, self._part("norm1"), attention, self.pre_norm)
        return residual(x, self._part("norm2"), feed_forward, self.pre_norm)

    @torch.no_grad()
    def extract(self, plan: LayerPlan) -> EncoderLayer:
        """The static layer of `plan` with copies of the sliced weights."""
        layer = EncoderLayer(self.config, plan, self.pre_norm)
        for part in self.LINEARS:
            weight, bias = self._sliced(part, plan)
            layer.get_submodule(part).load_state_dict({"weight": weight, "bias": bias})
        for part in ("norm1", "norm2"):
            layer.get_submodule(part).load_state_dict(self._part(part).state_dict())
        return layer

    def sort_channels(self) -> None:
        """Put the heads and the units first whose columns in the next linear have the largest L1 norm."""
        size = self.config.head_size
        for group, makers, reader in ((size, ("query", "key", "value"), "project"), (1, ("expand",), "contract")):
            read = (self._part(reader).get_parameter("weight"), 1)
            rows = [(p, 0) for maker in makers for p in self._part(maker).parameters()]
            sort_by_importance([*rows, read], [read], group)


def place(root: nn.Module, path: str, module: nn.Module) -> None:
    """Register `module` below `root` under a dotted name; the modules between only give the name."""
    *parents, name = path.split(".")
    for parent in parents:
        if not hasattr(root, parent):
            root.add_module(parent, nn.Module())
        root = root.get_submodule(parent)
    root.add_module(name, module)


class ElasticEncoder(Supernet):
    """What the encoder families share: genes, plans, sorting and costs."""

    config: EncoderConfig

    def __init__(self, config: EncoderConfig, space: SearchSpace) -> None:
        super().__init__()
        self.config, self.space, self.classes = config, space, config.classes

    @property
    @abstractmethod
    def encoder_layers(self) -> Sequence[ElasticEncoderLayer]:
        """The elastic layers in order."""

    @abstractmethod
    def tokens_array(self, rows: IntArray) -> IntArray:
        """Tokens (n,) that pass through the encoder; rows: (n, genes)."""

    @abstractmethod
    def outer_costs(self, tokens: IntArray) -> dict[str, FloatArray]:
        """``macs``, ``params`` and ``activations`` (n,) of all but the layers; tokens: (n,)."""

    def plan(self, arch: Architecture) -> list[LayerPlan]:
        """Sizes of the layers of `arch`; raises `SpaceError` for another space's architecture."""
        if arch.space_name != self.space.name:
            raise SpaceError(f"architecture {arch.id} is of space {arch.space_name!r}, not {self.space.name!r}.")
        return [
            LayerPlan(arch.integer(f"heads[{i}]"), arch.integer(f"ffn[{i}]")) for i in range(arch.integer("layers"))
        ]

    def sort_channels(self) -> None:
        """Reorder heads and units in place, so that subnets keep those that weigh most; the full net stays the same.

        Importance is the L1 norm of the columns that read a head or a unit (as Once-for-All sorts channels: Cai et
        al., 2020, arXiv 1908.09791).
        """
        for layer in self.encoder_layers:
            layer.sort_channels()

    def _costs(self, rows: IntArray) -> dict[str, FloatArray]:
        c = self.config
        rows = self.space.canonical(rows)
        column = dict(zip(self.space.names, rows.T, strict=True))

        def values(kind: str, choices: tuple[int, ...]) -> FloatArray:
            """(n, layers): the genes' values, 0 where there is no layer."""
            index = np.stack([column[f"{kind}[{i}]"] for i in range(max(c.layers))], axis=1)
            return np.where(index >= 0, np.array(choices, np.float64)[index], 0.0)

        heads, units = values("heads", c.heads), values("ffn", c.ffn)
        layers, total_heads, total_units = (heads > 0).sum(1).astype(np.float64), heads.sum(1), units.sum(1)
        width = total_heads * c.head_size
        tokens = self.tokens_array(rows)
        outer = self.outer_costs(tokens)
        attention = tokens * 4 * c.hidden * width + 2 * tokens**2 * width
        feed_forward = tokens * 2 * c.hidden * total_units
        params = (4 * c.hidden + 3) * width + (2 * c.hidden + 1) * total_units + 6 * c.hidden * layers
        written = tokens * (4 * width + total_units + 2 * c.hidden * layers) + tokens**2 * total_heads
        return {
            "macs": outer["macs"] + attention + feed_forward,
            "params": outer["params"] + params,
            "activations": outer["activations"] + written,
            "blocks": layers,
            "macs_attention": attention,
            "macs_ffn": feed_forward,
        }

    def macs_array(self, rows: IntArray) -> FloatArray:
        """Multiply-accumulates of convolutions, linears and attention products for one input; rows: (n, genes)."""
        return self._costs(rows)["macs"]

    def params_array(self, rows: IntArray) -> FloatArray:
        return self._costs(rows)["params"]

    def cost_features(self, rows: IntArray) -> dict[str, FloatArray]:
        """MACs, whole and of attention and feed-forward parts, params, layers, and the elements that matrix products
        write (``activations``); (n,) each, of rows (n, genes)."""
        return with_logs(self._costs(rows))


def count_layers(names: Sequence[str], prefix: str) -> int:
    """How many layers a file has whose tensors are named ``<prefix><number>.…``."""
    return 1 + max((int(n[len(prefix) :].split(".")[0]) for n in names if n.startswith(prefix)), default=-1)
