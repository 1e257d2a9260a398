"""Plan the first sample of the default tactic: spread over cost, and telling most about the rest."""

from __future__ import annotations

import math

import numpy as np

from hwsearch._typing import FloatArray, IntArray
from hwsearch.searchers.bayesian.space_kernel import SpaceKernel
from hwsearch.searchers.options import RowFunction
from hwsearch.spaces import SearchSpace
from hwsearch.spaces.rows import distinct

#: architectures from which a first sample is chosen
POOL = 800
#: the noise a first sample is planned with, in variances of an objective
PLANNED_NOISE = 0.02


def plan_first_sample(
    space: SearchSpace,
    kernel: SpaceKernel,
    cost: RowFunction,
    size: int,
    rng: np.random.Generator,
    everything: IntArray | None,
) -> IntArray:
    """Choose the first sample of a search.

    Costs are evenly spread goals on a log scale; near each goal, the architecture with the largest prior variance
    given the sample so far is taken. Smallest and largest subnet come first.

    Parameters
    ----------
    space : SearchSpace
        What can be chosen.
    kernel : SpaceKernel
        The prior.
    cost : callable
        Rows (n, genes) to positive costs (n,).
    size : int
        How many architectures.
    rng : numpy.random.Generator
        Source of randomness.
    everything : ndarray (cardinality, genes) or None
        All rows of a small space, from which the pool is then drawn.

    Returns
    -------
    ndarray (size, genes)
        Distinct rows; fewer of a smaller space.
    """
    ends = space.sample_balanced_array(2, rng, cost)
    if size <= 2:
        return ends[:size]
    if everything is not None:
        shuffled = rng.permutation(everything)
        if space.cardinality <= size:
            return distinct(np.concatenate([ends, shuffled]))
        pool = shuffled[:POOL]
    else:
        pool = np.concatenate([space.sample_balanced_array(POOL // 5, rng, cost) for _ in range(5)])
    pool = distinct(np.concatenate([ends, pool]))
    value = np.log(np.maximum(np.asarray(cost(pool), dtype=np.float64), 1e-12))
    size = min(size, len(pool))
    goals = np.linspace(value.min(), value.max(), size)
    plan = MaxVariancePlan(kernel.average(kernel.row_features(pool)) + 1.0)
    free = np.ones(len(pool), dtype=bool)
    for k in range(min(2, len(ends), size)):
        plan.take(k)
        free[k] = False
    for goal in goals[rng.permutation(np.arange(1, size - 1))]:
        gap = np.where(free, np.abs(value - goal), np.inf)
        near = gap <= max(0.5 * float(goals[1] - goals[0]), float(gap.min()))
        best = int(np.argmax(np.where(near, plan.variance, -np.inf)))
        plan.take(best)
        free[best] = False
    return pool[plan.taken]


class MaxVariancePlan:
    """Choosing points one by one by their prior variance given those chosen.

    Parameters
    ----------
    kernel : ndarray (k, k)
        Prior covariance of the points.

    Attributes
    ----------
    variance : ndarray (k,)
        Variance of each point given those taken.
    taken : list of int
        Positions taken, in order.

    Examples
    --------
    >>> plan = MaxVariancePlan(np.array([[1.0, 0.9, 0.0], [0.9, 1.0, 0.0], [0.0, 0.0, 1.0]]))
    >>> plan.take(0)
    >>> int(np.argmax(plan.variance))
    2
    """

    def __init__(self, kernel: FloatArray) -> None:
        self._kernel = kernel
        self._seen = np.empty((len(kernel), 0))
        self.variance = np.diag(kernel).copy()
        self.taken: list[int] = []

    def take(self, k: int) -> None:
        """Take a point, which is then measured with `PLANNED_NOISE`.

        Parameters
        ----------
        k : int
            Its position.
        """
        column = self._kernel[:, k] - self._seen @ self._seen[k]
        column /= math.sqrt(self.variance[k] + PLANNED_NOISE)
        self._seen = np.column_stack([self._seen, column])
        self.variance = self.variance - column**2
        self.taken.append(k)
