"""A quick plot of a front on matplotlib axes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from hwsearch._typing import FloatArray
from hwsearch.objectives.objective import Objective

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def plot_front(values: FloatArray, objectives: Sequence[Objective], ax: Axes | None = None, **style: Any) -> Axes:
    """Draw the first objective over the last.

    Two objectives are drawn as a staircase; with more there is no line between the points, and with one the values
    are drawn over their rank.

    Parameters
    ----------
    values : ndarray of float, shape (n, m)
        Values of the front, in natural units, sorted by the last objective.
    objectives : sequence of Objective
        The m objectives.
    ax : matplotlib.axes.Axes, optional
        Where to draw; new axes by default.
    **style
        Passed to `matplotlib.axes.Axes.plot`.

    Returns
    -------
    matplotlib.axes.Axes
        The axes.
    """
    if ax is None:
        from matplotlib import pyplot

        ax = pyplot.subplots()[1]
    first, last = objectives[0], objectives[-1]
    y = values[:, 0]
    x = values[:, -1] if first is not last else np.arange(1.0, len(y) + 1)
    lines = len(objectives) == 2
    step: dict[str, Any] = (
        {"drawstyle": "steps-post" if last.direction == "min" else "steps-pre"} if lines else {"linestyle": "none"}
    )
    drawn: dict[str, Any] = {"marker": "o", "markersize": 4, **step, **style}
    ax.plot(x, y, **drawn)
    ax.set_xlabel(last.name if first is not last else "rank")
    ax.set_ylabel(first.name)
    return ax
