"""Dominance, hypervolume, and the Pareto front of measured architectures."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from hwsearch._typing import FloatArray
from hwsearch.errors import LimitError, SearchError, nearest
from hwsearch.objectives.limit import Limit, parse_limit
from hwsearch.objectives.names import metric_name
from hwsearch.objectives.objective import Objective, signs
from hwsearch.objectives.pareto import as_values, hypervolume, non_dominated

if TYPE_CHECKING:
    from matplotlib.axes import Axes


#: by how much of the front's range the region around the knee is worse than the knee
AROUND_KNEE = 0.25


#: a limit as text, or as (column, limit)
LimitLike = str | tuple[str, Limit]


class Front:
    """A set of measured, mutually non-dominated architectures, sorted by the last objective.

    The frame has a column `arch_id`, one column an objective, and any further columns of the source.
    """

    def __init__(self, frame: pd.DataFrame, objectives: Sequence[Objective]) -> None:
        self._frame = frame
        self.objectives = tuple(objectives)

    @classmethod
    def of(cls, frame: pd.DataFrame, objectives: Sequence[Objective | str]) -> Front:
        """The non-dominated rows of `frame`; of rows with equal values the first one stays, rows with NaN go.

        Raises SearchError when `arch_id` or an objective has no column.
        """
        parsed = [Objective.parse(o) if isinstance(o, str) else o for o in objectives]
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
    def from_values(cls, arch_ids: Sequence[str], values: ArrayLike, objectives: Sequence[Objective]) -> Front:
        """The front of values (n, m) measured for the architectures with these ids (n)."""
        frame = pd.DataFrame(as_values(values, objectives), columns=[o.name for o in objectives])
        frame.insert(0, "arch_id", pd.Series(list(arch_ids), dtype=object))
        return cls.of(frame, objectives)

    @property
    def values(self) -> FloatArray:
        """The objectives (n, m), in natural units."""
        return np.asarray(self._frame[[o.name for o in self.objectives]], dtype=np.float64)

    def to_frame(self) -> pd.DataFrame:
        """A copy as a DataFrame."""
        return self._frame.copy()

    def __len__(self) -> int:
        return len(self._frame)

    def __repr__(self) -> str:
        return f"Front({len(self)} architectures; {', '.join(f'{o.direction} {o.name}' for o in self.objectives)})"

    def hypervolume(self, reference: ArrayLike) -> float:
        """As `hwsearch.objectives.pareto.hypervolume` of the front's rows."""
        return hypervolume(self.values, self.objectives, reference)

    def knee(self) -> pd.Series[Any]:
        """The row that lies farthest from the chord between the ends of the front, on its better side.

        Each objective is scaled to 0 (best on the front) .. 1 (worst). With two objectives the chord then runs
        from (0, 1) to (1, 0); with m objectives it is the plane on which the scaled costs sum to one, and the
        distance is (1 - sum) / sqrt(m). With one or two rows, where there is no bend, the first objective's best
        row is the knee. Ties go to the first row. Raises SearchError on an empty front.
        """
        if not len(self):
            raise SearchError("an empty front has no knee.", hint="Measure at least one architecture first.")
        costs = self.values * signs(self.objectives)
        if len(self) <= 2:
            return self._frame.iloc[int(np.argmin(costs[:, 0]))]
        low, high = costs.min(axis=0), costs.max(axis=0)
        scaled = (costs - low) / np.where(high > low, high - low, 1.0)
        distance = (1.0 - scaled.sum(axis=1)) / math.sqrt(len(self.objectives))
        return self._frame.iloc[int(np.argmax(distance))]

    # ------------------------------------------------------------------ preferences
    def aspiration(self, prefer: str, reference: Mapping[str, float] | None = None) -> dict[str, float]:
        """The values, by objective, that must be reached to count; {} when all of the front counts.

        prefer : "front"; "reference": what `reference` names, by objective or metric; "knee": the knee, made worse by a
            quarter of the front's range in each objective

        A front's middle region of interest by its knee: Branke et al. 2004 (doi 10.1007/978-3-540-30217-9_73); by a point
        that is aspired to: Wierzbicki 1980 (doi 10.1007/978-3-642-48782-8_32). Raises SearchError for another `prefer`
        and for a reference that is missing or names no objective, or several.
        """
        if prefer == "front":
            return {}
        if prefer == "knee":
            costs, sign = self.values * signs(self.objectives), signs(self.objectives)
            point = (self.knee()[[o.name for o in self.objectives]].to_numpy(dtype=np.float64)) * sign
            edge = np.minimum(point + AROUND_KNEE * np.ptp(costs, axis=0), costs.max(axis=0)) * sign
            return {o.name: float(v) for o, v in zip(self.objectives, edge, strict=True)}
        if prefer != "reference" or not reference:
            raise SearchError(
                f"the preference {prefer!r} cannot be followed{' without a reference' if prefer == 'reference' else ''}.",
                hint="Say 'front', 'knee', or 'reference' with a value to be reached for one objective or more.",
            )
        found = {}
        for given, value in reference.items():
            metric, at, device = given.partition("@")
            wanted = metric_name(metric) + at + device
            names = [o.name for o in self.objectives if wanted in (o.name, o.metric)]
            if len(names) != 1:
                raise SearchError(
                    f"the reference names {given!r}, which is {len(names)} of the objectives.",
                    hint=nearest(wanted, [o.name for o in self.objectives]),
                )
            found[names[0]] = float(value)
        return found

    def preferred(self, prefer: str, reference: Mapping[str, float] | None = None) -> Front:
        """The part of the front that counts, see `aspiration`: the rows that reach every value of it.

        When none does, the one row that comes nearest: whose largest shortfall is smallest, each taken as a share of the
        front's range in that objective (the achievement function of Wierzbicki 1980). Raises SearchError as `aspiration`
        does, and on an empty front.
        """
        wanted = self.aspiration(prefer, reference)
        if not wanted:
            return self
        if not len(self):
            raise SearchError("an empty front has no preferred part.", hint="Measure at least one architecture first.")
        short = self._shortfall(wanted)
        reached = short <= 0 if (short <= 0).any() else np.arange(len(self)) == int(np.argmin(short))
        return Front(self._frame[reached].reset_index(drop=True), self.objectives)

    def nearest_to(self, reference: Mapping[str, float]) -> pd.Series[Any]:
        """The row that falls least short of a reference, or exceeds it most; see `preferred`."""
        if not len(self):
            raise SearchError("an empty front has no preferred part.", hint="Measure at least one architecture first.")
        return self._frame.iloc[int(np.argmin(self._shortfall(self.aspiration("reference", reference))))]

    def _shortfall(self, wanted: Mapping[str, float]) -> FloatArray:
        """(n,) the largest shortfall of each row, as a share of the front's range in that objective."""
        chosen = [o for o in self.objectives if o.name in wanted]
        costs = self._frame[[o.name for o in chosen]].to_numpy(dtype=np.float64) * signs(chosen)
        missing = costs - np.array([wanted[o.name] for o in chosen]) * signs(chosen)
        span = np.ptp(costs, axis=0)
        return np.asarray((missing / np.where(span > 0, span, 1.0)).max(axis=1))

    # ------------------------------------------------------------------ pick
    def pick(
        self, limits: LimitLike | Iterable[LimitLike], *, largest: Mapping[str, float] | None = None
    ) -> pd.Series[Any]:
        """The best row under `limits`: best in the first objective that is not limited.

        limits : texts such as "latency_ms<=2", "latency_ms@cpu <= 2 ms", "accuracy>=80", or (column, Limit) pairs
        largest : the largest subnet's value a column, for limits that are a share of it ("<= 60 %")

        Ties are decided by the other objectives in their order. Raises LimitError for a limit that names no column
        or several, and when no row meets all limits; it then names the nearest value that can be reached.
        """
        one = isinstance(limits, str) or (isinstance(limits, tuple) and isinstance(limits[-1], Limit))
        texts = cast("list[LimitLike]", [limits] if one else list(limits))
        parsed = [self.limit(limit, largest or {}) for limit in texts]
        if not len(self):
            raise LimitError("an empty front has nothing to pick.", hint="Measure at least one architecture first.")
        left = np.ones(len(self), dtype=bool)
        met: list[str] = []
        for column, limit in parsed:
            values = self._frame[column].to_numpy(dtype=np.float64)
            kept = left & limit.met(values)
            if not kept.any():
                raise unreachable(f"{column} {limit}", limit, values[left], met, f"{column} {limit.op}")
            left = kept
            met.append(f"{column} {limit}")
        limited = {column for column, _ in parsed}
        order = [o for o in self.objectives if o.name not in limited] + [
            o for o in self.objectives if o.name in limited
        ]
        costs = np.stack([self._frame[o.name].to_numpy(dtype=np.float64) * o.sign for o in order])
        ranked = np.lexsort(costs[::-1])
        return self._frame.iloc[int(ranked[left[ranked]][0])]

    def limit(self, limit: LimitLike, largest: Mapping[str, float]) -> tuple[str, Limit]:
        """The column a limit is about and its absolute form; see `pick`."""
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

    # ------------------------------------------------------------------ plot
    def plot(self, ax: Axes | None = None, **style: Any) -> Axes:
        """Draw the first objective over the last as a staircase of measured points; returns the axes.

        `style` goes to `Axes.plot`. With one objective the values are drawn in their order.
        """
        if ax is None:
            from matplotlib import pyplot

            ax = pyplot.subplots()[1]
        first, last = self.objectives[0], self.objectives[-1]
        y = self._frame[first.name].to_numpy(dtype=np.float64)
        x = self._frame[last.name].to_numpy(dtype=np.float64) if first is not last else np.arange(1.0, len(y) + 1)
        lines = len(self.objectives) == 2
        step: dict[str, Any] = (
            {"drawstyle": "steps-post" if last.direction == "min" else "steps-pre"} if lines else {"linestyle": "none"}
        )
        drawn: dict[str, Any] = {"marker": "o", "markersize": 4, **step, **style}
        ax.plot(x, y, **drawn)
        ax.set_xlabel(last.name if first is not last else "rank")
        ax.set_ylabel(first.name)
        return ax


def unreachable(
    asked: str, limit: Limit, values: FloatArray, met: Sequence[str], retry: str, what: str = "measured"
) -> LimitError:
    """The error that names the nearest value that can be reached, and a limit, rounded, that can be met.

    asked : the limit in words; values : (n,) that do not meet it, of which the best is called the lowest or highest `what`;
    met : limits asked for before; retry : the limit to try, without its number
    """
    lowest = limit.op == "<="
    best = float(np.nanmin(values) if lowest else np.nanmax(values))
    # at three digits, rounded to the side that can be met
    unit = 10.0 ** (math.floor(math.log10(abs(best))) - 2) if best else 1.0
    rounded = (math.ceil if lowest else math.floor)(best / unit) * unit
    possible = rounded >= best if lowest else rounded <= best
    under = f" under {' and '.join(met)}" if met else ""
    return LimitError(
        f"No measured subnet meets {asked}{under}: the {'lowest' if lowest else 'highest'} {what} is {best:g}.",
        hint=f'Try "{retry} {rounded if possible else best:.12g}".',
    )
