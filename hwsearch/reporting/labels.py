"""Place labels beside points, so that they cover neither each other nor the points."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Placed:
    """The box of a label, in pixels, y downwards.

    Attributes
    ----------
    left, top : float
        The corner.
    width, height : float
        The size.
    leader : bool
        Whether it needs a line to its point.
    """

    left: float
    top: float
    width: float
    height: float
    leader: bool

    @property
    def box(self) -> tuple[float, float, float, float]:
        """The box as (left, top, right, bottom)."""
        return self.left, self.top, self.left + self.width, self.top + self.height


#: directions in order of liking: above left first, for nothing lies there beside a Pareto front
_DIRECTIONS = ((-1, -1), (1, 1), (-1, 0), (0, -1), (1, 0), (1, -1), (-1, 1), (0, 1))
_DISTANCES = (9.0, 20.0, 36.0, 58.0, 84.0, 116.0)


def place(
    anchors: Sequence[tuple[float, float]],
    sizes: Sequence[tuple[float, float]],
    obstacles: NDArray[np.float64],
    bounds: tuple[float, float, float, float],
) -> list[Placed]:
    """Place labels beside their points so that they cover neither each other nor what should stay free.

    Greedy, in the order given; O(labels · candidates · (labels + obstacles)).

    Parameters
    ----------
    anchors : sequence of (float, float)
        The points, in pixels, y downwards.
    sizes : sequence of (float, float)
        Width and height of the labels.
    obstacles : ndarray of float, shape (n, 2)
        Points that should stay free.
    bounds : (float, float, float, float)
        Left, top, right, bottom of the area.

    Returns
    -------
    list of Placed
        One box a label, in order.
    """
    placed: list[Placed] = []
    points = np.asarray(obstacles, dtype=np.float64).reshape(-1, 2)
    everything = np.concatenate([points, np.asarray(anchors, dtype=np.float64).reshape(-1, 2)])
    for (x, y), (w, h) in zip(anchors, sizes, strict=True):
        best: tuple[float, Placed] | None = None
        for far, distance in enumerate(_DISTANCES):
            for liking, (dx, dy) in enumerate(_DIRECTIONS):
                left = x + dx * distance * (0.75 if dy else 1) - (w if dx < 0 else w / 2 if dx == 0 else 0)
                top = y + dy * distance * (0.75 if dx else 1) - (h if dy < 0 else h / 2 if dy == 0 else 0)
                label = Placed(left, top, w, h, far > 0)
                cost = _cost(label, placed, everything, bounds) + 3.0 * far + 0.25 * liking
                cost += 40.0 * sum(_crosses(label, (x, y), other) for other in placed)
                if best is None or cost < best[0]:
                    best = (cost, label)
        assert best is not None
        placed.append(best[1])
    return placed


def _cost(label: Placed, placed: Sequence[Placed], points: NDArray[np.float64], bounds: tuple[float, ...]) -> float:
    left, top, right, bottom = label.box
    outside = (
        max(0.0, bounds[0] - left)
        + max(0.0, bounds[1] - top)
        + max(0.0, right - bounds[2])
        + max(0.0, bottom - bounds[3])
    )
    cost = 100.0 * outside
    for other in placed:
        a, b, c, d = other.box
        if left < c + 4 and a < right + 4 and top < d + 2 and b < bottom + 2:
            cost += 1000.0
    pad = 5.0
    x, y = points[:, 0], points[:, 1]
    covered = (x > left - pad) & (x < right + pad) & (y > top - pad) & (y < bottom + pad)
    return cost + 6.0 * float(covered.sum())


def _crosses(label: Placed, anchor: tuple[float, float], other: Placed) -> bool:
    """Tell whether the line from the anchor to the label's nearest point runs through another label."""
    if not label.leader:
        return False
    end = nearest(label, anchor)
    t = np.linspace(0.0, 1.0, 12)
    xs, ys = anchor[0] + t * (end[0] - anchor[0]), anchor[1] + t * (end[1] - anchor[1])
    a, b, c, d = other.box
    return bool(np.any((xs > a) & (xs < c) & (ys > b) & (ys < d)))


def nearest(label: Placed, anchor: tuple[float, float]) -> tuple[float, float]:
    """Find the point of a label's box that is nearest to its anchor.

    Parameters
    ----------
    label : Placed
        The label.
    anchor : (float, float)
        The point it names.

    Returns
    -------
    (float, float)
        The point.
    """
    left, top, right, bottom = label.box
    return min(max(anchor[0], left), right), min(max(anchor[1], top), bottom)
