"""The speeds of a host: the levels at which it is found most often."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hwsearch._typing import FloatArray, IntArray

#: standard deviation of the kernel: log levels that are closer are one speed
BANDWIDTH = 0.1
#: distance between two points at which the density is looked at, in bandwidths
STEP = 0.2
#: least mean weight of the periods near a speed for it to be one
LEAST = 0.05
#: iterations of the mean shift, and the movement at which it ends
ITERATIONS, STILL = 500, 1e-9
#: least curvature at a peak, of that of a single level: a flat peak is known badly, not infinitely so
FLATTEST = 0.1


@dataclass(frozen=True)
class Speed:
    """A speed at which a host is found: a peak of the density of its levels.

    Attributes
    ----------
    level : float
        Where the density is highest, in logarithms of the reference's ms.
    share : float
        Share of the time in which the host is closer to this speed than to its others.
    near : numpy.ndarray
        Shape (periods,): kernel weight of each period near it, 0 to 1; the mean is the height of the peak.
    pseudo : numpy.ndarray
        Shape (periods,): what each period says of `level`, which is their mean; one in which the host has another speed says
        little.
    """

    level: float
    share: float
    near: FloatArray
    pseudo: FloatArray

    @property
    def informative(self) -> float:
        """Number of periods that tell of this speed, 1 to all (Kish 1965, "Survey Sampling", the effective sample size)."""
        return float(self.near.sum() ** 2 / (self.near**2).sum())


def host_speeds(periods: Sequence[FloatArray]) -> list[Speed]:
    """Find the speeds of a host, by the modes of a kernel density of its log levels in which each period counts once.

    A mode is a robust estimate of location: what is far from it, such as a neighbour's disturbance or another speed, does not
    move it, where a mean moves with the share of either. Each mode is found by mean shift, which makes it an M-estimate with
    a Gaussian kernel; the influence of the periods on it gives its error.

    Parameters
    ----------
    periods : sequence of numpy.ndarray
        At least one, each of shape (looks of it,), not empty: log levels, each for an equal part of that period.

    Returns
    -------
    list of Speed
        The highest peak first; other peaks only with at least a twentieth of a peak's greatest possible height.

    References
    ----------
    Parzen (1962), "On estimation of a probability density function and mode", doi 10.1214/aoms/1177704472.
    Comaniciu and Meer (2002), "Mean shift: a robust approach toward feature space analysis", doi 10.1109/34.1000236.
    """
    n = len(periods)
    x = np.concatenate(periods)
    of = np.repeat(np.arange(n, dtype=np.int64), [len(p) for p in periods])
    weight = np.repeat([1 / len(p) for p in periods], [len(p) for p in periods])
    levels = _peaks(x, weight)
    nearest = np.abs(x[:, None] - np.array(levels)).argmin(axis=1)
    found = [_speed(m, float(weight[nearest == k].sum()) / n, x, of, weight, n) for k, m in enumerate(levels)]
    found.sort(key=lambda speed: -float(speed.near.mean()))
    return [found[0], *(speed for speed in found[1:] if speed.near.mean() >= LEAST)]


def _peaks(x: FloatArray, weight: FloatArray) -> list[float]:
    """Return the modes of the density in ascending order; those closer than a step are one."""
    grid = np.arange(x.min() - 2 * STEP * BANDWIDTH, x.max() + 3 * STEP * BANDWIDTH, STEP * BANDWIDTH)
    density = np.array([(weight * np.exp(-0.5 * ((at - x) / BANDWIDTH) ** 2)).sum() for at in grid])
    inner = density[1:-1]
    tops = grid[1:-1][(inner >= density[:-2]) & (inner > density[2:])]
    found: list[float] = []
    for top in tops.tolist():
        mode = _mean_shift(top, x, weight)
        if not found or mode - found[-1] > STEP * BANDWIDTH:
            found.append(mode)
    return found


def _mean_shift(start: float, x: FloatArray, weight: FloatArray) -> float:
    """Climb to the peak of the density above a start."""
    mode = start
    for _ in range(ITERATIONS):
        near = weight * np.exp(-0.5 * ((x - mode) / BANDWIDTH) ** 2)
        moved = float((near * x).sum() / near.sum())
        if abs(moved - mode) < STILL:
            return moved
        mode = moved
    return mode


def _speed(mode: float, share: float, x: FloatArray, of: IntArray, weight: FloatArray, n: int) -> Speed:
    u = (x - mode) / BANDWIDTH
    kernel = weight * np.exp(-0.5 * u**2)
    curvature = max(float((kernel * (1 - u**2)).sum()), FLATTEST * float(kernel.sum()))
    influence = n * np.bincount(of, kernel * (x - mode), n) / curvature
    return Speed(mode, share, np.bincount(of, kernel, n).astype(np.float64), mode + influence)
