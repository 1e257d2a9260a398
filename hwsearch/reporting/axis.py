"""An axis of the page's chart: from values to pixels."""

from __future__ import annotations

import math

from matplotlib.ticker import LogLocator, MaxNLocator


class PixelAxis:
    """A map from values to pixels, linear or logarithmic, with a margin of 5 % on both sides.

    Parameters
    ----------
    low, high : float
        The ends of the values; positive if logarithmic.
    start, stop : float
        The ends in pixels.
    log : bool
        Whether the axis is logarithmic.
    """

    def __init__(self, low: float, high: float, start: float, stop: float, log: bool = False) -> None:
        self.log = log
        a, b = (math.log(low), math.log(high)) if log else (low, high)
        pad = 0.05 * (b - a) or 0.05 * abs(a) or 1.0
        self.a, self.b, self.start, self.stop = a - pad, b + pad, start, stop

    def __call__(self, value: float) -> float:
        """Map a value to pixels.

        Parameters
        ----------
        value : float
            A value, in the axis's unit.

        Returns
        -------
        float
            Its place, rounded to a tenth.
        """
        v = math.log(value) if self.log else value
        return round(self.start + (v - self.a) / (self.b - self.a) * (self.stop - self.start), 1)

    def ticks(self, count: int) -> list[tuple[float, str]]:
        """Choose round values and place them.

        Parameters
        ----------
        count : int
            About how many; a logarithmic axis has 1, 2 and 5 of each decade.

        Returns
        -------
        list of (float, str)
            Pixel and label of each tick.
        """
        if self.log:
            values = LogLocator(subs=(1.0, 2.0, 5.0)).tick_values(math.exp(self.a), math.exp(self.b))
            inside = [float(v) for v in values if self.a <= math.log(v) <= self.b]
            return [(self(v), f"{v:g}") for v in inside]
        steps = MaxNLocator(count, steps=[1, 2, 2.5, 5, 10]).tick_values(self.a, self.b)
        inside = [float(v) for v in steps if self.a <= v <= self.b]
        places = max((len(f"{v:.6f}".rstrip("0").split(".")[1]) for v in inside), default=0)
        return [(self(v), f"{v:.{places}f}") for v in inside]
