"""BoTorch's batches by noisy expected hypervolume improvement (qLogNEHVI), as a reference for our tactics."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable
from importlib.util import find_spec
from typing import Any, ClassVar

import numpy as np
import torch
from pydantic import Field

from hwsearch._typing import FloatArray, IntArray
from hwsearch.errors import SearchError
from hwsearch.objectives.objective import Objective
from hwsearch.objectives.pareto import reference_point
from hwsearch.searchers.base import Searcher
from hwsearch.searchers.bayesian.parego import MAX_OBSERVATIONS
from hwsearch.searchers.options import SearcherOptions
from hwsearch.searchers.predicted.rounds import RoundSearcher
from hwsearch.spaces import SearchSpace
from hwsearch.spaces.rows import distinct

#: measured architectures whose neighbours are candidates
PARENTS = 10


class BotorchQnehviOptions(SearcherOptions):
    """Options of BoTorch's batches."""

    start: int = Field(20, ge=2, description="Size of the uniform first sample.")
    pool: int = Field(500, ge=2, description="Candidates a round, of which the batch is chosen.")
    draws: int = Field(64, ge=1, description="Posterior draws.")


class BotorchQnehviSearcher(RoundSearcher):
    """Noisy expected hypervolume improvement of batches as BoTorch implements it, with its logarithm.

    With one objective noisy expected improvement. BoTorch's own Gaussian processes on the space's encoding, fitted anew
    for each round with its defaults; the batch is chosen one by one from a pool: neighbours of the best measured, the
    rest uniform. Limits are outcome constraints.

    Parameters
    ----------
    space : SearchSpace
        What can be chosen.
    objectives : iterable of Objective or str
        As of `Searcher`.
    seed : int
        All randomness comes from it.
    **options : object
        Those of `BotorchQnehviOptions`.

    Raises
    ------
    SearchError
        Without the package botorch.

    References
    ----------
    Balandat et al. 2020, "BoTorch", arXiv 1910.06403.
    Daulton, Balandat, Bakshy 2021, "Parallel Bayesian optimization of multiple noisy objectives with expected
    hypervolume improvement", arXiv 2105.08195.
    Ament et al. 2023, "Unexpected improvements to expected improvement", arXiv 2310.20708.
    """

    name: ClassVar[str] = "botorch-qnehvi"
    Options: ClassVar[type[SearcherOptions]] = BotorchQnehviOptions

    options: BotorchQnehviOptions

    def __init__(
        self, space: SearchSpace, objectives: Iterable[Objective | str], seed: int = 0, **options: object
    ) -> None:
        super().__init__(space, objectives, seed, **options)
        if find_spec("botorch") is None:
            raise SearchError(
                "botorch-qnehvi needs the package botorch, which is not installed.",
                hint="pip install 'hwsearch[botorch]', or use 'parego'.",
            )

    def _sizes(self) -> tuple[int, int]:
        return self.options.start, 1

    def _next_round(self, n: int) -> IntArray:
        complete = np.flatnonzero(~np.isnan(self.values).any(axis=1))
        if len(complete) > MAX_OBSERVATIONS:
            complete = np.sort(complete[self._ranking(self.values[complete], MAX_OBSERVATIONS)])
        candidates = self._candidates(self.rows[complete], self.values[complete], n)
        return choose_by_qnehvi(self, complete, candidates, n, self.options.draws, self._seed)

    def _candidates(self, rows: IntArray, values: FloatArray, n: int) -> IntArray:
        """Draw new rows (at least n, if there are so many), half of them neighbours of the best measured."""
        wanted = max(self.options.pool, 2 * n)
        near = [self.space.neighbours_array(row) for row in rows[self._ranking(values, PARENTS)]]
        near_rows = distinct(np.concatenate(near))
        near_rows = self.rng.permutation(near_rows[self._is_new(near_rows)])[: wanted // 2]
        uniform = self.space.collect_array(
            wanted - len(near_rows),
            lambda m: self.space.sample_array(m, self.rng),
            self.is_known_array,
        )
        return distinct(np.concatenate([near_rows, uniform]))


def choose_by_qnehvi(
    searcher: Searcher, complete: IntArray, candidates: IntArray, n: int, draws: int, seed: Callable[[], int]
) -> IntArray:
    """Choose candidates one by one by the largest noisy expected hypervolume improvement.

    Parameters
    ----------
    searcher : Searcher
        Whose space, objectives and told values.
    complete : ndarray of int (k,)
        Which of the told rows the models are fitted on.
    candidates : ndarray (c, genes)
        Canonical rows, none twice.
    n : int
        How many; where there are no more candidates, all of them.
    draws : int
        Of the posterior.
    seed : callable
        Draws the seed of the acquisition, where there is one.

    Returns
    -------
    ndarray (n, genes)
        Chosen rows, the first one first.
    """
    from botorch.optim import optimize_acqf_discrete

    if len(candidates) <= n:
        return candidates
    points = torch.from_numpy(np.asarray(searcher.space.encode_array(candidates), dtype=np.float64))
    drawn = seed()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(drawn)
        with warnings.catch_warnings():  # a constant objective is no news
            warnings.simplefilter("ignore")
            acquisition = _acquisition(searcher, complete, draws, drawn)
        found, _ = optimize_acqf_discrete(acquisition, q=n, choices=points, max_batch_size=256, unique=True)
    place = {row.tobytes(): i for i, row in enumerate(points.numpy())}
    return candidates[[place[row.tobytes()] for row in found.numpy()]]


def _acquisition(searcher: Searcher, complete: IntArray, draws: int, seed: int) -> Any:
    """Make BoTorch's acquisition function on the measured rows; every objective is maximised."""
    from botorch import fit_gpytorch_mll
    from botorch.acquisition.logei import qLogNoisyExpectedImprovement
    from botorch.acquisition.multi_objective.logei import qLogNoisyExpectedHypervolumeImprovement
    from botorch.models import ModelListGP, SingleTaskGP
    from botorch.models.transforms import Standardize
    from botorch.sampling import SobolQMCNormalSampler
    from gpytorch.mlls import SumMarginalLogLikelihood

    rows, values = searcher.rows[complete], searcher.values[complete]
    x = torch.from_numpy(np.asarray(searcher.space.encode_array(rows), dtype=np.float64))
    gains = torch.from_numpy(-searcher.costs(values))
    model = ModelListGP(
        *(SingleTaskGP(x, column[:, None], outcome_transform=Standardize(m=1)) for column in gains.unbind(1))
    )
    fit_gpytorch_mll(SumMarginalLogLikelihood(model.likelihood, model))
    sampler = SobolQMCNormalSampler(torch.Size([draws]), seed=seed)
    constraints = [
        _excess(j, o.sign, o.limit.op, o.limit.value) for j, o in enumerate(searcher.objectives) if o.limit is not None
    ]
    if len(searcher.objectives) == 1:
        return qLogNoisyExpectedImprovement(
            model, x, sampler=sampler, constraints=constraints or None, prune_baseline=True
        )
    reference = -searcher.costs(reference_point(values, searcher.objectives)[None, :])[0]
    return qLogNoisyExpectedHypervolumeImprovement(
        model, reference.tolist(), x, sampler=sampler, constraints=constraints or None, prune_baseline=True
    )


def _excess(column: int, sign: float, op: str, limit: float) -> Callable[[torch.Tensor], torch.Tensor]:
    """Map draws (..., m) of gains, minus the costs, to what is above 0 where the limit is not met."""
    turn = 1.0 if op == "<=" else -1.0
    return lambda draws: turn * (-sign * draws[..., column] - limit)
