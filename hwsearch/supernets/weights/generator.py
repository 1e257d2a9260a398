"""Hypernetworks: networks that generate the weights of a subnet from its architecture.

A hypernetwork H maps a condition, numbers in [0, 1], to weights: θ = H(c). With LeakyReLU and biases of zero it is positively
homogeneous, H(s · c) = s · H(c), so that the scale of the weights follows that of the condition. Magnitude invariant
parametrizations (MIP; Gonzalez Ortiz, Guttag and Dalca, ICLR 2024, arXiv 2304.07645) take that away: the condition is encoded with
a constant norm, and weights of their own are added to what H makes, θ = θ0 + H(E(c)). The axes of design on the card are those of
Chauhan, Zhou, Lu, Molaei and Clifton, "A brief review of hypernetworks in deep learning", 2024, arXiv 2306.06955.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from typing import Literal, Self

import numpy as np
import torch
from torch import Tensor, nn
from typing_extensions import override

from hwsearch._json import JsonObject
from hwsearch.errors import SupernetError

#: what H makes in one pass: all weights, chunks of equal size, or those of one layer
Mode = Literal["full", "chunk", "layer"]
MODES: dict[str, str] = {"full": "all at once", "chunk": "chunk-wise", "layer": "layer-wise"}
#: how a condition enters H
Encoding = Literal["constant-norm", "raw"]
ENCODINGS: tuple[Encoding, ...] = ("constant-norm", "raw")
#: negative slope of the activations
SLOPE = 0.01


class GeneratorError(SupernetError):
    """A generator cannot serve a network, a condition is out of range, or a setting is not valid."""


@dataclass(frozen=True)
class GeneratorSettings:
    """Settings of a generator of weights; the defaults are those of MIP.

    Attributes
    ----------
    mode : {"chunk", "full", "layer"}
        What one pass of H makes: a chunk of all weights, told by a learned embedding; all at once; or the weights of one layer,
        told by a learned embedding.
    hidden, layers : int
        Units of each hidden layer of H, and how many there are.
    embedding, chunk : int
        Length of an embedding, and weights of a chunk.
    encoding : {"constant-norm", "raw"}
        How the condition c enters H: as cos(πc/2) and sin(πc/2), whose norm does not depend on c; or as it is.
    residual : bool
        Add H's output to weights of their own, θ0. Without it H's output is the weights.
    layer_norm : bool
        Normalise the hidden layers of H (Ba et al. 2016, arXiv 1607.06450); a rival of MIP, for comparison.
    norms : bool
        Generate the factors and offsets of the network's norms, too; needs `residual`.

    Raises
    ------
    GeneratorError
        If a setting is unknown or out of range.

    Examples
    --------
    >>> GeneratorSettings(mode="layer").outputs
    'layer-wise'
    """

    mode: Mode = "chunk"
    hidden: int = 32
    layers: int = 2
    embedding: int = 8
    chunk: int = 256
    encoding: Encoding = "constant-norm"
    residual: bool = True
    layer_norm: bool = False
    norms: bool = False

    def __post_init__(self) -> None:
        for name, known in (("mode", tuple(MODES)), ("encoding", ENCODINGS)):
            if getattr(self, name) not in known:
                raise GeneratorError(
                    f"{name}={getattr(self, name)!r} is not valid.", hint=f"Use one of {', '.join(sorted(known))}."
                )
        for name in ("hidden", "layers", "embedding", "chunk"):
            value = getattr(self, name)
            if type(value) is not int or not 1 <= value <= 2**24:
                raise GeneratorError(f"{name}={value!r} is not valid.", hint="Give a whole number of at least 1.")
        for name in ("residual", "layer_norm", "norms"):
            if type(getattr(self, name)) is not bool:
                raise GeneratorError(f"{name}={getattr(self, name)!r} is not valid.", hint="Give true or false.")
        if self.norms and not self.residual:
            raise GeneratorError("norms are generated as a residual only.", hint="Set residual, or leave norms out.")

    @property
    def outputs(self) -> str:
        """The review's name of the mode."""
        return MODES[self.mode]

    @classmethod
    def from_dict(cls, data: JsonObject) -> Self:
        """Read settings.

        Parameters
        ----------
        data : dict
            As `dataclasses.asdict` gives them.

        Returns
        -------
        GeneratorSettings
            The settings.

        Raises
        ------
        GeneratorError
            If a setting is unknown, missing or out of range.
        """
        known = {f.name for f in fields(cls)}
        if set(data) != known:
            raise GeneratorError(f"settings of a generator are {sorted(known)}, not {sorted(data)}.")
        return cls(**data)


