"""Few-shot training: the strategy ``few-shot``, one supernet for each group of values of a gene."""

from __future__ import annotations

from pydantic import Field
from typing_extensions import override

from hwsearch.errors import TrainingError
from hwsearch.spaces.choice import Value
from hwsearch.training.parts.cells import POOL_RNG, CellSandwichSampler
from hwsearch.training.parts.loss import Labels
from hwsearch.training.parts.partition import gene_groups, pool
from hwsearch.training.parts.recipe import Recipe
from hwsearch.training.parts.run import Run
from hwsearch.training.strategies.base import Strategy


class FewShot(Strategy):
    """Train the subnets whose gene has one of some values; the other values go to another supernet.

    Warm a supernet up with `sandwich-labels`, compute the groups of a gene whose gradients agree
    (`hwsearch.training.matching`), then train a copy for each group with this strategy.

    Attributes
    ----------
    gene : str, optional
        A gene that is always active; None for the whole space.
    values : tuple of int, float or str
        The values of this supernet's group.
    random : int
        Random subnets in each step, besides the largest and the smallest of the group.
    label_smoothing : float
        Label smoothing.

    References
    ----------
    Zhao et al., "Few-shot neural architecture search", 2021, arXiv 2006.06863.
    Hu et al., "Generalizing few-shot NAS with gradient matching", 2022, arXiv 2203.15207.
    """

    gene: str | None = None
    values: tuple[Value, ...] = Field((), strict=False)
    random: int = Field(2, ge=0)
    label_smoothing: float = Field(0.0, ge=0, lt=1)

    @override
    def recipe(self, run: Run) -> Recipe:
        cell = pool(run.supernet, run.rng(POOL_RNG))
        if self.gene is not None:
            choice = next((c for c in run.space.choices if c.name == self.gene), None)
            rest = tuple(v for v in choice.values if v not in self.values) if choice is not None else ()
            cell = gene_groups(cell, self.gene, (self.values, rest))[0]
            if not len(cell.rows):
                raise TrainingError(f"values={list(self.values)} of gene {self.gene!r} leave no subnet to train.")
        sampler = CellSandwichSampler(name=cell.name, random=self.random, teach=False).use(cell)
        return Recipe(sampler, Labels(smoothing=self.label_smoothing))
