"""Transformer encoder layers, static and elastic.

The encoder of Vaswani et al. (2017, arXiv 1706.03762), with the layer norm after each half (BERT) or before it (ViT).
A subnet keeps the first heads and the first units of a layer; a head keeps its size, so fewer heads mean fewer rows
of the query, key and value projections and fewer columns of the output projection, as in DyNAS-T (Intel, Apache-2.0).
Parameter names are those of Hugging Face's models. Tensors are (N, T, C): examples, tokens, channels.
"""

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
    """Sizes of one layer.

    Attributes
    ----------
    heads : int
        Attention heads.
    ffn : int
        Feed-forward units.
    """

    heads: int
    ffn: int


class LayerNames(NamedTuple):
    """Where a family's files keep parts of a layer.

    Attributes
    ----------
    attention : str
        Module of the query, key and value projections.
    norm1 : str
        First layer norm.
    norm2 : str
        Second layer norm.
    """

    attention: str
    norm1: str
    norm2: str


def attend(q_NTC: Tensor, k_NTC: Tensor, v_NTC: Tensor, head_size: int, bias: Tensor | None) -> Tensor:
    """Compute scaled dot-product attention of heads that lie side by side in the channels.

    Parameters
    ----------
    q_NTC, k_NTC, v_NTC : Tensor
        Queries, keys and values of shape (N, T, heads * head_size).
    head_size : int
        Channels of a head.
    bias : Tensor or None
        Added to the scores of shape (N, heads, T, T).

    Returns
    -------
    Tensor
        Output of shape (N, T, heads * head_size).
    """
    n, t = q_NTC.shape[0], q_NTC.shape[1]
    q, k, v = (x.view(n, t, -1, head_size).transpose(1, 2) for x in (q_NTC, k_NTC, v_NTC))
    scores = torch.matmul(q, k.transpose(2, 3)) / math.sqrt(head_size)
    weights = F.softmax(scores if bias is None else scores + bias, dim=-1)
    return torch.matmul(weights, v).transpose(1, 2).reshape(n, t, -1)


def residual(x: Tensor, norm: nn.Module, body: Callable[[Tensor], Tensor], pre_norm: bool) -> Tensor:
    """Add a residual around a body: x + body(norm(x)), or norm(x + body(x)).

    Parameters
    ----------
    x : Tensor
        Input.
    norm : nn.Module
        Layer norm.
    body : callable
        Tensor → tensor of the same shape.
    pre_norm : bool
        Whether the norm comes before the body.

    Returns
    -------
    Tensor
        Output of the input's shape.
    """
    return x + body(norm(x)) if pre_norm else norm(x + body(x))


class EncoderLayer(nn.Module):
    """Encoder layer of an extracted subnet.

    Parameters
    ----------
    config : EncoderConfig
        Shape of the encoder.
    plan : EncoderLayerPlan
        Sizes of the layer.
    pre_norm : bool
        Whether layer norms come before attention and feed-forward part.
    """

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
        """Run the layer.

        Parameters
        ----------
        x_NTC : Tensor
            Tokens of shape (N, T, hidden).
        bias : Tensor, optional
            Added to the attention scores.

        Returns
        -------
        Tensor
            Tokens of the same shape.
        """
        x = residual(x_NTC, self.norm1, lambda y: self.attention(y, bias), self.pre_norm)
        return residual(x, self.norm2, lambda y: self.contract(self.act(self.expand(y))), self.pre_norm)

    def attention(self, x_NTC: Tensor, bias: Tensor | None) -> Tensor:
        """Run self-attention, projections included.

        Parameters
        ----------
        x_NTC : Tensor
            Tokens of shape (N, T, hidden).
        bias : Tensor or None
            Added to the attention scores.

        Returns
        -------
        Tensor
            Output of the same shape.
        """
        q, k, v = self.query(x_NTC), self.key(x_NTC), self.value(x_NTC)
        return self.project(attend(q, k, v, self.head_size, bias))  # type: ignore[no-any-return]


class ElasticEncoderLayer(nn.Module):
    """Encoder layer whose first heads and first feed-forward units are used.

    Parameters
    ----------
    config : EncoderConfig
        Shape of the encoder.
    names : LayerNames
        Names of its parts in files.
    pre_norm : bool
        Whether layer norms come before attention and feed-forward part.
    """

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
        """Slice weight and bias of a linear of the subnet."""
        linear = self._part(part)
        assert isinstance(linear, nn.Linear)
        sizes = {"heads": plan.heads * self.config.head_size, "ffn": plan.ffn, None: None}
        outputs, inputs = (sizes[s] for s in self.LINEARS[part])
        return linear.weight[:outputs, :inputs], linear.bias[:outputs]

    def forward(self, x_NTC: Tensor, plan: EncoderLayerPlan, bias: Tensor | None = None) -> Tensor:
        """Run the layer as one architecture has it.

        Parameters
        ----------
        x_NTC : Tensor
            Tokens of shape (N, T, hidden).
        plan : EncoderLayerPlan
            Sizes of the layer.
        bias : Tensor, optional
            Added to the attention scores.

        Returns
        -------
        Tensor
            Tokens of the same shape.
        """
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
        """Extract the static layer of a plan, with copies of the sliced weights.

        Parameters
        ----------
        plan : EncoderLayerPlan
            Sizes of the layer.

        Returns
        -------
        EncoderLayer
            The layer.
        """
        layer = EncoderLayer(self.config, plan, self.pre_norm)
        for part in self.LINEARS:
            weight, bias = self._sliced(part, plan)
            layer.get_submodule(part).load_state_dict({"weight": weight, "bias": bias})
        for part in ("norm1", "norm2"):
            layer.get_submodule(part).load_state_dict(self._part(part).state_dict())
        return layer

    def sort_channels(self) -> None:
        """Sort heads and units by the L1 norm of their columns in the next linear, largest first; in place."""
        size = self.config.head_size
        for group, makers, reader in ((size, ("query", "key", "value"), "project"), (1, ("expand",), "contract")):
            read = (self._part(reader).get_parameter("weight"), 1)
            rows = [(p, 0) for maker in makers for p in self._part(maker).parameters()]
            sort_by_importance([*rows, read], [read], group)