@dataclass(frozen=True)
class GeneratorCard:
    """Card of a generator, by the five axes of design of the review, and the counts that follow; JSON in and out.

    Attributes
    ----------
    settings : GeneratorSettings
        The settings.
    genes : dict of str to float
        Genes of the condition, in its order, with the largest value of each, which is 1 in the condition.
    trained : dict of str to list of float
        Values of each gene that the space had when the generator was trained; others are generated all the same.
    generated : int
        Weights that are generated.
    generator_params, stored_params : int
        Parameters of H with its embeddings, and all that is stored, θ0 and shared norms included.
    """

    settings: GeneratorSettings
    genes: dict[str, float]
    trained: dict[str, list[float]]
    generated: int
    generator_params: int
    stored_params: int

    @property
    def inputs(self) -> str:
        """First axis: what H is conditioned on."""
        encoded = {"constant-norm": "as cosine and sine of constant norm", "raw": "raw"}[self.settings.encoding]
        told = {"full": "", "chunk": ", and a learned embedding a chunk", "layer": ", and a learned embedding a layer"}
        return f"the architecture: {len(self.genes)} genes as shares of their largest values, {encoded}{told[self.settings.mode]}"

    @property
    def outputs(self) -> str:
        """Second axis: what a pass of H makes."""
        return self.settings.outputs + (", added to weights of their own" if self.settings.residual else "")

    @property
    def variability_of_inputs(self) -> str:
        """Third axis: whether inputs change with the data."""
        return "static: known before any example"

    @property
    def variability_of_outputs(self) -> str:
        """Fourth axis: whether the generated weights change with the data."""
        return "static: the same weights for all examples of an architecture"

    @property
    def architecture(self) -> str:
        """Fifth axis: what network H is."""
        normed = " with layer norms" if self.settings.layer_norm else ""
        return f"MLP{normed} of {self.settings.layers} hidden layers of {self.settings.hidden} units, LeakyReLU"

    def to_dict(self) -> JsonObject:
        """Convert to plain values, the axes included.

        Returns
        -------
        dict
            For JSON.
        """
        return {axis: getattr(self, axis) for axis in AXES} | asdict(self)

    @classmethod
    def from_dict(cls, data: JsonObject, source: str) -> Self:
        """Read a card.

        Parameters
        ----------
        data : dict
            As of `to_dict`; the axes follow from the rest.
        source : str
            Where it stands, for messages.

        Returns
        -------
        GeneratorCard
            The card.

        Raises
        ------
        GeneratorError
            If it is none.
        """
        try:
            given = {f.name: data[f.name] for f in fields(cls)}
            genes = {str(k): float(v) for k, v in given["genes"].items()}
            trained = {str(k): [float(x) for x in v] for k, v in given["trained"].items()}
            if set(trained) != set(genes):
                raise ValueError("trained values are of other genes")
            counts = {f.name: int(given[f.name]) for f in fields(cls) if f.name not in ("settings", "genes", "trained")}
            return cls(GeneratorSettings.from_dict(given["settings"]), genes, trained, **counts)
        except (ValueError, KeyError, TypeError, AttributeError, GeneratorError) as error:
            raise GeneratorError(f"{source}: the card of its generator cannot be read: {error!r}.") from error


#: the five axes of design of the review, as a card has them
AXES = ("inputs", "outputs", "variability_of_inputs", "variability_of_outputs", "architecture")


def encode(condition: Tensor, encoding: Encoding = "constant-norm") -> Tensor:
    """Encode a condition for a hypernetwork.

    Parameters
    ----------
    condition : Tensor
        Numbers in [0, 1], shape ``(..., d)``.
    encoding : {"constant-norm", "raw"}
        How.

    Returns
    -------
    Tensor
        Shape ``(..., 2 d)`` of norm √d for every condition; or the condition as it is.

    Raises
    ------
    GeneratorError
        If a number is outside [0, 1], or none.

    Examples
    --------
    >>> round(float(encode(torch.tensor([0.2, 0.7, 1.0])).square().sum()), 4)
    3.0
    """
    wrong = ~((condition >= 0) & (condition <= 1))
    if bool(wrong.any()):
        raise GeneratorError(
            f"a condition of a generator has {float(condition[wrong][0]):g}.", hint="Conditions lie in [0, 1]."
        )
    if encoding == "raw":
        return condition
    angle = condition * (math.pi / 2)
    return torch.cat([angle.cos(), angle.sin()], -1)


