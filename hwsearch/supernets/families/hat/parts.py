"""The two model files that deploy a HAT subnet: encoder and decoder step."""

from __future__ import annotations

from torch import Tensor, nn

from hwsearch.supernets.base import Part
from hwsearch.supernets.families.hat.config import HatConfig
from hwsearch.supernets.families.hat.plan import HatPlan
from hwsearch.supernets.families.hat.subnet import HatSubnet
from hwsearch.tasks.inputs import Input
from hwsearch.tasks.translation.vocabulary import SPECIALS


class EncoderPart(nn.Module):
    """The model that runs once a sentence.

    Parameters
    ----------
    net : HatSubnet
        The subnet.
    """

    def __init__(self, net: HatSubnet) -> None:
        super().__init__()
        self.net = net

    def forward(self, source_NS: Tensor) -> tuple[Tensor, ...]:
        """Compute what `HatSubnet.encode` gives.

        Parameters
        ----------
        source_NS : Tensor
            Source tokens of shape (N, S).

        Returns
        -------
        tuple of Tensor
            Keys and values.
        """
        return tuple(self.net.encode(source_NS))


class StepPart(nn.Module):
    """The model that runs once a token.

    Parameters
    ----------
    net : HatSubnet
        The subnet.
    """

    def __init__(self, net: HatSubnet) -> None:
        super().__init__()
        self.net = net

    def forward(self, token_N1: Tensor, source_NS: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
        """Compute what `HatSubnet.step` gives.

        Parameters
        ----------
        token_N1 : Tensor
            Last tokens, of shape (N, 1).
        source_NS : Tensor
            Source tokens of shape (N, S).
        *state : Tensor
            Encoder-decoder keys and values, then self-attention keys and values.

        Returns
        -------
        tuple of Tensor
            Logits of shape (N, V), then self-attention keys and values.
        """
        half = len(state) // 2
        logits, present = self.net.step(token_N1, source_NS, state[:half], state[half:])
        return (logits, *present)


def deployed_parts(config: HatConfig, plan: HatPlan, net: HatSubnet) -> list[Part]:
    """Describe the two model files that deploy a subnet.

    ``encoder`` runs once a sentence and gives the keys and values that the decoder's layers attend to.
    ``decoder-step`` runs once a token: it takes a token, the source (for its padding), those keys and values, and its
    own of the tokens before, which are empty at first; it gives logits and its own keys and values for the next step.
    It is timed half-way through a sentence.

    Parameters
    ----------
    config : HatConfig
        Shape of the supernet.
    plan : HatPlan
        Sizes of the subnet.
    net : HatSubnet
        The subnet.

    Returns
    -------
    list of Part
        Encoder and decoder step.
    """
    c = config
    source = Input("source", (c.source_tokens,), c.vocabulary, len(SPECIALS), ("source",))
    token = Input("token", (1,), c.vocabulary, len(SPECIALS))
    memory, past, memory_axes = [], [], []
    for i, layer in enumerate(plan.decoder):
        axis = "source" if layer.memory == 1 else f"source_x{layer.memory}"
        time, heads = layer.memory * c.source_tokens, layer.cross_heads
        for kind in ("keys", "values"):
            axes = (None, axis, None)
            memory.append(Input(f"cross_{kind}_{i}", (heads, time, c.qkv // heads), axes=axes))
            memory_axes.append({0: "batch", 2: axis})
            shape = (layer.heads, c.target_tokens // 2, c.qkv // layer.heads)
            past.append(Input(f"self_{kind}_{i}", shape, axes=(None, "past", None)))
    return [
        Part(
            "encoder",
            EncoderPart(net),
            (source,),
            tuple(m.name for m in memory),
            output_axes=tuple(memory_axes),
        ),
        Part(
            "decoder-step",
            StepPart(net),
            (token, source, *memory, *past),
            ("logits", *(f"next_{p.name}" for p in past)),
            runs=c.target_tokens,
            output_axes=({0: "batch"}, *({0: "batch", 2: "present"} for _ in past)),
        ),
    ]
