"""Weights from a hypernetwork: the strategy ``generator``, whose supernet has widths that were never trained."""

from __future__ import annotations

from typing import Literal

from pydantic import Field
from typing_extensions import override

from hwsearch.errors import SupernetError, TrainingError
from hwsearch.supernets.base import Supernet
from hwsearch.supernets.weights.generated import GeneratedSupernet, with_generator
from hwsearch.supernets.weights.generator import GeneratorSettings
from hwsearch.training.parts.loss import Labels
from hwsearch.training.parts.recipe import Recipe
from hwsearch.training.parts.run import Run
from hwsearch.training.parts.sampler import SandwichSampler
from hwsearch.training.strategies.base import Strategy


class WeightGenerator(Strategy):
    """Train a network that generates the weights of a subnet from its architecture, on the subnets of a sandwich.

    The weight file that ``hwsearch train`` writes holds the generator beside the network's own weights, and is a checkpoint of any
    supernet with the same network and genes, also where they have more values than were trained. Subnets are plain networks.
    Defaults are those of MIP: a condition of constant norm, and a residual output.

    Attributes
    ----------
    mode : {"chunk", "full", "layer"}
        What one pass of the hypernetwork makes: a chunk of the weights, all of them, or those of one layer.
    hidden, layers : int
        Units of its hidden layers, and how many there are.
    embedding, chunk : int
        Length of the learned embeddings of chunks and layers, and weights of a chunk.
    encoding : {"constant-norm", "raw"}
        How the architecture enters.
    residual : bool
        Add what is generated to the supernet's own weights.
    layer_norm : bool
        Normalise the hidden layers.
    norms : bool
        Generate factors and offsets of norms, too.
    random : int
        Random subnets in each step, besides the largest and the smallest.
    label_smoothing : float
        Label smoothing.

    References
    ----------
    Gonzalez Ortiz, Guttag and Dalca, "Magnitude invariant parametrizations improve hypernetwork learning", 2024,
    arXiv 2304.07645.
    Chauhan et al., "A brief review of hypernetworks in deep learning", 2024, arXiv 2306.06955.
    """

    mode: Literal["chunk", "full", "layer"] = "chunk"
    hidden: int = Field(32, ge=1, le=65536)
    layers: int = Field(2, ge=1, le=64)
    embedding: int = Field(8, ge=1, le=65536)
    chunk: int = Field(256, ge=1, le=2**24)
    encoding: Literal["constant-norm", "raw"] = "constant-norm"
    residual: bool = True
    layer_norm: bool = False
    norms: bool = False
    random: int = Field(2, ge=0)
    label_smoothing: float = Field(0.0, ge=0, lt=1)

    def settings(self) -> GeneratorSettings:
        """Collect the settings of the generator.

        Returns
        -------
        GeneratorSettings
            The settings.

        Raises
        ------
        GeneratorError
            If they do not go together.
        """
        names = ("mode", "hidden", "layers", "embedding", "chunk", "encoding", "residual", "layer_norm", "norms")
        return GeneratorSettings(**{name: getattr(self, name) for name in names})

    @override
    def prepare_supernet(self, net: Supernet, seed: int) -> Supernet:
        try:
            return with_generator(net, self.settings(), seed)
        except SupernetError as error:
            raise TrainingError(error.message, hint=error.hint) from error

    @override
    def recipe(self, run: Run) -> Recipe:
        net = run.supernet
        if not isinstance(net, GeneratedSupernet):
            raise TrainingError(
                f"{type(net).__name__} has no generator of weights.",
                hint="Train what the strategy's prepare_supernet(net, seed) gives, as a Trainer does.",
            )
        self.prepare_supernet(net, run.config.seed)
        if run.config.compile:
            raise TrainingError("generated weights cannot be trained with compile = true.", hint="Leave compile out.")
        return Recipe(SandwichSampler(random=self.random), Labels(smoothing=self.label_smoothing))
