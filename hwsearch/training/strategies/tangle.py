"""TangleNAS: the strategy ``tangle``, a search by gradients in entangled weights."""

from __future__ import annotations

from pydantic import Field
from typing_extensions import override

from hwsearch.training.parts.loss import Labels
from hwsearch.training.parts.recipe import Recipe
from hwsearch.training.parts.run import Run
from hwsearch.training.parts.sampler import OneSampler
from hwsearch.training.parts.search import ArchitectureSearch, FirstHalf
from hwsearch.training.parts.superposition import Superposition
from hwsearch.training.strategies.base import Strategy


class TangleNAS(Strategy):
    """Train all subnets in superposition, and learn which values of the genes are best, in one run.

    Weights learn from one half of the data, logits of the genes from the other. The result is one architecture,
    ``trainer.recipe.view.choice()``, for one weight of the cost; it differs from the superposition, so fine-tune or retrain
    it. The shares are softmax(alpha), as in DARTS; the paper also draws them from a Dirichlet distribution. Only families
    whose subnets are slices can be served.

    Attributes
    ----------
    cost : float
        Weight of the expected cost, MACs by default, as a share of the largest subnet's; a larger one gives smaller
        architectures. `Superposition.use_cost` takes latencies in its place.
    lr : float
        Learning rate of the logits.
    weight_decay : float
        Of the logits.
    label_smoothing : float
        Label smoothing for the weights.

    References
    ----------
    Sukthanker et al., "Weight-entanglement meets gradient-based neural architecture search", 2024, arXiv 2312.10440.
    """

    cost: float = Field(0.0, ge=0)
    lr: float = Field(6e-4, gt=0)
    weight_decay: float = Field(1e-3, ge=0)
    label_smoothing: float = Field(0.0, ge=0, lt=1)

    @override
    def recipe(self, run: Run) -> Recipe:
        return Recipe(
            OneSampler(which="largest"),
            Labels(smoothing=self.label_smoothing),
            data=FirstHalf(),
            view=Superposition(),
            search=ArchitectureSearch(lr=self.lr, weight_decay=self.weight_decay, cost=self.cost),
        )