class Hypernetwork(nn.Module):
    """A network that generates a flat vector of weights from a condition.

    Weights are drawn by Kaiming's rule over the fan-out, biases are zero. Where a pass makes a piece of all weights, its output is
    multiplied by √(outputs of a pass / all weights), so that the norm of what is generated, and how far a step moves it, do not
    depend on the mode: a layer that all pieces share has the sum of their gradients.

    Parameters
    ----------
    inputs : int
        Numbers of a condition.
    sizes : sequence of int
        Weights of each tensor that is generated; their sum is the length of the output.
    settings : GeneratorSettings
        The settings.
    seed : int
        Seed of the first weights.

    Raises
    ------
    GeneratorError
        If there is nothing to be conditioned on, or to be generated.
    """

    def __init__(self, inputs: int, sizes: Sequence[int], settings: GeneratorSettings, seed: int = 0) -> None:
        super().__init__()
        if inputs < 1 or sum(sizes) < 1:
            raise GeneratorError(f"a generator of {inputs} inputs and {sum(sizes)} outputs has nothing to do.")
        self.settings, self.sizes = settings, tuple(sizes)
        self.total = sum(sizes)
        encoded = 2 * inputs if settings.encoding == "constant-norm" else inputs
        pieces, outputs = {
            "full": (0, self.total),
            "chunk": (-(-self.total // settings.chunk), settings.chunk),
            "layer": (len(self.sizes), max(self.sizes)),
        }[settings.mode]
        rng = torch.Generator().manual_seed(seed)
        drawn = nn.Parameter(torch.randn(pieces, settings.embedding, generator=rng)) if pieces else None
        self.embeddings: nn.Parameter | None
        self.register_parameter("embeddings", drawn)
        encoded += settings.embedding if pieces else 0
        hidden: list[nn.Module] = []
        for k in range(settings.layers):
            hidden.append(nn.Linear(encoded if k == 0 else settings.hidden, settings.hidden))
            hidden += [nn.LayerNorm(settings.hidden)] * settings.layer_norm + [nn.LeakyReLU(SLOPE)]
        # in one pass over all weights θ0 is the bias
        own_bias = not (settings.residual and settings.mode == "full")
        self.scale = math.sqrt(outputs / self.total)
        self.body = nn.Sequential(*hidden)
        self.head = nn.Linear(settings.hidden, outputs, bias=own_bias)
        with torch.no_grad():
            for layer in [m for m in hidden if isinstance(m, nn.Linear)] + [self.head]:
                std = math.sqrt(2 / (1 + SLOPE**2) / layer.out_features)
                layer.weight.copy_(torch.randn(layer.weight.shape, generator=rng) * std)
                if layer.bias is not None:
                    layer.bias.zero_()

    @override
    def forward(self, condition: Tensor) -> Tensor:
        """Generate all weights for one condition.

        Parameters
        ----------
        condition : Tensor
            Numbers in [0, 1], shape ``(inputs,)``.

        Returns
        -------
        Tensor
            Shape ``(sum(sizes),)``.

        Raises
        ------
        GeneratorError
            If a number is outside [0, 1], or none.
        """
        x = encode(condition, self.settings.encoding)
        if self.embeddings is None:
            found: Tensor = self.head(self.body(x))
            return found
        rows = self.head(self.body(torch.cat([x.expand(len(self.embeddings), -1), self.embeddings], 1))) * self.scale
        if self.settings.mode == "chunk":
            return rows.reshape(-1)[: self.total]  # type: ignore[no-any-return]
        return torch.cat([row[:size] for row, size in zip(rows, self.sizes, strict=True)])


def norm_correlation(norms: Tensor, conditions: Tensor) -> float:
    """Correlate the norms of generated weights with the norms of their conditions (Pearson).

    Parameters
    ----------
    norms : Tensor
        ‖θ‖, shape ``(n,)``.
    conditions : Tensor
        Conditions, shape ``(n, d)``.

    Returns
    -------
    float
        From -1 to 1.
    """
    both = np.stack([norms.double().numpy(), conditions.double().norm(dim=1).numpy()])
    return float(np.corrcoef(both)[0, 1])
