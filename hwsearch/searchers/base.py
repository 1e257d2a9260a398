"""The protocol of all search tactics: ask for architectures, tell their measured values."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from hwsearch._json import JsonObject
from hwsearch._typing import BoolArray, FloatArray, IntArray
from hwsearch.errors import SearchError
from hwsearch.objectives.front import Front
from hwsearch.objectives.objective import Objective, signs
from hwsearch.objectives.pareto import non_dominated
from hwsearch.searchers.archive import Archive, packed, unpacked
from hwsearch.searchers.arguments import Measured, by_id, natural, proposed, values_and_noise
from hwsearch.searchers.capabilities import Capabilities
from hwsearch.searchers.info import AskInfo
from hwsearch.searchers.options import SearcherOptions, parse_options
from hwsearch.searchers.threads import one_blas_thread
from hwsearch.spaces import Architecture, SearchSpace
from hwsearch.spaces.rows import RowSet, blocks

STATE_VERSION = 2


class Searcher(ABC):
    """A search tactic, driven from outside.

    Architectures go in and out as `Architecture` objects (`ask`, `tell`) or, for a million of them, as index arrays
    (`ask_array`, `tell_array`). A tactic implements `_propose`, declares its `Options` and its `capabilities`, and may
    add data of its own to the state by `_extra_state` and `_load_extra_state`.

    Parameters
    ----------
    space : SearchSpace
        What can be chosen.
    objectives : iterable of Objective or str
        Such as ``"max accuracy"``, ``"min latency_ms"``, ``"latency_ms <= 2"``. Limits must be absolute, and rank
        first: an architecture that meets them is better than any that does not.
    seed : int
        All randomness comes from it; the same calls then give the same asks.
    **options : object
        Those of the tactic's `Options`. The ones that are not functions are part of the state, and must be equal on a
        resume.

    Attributes
    ----------
    name : str
        The name under which `hwsearch.searchers.create` knows the tactic.
    Options : type of SearcherOptions
        Model of the tactic's options.
    capabilities : Capabilities
        What the tactic can do beyond asking and being told.
    options : SearcherOptions
        The options of this searcher.
    info : AskInfo
        What the tactic says about its last ask.

    Raises
    ------
    SearchError
        For an option that the tactic does not have, and for a value that an option does not take.

    Examples
    --------
    >>> from hwsearch.searchers import create
    >>> from hwsearch.spaces import Choice, SearchSpace
    >>> space = SearchSpace("tiny", [Choice("depth", (1, 2, 3)), Choice("width", (16, 32))])
    >>> searcher = create("random", space, ["max accuracy", "min latency_ms"], seed=0)
    >>> archs = searcher.ask(2)
    >>> searcher.tell(archs, [[70.0, 1.5], [60.0, 2.0]])
    >>> len(searcher.front())
    1
    """

    name: ClassVar[str]
    Options: ClassVar[type[SearcherOptions]] = SearcherOptions
    capabilities: ClassVar[Capabilities] = Capabilities()

    options: SearcherOptions

    def __init__(
        self, space: SearchSpace, objectives: Iterable[Objective | str], seed: int = 0, **options: object
    ) -> None:
        self.options = parse_options(self._label(), self.Options, options)
        if not isinstance(space, SearchSpace):
            raise SearchError(f"{space!r} is not a search space.", hint="Get one from hwsearch.spaces.load().")
        given = [objectives] if isinstance(objectives, (str, Objective)) else objectives
        self.space = space
        self.objectives = tuple(Objective.parse(o) if isinstance(o, str) else o for o in given)
        self.seed = natural(seed, "seed")
        self.rng = np.random.default_rng(self.seed)
        self.info = AskInfo()
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
        """Propose up to n canonical rows (k, genes), best first; rows asked or told before are dropped by `ask`."""

    def ask(self, n: int) -> list[Architecture]:
        """Choose n architectures to measure next, none of them asked or told before.

        Where the tactic proposes too few, uniform samples fill up.

        Parameters
        ----------
        n : int
            How many.

        Returns
        -------
        list of Architecture
            n architectures; fewer only when the space is exhausted.

        Raises
        ------
        SearchError
            If n is not a whole number, 0 or more.
        """
        return self.space.from_array(self.ask_array(n))

    def ask_array(self, n: int) -> IntArray:
        """Choose n architectures as `ask` does, as index arrays.

        Parameters
        ----------
        n : int
            How many.

        Returns
        -------
        ndarray (n, genes)
            Canonical rows.

        Raises
        ------
        SearchError
            If n is not a whole number, 0 or more.
        """
        n = natural(n, "the number of architectures asked for")
        fresh = RowSet(self.space.sizes)
        if n and self.space.cardinality > len(self._told) + len(self._pending):
            with one_blas_thread():
                rows = self._checked(proposed(self._propose(n), len(self.space.choices), self._label()))
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

    def tell(self, archs: Sequence[Architecture], values: Measured, noise: Measured | None = None) -> None:
        """Report measured values, in natural units, of architectures asked for or not (a warm start).

        An architecture told again takes the new values and noise; of one that is told twice in a call, the later ones.

        Parameters
        ----------
        archs : sequence of Architecture
            The n architectures measured.
        values : array-like (n, m), (n,) for one objective, or DataFrame
            Columns in the order of the objectives; a DataFrame has the objectives as columns and is matched by
            ``arch_id`` if it has that column. None, NaN and infinity mean that the measurement failed.
        noise : array-like or DataFrame, optional
            Standard deviations of the values in the same form, each >= 0; None and NaN where unknown.

        Raises
        ------
        SearchError
            If shapes do not fit, entries are not numbers, or noise is negative; nothing has been told then.
        SpaceError
            For an architecture of another space.
        """
        archs = list(archs)
        rows = self.space.to_array(archs)
        self.tell_array(rows, by_id(archs, values), by_id(archs, noise))

    def tell_array(self, rows: IntArray, values: Measured, noise: Measured | None = None) -> None:
        """Report measured values as `tell` does, of index arrays.

        Parameters
        ----------
        rows : ndarray (n, genes)
            Inactive genes may hold anything.
        values, noise : array-like (n, m)
            As of `tell`.

        Raises
        ------
        SearchError
            As of `tell`.
        SpaceError
            For a row that is not in the space.
        """
        rows = self._checked(rows)
        told, spread = values_and_noise(self.objectives, values, noise, len(rows))
        self._pending.discard(rows)
        with one_blas_thread():
            self._after_tell(self._told.put(rows, told, spread).tolist())

    def _after_tell(self, indices: list[int]) -> None:  # noqa: B027 - a hook, empty for most tactics
        """Record what was told: a hook for tactics, given the told architectures' positions in `evaluated`."""

    def _label(self) -> str:
        return getattr(self, "name", type(self).__name__)  # for messages, also of one that forgot to say it

    def _checked(self, rows: NDArray) -> NDArray[np.signedinteger]:
        """Check rows (n, genes), and bring them to canonical form in small integers; raise SearchError or SpaceError for anything else."""
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

    # ------------------------------------------------------------------ screening
    def hint(self, archs: Sequence[Architecture], values: Measured, noise: Measured | None) -> None:
        """Tell what is less than a measurement, for tactics whose `capabilities` include screening.

        Parameters
        ----------
        archs : sequence of Architecture
            The n architectures.
        values, noise : array-like (n, m) or DataFrame
            As of `tell`; wherever there is a value, noise is needed.

        Raises
        ------
        SearchError
            If the tactic cannot screen.
        """
        raise SearchError(f"tactic {self.name!r} cannot learn from hints.", hint="Use 'default'.")

    def choose(self, archs: Sequence[Architecture], n: int) -> list[Architecture]:
        """Choose which architectures to complete, for tactics whose `capabilities` include screening.

        Parameters
        ----------
        archs : sequence of Architecture
            Candidates of which parts are known.
        n : int
            How many to choose.

        Returns
        -------
        list of Architecture
            Up to n of `archs`, best first.

        Raises
        ------
        SearchError
            If the tactic cannot screen.
        """
        raise SearchError(f"tactic {self.name!r} cannot choose among given candidates.", hint="Use 'default'.")

    # ------------------------------------------------------------------ what is known
    def is_known(self, arch: Architecture) -> bool:
        """Tell whether an architecture has been asked for or told.

        Parameters
        ----------
        arch : Architecture
            Of any space.

        Returns
        -------
        bool
        """
        return arch in self.space and bool(self.is_known_array(self.space.to_array([arch]))[0])

    def is_known_array(self, rows: IntArray) -> BoolArray:
        """Tell which rows have been asked for or told.

        Parameters
        ----------
        rows : ndarray (n, genes)
            Canonical rows.

        Returns
        -------
        ndarray of bool (n,)
        """
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
        """Standard deviations of the told values (n, m), in their units; NaN where they are not known."""
        return self._told.noise

    @property
    def rows(self) -> IntArray:
        """Told architectures as index arrays (n, genes), in the order of the first tellings."""
        return self._told.rows

    def rows_at(self, positions: Sequence[int] | IntArray | slice) -> IntArray:
        """Copy some of the told rows; takes less memory than `rows` when most are never looked at.

        Parameters
        ----------
        positions : array-like of int (k,) or slice
            Positions in `rows`.

        Returns
        -------
        ndarray (k, genes)
        """
        return self._told.rows_at(positions)

    @property
    def pending_rows(self) -> IntArray:
        """Architectures asked for and not told yet, as index arrays (n, genes), in the order of the asks."""
        return self._pending.rows.astype(np.int64)

    def violation(self, values: FloatArray) -> FloatArray:
        """Sum the relative excesses over the limits.

        Parameters
        ----------
        values : ndarray (n, m)
            In natural units.

        Returns
        -------
        ndarray (n,)
            0 where all limits are met, infinity for rows with NaN.
        """
        total = np.zeros(len(values))
        for column, objective in zip(values.T, self.objectives, strict=True):
            if objective.limit is not None:
                limit = objective.limit
                excess = column - limit.value if limit.op == "<=" else limit.value - column
                total += np.maximum(excess, 0.0) / (abs(limit.value) or 1.0)
        return np.where(np.isnan(values).any(axis=1), np.inf, total)

    def costs(self, values: FloatArray) -> FloatArray:
        """Turn values so that smaller is better in each column.

        Parameters
        ----------
        values : ndarray (n, m)
            In natural units.

        Returns
        -------
        ndarray (n, m)
            Columns to maximise with the sign turned.
        """
        return values * signs(self.objectives)

    def _feasible(self) -> BoolArray:
        """Tell which of the told architectures count as meeting the limits (n,)."""
        return np.asarray(self.violation(self.values) == 0)

    @one_blas_thread()
    def front(self) -> Front:
        """Find the Pareto front of what was told.

        Returns
        -------
        Front
            The non-dominated of the told architectures that meet the limits, or of all when none meets them.
        """
        values = self.values
        feasible = self._feasible()
        keep = np.flatnonzero(feasible) if feasible.any() else np.arange(len(values))
        keep = keep[non_dominated(values[keep], self.objectives)]
        archs = self.space.from_array(self.rows_at(keep))
        return Front.from_values([arch.id for arch in archs], values[keep], self.objectives)

    # ------------------------------------------------------------------ resume
    def _identity(self) -> JsonObject:
        """Collect what a state and the searcher that loads it must have in common."""
        return {
            "tactic": self._label(),
            "space": self.space.to_dict(),
            "objectives": [f"{o.direction} {o.name}{f' {o.limit}' if o.limit else ''}" for o in self.objectives],
            "options": self.options.settings(),
        }

    def state_dict(self) -> JsonObject:
        """Collect all that a resume needs.

        Returns
        -------
        dict
            JSON-able; large arrays are texts of their bytes, see `archive.packed`.
        """
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
            "info": self.info.to_dict(),
            "extra": self._extra_state(),
        }

    def load_state_dict(self, state: JsonObject) -> None:
        """Take up where `state_dict` was taken: the asks that follow are the same, bit for bit.

        The searcher must have been made with the same tactic, space, objectives and options; the seed comes from
        the state.

        Parameters
        ----------
        state : mapping
            What `state_dict` returned, also by way of JSON.

        Raises
        ------
        SearchError
            If the state is another searcher's, of another version, or damaged.
        """
        version = state.get("version") if isinstance(state, Mapping) else None
        if version != STATE_VERSION:
            raise SearchError(
                f"the state does not belong to this searcher: its version is {version!r}, not {STATE_VERSION}."
            )
        for key, value in self._identity().items():
            if state.get(key) != value:
                other = "is another" if key == "space" else f"is {state.get(key)!r} and not {value!r}"
                raise SearchError(f"the state does not belong to this searcher: its {key} {other}.")
        try:
            rows, pending = (self._checked(unpacked(state[key])) for key in ("rows", "pending"))
            noise = state["noise"] and unpacked(state["noise"])
            values, noise = values_and_noise(self.objectives, unpacked(state["values"]), noise, len(rows))
            told, asked = Archive(self.space.sizes, len(self.objectives)), RowSet(self.space.sizes)
            told.put(rows, values, noise)
            asked.add(pending)
            if len(told) != len(rows) or len(asked) != len(pending) or told.has(pending).any():
                raise ValueError("an architecture is listed twice")
            self._told, self._pending = told, asked
            self.seed = int(state["seed"])
            self.rng.bit_generator.state = state["rng"]
            self.info = AskInfo.from_dict(state["info"])
            self._load_extra_state(state["extra"])
        except (KeyError, TypeError, ValueError) as error:
            raise SearchError(
                f"the state is damaged: {error!r}.",
                hint="Take an earlier one, or tell a fresh searcher what was measured.",
            ) from error

    def _extra_state(self) -> JsonObject:
        """Collect the tactic's own JSON-able data."""
        return {}

    def _load_extra_state(self, extra: JsonObject) -> None:  # noqa: B027 - a hook
        """Take back what `_extra_state` gave."""
