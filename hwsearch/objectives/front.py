"""The Pareto front of measured architectures, and choices from it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from hwsearch._typing import FloatArray
from hwsearch.errors import LimitError, SearchError, nearest
from hwsearch.objectives.limit import Limit, parse_limit, unreachable_error
from hwsearch.objectives.names import metric_name
from hwsearch.objectives.objective import Objective
from hwsearch.objectives.pareto import as_values, hypervolume, non_dominated
from hwsearch.objectives.plot import plot_front
from hwsearch.objectives.preference import aspiration, knee_index, shortfall

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: a limit as text, or as (column, limit)
LimitLike = str | tuple[str, Limit]


class Front:
    """A set of measured, mutually non-dominated architectures, sorted by the last objective.

    Usually made by `Front.of` or `Front.from_values`, which drop dominated rows.

    Parameters
    ----------
    frame : pandas.DataFrame
        Non-dominated rows: a column ``arch_id``, one column an objective, and any further columns.
    objectives : sequence of Objective
        What the front is about.

    Attributes
    ----------
    objectives : tuple of Objective
        As given.

    Examples
    --------
    >>> from hwsearch.objectives import Front
    >>> values = [[70.0, 1.0], [80.0, 2.0], [79.0, 2.5], [82.0, 4.0]]
    >>> front = Front.from_values(["a", "b", "c", "d"], values, ["max accuracy", "min latency_ms"])
    >>> front
    Front(3 architectures; max accuracy, min latency_ms)
    >>> print(front.to_frame().to_string(index=False))
    arch_id  accuracy  latency_ms
          a      70.0         1.0
          b      80.0         2.0
          d      82.0         4.0
    >>> front.pick("latency_ms <= 3")["arch_id"], front.knee()["arch_id"]
    ('b', 'b')
    """

    def __init__(self, frame: pd.DataFrame, objectives: Sequence[Objective]) -> None:
        self._frame = frame
        self.objectives = tuple(objectives)

    @classmethod
    def of(cls, frame: pd.DataFrame, objectives: Sequence[Objective | str]) -> Front:
        """Take the non-dominated rows of a frame.

        Parameters
        ----------
        frame : pandas.DataFrame
            Measured architectures: a column ``arch_id`` and one column an objective, named as `Objective.name`. Of
            rows with equal values the first stays; rows with NaN go. The frame is not changed.
        objectives : sequence of Objective or str
            The objectives, as `Objective.parse` reads them.

        Returns
        -------
        Front
            The front, with all columns of `frame`, sorted by the last objective.

        Raises
        ------
        SearchError
            If there is no objective, or ``arch_id`` or an objective has no column.
        """
        parsed = _parsed(objectives)
        if not parsed:
            raise SearchError("a front needs at least one objective.", hint="Give for example 'max accuracy'.")
        names = [o.name for o in parsed]
        for name in ["arch_id", *names]:
            if name not in frame.columns:
                raise SearchError(f"the frame has no column {name!r}.", hint=nearest(name, map(str, frame.columns)))
        mask = non_dominated(frame[names].to_numpy(dtype=np.float64), parsed)
        kept = frame[mask].sort_values([names[-1], *names[:-1]], kind="stable", ignore_index=True)
        return cls(kept, parsed)

    @classmethod
    def from_values(cls, arch_ids: Sequence[str], values: ArrayLike, objectives: Sequence[Objective | str]) -> Front:
        """Make the front of an array of measured values.

        Parameters
        ----------
        arch_ids : sequence of str
            Ids of the n architectures.
        values : array_like of float, shape (n, m)
            Their values, in natural units.
        objectives : sequence of Objective or str
            The m objectives, as `Objective.parse` reads them.

        Returns
        -------
        Front
            The non-dominated architectures.

        Raises
        ------
        SearchError
            If the shape of the values does not fit the objectives.
        """
        parsed = _parsed(objectives)
        frame = pd.DataFrame(as_values(values, parsed), columns=[o.name for o in parsed])
        frame.insert(0, "arch_id", pd.Series(list(arch_ids), dtype=object))
        return cls.of(frame, parsed)

    @property
    def values(self) -> FloatArray:
        """The objectives' values, shape ``(n, m)``, in natural units and in the order of the rows."""
        return np.asarray(self._frame[[o.name for o in self.objectives]], dtype=np.float64)

    def to_frame(self) -> pd.DataFrame:
        """Copy the front into a data frame.

        Returns
        -------
        pandas.DataFrame
            One architecture a row, sorted by the last objective.
        """
        return self._frame.copy()

    def __len__(self) -> int:
        return len(self._frame)

    def __repr__(self) -> str:
        return f"Front({len(self)} architectures; {', '.join(f'{o.direction} {o.name}' for o in self.objectives)})"

    def hypervolume(self, reference: ArrayLike) -> float:
        """Compute the hypervolume of the front; see `hwsearch.objectives.hypervolume`.

        Parameters
        ----------
        reference : array_like of float, shape (m,)
            The reference point, in natural units.

        Returns
        -------
        float
            The volume between the front and the reference point, in the product of the objectives' units.

        Raises
        ------
        SearchError
            If the reference is not m finite numbers.

        Examples
        --------
        >>> from hwsearch.objectives import Front
        >>> front = Front.from_values(["a", "b"], [[70, 1], [80, 2]], ["max accuracy", "min latency_ms"])
        >>> front.hypervolume([60, 3])
        30.0
        """
        return hypervolume(self.values, self.objectives, reference)

    def knee(self) -> pd.Series[Any]:
        """Get the row where the trade-off bends most; see `hwsearch.objectives.preference.knee_index`.

        Returns
        -------
        pandas.Series
            The row that lies farthest from the chord between the ends of the front, on its better side.

        Raises
        ------
        SearchError
            If the front is empty.
        """
        return self._frame.iloc[knee_index(self.values, self.objectives)]

    def aspiration(self, prefer: str, reference: Mapping[str, float] | None = None) -> dict[str, float]:
        """Get the values that a row must reach to be preferred.

        Parameters
        ----------
        prefer : {"front", "knee", "reference"}
            All of the front; its knee, made worse by a quarter of the front's range in each objective; or `reference`.
        reference : mapping of str to float, optional
            Values that are aspired to, by objective or metric.

        Returns
        -------
        dict of str to float
            Values by objective name; empty when all of the front counts.

        Raises
        ------
        SearchError
            If `prefer` is not one of these, or the reference is missing or names no objective, or several.
        """
        return aspiration(prefer, self.values, self.objectives, reference)

    def preferred(self, prefer: str, reference: Mapping[str, float] | None = None) -> Front:
        """Get the preferred part of the front: the rows that reach every value of `aspiration`.

        When none does, the one row that comes nearest: whose largest shortfall is smallest, each taken as a share of
        the front's range in that objective.

        Parameters
        ----------
        prefer : {"front", "knee", "reference"}
            See `aspiration`.
        reference : mapping of str to float, optional
            See `aspiration`.

        Returns
        -------
        Front
            The preferred rows, at least one.

        Raises
        ------
        SearchError
            As `aspiration`, and if the front is empty.
        """
        wanted = self.aspiration(prefer, reference)
        if not wanted:
            return self
        short = self._shortfall(wanted)
        reached = short <= 0 if (short <= 0).any() else np.arange(len(self)) == int(np.argmin(short))
        return Front(self._frame[reached].reset_index(drop=True), self.objectives)

    def nearest_to(self, reference: Mapping[str, float]) -> pd.Series[Any]:
        """Get the row that falls least short of a reference, or exceeds it most; see `preferred`.

        Parameters
        ----------
        reference : mapping of str to float
            Values that are aspired to, by objective or metric.

        Returns
        -------
        pandas.Series
            The row.

        Raises
        ------
        SearchError
            If the front is empty, or the reference names no objective, or several.
        """
        return self._frame.iloc[int(np.argmin(self._shortfall(self.aspiration("reference", reference))))]

    def _shortfall(self, wanted: Mapping[str, float]) -> FloatArray:
        if not len(self):
            raise SearchError("an empty front has no preferred part.", hint="Measure at least one architecture first.")
        return shortfall(self.values, self.objectives, wanted)

    def pick(
        self, limits: LimitLike | Iterable[LimitLike], *, largest: Mapping[str, float] | None = None
    ) -> pd.Series[Any]:
        """Pick the best row under limits: the best in the first objective that is not limited.

        Ties are decided by the other objectives in their order.

        Parameters
        ----------
        limits : str, (str, Limit), or iterable of these
            Limits such as ``"latency_ms<=2"``, ``"latency_ms@cpu <= 2 ms"``, ``"accuracy>=80"``, or pairs of a column
            and a limit.
        largest : mapping of str to float, optional
            The largest subnet's value a column, for limits that are a share of it (``"<= 60 %"``).

        Returns
        -------
        pandas.Series
            The row.

        Raises
        ------
        LimitError
            If a limit names no column or several, or no row meets all limits; the message then names the nearest
            value that can be reached.

        Examples
        --------
        >>> from hwsearch.objectives import Front
        >>> front = Front.from_values(["a", "b"], [[70, 1], [80, 2]], ["max accuracy", "min latency_ms"])
        >>> front.pick("latency <= 1500 us")["arch_id"]
        'a'
        >>> front.pick("latency_ms <= 60 %", largest={"latency_ms": 4.0})["arch_id"]
        'b'
        """
        one = isinstance(limits, str) or (isinstance(limits, tuple) and isinstance(limits[-1], Limit))
        texts = cast("list[LimitLike]", [limits] if one else list(limits))
        parsed = [self.resolve_limit(limit, largest or {}) for limit in texts]
        if not len(self):
            raise LimitError("an empty front has nothing to pick.", hint="Measure at least one architecture first.")
        left = np.ones(len(self), dtype=bool)
        met: list[str] = []
        for column, limit in parsed:
            values = self._frame[column].to_numpy(dtype=np.float64)
            kept = left & limit.met(values)
            if not kept.any():
                raise unreachable_error(f"{column} {limit}", limit, values[left], met, f"{column} {limit.op}")
            left = kept
            met.append(f"{column} {limit}")
        limited = {column for column, _ in parsed}
        order = [o for o in self.objectives if o.name not in limited] + [
            o for o in self.objectives if o.name in limited
        ]
        costs = np.stack([self._frame[o.name].to_numpy(dtype=np.float64) * o.sign for o in order])
        ranked = np.lexsort(costs[::-1])
        return self._frame.iloc[int(ranked[left[ranked]][0])]

    def resolve_limit(self, limit: LimitLike, largest: Mapping[str, float]) -> tuple[str, Limit]:
        """Find the column that a limit is about, and its absolute form.

        Parameters
        ----------
        limit : str or (str, Limit)
            The limit; see `pick`.
        largest : mapping of str to float
            The largest subnet's value a column or metric.

        Returns
        -------
        (str, Limit)
            Column and absolute limit.

        Raises
        ------
        LimitError
            If no column fits, or several do, or a share is given and the largest subnet's value is not.
        """
        if isinstance(limit, str):
            head, at, tail = limit.partition("@")
            cut = min((tail.find(c) for c in "<>=" if c in tail), default=0)
            name, bound = parse_limit(head + tail[cut:] if at else limit)
            wanted = f"{name}@{tail[:cut].strip()}" if at else name
        else:
            name, bound = limit
            wanted = metric_name(name)
        columns = [str(c) for c in self._frame.columns if c != "arch_id"]
        found = [wanted] if wanted in columns else [c for c in columns if c.partition("@")[0] == wanted]
        if len(found) != 1:
            if found:
                raise LimitError(
                    f"the limit on {wanted!r} fits {len(found)} columns: {', '.join(found)}.",
                    hint=f"Name the device, as in '{found[0]} {bound}'.",
                )
            raise LimitError(f"the front has no column {wanted!r} to limit.", hint=nearest(wanted, columns))
        return found[0], bound.resolve(largest.get(found[0], largest.get(wanted)))

    def plot(self, ax: Axes | None = None, **style: Any) -> Axes:
        """Draw the first objective over the last as a staircase of measured points.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Where to draw; new axes by default.
        **style
            Passed to `matplotlib.axes.Axes.plot`.

        Returns
        -------
        matplotlib.axes.Axes
            The axes.
        """
        return plot_front(self.values, self.objectives, ax, **style)


def _parsed(objectives: Sequence[Objective | str]) -> list[Objective]:
    return [Objective.parse(o) if isinstance(o, str) else o for o in objectives]
