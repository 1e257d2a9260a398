"""The common part of elastic transformer encoders: plans, sorting and costs."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence

import numpy as np
from typing_extensions import override

from hwsearch._typing import FloatArray, IntArray
from hwsearch.spaces import Architecture, SearchSpace
from hwsearch.supernets.base import Supernet, with_logs
from hwsearch.supernets.families.encoder.config import EncoderConfig
from hwsearch.supernets.families.encoder.layers import ElasticEncoderLayer, EncoderLayerPlan


class ElasticEncoder(Supernet):
    """A supernet whose main part is a transformer encoder with elastic layers, heads and units.

    Parameters
    ----------
    config : EncoderConfig
        Shape and elastic choices.
    space : SearchSpace
        Search space with the genes of `EncoderConfig.choices`, and maybe others.
    """

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
        """Count the tokens that pass through the encoder.

        Parameters
        ----------
        rows : ndarray
            Architectures in canonical form, of shape (n, genes).

        Returns
        -------
        ndarray
            Numbers of tokens, of shape (n,).
        """

    @abstractmethod
    def outer_costs(self, tokens: IntArray) -> dict[str, FloatArray]:
        """Compute costs of everything but the layers.

        Parameters
        ----------
        tokens : ndarray
            Numbers of tokens, of shape (n,).

        Returns
        -------
        dict
            ``macs``, ``params`` and ``activations``; (n,) each.
        """

    def plan(self, arch: Architecture) -> list[EncoderLayerPlan]:
        """Resolve the sizes of the layers of an architecture.

        Parameters
        ----------
        arch : Architecture
            Architecture of this space.

        Returns
        -------
        list of EncoderLayerPlan
            Layers in order.

        Raises
        ------
        SpaceError
            If the architecture is of another space.
        """
        self.space.check_space(arch)
        return [
            EncoderLayerPlan(arch.integer(f"heads[{i}]"), arch.integer(f"ffn[{i}]"))
            for i in range(arch.integer("layers"))
        ]

    def sort_channels(self) -> None:
        """Sort heads and units by importance, so that subnets keep those that matter most; in place.

        The full network computes the same. Importance is the L1 norm of the columns that read a head or a unit, as
        Once-for-All sorts channels (Cai et al., 2020, arXiv 1908.09791).
        """
        for layer in self.encoder_layers:
            layer.sort_channels()

    def _costs(self, rows: IntArray) -> dict[str, FloatArray]:
        c = self.config
        rows = self.space.canonical(rows)
        column = dict(zip(self.space.names, rows.T, strict=True))

        def values(kind: str, choices: tuple[int, ...]) -> FloatArray:
            """Look up (n, layers): the genes' values, 0 where there is no layer."""
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
        """Count multiply-accumulates of convolutions, linears and attention products for one input.

        Parameters
        ----------
        rows : ndarray
            Architectures, of shape (n, genes).

        Returns
        -------
        ndarray
            MACs, of shape (n,).
        """
        return self._costs(rows)["macs"]

    @override
    def params_array(self, rows: IntArray) -> FloatArray:
        return self._costs(rows)["params"]

    def cost_features(self, rows: IntArray) -> dict[str, FloatArray]:
        """Compute MACs (whole, of attention, of feed-forward parts), parameters, layers, and elements that matrix products write (``activations``).

        Parameters
        ----------
        rows : ndarray
            Architectures, of shape (n, genes).

        Returns
        -------
        dict
            Features by name; (n,) each.
        """
        return with_logs(self._costs(rows))
