"""The protocol of all search tactics: ask for architectures, tell their measured values."""

from __future__ import annotations

import operator
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from hwsearch._typing import BoolArray, FloatArray, IntArray
from hwsearch.errors import SearchError, nearest
from hwsearch.objectives.front import Front
from hwsearch.objectives.objective import Objective, signs
from hwsearch.objectives.pareto import as_values, non_dominated
from hwsearch.searchers.archive import Archive, packed, unpacked
from hwsearch.searchers.options import check_options
from hwsearch.spaces import Architecture, SearchSpace
from hwsearch.spaces.rows import RowSet, blocks

#: maps index arrays (n, genes) to a number an architecture (n,)
RowFunction = Callable[[IntArray], FloatArray]

#: version 1, whose arrays are lists and which has no noise, can still be loaded
STATE_VERSION = 2


class Searcher(ABC):
    """A search tactic, driven from outside.

    space : what can be chosen
    objectives : `Objective`s or texts such as "max accuracy", "min latency_ms", "latency_ms <= 2"; limits must
        be absolute and rank first: an architecture that meets them is better than any that does not
    seed : all randomness comes from it; the same calls then give the same asks
    options : what a tactic adds. Numbers and texts among them are part of the state and must be equal on a resume.

    Architectures go in and out as `Architecture`s (`ask`, `tell`) or, for a million of them, as index arrays
    (`ask_array`, `tell_array`). A tactic implements `_propose`. It may add data of its own to the state by
    `_extra_state`, `_load_extra_state`. Raises SearchError for options that the tactic does not have, and for values
    of another kind than it says.
    """

    #: the name under which `hwsearch.searchers.create` knows the tactic
    name: ClassVar[str]
    #: whether rows of which some values are missing tell the tactic anything
    learns_from_parts: ClassVar[bool] = False
    #: whether it has `hint` and `choose`, as `PlumbSearcher`, by which candidates are screened
    screens: ClassVar[bool] = False

    def __new__(cls, *args: Any, **options: Any) -> Self:
        check_options(cls, options)  # before any code of the tactic sees them
        return super().__new__(cls)

    def __init__(
        self, space: SearchSpace, objectives: Iterable[Objective | str], seed: int = 0, **options: Any
    ) -> None:
        if not isinstance(space, SearchSpace):
            raise SearchError(f"{space!r} is not a search space.", hint="Get one from hwsearch.spaces.load().")
        given = [objectives] if isinstance(objectives, (str, Objective)) else objectives
        self.space = space
        self.objectives = tuple(Objective.parse(o) if isinstance(o, str) else o for o in given)
        self.seed = natural(seed, "seed")
        self.options = options
        self.rng = np.random.default_rng(self.seed)
        #: what the tactic says about its last ask; JSON-able
        self.info: dict[str, Any] = {}
        self._check_objectives()
        self._told = Archive(space.sizes, len(self.objectives))
        self._pending = RowSet(space.sizes)

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

        Where the tactic proposes too few, uniform samples fill up. Raises SearchError when n is not a number of things.
        """
        return self.space.from_array(self.ask_array(n))

    def ask_array(self, n: int) -> IntArray:
        """As `ask`, as canonical index arrays (n, genes)."""
        n = natural(n, "the number of architectures asked for")
        fresh = RowSet(self.space.sizes)
        if n and self.space.cardinality > len(self._told) + len(self._pending):
            rows = self._checked(self._propose(n))
            if not self.space.contains_array(rows).all():
                self.space.from_array(rows)  # raises the error that says which row it is
            fresh.add(rows[~self.is_known_array(rows)])
            if len(fresh) < n:
                fresh.add(
                    self.space.collect_array(
                        n - len(fresh),
                        lambda m: self.space.sample_array(m, self.rng),
                        lambda rows: self.is_known_array(rows) | fresh.has(rows),
                    )
                )
        asked = fresh.rows[:n].astype(np.int64)
        self._pending.add(asked)
        return asked

    def tell(self, archs: Sequence[Architecture], values: Any, noise: Any = None) -> None:
        """Report measured values, in natural units, of architectures asked for or not (a warm start).

        values : array (n, m) or list of n rows, (n,) for one objective, columns in the order of the objectives;
            or a DataFrame with the objectives as columns, matched by `arch_id` if it has that column.
            None, NaN and infinity mean that the measurement failed.
        noise : the values' standard deviations in the same form, each >= 0; None and NaN mean that it is not known

        An architecture told again takes the new values and noise; of one that is told twice in a call the later ones.
        Raises SearchError when the shapes do not fit, what is told is no number, or noise is negative, and
        SpaceError for an architecture of another space; nothing has been told then.
        """
        archs = list(archs)
        rows = self.space.to_array(archs)
        matched = [by_id(archs, given) for given in (values, noise)]
        self.tell_array(rows, *matched)

    def tell_array(self, rows: IntArray, values: Any, noise: Any = None) -> None:
        """As `tell`, of index arrays (n, genes); inactive genes may hold anything."""
        rows = self._checked(rows)
        told, spread = self._with_noise(values, noise, len(rows))
        self._pending.discard(rows)
        self._after_tell(self._told.put(rows, told, spread).tolist())

    def _after_tell(self, indices: list[int]) -> None:  # noqa: B027 - a hook, empty for most tactics
        """For tactics that keep a record: the told architectures' positions in `evaluated`."""

    def _checked(self, rows: NDArray) -> NDArray[np.signedinteger]:
        """Rows (n, genes) in canonical form, in small integers; raises SearchError or SpaceError for anything else."""
        array = np.asarray(rows)
        if not array.size:
            array = np.empty((0, len(self.space.choices)), dtype=np.int64)
        if array.ndim != 2 or array.shape[1] != len(self.space.choices) or array.dtype.kind not in "iu":
            raise SearchError(
                f"an array of shape {array.shape} and type {array.dtype} is not rows of {len(self.space.choices)} genes.",
                hint="Give integers, the index of a value for each gene.",
            )
        checked = np.empty(array.shape, dtype=self._pending.dtype)
        start = 0
        for part in blocks(array):
            part = self.space.canonical(part)
            self.space.check_rows(part, start)
            checked[start : start + len(part)] = part
            start += len(part)
        return checked

    def _with_noise(self, values: Any, noise: Any, n: int) -> tuple[FloatArray, FloatArray]:
        """Values and noise as float arrays (n, m), with NaN in both where there is no value."""
        told = self._as_array(values, n, "values")
        spread = np.full_like(told, np.nan) if noise is None else self._as_array(noise, n, "noise")
        if (spread < 0).any():
            raise SearchError(f"a noise of {np.nanmin(spread):g} is negative.", hint="Give standard deviations.")
        spread[np.isnan(told)] = np.nan
        return told, spread

    def _as_array(self, values: Any, n: int, what: str) -> FloatArray:
        """Values or noise as a float array (n, m) of its own, with NaN for everything that is not finite."""
        if hasattr(values, "columns"):
            for name in (o.name for o in self.objectives):
                if name not in values.columns:
                    raise SearchError(
                        f"the {what} have no column {name!r}.", hint=nearest(name, map(str, values.columns))
                    )
            values = values[[o.name for o in self.objectives]]
        try:
            array = as_values(values, self.objectives).copy()
        except (TypeError, ValueError) as error:
            raise SearchError(
                f"the {what} told are not numbers: {error}.",
                hint="Give one row an architecture and one column an objective; None where a measurement failed.",
            ) from error
        if len(array) != n:
            raise SearchError(f"{n} architectures came with {len(array)} rows of {what}.")
        array[~np.isfinite(array)] = np.nan
        return array

    # ------------------------------------------------------------------ what is known
    def is_known(self, arch: Architecture) -> bool:
        """Whether the architecture has been asked for or told."""
        return arch in self.space and bool(self.is_known_array(self.space.to_array([arch]))[0])

    def is_known_array(self, rows: IntArray) -> BoolArray:
        """Which canonical rows (n, genes) have been asked for or told (n,)."""
        return self._told.has(rows) | self._pending.has(rows)

    @property
    def evaluated(self) -> tuple[list[Architecture], FloatArray]:
        """All told architectures, in the order of their first telling, and their values (n, m); made for each call."""
        return self.space.from_array(self._told.compact_rows), self._told.values.copy()

    @property
    def values(self) -> FloatArray:
        """Told values (n, m), in the order of the first tellings; NaN where a measurement failed.

        A read-only view that costs nothing and does not change, as of `noise` and `rows`.
        """
        return self._told.values

    @property
    def noise(self) -> FloatArray:
        """Standard deviations of the told values (n, m); NaN where they are not known."""
        return self._told.noise

    @property
    def rows(self) -> IntArray:
        """Told architectures as index arrays (n, genes)."""
        return self._told.rows

    def rows_at(self, positions: Any) -> IntArray:
        """`rows[positions]`, as a copy; takes less memory when most are never looked at."""
        return self._told.rows_at(positions)

    @property
    def pending_rows(self) -> IntArray:
        """Architectures asked for and not told yet, as index arrays (n, genes), in the order of the asks."""
        return self._pending.rows.astype(np.int64)

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

    def _feasible(self) -> BoolArray:
        """Which of the told architectures count as meeting the limits (n,)."""
        return np.asarray(self.violation(self.values) == 0)

    def front(self) -> Front:
        """The non-dominated of the told architectures that meet the limits, or of all when none meets them."""
        values = self.values
        feasible = self._feasible()
        keep = np.flatnonzero(feasible) if feasible.any() else np.arange(len(values))
        keep = keep[non_dominated(values[keep], self.objectives)]
        archs = self.space.from_array(self.rows_at(keep))
        return Front.from_values([arch.id for arch in archs], values[keep], self.objectives)

    # ------------------------------------------------------------------ resume
    def _identity(self) -> dict[str, Any]:
        """What a state and the searcher that loads it must have in common."""
        return {
            "tactic": self.name,
            "space": self.space.to_dict(),
            "objectives": self._objective_texts(),
            "options": self._plain_options(),
        }

    def state_dict(self) -> dict[str, Any]:
        """All that a resume needs, as JSON-able data; large arrays are texts of their bytes, see `archive.packed`."""
        noise = self.noise
        return {
            "version": STATE_VERSION,
            **self._identity(),
            "seed": self.seed,
            "rng": self.rng.bit_generator.state,
            "rows": packed(self._told.compact_rows),
            "values": packed(self.values),
            "noise": None if np.isnan(noise).all() else packed(noise),
            "pending": packed(self._pending.rows),
            "info": self.info,
            "extra": self._extra_state(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take up where `state_dict` was taken: the asks that follow are the same, bit for bit.

        The searcher must have been made with the same tactic, space, objectives and options; the seed comes from
        the state. Raises SearchError otherwise, and for a state that is damaged.
        """
        if not isinstance(state, Mapping) or state.get("version") not in (1, STATE_VERSION):
            version = state.get("version") if isinstance(state, Mapping) else None
            raise SearchError(
                f"the state does not belong to this searcher: its version is {version!r}, not 1 or {STATE_VERSION}."
            )
        for key, value in self._identity().items():
            if state.get(key) != value:
                other = "is another" if key == "space" else f"is {state.get(key)!r} and not {value!r}"
                raise SearchError(f"the state does not belong to this searcher: its {key} {other}.")
        try:
            read = unpacked if state["version"] > 1 else np.array
            rows, pending = (self._checked(read(state[key])) for key in ("rows", "pending"))
            given = state["noise"] if state["version"] > 1 else None
            values, noise = self._with_noise(read(state["values"]), given and read(given), len(rows))
            told, asked = Archive(self.space.sizes, len(self.objectives)), RowSet(self.space.sizes)
            told.put(rows, values, noise)
            asked.add(pending)
            if len(told) != len(rows) or len(asked) != len(pending) or told.has(pending).any():
                raise ValueError("an architecture is listed twice")
            self._told, self._pending = told, asked
            self.seed = int(state["seed"])
            self.rng.bit_generator.state = state["rng"]
            self.info = dict(state["info"])
            self._load_extra_state(state["extra"])
        except (KeyError, TypeError, ValueError) as error:
            raise SearchError(
                f"the state is damaged: {error!r}.",
                hint="Take an earlier one, or tell a fresh searcher what was measured.",
            ) from error

    def _objective_texts(self) -> list[str]:
        return [f"{o.direction} {o.name}{f' {o.limit}' if o.limit else ''}" for o in self.objectives]

    def _plain_options(self) -> dict[str, Any]:
        return {k: v for k, v in self.options.items() if v is None or isinstance(v, (bool, int, float, str))}

    def _extra_state(self) -> dict[str, Any]:
        """A tactic's own JSON-able data."""
        return {}

    def _load_extra_state(self, extra: Mapping[str, Any]) -> None:  # noqa: B027 - a hook
        """Take back what `_extra_state` gave."""


def natural(n: Any, what: str) -> int:
    """A whole number that is not negative; raises SearchError for anything else."""
    try:
        number = operator.index(n)
    except TypeError:
        number = -1
    if number < 0:
        raise SearchError(f"{what} is {n!r}.", hint="Give a whole number, 0 or more.")
    return number


def by_id(archs: Sequence[Architecture], values: Any) -> Any:
    """The rows of a DataFrame with the column `arch_id` in the order of the architectures; other values as they are."""
    if not hasattr(values, "columns") or "arch_id" not in values.columns:
        return values
    wanted, there = np.array([arch.id for arch in archs]), values["arch_id"].to_numpy(dtype=str)
    mine, theirs = np.argsort(wanted, kind="stable"), np.argsort(there, kind="stable")
    if len(wanted) != len(there) or (wanted[mine] != there[theirs]).any():
        raise SearchError("the column 'arch_id' of the values does not list the architectures told.")
    order = np.empty_like(mine)
    order[mine] = theirs
    return values.iloc[order]
