"""The protocol of all search tactics: ask for architectures, tell their measured values."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from hwsearch.errors import SearchError, nearest
from hwsearch.front import Front, as_values
from hwsearch.objective import Objective, signs
from hwsearch.spaces import Architecture, SearchSpace

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
#: maps index arrays (n, genes) to a number an architecture (n,)
RowFunction = Callable[[IntArray], FloatArray]

STATE_VERSION = 1


class Searcher(ABC):
    """A search tactic, driven from outside.

    space : what can be chosen
    objectives : `Objective`s or texts such as "max accuracy", "min latency_ms", "latency_ms <= 2"; limits must
        be absolute and rank first: an architecture that meets them is better than any that does not
    seed : all randomness comes from it; the same calls then give the same asks
    options : what a tactic adds. Numbers and texts among them are part of the state and must be equal on a resume.

    A tactic implements `_propose`. It may add data of its own to the state by `_extra_state`, `_load_extra_state`.
    """

    #: the name under which `hwsearch.search.create` knows the tactic
    name: ClassVar[str]

    def __init__(
        self, space: SearchSpace, objectives: Iterable[Objective | str], seed: int = 0, **options: Any
    ) -> None:
        self.space = space
        self.objectives = tuple(Objective.parse(o) if isinstance(o, str) else o for o in objectives)
        self.seed = int(seed)
        self.options = options
        self.rng = np.random.default_rng(self.seed)
        #: what the tactic says about its last ask; JSON-able
        self.info: dict[str, Any] = {}
        self._check_objectives()
        self._told: dict[Architecture, int] = {}
        self._pending: dict[Architecture, None] = {}
        self._rows: list[IntArray] = []
        self._values: list[FloatArray] = []

    def _check_objectives(self) -> None:
        names = [o.name for o in self.objectives]
        if not names:
            raise SearchError("a search needs at least one objective.", hint="Give for example 'max accuracy'.")
        if len(set(names)) != len(names):
            raise SearchError(f"an objective is given twice: {', '.join(names)}.")
        for objective in self.objectives:
            if objective.limit is not None:
                objective.limit.resolve(None)  # a relative limit has no meaning here: raises LimitError

    # ------------------------------------------------------------------ ask and tell
    @abstractmethod
    def _propose(self, n: int) -> IntArray:
        """Up to n canonical rows (k, genes), best first; rows asked or told before are dropped by `ask`."""

    def ask(self, n: int) -> list[Architecture]:
        """n architectures to measure next, none of them asked or told before; fewer only when the space is exhausted.

        Where the tactic proposes too few, uniform samples fill up. Raises SearchError for a negative n.
        """
        if n < 0:
            raise SearchError(f"ask({n}): the number of architectures is negative.")
        if n == 0:
            return []
        fresh: dict[Architecture, None] = {}
        if self.space.cardinality > len(self._told) + len(self._pending):
            for arch in self.space.from_array(self._propose(n)):
                if len(fresh) < n and not self.is_known(arch):
                    fresh[arch] = None
            if len(fresh) < n:
                exclude = [*self._told, *self._pending, *fresh]
                fresh.update(dict.fromkeys(self.space.sample(n - len(fresh), self.rng, exclude=exclude)))
        self._pending.update(fresh)
        return list(fresh)

    def tell(self, archs: Sequence[Architecture], values: Any) -> None:
        """Report measured values, in natural units, of architectures asked for or not (a warm start).

        values : array (n, m) or list of n rows, (n,) for one objective, columns in the order of the objectives;
            or a DataFrame with the objectives as columns, matched by `arch_id` if it has that column.
            None, NaN and infinity mean that the measurement failed.

        An architecture told again takes the new values. Raises SearchError when the shapes do not fit.
        """
        array = self._as_array(archs, values)
        rows = self.space.to_array(archs)
        for arch, row, value in zip(archs, rows, array, strict=True):
            self._pending.pop(arch, None)
            if arch in self._told:
                self._values[self._told[arch]] = value
            else:
                self._told[arch] = len(self._rows)
                self._rows.append(row)
                self._values.append(value)
        self._after_tell([self._told[arch] for arch in archs])

    def _after_tell(self, indices: list[int]) -> None:  # noqa: B027 - a hook, empty for most tactics
        """For tactics that keep a record: the told architectures' positions in `evaluated`."""

    def _as_array(self, archs: Sequence[Architecture], values: Any) -> FloatArray:
        if hasattr(values, "columns"):
            for name in (o.name for o in self.objectives):
                if name not in values.columns:
                    raise SearchError(
                        f"the values have no column {name!r}.", hint=nearest(name, map(str, values.columns))
                    )
            if "arch_id" in values.columns:
                ids = [arch.id for arch in archs]
                if sorted(values["arch_id"]) != sorted(ids):
                    raise SearchError("the column 'arch_id' of the values does not list the architectures told.")
                values = values.set_index("arch_id").loc[ids]
            values = values[[o.name for o in self.objectives]].to_numpy(dtype=np.float64)
        array = as_values(values, self.objectives).copy()
        if len(array) != len(archs):
            raise SearchError(f"tell() got {len(archs)} architectures and {len(array)} rows of values.")
        array[~np.isfinite(array)] = np.nan
        return array

    # ------------------------------------------------------------------ what is known
    def is_known(self, arch: Architecture) -> bool:
        """Whether the architecture has been asked for or told."""
        return arch in self._told or arch in self._pending

    @property
    def evaluated(self) -> tuple[list[Architecture], FloatArray]:
        """All told architectures, in the order of their first telling, and their values (n, m)."""
        return list(self._told), self.values

    @property
    def values(self) -> FloatArray:
        """Told values (n, m); NaN where a measurement failed."""
        return np.array(self._values).reshape(-1, len(self.objectives))

    @property
    def rows(self) -> IntArray:
        """Told architectures as index arrays (n, genes)."""
        return np.array(self._rows, dtype=np.int64).reshape(-1, len(self.space.choices))

    @property
    def pending_rows(self) -> IntArray:
        """Architectures asked for and not told yet, as index arrays (n, genes)."""
        return self.space.to_array(self._pending)

    def violation(self, values: FloatArray) -> FloatArray:
        """How far rows (n, m) are from meeting the limits (n,): the sum of the relative excesses.

        0 means that all limits are met; rows with NaN have infinity.
        """
        total = np.zeros(len(values))
        for column, objective in zip(values.T, self.objectives, strict=True):
            if objective.limit is not None:
                limit = objective.limit
                excess = column - limit.value if limit.op == "<=" else limit.value - column
                total += np.maximum(excess, 0.0) / (abs(limit.value) or 1.0)
        return np.where(np.isnan(values).any(axis=1), np.inf, total)

    def costs(self, values: FloatArray) -> FloatArray:
        """Values (n, m) turned so that smaller is better in each column."""
        return values * signs(self.objectives)

    def front(self) -> Front:
        """The non-dominated of the told architectures that meet the limits, or of all when none meets them."""
        archs, values = self.evaluated
        feasible = self.violation(values) == 0
        keep = np.flatnonzero(feasible) if feasible.any() else np.arange(len(values))
        return Front.from_values([archs[i].id for i in keep], values[keep], self.objectives)

    # ------------------------------------------------------------------ resume
    def state_dict(self) -> dict[str, Any]:
        """All that a resume needs, as JSON-able data; failed values are None."""
        return {
            "version": STATE_VERSION,
            "tactic": self.name,
            "space": self.space.to_dict(),
            "objectives": self._objective_texts(),
            "options": self._plain_options(),
            "seed": self.seed,
            "rng": self.rng.bit_generator.state,
            "rows": self.rows.tolist(),
            "values": [[None if np.isnan(v) else float(v) for v in row] for row in self._values],
            "pending": self.pending_rows.tolist(),
            "info": self.info,
            "extra": self._extra_state(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take up where `state_dict` was taken: the asks that follow are the same, bit for bit.

        The searcher must have been made with the same tactic, space, objectives and options; the seed comes from
        the state. Raises SearchError otherwise.
        """
        mine = {
            "version": STATE_VERSION,
            "tactic": self.name,
            "space": self.space.to_dict(),
            "objectives": self._objective_texts(),
            "options": self._plain_options(),
        }
        for key, value in mine.items():
            if state.get(key) != value:
                told = "is another" if key == "space" else f"is {state.get(key)!r} and not {value!r}"
                raise SearchError(f"the state does not belong to this searcher: its {key} {told}.")
        archs = self.space.from_array(np.array(state["rows"], dtype=np.int64).reshape(-1, len(self.space.choices)))
        pending = np.array(state["pending"], dtype=np.int64).reshape(-1, len(self.space.choices))
        self._told = {arch: i for i, arch in enumerate(archs)}
        self._pending = dict.fromkeys(self.space.from_array(pending))
        self._rows = list(self.space.to_array(archs))
        self._values = [
            np.array([np.nan if v is None else v for v in row], dtype=np.float64) for row in state["values"]
        ]
        self.seed = int(state["seed"])
        self.rng.bit_generator.state = state["rng"]
        self.info = dict(state["info"])
        self._load_extra_state(state["extra"])

    def _objective_texts(self) -> list[str]:
        return [f"{o.direction} {o.name}{f' {o.limit}' if o.limit else ''}" for o in self.objectives]

    def _plain_options(self) -> dict[str, Any]:
        return {k: v for k, v in self.options.items() if v is None or isinstance(v, (bool, int, float, str))}

    def _extra_state(self) -> dict[str, Any]:
        """A tactic's own JSON-able data."""
        return {}

    def _load_extra_state(self, extra: Mapping[str, Any]) -> None:  # noqa: B027 - a hook
        """Take back what `_extra_state` gave."""
