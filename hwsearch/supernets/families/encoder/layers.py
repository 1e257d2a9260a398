"""Elastic transformer encoders: layers, heads of a layer and units of its feed-forward part can be chosen."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import ClassVar, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hwsearch.supernets.families.encoder.config import EncoderConfig
from hwsearch.supernets.layers.ordering import sort_by_importance
from hwsearch.supernets.layers.paths import register_at


class EncoderLayerPlan(NamedTuple):
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

    def __init__(self, config: EncoderConfig, plan: EncoderLayerPlan, pre_norm: bool) -> None:
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
        full = EncoderLayer(config, EncoderLayerPlan(max(config.heads), max(config.ffn)), pre_norm)
        for part, path in self._paths.items():
            register_at(self, path, full.get_submodule(part))

    def _part(self, part: str) -> nn.Module:
        return self.get_submodule(self._paths[part])

    def _sliced(self, part: str, plan: EncoderLayerPlan) -> tuple[Tensor, Tensor]:
        """Weight and bias of a linear of the subnet."""
        linear = self._part(part)
        assert isinstance(linear, nn.Linear)
        sizes = {"heads": plan.heads * self.config.head_size, "ffn": plan.ffn, None: None}
        outputs, inputs = (sizes[s] for s in self.LINEARS[part])
        return linear.weight[:outputs, :inputs], linear.bias[:outputs]

    def forward(self, x_NTC: Tensor, plan: EncoderLayerPlan, bias: Tensor | None = None) -> Tensor:
        linear = lambda part, x: F.linear(x, *self._sliced(part, plan))  # noqa: E731

        def attention(y: Tensor) -> Tensor:
            q, k, v = (linear(part, y) for part in ("query", "key", "value"))
            return linear("project", attend(q, k, v, self.config.head_size, bias))

        def feed_forward(y: Tensor) -> Tensor:
            return linear("contract", F.gelu(linear("expand", y)))

        x = residual(x_NTC, self._part("norm1"), attention, self.pre_norm)
        return residual(x, self._part("norm2"), feed_forward, self.pre_norm)

    @torch.no_grad()
    def extract(self, plan: EncoderLayerPlan) -> EncoderLayer:
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
