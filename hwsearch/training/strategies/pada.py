"""PA&DA: the strategy ``pada``, paths and examples drawn by the norm of their gradients."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from pydantic import Field, PrivateAttr
from typing_extensions import override

from hwsearch._typing import FloatArray
from hwsearch.errors import TrainingError
from hwsearch.tasks.data import forward
from hwsearch.training.parts.data import DataSampler, Picked, Shuffled
from hwsearch.training.parts.draw import Draw
from hwsearch.training.parts.feedback import Seen
from hwsearch.training.parts.loss import Labels
from hwsearch.training.parts.moment import Moment
from hwsearch.training.parts.recipe import Recipe
from hwsearch.training.parts.run import Run
from hwsearch.training.parts.sampler import SubnetSampler, UniformSampler
from hwsearch.training.parts.usage import LESS, entries_used
from hwsearch.training.strategies.base import Strategy

#: purpose of the generator that draws examples
EXAMPLE_RNG = 3
#: weight of what is known of a gene's value against a new norm
KEPT = 0.9


def mixed(norms: FloatArray, tau: float) -> FloatArray:
    """Mix probabilities that follow norms with uniform ones.

    Parameters
    ----------
    norms : FloatArray
        Norms, not negative, shape ``(n,)``.
    tau : float
        Share of the norms, from 0 to 1.

    Returns
    -------
    FloatArray
        tau · norm / sum of norms + (1 − tau) / n.

    Examples
    --------
    >>> mixed(np.array([1.0, 3.0]), 0.5)
    array([0.375, 0.625])
    """
    n, total = len(norms), norms.sum()
    share = norms / total if total > 0 else np.full(n, 1 / n)
    p: FloatArray = tau * share + (1 - tau) / n
    return p / p.sum()


class GeneImportance(SubnetSampler):
    """Draw each gene's value by the mean norm of the gradient of the weights that the gene cuts.

    Attributes
    ----------
    draws : int
        Subnets a step.
    tau : float, optional
        Share of the norms in the probabilities; None lets it rise from 0 to 1 over the epochs.
    correct : bool
        Whether gradients are divided by n p for each active gene, so that their mean is that of uniform genes.
    """

    draws: int = Field(1, ge=1)
    tau: float | None = Field(0.5, ge=0, le=0.9)
    correct: bool = True
    _norms: list[FloatArray] = PrivateAttr(default_factory=list)
    _governed: list[frozenset[str]] = PrivateAttr(default_factory=list)

    @override
    def prepare(self, run: Run) -> None:
        super().prepare(run)
        run.bus.subscribe("gradient_norms")
        self._norms = [np.zeros(size) for size in run.space.sizes]
        self._governed = governed(run)

    def probabilities(self, now: Moment) -> list[FloatArray]:
        """Compute the probability of each value of each gene.

        Parameters
        ----------
        now : Moment
            The step.

        Returns
        -------
        list of FloatArray
            One array a gene.
        """
        return [mixed(_filled(norms), _tau(self.tau, now)) for norms in self._norms]

    @override
    def sample(self, now: Moment, rng: np.random.Generator) -> list[Draw]:
        space, probabilities = self._run.space, self.probabilities(now)
        rows = np.stack([rng.choice(len(p), size=self.draws, p=p) for p in probabilities], axis=1)
        draws = []
        for row, arch in zip(space.canonical(rows), space.from_array(rows), strict=True):
            factors = [1 / (len(p) * p[k]) for p, k in zip(probabilities, row, strict=True) if k >= 0]
            draws.append(Draw(arch, "random", scale=float(np.prod(factors)) if self.correct else 1.0))
        return draws

    @override
    def update(self, seen: Sequence[Seen]) -> None:
        for one in seen:
            if one.gradient_norms is None:
                continue
            row = self._run.space.to_array([one.arch])[0]
            for norms, names, k in zip(self._norms, self._governed, row, strict=True):
                if k >= 0:
                    new = float(sum(v for n, v in one.gradient_norms.items() if n in names or not names))
                    kept = KEPT if self.correct else 0.5
                    norms[k] = new if norms[k] == 0 else kept * norms[k] + (1 - kept) * new

    @override
    def state_dict(self) -> dict[str, Any]:
        return {"norms": [n.tolist() for n in self._norms]}

    @override
    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._norms = [np.array(n) for n in state["norms"]]


class ExampleImportance(DataSampler):
    """Draw examples, with replacement, by the norm of their loss gradient at the outputs.

    Corrected, norms are kept over epochs, an example that was not drawn yet counts as the mean of the others, and losses
    are weighted by 1/(N p). As released, norms are those of the last epoch, an example that was not drawn in it counts 0,
    and losses are not weighted.

    Attributes
    ----------
    tau : float, optional
        Share of the norms in the probabilities; None lets it rise from 0 to 1 over the epochs.
    correct : bool
        As above.
    """

    tau: float | None = Field(0.5, ge=0, le=0.9)
    correct: bool = True
    _norms: FloatArray = PrivateAttr()
    _counts: FloatArray = PrivateAttr()
    _epoch: int = PrivateAttr(-1)
    _p: FloatArray = PrivateAttr()

    @override
    def prepare(self, run: Run) -> None:
        super().prepare(run)
        check_additive(run)
        run.bus.subscribe("per_example")
        n = len(run.data)
        self._norms, self._counts, self._p = np.zeros(n), np.zeros(n), np.full(n, 1 / n)

    def probabilities(self, now: Moment) -> FloatArray:
        """Compute the probability of each example.

        Parameters
        ----------
        now : Moment
            The step.

        Returns
        -------
        FloatArray
            Shape ``(examples,)``.
        """
        tau = _tau(self.tau, now)
        if self.correct:
            return mixed(_filled(np.where(self._counts > 0, self._norms, 0.0)), tau)
        if now.epoch != self._epoch:
            if self._epoch >= 0:
                self._p = mixed(self._norms, tau)
            self._norms, self._counts = np.zeros_like(self._norms), np.zeros_like(self._counts)
            self._epoch = now.epoch
        return self._p

    @override
    def pick(self, now: Moment) -> Picked:
        run, p = self._run, self.probabilities(now)
        rng = run.rng(now.epoch, now.within, EXAMPLE_RNG)
        index = rng.choice(len(p), size=run.config.batch, p=p)
        return Picked(index, 1 / (len(p) * p[index]) if self.correct else None)

    @override
    def update(self, seen: Sequence[Seen]) -> None:
        for one in seen:
            if one.per_example is None:
                continue
            new = one.per_example.double().cpu().numpy()
            for i, value in zip(one.index, new, strict=True):
                self._counts[i] += 1
                pace = 1 / min(self._counts[i], 10.0) if self.correct else 1 / self._counts[i]
                self._norms[i] += pace * (value - self._norms[i])

    @override
    def state_dict(self) -> dict[str, Any]:
        arrays = {"norms": self._norms, "counts": self._counts, "p": self._p}
        return {"epoch": self._epoch} | {name: torch.from_numpy(value.copy()) for name, value in arrays.items()}

    @override
    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._epoch = state["epoch"]
        self._norms, self._counts, self._p = (state[name].numpy().copy() for name in ("norms", "counts", "p"))


class PathAndDataSampling(Strategy):
    """Draw subnets and examples with probabilities that follow the norms of their gradients.

    That minimises the variance of the supernet's gradient if every gradient is divided by n p (`correct`). The released
    code does not divide: it trains another mixture of examples and subnets, and its variance is up to ten times that of
    uniform draws. What helps is the data, in a network that has learnt something, at a moderate `tau`; the importance of
    genes is small.

    Attributes
    ----------
    paths, data : bool
        Whether subnets, and examples, are drawn by importance; otherwise uniformly.
    correct : bool
        Whether the estimate is unbiased; False is what the authors released.
    tau : float
        Share of the norms in the probabilities, at most 0.9; what was released (``correct = false``) ignores it and lets
        it rise from 0 to 1 over the epochs.
    draws : int
        Subnets a step.
    label_smoothing : float
        Label smoothing.

    References
    ----------
    Lu et al., "PA&DA: jointly sampling path and data for consistent NAS", 2023, arXiv 2302.14772.
    """

    paths: bool = True
    data: bool = True
    correct: bool = True
    tau: float = Field(0.5, ge=0, le=0.9)
    draws: int = Field(1, ge=1)
    label_smoothing: float = Field(0.0, ge=0, lt=1)

    @override
    def recipe(self, run: Run) -> Recipe:
        tau = self.tau if self.correct else None
        uniform: SubnetSampler = UniformSampler(draws=self.draws)
        sampler = GeneImportance(draws=self.draws, tau=tau, correct=self.correct) if self.paths else uniform
        data = ExampleImportance(tau=tau, correct=self.correct) if self.data else Shuffled()
        return Recipe(sampler, Labels(smoothing=self.label_smoothing), data=data)


def governed(run: Run) -> list[frozenset[str]]:
    """List, for each gene, the weights that it cuts: those of which the largest subnet uses less once the gene is least.

    Which entries are used is seen from their gradients on a few examples.

    Parameters
    ----------
    run : Run
        The run; its supernet does not change.

    Returns
    -------
    list of frozenset of str
        Names of parameters, one set a gene; empty where nothing is cut, such as for a resolution.
    """
    net, space = run.supernet, run.space
    training, top = net.training, space.sizes - 1
    kept = {name: value.clone() for name, value in net.named_buffers()}
    net.train()
    whole = entries_used(run, top)
    found = []
    for gene, size in enumerate(space.sizes):
        row = top.copy()
        row[gene] = 0
        cut = entries_used(run, row) if size > 1 else whole
        found.append(frozenset(name for name, count in whole.items() if cut.get(name, 0) < (1 - LESS) * count))
    net.zero_grad(set_to_none=True)
    net.train(training)
    for name, value in net.named_buffers():
        value.copy_(kept[name])
    return found


@torch.no_grad()
def check_additive(run: Run) -> None:
    """Refuse tasks whose loss is not the mean of the losses of single examples.

    Parameters
    ----------
    run : Run
        The run.

    Raises
    ------
    TrainingError
        If it is another mean, such as one over tokens.
    """
    net, n = run.supernet, min(4, len(run.data))
    training = net.training
    net.eval()
    net.activate(run.space.largest())
    inputs, targets = run.examples(np.arange(n), run.size)
    outputs = forward(net, inputs)
    net.train(training)
    single = [run.task.loss(outputs[i : i + 1], targets[i : i + 1]) for i in range(n)]
    whole, mean = run.task.loss(outputs, targets), torch.stack(single).mean()
    if not torch.allclose(whole, mean, rtol=1e-4, atol=1e-6):
        raise TrainingError(
            f"examples cannot be drawn by importance: the loss of task {run.task.name!r} is not the mean of the losses of "
            f"its {run.task.examples} ({float(whole):.6g} against {float(mean):.6g}).",
            hint="Set data = false, or use another strategy.",
        )


def _filled(norms: FloatArray) -> FloatArray:
    """Let what has no norm yet count as the mean of what has."""
    known = norms > 0
    return np.where(known, norms, norms[known].mean() if known.any() else 1.0)


def _tau(tau: float | None, now: Moment) -> float:
    epochs = max(1, now.steps // now.per_epoch)
    return now.epoch / epochs if tau is None else tau
