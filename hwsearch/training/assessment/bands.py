"""Bands of MACs: which subnets stand for them, and what they reach."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hwsearch._json import JsonObject
from hwsearch._typing import FloatArray, IntArray
from hwsearch.errors import TrainingError
from hwsearch.spaces import Architecture
from hwsearch.supernets.base import Supernet
from hwsearch.training.assessment.estimates import Estimate, mean_of
from hwsearch.training.parts.partition import Cell, bands, pool


@dataclass(frozen=True)
class BandRow:
    """Scores of the measured subnets of one band of MACs.

    Attributes
    ----------
    band : int
        Number of the band, from the smallest MACs.
    macs_low, macs_high : float
        The band's range among the architectures that stand for the space.
    score : Estimate
        Mean score; the interval is over other subnets of the band and other examples.
    worst, best : float
        Scores of the worst and the best subnet measured.
    excess_loss : Estimate
        Mean excess loss (`excess_losses`); the interval is over other subnets.
    """

    band: int
    macs_low: float
    macs_high: float
    score: Estimate
    worst: float
    best: float
    excess_loss: Estimate

    def to_dict(self) -> JsonObject:
        """Describe the band as JSON.

        Returns
        -------
        dict of str to object
            The attributes; estimates as dicts.
        """
        return {
            "band": self.band,
            "macs_low": self.macs_low,
            "macs_high": self.macs_high,
            "subnets": self.score.n,
            "score": self.score.to_dict(),
            "worst": round(self.worst, 6),
            "best": round(self.best, 6),
            "excess_loss": self.excess_loss.to_dict(),
        }


def choose_subnets(
    supernet: Supernet, n: int, number: int, rng: np.random.Generator
) -> tuple[list[Cell], list[Architecture], IntArray]:
    """Choose subnets that are spread evenly over bands of MACs, the smallest and the largest among them.

    Uniform genes would crowd in the middle of the costs.

    Parameters
    ----------
    supernet : Supernet
        Has the space, and counts MACs.
    n : int
        How many; fewer where bands hold fewer architectures.
    number : int
        How many bands, equally wide in the logarithm of MACs; empty ones are left out.
    rng : numpy.random.Generator
        Source of all randomness.

    Returns
    -------
    cells : list of Cell
        The bands, from the smallest MACs.
    archs : list of Architecture
        Distinct architectures in the order of the bands, by MACs within a band.
    member : IntArray
        Band of each, shape ``(len(archs),)``.

    Raises
    ------
    TrainingError
        If fewer than two bands hold any.
    """
    whole = pool(supernet, rng)
    try:
        cells = bands(whole, number)
    except TrainingError as error:
        raise TrainingError(error.message, hint="A space whose subnets all cost the same has no bands.") from error
    archs: list[Architecture] = []
    member: list[int] = []
    for k, cell in enumerate(cells):
        share = n // len(cells) + (k < n % len(cells))
        ends = [0] if k == 0 else [len(cell.rows) - 1] if k == len(cells) - 1 else []
        others = np.setdiff1d(np.arange(len(cell.rows)), ends)
        drawn = rng.permutation(others)[: max(0, share - len(ends))]
        chosen = np.sort(np.concatenate([ends, drawn]).astype(np.int64))
        archs += cell.space.from_array(cell.rows[chosen])
        member += [k] * len(chosen)
    return cells, archs, np.array(member, dtype=np.int64)


def choose_probes(macs: FloatArray, n: int) -> IntArray:
    """Choose subnets that are spread evenly over the logarithm of MACs, the ends among them.

    Parameters
    ----------
    macs : FloatArray
        MACs of the candidates, shape ``(k,)``.
    n : int
        How many; all of them where there are fewer.

    Returns
    -------
    IntArray
        Positions, distinct, in ascending order of MACs.

    Examples
    --------
    >>> choose_probes(np.array([8.0, 1.0, 2.0, 4.0]), 2).tolist()
    [1, 0]
    """
    order = np.argsort(macs, kind="stable")
    value = np.log(np.maximum(macs[order], 1e-12))
    free = np.ones(len(order), dtype=bool)
    chosen = []
    goals = np.linspace(value[0], value[-1], min(n, len(order)))
    for goal in [goals[0], *goals[:0:-1]] if len(goals) > 1 else goals:
        distance = np.where(free, np.abs(value - goal), np.inf)
        found = int(np.argmin(distance))
        free[found] = False
        chosen.append(found)
    return order[np.sort(chosen)].astype(np.int64)


def excess_losses(macs: FloatArray, losses: FloatArray) -> FloatArray:
    """Compute by how much each subnet's loss exceeds that of the best measured subnet of no more MACs.

    Zero means that nothing that costs as little is better. What a subnet of more MACs has in excess, its training or its
    architecture lost.

    Parameters
    ----------
    macs, losses : FloatArray
        Of the measured subnets, shape ``(n,)``.

    Returns
    -------
    FloatArray
        At least 0, shape ``(n,)``.

    Examples
    --------
    >>> excess_losses(np.array([1.0, 2.0, 2.0, 3.0]), np.array([0.9, 0.5, 0.8, 0.6])).round(3).tolist()
    [0.0, 0.0, 0.3, 0.1]
    """
    reached = np.array([losses[macs <= m].min() for m in macs])
    return np.asarray(losses - reached, dtype=np.float64)


def band_rows(
    cells: list[Cell], member: IntArray, scores: FloatArray, errors: FloatArray, excess: FloatArray
) -> list[BandRow]:
    """Sum up the measured subnets of each band.

    Parameters
    ----------
    cells : list of Cell
        The bands.
    member : IntArray
        Band of each subnet, shape ``(n,)``.
    scores, errors : FloatArray
        Scores and their standard errors over examples, shape ``(n,)``. The errors of a band count as one that all share, as all
        subnets are judged on the same examples.
    excess : FloatArray
        Excess losses, shape ``(n,)``.

    Returns
    -------
    list of BandRow
        One a band.
    """
    rows = []
    for k, cell in enumerate(cells):
        mine = member == k
        common = float(np.sqrt(np.mean(errors[mine] ** 2)))
        rows.append(
            BandRow(
                k,
                float(cell.macs[0]),
                float(cell.macs[-1]),
                mean_of(scores[mine], common_error=common),
                float(scores[mine].min()),
                float(scores[mine].max()),
                mean_of(excess[mine]),
            )
        )
    return rows
