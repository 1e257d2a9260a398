"""Capabilities of a search tactic beyond asking and being told."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Protocol, runtime_checkable

import pandas as pd

from hwsearch.searchers.fidelities import Fidelities
from hwsearch.spaces import Architecture


@dataclass(frozen=True)
class Capabilities:
    """Capabilities that a tactic declares, so that a campaign knows what to give it.

    A tactic sets its class attribute `capabilities`. Those in the second group of attributes are options of the same
    name, which a campaign then passes to the tactic.

    Attributes
    ----------
    incomplete_rows : bool
        The tactic learns from rows of which some objectives are NaN.
    screening : bool
        The tactic has `Searcher.hint` and `Searcher.choose`, by which candidates measured on cheap objectives are
        screened.
    fidelities : bool
        The tactic has the method of `AllocatesFidelities`, by which it chooses what to measure on how much.
    predicted_front : bool
        The tactic has the methods of `PredictsFronts`, by which it names a front over the whole space.
    features : bool
        Takes ``features``: rows to the features that predictors see.
    known : bool
        Takes ``known``: rows to what is known without measuring, such as costs.
    cost : bool
        Takes ``cost``: rows to the cost over which the first sample is spread.
    exact : bool
        Takes ``exact``: objectives that are computed and need not be predicted.
    inner_evaluations : bool
        Takes ``inner_evaluations``: how many architectures are predicted an ask.
    warm_start : bool
        Takes ``warm_start``: rows to predictions from earlier campaigns.
    confidence : bool
        Takes ``confidence``: objective to the probability with which its limit must be met.
    reference : bool
        Takes ``reference``: objective to the value from which on it counts.

    Examples
    --------
    >>> Capabilities(cost=True, screening=True).options()
    ['cost']
    """

    incomplete_rows: bool = False
    screening: bool = False
    fidelities: bool = False
    predicted_front: bool = False

    features: bool = False
    known: bool = False
    cost: bool = False
    exact: bool = False
    inner_evaluations: bool = False
    warm_start: bool = False
    confidence: bool = False
    reference: bool = False

    def options(self) -> list[str]:
        """List the options that a campaign may pass.

        Returns
        -------
        list of str
            Names of the options, in the order of the attributes.
        """
        names = [
            field.name
            for field in fields(self)
            if field.name not in ("incomplete_rows", "screening", "fidelities", "predicted_front")
        ]
        return [name for name in names if getattr(self, name)]


@runtime_checkable
class AllocatesFidelities(Protocol):
    """A searcher that chooses what to measure on how much; its `Capabilities` say so by ``fidelities``."""

    def allocate(
        self, archs: Sequence[Architecture], fidelities: Callable[[Sequence[Architecture]], Fidelities], budget: float
    ) -> list[tuple[Architecture, int]]:
        """Choose by the expected gain of the front per second.

        Parameters
        ----------
        archs : sequence of Architecture
            Of which something is known.
        fidelities : callable
            Any k architectures to what their levels tell and take.
        budget : float
            Seconds to be spent.

        Returns
        -------
        list of tuple of Architecture and int
            The chosen, each once, and their level; -1 for the last one.
        """


@runtime_checkable
class PredictsFronts(Protocol):
    """A searcher that names a front by predictions; its `Capabilities` say so by ``predicted_front``."""

    def predicted_front(self, n: int) -> list[Architecture]:
        """Name a front over the whole space.

        Parameters
        ----------
        n : int
            How many architectures at most.

        Returns
        -------
        list of Architecture
            Told or not.
        """
        ...

    def predict(self, archs: Sequence[Architecture], coverage: float = 0.9) -> pd.DataFrame:
        """Predict the objectives of architectures, with intervals.

        Parameters
        ----------
        archs : sequence of Architecture
            Measured or not.
        coverage : float
            Posterior probability of an interval, in (0, 1).

        Returns
        -------
        pandas.DataFrame
            ``arch_id``, and for each objective NAME, NAME_low, NAME_high.
        """
        ...
