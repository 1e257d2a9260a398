"""HAT: the elastic Transformer for translation, with widths, depth, heads and encoder-decoder attention to choose.

State-dict names are those of the authors' files. Genes: ``encoder.embed``, ``decoder.embed`` (widths),
``decoder.layers``, and for each layer i ``encoder.ffn[i]``, ``encoder.heads[i]``, ``decoder.ffn[i]``,
``decoder.heads[i]``, ``decoder.cross_heads[i]`` and ``decoder.memory[i]``: whether the layer attends to the output of
the last encoder layer (-1), of the second last as well (1), or of the third last as well (2).
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.func import functional_call
from typing_extensions import override

from hwsearch._typing import FloatArray, IntArray
from hwsearch.errors import CheckpointError, DataError
from hwsearch.spaces import Architecture
from hwsearch.supernets.base import Part, Supernet, with_logs
from hwsearch.supernets.checkpoint.loading import Uninitialised
from hwsearch.supernets.families.hat.config import HatConfig, memory_outputs
from hwsearch.supernets.families.hat.costs import network_costs
from hwsearch.supernets.families.hat.parts import deployed_parts
from hwsearch.supernets.families.hat.plan import HatLayerPlan, HatPlan
from hwsearch.supernets.families.hat.positions import position_rows, sinusoids
from hwsearch.supernets.families.hat.subnet import HatSubnet
from hwsearch.supernets.families.hat.weights import (
    EMBEDDINGS,
    SideWeights,
    sliced_weights,
)
from hwsearch.tasks.data import Data
from hwsearch.tasks.translation.data import TranslationData


class HatTransformer(Supernet):
    """The weight-sharing Transformer supernet of HAT.

    A subnet takes the first entries of each weight, along the widths that its genes set. Its forward pass is that of
    `HatSubnet`, here with slices of the shared weights; dropout is left out.

    Parameters
    ----------
    config : HatConfig
        Shape and elastic choices; `space` has its genes.

    References
    ----------
    Wang, Wu, Liu, Cai, Zhu, Gan, Han, 2020, Hardware-Aware Transformers, arXiv 2005.14187.
    """

    positions: Tensor

    def __init__(self, config: HatConfig) -> None:
        super().__init__()
        self.config = config
        self.space = config.search_space()
        self.classes = config.vocabulary
        embed = nn.Embedding(config.vocabulary, max(config.embeds))
        nn.init.normal_(embed.weight, 0.0, max(config.embeds) ** -0.5)
        self.encoder = SideWeights(config, embed, config.encoder_layers, cross=False)
        self.decoder = SideWeights(config, embed, max(config.decoder_layers), cross=True)
        table = sinusoids(position_rows(config.positions), max(config.embeds))
        self.register_buffer("positions", table, persistent=False)
        self.activate(self.space.largest())

    # ------------------------------------------------------------------ one architecture, resolved
    def plan(self, arch: Architecture) -> HatPlan:
        """Resolve the sizes of all layers of an architecture.

        Parameters
        ----------
        arch : Architecture
            Architecture of this space.

        Returns
        -------
        HatPlan
            The sizes.

        Raises
        ------
        SpaceError
            If the architecture is of another space.
        """
        self.space.check_space(arch)
        c, gene = self.config, arch.integer
        return HatPlan(
            c.vocabulary,
            gene("encoder.embed"),
            gene("decoder.embed"),
            c.qkv,
            c.positions,
            tuple(
                HatLayerPlan(gene(f"encoder.ffn[{i}]"), gene(f"encoder.heads[{i}]")) for i in range(c.encoder_layers)
            ),
            tuple(
                HatLayerPlan(
                    gene(f"decoder.ffn[{i}]"),
                    gene(f"decoder.heads[{i}]"),
                    gene(f"decoder.cross_heads[{i}]"),
                    memory_outputs(gene(f"decoder.memory[{i}]")),
                )
                for i in range(gene("decoder.layers"))
            ),
        )

    @override
    def activate(self, arch: Architecture) -> None:
        plan = self.plan(arch)
        with torch.device("meta"), Uninitialised():  # shapes only: each pass brings its own weights
            self._active = (plan, HatSubnet(plan))

    def forward(self, source_NS: Tensor, previous_NT: Tensor) -> Tensor:  # type: ignore[override]
        """Compute logits of the active architecture with the true tokens before each given; padding is masked.

        Parameters
        ----------
        source_NS : Tensor
            int64 source tokens, padded on the left, of shape (N, S).
        previous_NT : Tensor
            int64, ``</s>`` and then all target tokens but the last, of shape (N, T).

        Returns
        -------
        Tensor
            Logits of shape (N, T, V).
        """
        plan, net = self._active
        logits: Tensor = functional_call(
            net, dict(sliced_weights(self.encoder, self.decoder, self.positions, plan)), (source_NS, previous_NT)
        )
        return logits

    @override
    def subnet(self, arch: Architecture) -> HatSubnet:
        plan = self.plan(arch)
        with torch.device("meta"), Uninitialised():
            net = HatSubnet(plan)
        own = {
            k: v.detach().clone(memory_format=torch.contiguous_format)
            for k, v in sliced_weights(self.encoder, self.decoder, self.positions, plan)
        }
        net.load_state_dict(own, assign=True)
        return net.train(self.training)

    @override
    def check_data(self, data: Data, split: str) -> None:
        if not isinstance(data, TranslationData):
            raise DataError(f"the {split} data {data.name!r} are not translations.")
        data.check(self.config.vocabulary, self.config.positions)

    def rename(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Leave out what fairseq writes beside the weights: version marks, and a place holder for positions.

        The embedding, which fairseq writes twice, may stand there once (safetensors keep no tensor twice).

        Parameters
        ----------
        state : mapping
            Name → tensor in the file.

        Returns
        -------
        dict
            Name in this network → tensor.

        Raises
        ------
        CheckpointError
            If encoder and decoder have different embeddings.
        """
        marks = (".version", ".embed_positions._float_tensor")
        renamed = {k: v for k, v in state.items() if not k.endswith(marks)}
        shared = {k: renamed[k] for k in EMBEDDINGS if k in renamed}
        if len(shared) == 2 and not torch.equal(*shared.values()):
            raise CheckpointError(
                "encoder and decoder have different embeddings in the file, but this network has one."
            )
        for value in shared.values():
            renamed |= dict.fromkeys(EMBEDDINGS, value)
        return renamed

    # ------------------------------------------------------------------ deployment
    @override
    def input_shape(self, arch: Architecture) -> tuple[int]:
        return (self.config.source_tokens,)

    def parts(self, arch: Architecture, net: nn.Module) -> list[Part]:
        """Describe the two model files that deploy a subnet (`hwsearch.supernets.families.hat.parts`).

        Parameters
        ----------
        arch : Architecture
            Architecture of the subnet.
        net : HatSubnet
            The subnet.

        Returns
        -------
        list of Part
            Encoder and decoder step.
        """
        assert isinstance(net, HatSubnet)
        return deployed_parts(self.config, self.plan(arch), net)

    # ------------------------------------------------------------------ costs, vectorised
    def _costs(self, rows: IntArray) -> dict[str, FloatArray]:
        return network_costs(self.config, self.space, rows)

    def macs_array(self, rows: IntArray) -> FloatArray:
        """Count multiply-accumulates of linears and of attention's two products, for one sentence pair.

        The pair has `HatConfig.source_tokens` and `HatConfig.target_tokens`; all target tokens run in one pass with
        nothing cached. The output layer is counted; the authors' figures leave it out.

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

    def params_array(self, rows: IntArray) -> FloatArray:
        """Count the parameters of the extracted subnets.

        The two model files that deploy a subnet have an embedding each, so both are counted; the authors' figures
        leave the embedding out.

        Parameters
        ----------
        rows : ndarray
            Architectures, of shape (n, genes).

        Returns
        -------
        ndarray
            Number of parameters, of shape (n,).
        """
        return self._costs(rows)["params"]

    @override
    def cost_features(self, rows: IntArray) -> dict[str, FloatArray]:
        return with_logs(self._costs(rows))
